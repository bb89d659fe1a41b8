"""Notices: what relay itself notes on a card. A notice is a value; `draw` puts those into words that a reader sees."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from relay.model.json_types import JSON
from relay.model.struct import Struct, plain


class NoticeKind(StrEnum):
    """What a notice says. The fields in brackets are set; a reader sees the line, where there is one.

    kind         fields                   meaning
    pointer                               the fallback's card, shrunk: another card follows the incident
    for_card     channel, name, reason    the fallback's card in place of one in a channel that rejects it
    for_thread   channel, name, reason    the fallback's card for what the thread there could not report
    unnamed      reason                   the fallback's card in place of one whose channel has no name, and why
    may_repeat                            it may be a duplicate: relay could not search for the first message
    reposted     reason                   the previous message was deleted, or cannot be edited any more
    no_edits                              Slack allows no more edits; the thread reports the changes
    stand_in                              the fallback's card, until the cards that it replaces are posted
    no_ping                               it pings nobody when it is posted: it is a retry or a repost
    stale        at                       relay has had no share of the incident since then, and cannot ask BigPanda
    muted        name, reason, at         a person's mute holds its pings until that moment, and why
    gone         at                       BigPanda did not know the incident at that moment
    escalated    channel, name, at        the card is here since nobody had taken the incident there by that moment
    """

    POINTER = "pointer"
    FOR_CARD = "for_card"
    FOR_THREAD = "for_thread"
    UNNAMED = "unnamed"
    MAY_REPEAT = "may_repeat"
    REPOSTED = "reposted"
    NO_EDITS = "no_edits"
    STAND_IN = "stand_in"
    NO_PING = "no_ping"
    STALE = "stale"
    MUTED = "muted"
    GONE = "gone"
    ESCALATED = "escalated"


class Notice(Struct, frozen=True, kw_only=True):
    """One notice.

    `channel` is the reference of the channel that the card stands in for and `name` what people call it; `reason` says
    why; `at` is Unix seconds. `NoticeKind` says which kind has which.
    """

    kind: NoticeKind
    channel: str = ""
    name: str = ""
    reason: str = ""
    at: int = 0

    def as_json(self) -> dict[str, JSON]:
        """A plain JSON object with the fields that are set, to be stored with a card."""
        return {name: value for name, value in plain(self).items() if value}

    @classmethod
    def from_json(cls, stored: Mapping[str, JSON]) -> Self:
        """Undo `as_json`."""
        return cls(**{**stored, "kind": NoticeKind(stored["kind"])})


Notices = tuple[Notice, ...]
"""The notices of a card, oldest first, each once."""

POINTER = Notice(kind=NoticeKind.POINTER)
MAY_REPEAT = Notice(kind=NoticeKind.MAY_REPEAT)
REPOSTED = Notice(kind=NoticeKind.REPOSTED)
NO_EDITS = Notice(kind=NoticeKind.NO_EDITS)
STAND_IN = Notice(kind=NoticeKind.STAND_IN)
NO_PING = Notice(kind=NoticeKind.NO_PING)


def add_notices(notices: Notices, *more: Notice) -> Notices:
    """The notices with these, each once."""
    return tuple(dict.fromkeys((*notices, *more)))


def is_escalated(notices: Notices) -> bool:
    """Whether the card is there since nobody took the incident: it has none of the options of routes."""
    return any(notice.kind is NoticeKind.ESCALATED for notice in notices)


def remove_notices(notices: Notices, *kinds: NoticeKind) -> Notices:
    """The notices without those of these kinds."""
    return tuple(notice for notice in notices if notice.kind not in kinds)
