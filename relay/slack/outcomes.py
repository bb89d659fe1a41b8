"""The nouns of a call to Slack: which method, and the closed union of answers.

    Delivered ... done: the message is posted, edited or deleted
    Read ........ done: here is what was asked for
    Deferred .... surely not done, and worth another try later
    Refused ..... surely not done, and no repetition changes that
    Gone ........ the message or the thread is lost
    Unknown ..... nobody can say whether it was done

Each has a `reason`: one snake_case word of a closed set, which logs, metrics and the store use alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

Body: TypeAlias = Mapping[str, Any]
"""The JSON object that Slack answered; its shape is never to be trusted."""


class RejectionScope(StrEnum):
    """Whose refusal it is, and so how far it reaches."""

    CREDENTIALS = "credentials"
    """The token: nothing works in this workspace until somebody acts."""
    APP = "app"
    """The app lacks a scope or a permission: this method works nowhere."""
    CHANNEL = "channel"
    """The channel: nothing of this kind works in it until somebody acts."""
    THREAD = "thread"
    """The thread takes no replies; the channel takes cards, and the card can still be edited."""
    PAYLOAD = "payload"
    """This message, as it is made: a simpler one may pass, the same one never will."""
    EDIT_WINDOW = "edit_window"
    """The workspace does not allow edits, or not of messages this old."""
    CALL = "call"
    """This one call: what it points at or asks for is not to be had."""
    UNKNOWN_CODE = "unknown_code"
    """A code that relay does not know; Slack says that more may come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Posted, edited or deleted. `stray`: a reply that stands in the channel, since its parent is gone."""

    channel: str
    ts: str
    stray: bool = False
    body: Body = field(default_factory=dict, repr=False, compare=False)
    reason: ClassVar[str] = "ok"
    outcome: ClassVar[str] = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What was asked for; `scopes` are those that the token has, as the answer's header tells them."""

    body: Body
    scopes: tuple[str, ...] = ()
    reason: ClassVar[str] = "ok"
    outcome: ClassVar[str] = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retryable:
    """Surely not done; the same call may work later.

    `retry_after` is the wait in seconds that Slack (or the nature of the trouble) asks for, None where nobody says.
    `pauses`: the wait binds every call of this method in this workspace, not just this one. `remedy` is empty where
    waiting is all there is to do.
    """

    reason: str
    code: str = ""
    retry_after: float | None = None
    pauses: bool = False
    remedy: str = ""
    outcome: ClassVar[str] = "retryable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Surely not done, and useless to repeat unchanged; `remedy` is a sentence for the operator.

    `code` is Slack's own word, `needed` the scopes that are missing, `detail` what Slack says about the payload.
    """

    code: str
    scope: RejectionScope
    reason: str
    remedy: str
    missing_scopes: str = ""
    detail: str = ""
    outcome: ClassVar[str] = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFound:
    """The message or the thread that the call is about is lost, or was never this bot's."""

    code: str
    reason: str
    outcome: ClassVar[str] = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """It may have been done or not. For a post this is doubt; an edit, a deletion or a read may simply be repeated."""

    reason: str
    code: str = ""
    outcome: ClassVar[str] = "ambiguous"


SlackOutcome: TypeAlias = Delivered | Read | Retryable | Rejected | NotFound | Ambiguous
