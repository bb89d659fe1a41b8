"""The nouns of a call to BigPanda: which call, and the closed union of what its answer means.

    Done ........ it is so: the incident is as the call wants it, or here is what was asked for
    Later ....... surely not done, and worth another try
    Unsure ...... nobody can say whether it was done
    Missing ..... the incident is not there
    Refused ..... surely not done, and no repetition changes that

Each has a `reason`: one snake_case word of a closed set (`REASONS`), which logs, metrics and the store use alike.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from relay.model.json_types import JSON


class RejectionCause(StrEnum):
    """Whose refusal it is, and so how far it reaches."""

    CREDENTIALS = "credentials"
    """The key: no call works until somebody acts."""
    PERMISSION = "permission"
    """The key's user may not do this, in this environment or at all."""
    PAYLOAD = "payload"
    """This one call, as it is made: the same one never will pass."""
    UNSUPPORTED = "unsupported"
    """There is no such call in this BigPanda."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDone:
    """It is so. `body` is what the answer's JSON says; None where a write was answered without any.

    `repeated`: it was so before this call, such as an incident that was resolved already.
    """

    body: JSON = None
    repeated: bool = False
    reason: ClassVar[str] = "ok"
    outcome: ClassVar[str] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetryable:
    """Surely not done; the same call may work later.

    `retry_after` is the wait in seconds that BigPanda asks for, None where it does not say (it documents no such
    header). `pauses`: the wait binds every call of this kind. `remedy` is empty where waiting is all there is to do.
    """

    reason: str
    retry_after: float | None = None
    pauses: bool = False
    remedy: str = ""
    outcome: ClassVar[str] = "retryable"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAmbiguous:
    """A write that may have been done or not."""

    reason: str
    outcome: ClassVar[str] = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentNotFound:
    """The incident is not there, or the key's organisation lives in another region, which 404 says as well.

    Only who remembers whether any other call has answered can tell the two apart. Of `Call.INCIDENT` it speaks of the
    incident; of an action it may speak of what else its address names, the environment, a tag or a user, where BigPanda
    does not say which. `detail` is its words.
    """

    reason: str
    detail: str = ""
    outcome: ClassVar[str] = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRejected:
    """Surely not done, and useless to repeat unchanged; `remedy` is a sentence for the operator.

    `detail` is BigPanda's words, a few hundred characters at most.
    """

    cause: RejectionCause
    reason: str
    remedy: str
    detail: str = ""
    outcome: ClassVar[str] = "rejected"


TaskOutcome: TypeAlias = TaskDone | TaskRetryable | TaskAmbiguous | IncidentNotFound | TaskRejected
