"""Whether it is a card's turn: which states take which work, and what has to be out of the way first."""

from typing import Literal

from relay.cards.model import AttemptState, Card, CardContext, CardState, ChannelState, Due

WorkKind = Literal["post", "edit"]
"""The two kinds of work, which have two budgets."""

STATES_WITH_WORK: dict[WorkKind, tuple[CardState, ...]] = {
    "post": (CardState.PENDING, CardState.POSTED),
    "edit": (CardState.POSTED,),
}
"""In which states a card takes work of that kind."""

BLOCKING_STATES = (AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT)
"""An attempt like this stops later posts of its card, never its edits."""


def is_due(case: CardContext, track: WorkKind, now: float) -> bool:
    """Whether work of that kind is to be done about the card now."""
    due = due_work(case.card, track)
    return (
        due is not None
        and due.at <= now
        and case.card.state in STATES_WITH_WORK[track]
        and case.channel.state is ChannelState.OPEN
        and (track == "edit" or case.attempt is None or case.attempt.state not in BLOCKING_STATES)
    )


def due_work(card: Card, track: WorkKind) -> Due | None:
    """The work of that kind that waits, now or later."""
    return card.post if track == "post" else card.edit
