"""Decide whether it is a card's turn: which states have which work, and what must be out of the way first."""

from enum import StrEnum
from typing import Literal

from relay.cards.model import ADOPTING, AttemptState, Card, CardContext, CardState, Due

WorkKind = Literal["post", "edit"]
"""The two kinds of work, which have two budgets."""


class HeldReason(StrEnum):
    """What holds a card that is not posted yet.

    reason            it ends
    wait              when the route's `wait` is over
    retry             when relay tries again, after Slack failed
    channel_rejected  when the channel accepts messages again
    adopting          when relay has read what a lost database had posted in the channel
    in_doubt          when relay knows whether Slack has the card
    slack_paused      when Slack accepts relay's calls again
    """

    WAIT = "wait"
    RETRY = "retry"
    CHANNEL_REJECTED = "channel_rejected"
    ADOPTING = ADOPTING
    IN_DOUBT = "in_doubt"
    SLACK_PAUSED = "slack_paused"


STATES_WITH_WORK: dict[WorkKind, tuple[CardState, ...]] = {
    "post": (CardState.PENDING, CardState.POSTED),
    "edit": (CardState.POSTED,),
}
"""In which states a card has work of that kind."""

BLOCKING_STATES = (AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT)
"""An open attempt in such a state stops later posts of its card, never its edits."""


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
