"""The outcomes of a call to Slack: a closed union, `SlackOutcome`.

Each has a `reason`, one snake_case word of a closed set, and its own name as `outcome`. Logs, metrics and the store use
both. `remedy` says what an operator has to do; it is empty if nobody has to.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

Body: TypeAlias = Mapping[str, Any]
"""The JSON object that Slack answered. Never trust its shape."""


class RejectionScope(StrEnum):
    """How far a rejection reaches; not a scope of a token."""

    CREDENTIALS = "credentials"  # the token: no call works in this workspace until somebody acts
    APP = "app"  # the app lacks a scope or a permission: this method works in no channel
    CHANNEL = "channel"  # the channel: no call of this kind works in it until somebody acts
    THREAD = "thread"  # the thread accepts no replies; the channel accepts cards, and the card can still be edited
    PAYLOAD = "payload"  # this message: it never passes as it is, but a simpler one may
    EDIT_WINDOW = "edit_window"  # edits: the workspace allows none, or none of messages this old
    CALL = "call"  # this one call: what it names does not exist, or an argument is wrong
    UNKNOWN_CODE = "unknown_code"  # Slack answered with a code that relay does not know


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The message is posted, edited or deleted.

    `stray`: it is a reply that is in the channel, because its parent is gone.
    """

    channel: str
    ts: str
    stray: bool = False
    body: Body = field(default_factory=dict, repr=False, compare=False)
    reason: ClassVar[str] = "ok"
    remedy: ClassVar[str] = ""
    outcome: ClassVar[str] = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What the call asked for. `scopes` are the token's, from the response's header."""

    body: Body
    scopes: tuple[str, ...] = ()
    reason: ClassVar[str] = "ok"
    remedy: ClassVar[str] = ""
    outcome: ClassVar[str] = "read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retryable:
    """Surely not done; the same call may work later.

    `retry_after` is the wait in seconds, None if it is unknown. `pauses`: no call of this method works in the
    workspace until then.
    """

    reason: str
    code: str = ""
    retry_after: float | None = None
    pauses: bool = False
    remedy: str = ""
    outcome: ClassVar[str] = "retryable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Surely not done, and useless to repeat unchanged.

    `code` is Slack's word. `missing_scopes` are the token scopes that Slack asks for. `detail` is what Slack says about
    the message.
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
    """The message or the thread of the call is gone, or never belonged to this bot."""

    code: str
    reason: str
    remedy: ClassVar[str] = ""
    outcome: ClassVar[str] = "not_found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambiguous:
    """Done or not: nobody knows. A post is in doubt then; an edit, a deletion and a read can simply be repeated."""

    reason: str
    code: str = ""
    remedy: ClassVar[str] = ""
    outcome: ClassVar[str] = "ambiguous"


SlackOutcome: TypeAlias = Delivered | Read | Retryable | Rejected | NotFound | Ambiguous
