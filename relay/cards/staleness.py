"""What is done about an incident of which nothing has been heard for a long time.

Where BigPanda can be asked, it is asked, once in each such time. Where it cannot, or does not know the incident any
more, the card turns grey and says how old its news is, until the next share, or until BigPanda answers again.
"""

from collections.abc import Sequence
from dataclasses import replace

from relay.cards.model import Card, CardState, Due, IncidentState, Task
from relay.cards.notices import GONE, STALE, THREAD_ONLY, dated, noted, without
from relay.cards.tasks import check_task
from relay.model.incident import Incident
from relay.ratelimit.budgets import Urgency

StalenessUpdate = tuple[IncidentState, tuple[Card, ...], tuple[Task, ...]]
"""The story, the cards that change, and what is to be asked."""


def stale_at(incident: Incident, cards: Sequence[Card], heard: float) -> float | None:
    """When an incident will have been silent for too long; None where nobody would look for news of it."""
    waits = [card.options.stale_after for card in cards if card.is_current and not card.is_pointer]
    return heard + min(waits) if incident.active and waits else None


def handle_silence(
    story: IncidentState, cards: Sequence[Card], now: float, *, can_query: bool, api_available: bool = True
) -> StalenessUpdate:
    """It is silent for too long by now; `asks` says whether there is a way to ask BigPanda, `answers` that it works."""
    can_query = can_query and bool(story.record.environment_id)
    if not (can_query and api_available):
        return mark_stale(story, cards, now, can_query=can_query)
    kept = replace(story, stale_at=_again(cards, now))
    return kept, (), (check_task(story.record.incident, f"silent at {now:.0f}", now, now),)


def mark_stale(story: IncidentState, cards: Sequence[Card], now: float, *, can_query: bool) -> StalenessUpdate:
    """Nobody knows: the cards say how old their news is. Where BigPanda can be asked at all, it is asked again."""
    kept = replace(story, stale_at=_again(cards, now) if can_query else None)
    return kept, _greyed(cards, dated(STALE, story.last_share_at), now), ()


def _again(cards: Sequence[Card], now: float) -> float | None:
    return now + max(card.options.stale_after for card in cards) if cards else None


def clear_stale(cards: Sequence[Card], now: float) -> tuple[Card, ...]:
    """BigPanda was asked and has told how the incident stands: the cards that said how old their news is."""
    grey = (card for card in cards if without(card, STALE) != card.notices)
    return tuple(_to_be_edited(replace(card, notices=without(card, STALE)), now) for card in grey)


def mark_gone(story: IncidentState, cards: Sequence[Card], now: float) -> StalenessUpdate:
    """BigPanda knows it no more (merged into another, or deleted): nothing will ever be heard of it."""
    ended = story.ended_at if story.ended_at is not None else now
    return replace(story, stale_at=None, ended_at=ended), _greyed(cards, dated(GONE, now), now), ()


def clear_staleness(card: Card) -> Card:
    """A share has come: whatever the card says of a silence is over."""
    kept = without(card, STALE, GONE)
    return card if kept == card.notices else replace(card, notices=kept)


def _greyed(cards: Sequence[Card], notice: str, now: float) -> tuple[Card, ...]:
    return tuple(
        _to_be_edited(replace(card, notices=noted(clear_staleness(card), notice)), now)
        for card in cards
        if card.is_current and not card.is_pointer
    )


def _to_be_edited(card: Card, now: float) -> Card:
    if card.state is not CardState.POSTED or THREAD_ONLY in card.notices:
        return card
    return replace(card, edit=Due.on(Urgency.EDIT, now).sooner(card.edit))
