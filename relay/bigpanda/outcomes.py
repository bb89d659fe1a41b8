"""The outcomes of a call to BigPanda: a closed union, `TaskOutcome`.

Each has a `reason`, one snake_case word of a closed set (`relay.bigpanda.classify.REASONS`), and a name as `outcome`.
Logs, metrics and the store use both. `remedy` says what an operator has to do; it is empty if nobody has to. `detail`
is what BigPanda says about a call that it refuses, a few hundred characters at most.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeAlias

from relay.model.json_types import JSON


class RejectionCause(StrEnum):
    """What a rejected call failed on."""

    CREDENTIALS = "credentials"  # the API key: no call works until somebody acts
    PERMISSION = "permission"  # the key's user may not do this, here or anywhere
    PAYLOAD = "payload"  # this one call: it never passes as it is
    UNSUPPORTED = "unsupported"  # this BigPanda has no such call


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDone:
    """Done, now or before. `body` is the response's JSON, None if a write was answered without any."""

    body: JSON = None
    reason: ClassVar[str] = "ok"
    remedy: ClassVar[str] = ""
    detail: ClassVar[str] = ""
    outcome: ClassVar[str] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRetryable:
    """Surely not done; the same call may work later.

    `retry_after` is the wait in seconds that BigPanda names, else None (it documents no such header). `pauses`: no call
    of this kind works until then.
    """

    reason: str
    retry_after: float | None = None
    pauses: bool = False
    remedy: str = ""
    detail: ClassVar[str] = ""
    outcome: ClassVar[str] = "retryable"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAmbiguous:
    """A write that was done or not."""

    reason: str
    remedy: ClassVar[str] = ""
    detail: ClassVar[str] = ""
    outcome: ClassVar[str] = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentNotFound:
    """The incident does not exist, or the key's organisation is in another region: BigPanda answers both with 404.

    Only a caller that knows whether any other call ever worked can tell the two apart. After `BigPandaCall.INCIDENT`
    it is about the incident. After an action it may also be about the environment, the tag or the user, where BigPanda
    does not say which.
    """

    reason: str
    detail: str = ""
    remedy: ClassVar[str] = ""
    outcome: ClassVar[str] = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRejected:
    """Surely not done, and useless to repeat unchanged."""

    cause: RejectionCause
    reason: str
    remedy: str
    detail: str = ""
    outcome: ClassVar[str] = "rejected"


TaskOutcome: TypeAlias = TaskDone | TaskRetryable | TaskAmbiguous | IncidentNotFound | TaskRejected
