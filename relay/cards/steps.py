"""The steps that a card may take next: each is a value that says what is sent, and how the card is stored before.

A step that calls Slack is committed before the call. What a root shows, and the key by which Slack is searched for a
lost message, stand here too.
"""

import hashlib
from dataclasses import dataclass

from relay.cards.bulletins import BulletinLine
from relay.cards.holds import HeldPings
from relay.cards.model import Attempt, Broadcast, CardContext, CardUpdate
from relay.cards.notices import Notices
from relay.cards.replies import Reply

ROOT = "root"
REPLY = "reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRoot:
    """Post the card; `attempt` says whom it pings."""

    attempt: Attempt
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class PostReply:
    """Post one reply in the card's thread."""

    attempt: Attempt
    reply: Reply
    thread: str
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Edit the card, unless it shows already what it should show.

    `shown_hash` and `in_doubt_until` are the card's from before: while Slack is called, nobody knows what it shows.
    """

    ts: str
    shown_hash: str
    in_doubt_until: float | None
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class EditBroadcast:
    """Edit a broadcast reply whose state is over."""

    ts: str
    broadcast: Broadcast
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class EditLines:
    """Edit a reply in the thread of a bulletin, since lines in it have changed up to that version of the bulletin."""

    ts: str
    lines: tuple[BulletinLine, ...]
    version: int
    update: CardUpdate


@dataclass(frozen=True, slots=True, kw_only=True)
class NothingToSend:
    """Slack is not called; `reason` says why."""

    reason: str
    update: CardUpdate


ReplyEdit = EditBroadcast | EditLines
"""The steps that edit a reply."""

SlackStep = PostRoot | PostReply | Edit | ReplyEdit
"""The steps that call Slack."""

EDITS = (Edit, EditBroadcast, EditLines)
"""The steps that edit a message."""

Step = SlackStep | NothingToSend


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRoot:
    """What Slack shows now for a card: the fingerprint of the message, and what it was rendered from."""

    fingerprint: str
    version: int
    ended: float | None
    notices: Notices = ()
    held_pings: HeldPings = ()


def shown_root(context: CardContext, fingerprint: str) -> ShownRoot:
    """What Slack shows once it has accepted a message rendered from this context."""
    return ShownRoot(
        fingerprint=fingerprint,
        version=context.topic.version,
        ended=context.topic.ended,
        notices=context.card.notices,
        held_pings=context.card.held_pings,
    )


def message_key(context: CardContext, *upto_seq: int) -> str:
    """The key by which a root, or the reply up to an entry, is found in Slack: the same for every try and database."""
    card, channel = context.card, context.channel
    parts = (*context.topic.identity, channel.slack_id or channel.ref, card.episode, card.generation, *upto_seq)
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]
