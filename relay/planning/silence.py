"""What is done about an incident of which nothing has been heard for a long time.

Where BigPanda can be asked, it is asked, once in each such time. Where it cannot, or does not know the incident any
more, the card turns grey and says how old its news is, until the next share.
"""

from collections.abc import Sequence
from dataclasses import replace

from relay.incident import Incident
from relay.pacing import Occasion
from relay.planning.errands import check
from relay.planning.model import Card, CardState, Due, Errand, Story
from relay.planning.notices import GONE, STALE, dated, noted, without

Judged = tuple[Story, tuple[Card, ...], tuple[Errand, ...]]
"""The story, the cards that change, and what is to be asked."""


def stale_at(incident: Incident, cards: Sequence[Card], heard: float) -> float | None:
    """When an incident will have been silent for too long; None where nobody would look for news of it."""
    waits = [card.options.stale_after for card in cards if card.followed and not card.pointer]
    return heard + min(waits) if incident.active and waits else None


def fallen_silent(story: Story, cards: Sequence[Card], now: float, *, asks: bool) -> Judged:
    """It is silent for too long by now; `asks` says whether BigPanda can be asked."""
    if not (asks and story.record.environment_id):
        return unknown(story, cards, now)
    again = max(card.options.stale_after for card in cards) if cards else None
    kept = replace(story, stale_at=None if again is None else now + again)
    return kept, (), (check(story.record.incident, f"silent at {now:.0f}", now, now),)


def unknown(story: Story, cards: Sequence[Card], now: float) -> Judged:
    """Nobody can be asked: the cards say how old their news is."""
    return replace(story, stale_at=None), _greyed(cards, dated(STALE, story.last_share), now), ()


def gone(story: Story, cards: Sequence[Card], now: float) -> Judged:
    """BigPanda knows it no more (merged into another, or deleted): nothing will ever be heard of it."""
    ended = story.ended_at if story.ended_at is not None else now
    return replace(story, stale_at=None, ended_at=ended), _greyed(cards, dated(GONE, now), now), ()


def heard_of(card: Card) -> Card:
    """A share has come: whatever the card says of a silence is over."""
    kept = without(card, STALE, GONE)
    return card if kept == card.notices else replace(card, notices=kept)


def _greyed(cards: Sequence[Card], notice: str, now: float) -> tuple[Card, ...]:
    return tuple(
        replace(
            card,
            notices=noted(heard_of(card), notice),
            edit=Due.on(Occasion.EDIT, now).sooner(card.edit) if card.state is CardState.SHOWN else card.edit,
        )
        for card in cards
        if card.followed and not card.pointer
    )
