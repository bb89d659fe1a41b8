"""Decide whether it is a card's turn: which states have which work, and what must be out of the way first."""

from typing import Literal

from relay.cards.attention import BLOCKING_STATES
from relay.cards.model import Card, CardContext, CardState, Due

WorkKind = Literal["post", "edit"]
"""The two kinds of work, which have two budgets."""


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
