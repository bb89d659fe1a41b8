"""Decide whether it is a card's turn: which states have which work, and what must be out of the way first."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Literal

from relay.cards.attention import BLOCKING_STATES
from relay.cards.model import Card, CardContext, CardState, Due

WorkKind = Literal["post", "edit"]
"""The two kinds of work, which have two budgets."""


class Work(StrEnum):
    """The work that a transaction may leave.

    To post, to edit, a task for BigPanda, to look up a channel, to look at what is held, a mute that cards must say, or
    to remind people.
    """

    POST = "post"
    EDIT = "edit"
    TASK = "task"
    CHANNEL = "channel"
    HELD = "held"
    MUTE = "mute"
    REMIND = "remind"


EVERY_WORK: Final = frozenset(Work)


STATES_WITH_WORK: dict[WorkKind, tuple[CardState, ...]] = {
    "post": (CardState.PENDING, CardState.POSTED),
    "edit": (CardState.POSTED,),
}
"""In which states a card has work of that kind."""


def is_due(context: CardContext, kind: WorkKind, now: float) -> bool:
    """Whether work of that kind is due on the card and may be done now."""
    due, attempt = due_work(context.card, kind), context.attempt
    return (
        due is not None
        and due.at <= now
        and context.card.state in STATES_WITH_WORK[kind]
        and context.channel.is_open
        and (kind == "edit" or attempt is None or attempt.state not in BLOCKING_STATES)
    )


def due_work(card: Card, kind: WorkKind) -> Due | None:
    """The work of that kind that waits, now or later."""
    return card.post if kind == "post" else card.edit


def work_of(cards: Iterable[Card]) -> frozenset[Work]:
    """The kinds of work that these cards have, now or later."""
    current = [card for card in cards if card.is_current]
    posts = {Work.POST for card in current if card.post is not None}
    held = {Work.HELD for card in current if card.catch_up_due is not None or card.held is not None}
    remind = {Work.REMIND for card in current if card.reminder_due is not None}
    return frozenset(posts | held | remind | {Work.EDIT for card in current if card.edit is not None})
