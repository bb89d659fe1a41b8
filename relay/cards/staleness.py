"""Decide what follows when an incident has been silent for longer than `stale_after`.

If BigPanda can be asked, a task asks it, once in each such time. If not, or if BigPanda does not know the incident any
more, the card turns grey and shows the age of its data, until the next share, or until BigPanda answers again.
"""

from collections.abc import Sequence
from typing import NamedTuple

from relay.cards.model import Card, CardState, Due, IncidentState, Task, replace_changed
from relay.cards.notices import NO_EDITS, Notice, NoticeKind, add_notices, remove_notices
from relay.cards.tasks import check_task
from relay.model.incident import Incident
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency


class StalenessUpdate(NamedTuple):
    """What changes: the incident's state, its cards, and the tasks that ask BigPanda."""

    incident_state: IncidentState
    cards: tuple[Card, ...] = ()
    tasks: tuple[Task, ...] = ()


def stale_at(incident: Incident, cards: Sequence[Card], last_share_at: float) -> float | None:
    """When an incident will have been silent for too long; None if it is over or has no card that shows it."""
    waits = [card.options.stale_after for card in cards if card.is_current and not card.is_pointer]
    return last_share_at + min(waits) if incident.active and waits else None


def handle_silence(
    incident_state: IncidentState, cards: Sequence[Card], now: float, *, can_query: bool, api_available: bool = True
) -> StalenessUpdate:
    """It has been silent for too long. `can_query`: relay has a key for BigPanda's API; `api_available`: it works."""
    can_query = can_query and bool(incident_state.record.environment_id)
    if not (can_query and api_available):
        return mark_stale(incident_state, cards, now, can_query=can_query)
    task = check_task(incident_state.record.incident, f"silent at {now:.0f}", now, now)
    return StalenessUpdate(incident_state=replace(incident_state, stale_at=_next_check(cards, now)), tasks=(task,))


def mark_stale(incident_state: IncidentState, cards: Sequence[Card], now: float, *, can_query: bool) -> StalenessUpdate:
    """Its state is unknown: the cards show the age of their data. Relay asks BigPanda again if it can."""
    notice = Notice(kind=NoticeKind.STALE, at=int(incident_state.last_share_at))
    silent = replace(incident_state, stale_at=_next_check(cards, now) if can_query else None)
    return StalenessUpdate(silent, _with_age(incident_state, cards, notice, now))


def mark_gone(incident_state: IncidentState, cards: Sequence[Card], now: float) -> StalenessUpdate:
    """BigPanda does not know it any more (merged into another, or deleted): no share will ever come."""
    ended = now if incident_state.ended_at is None else incident_state.ended_at
    gone = replace(incident_state, stale_at=None, ended_at=ended)
    return StalenessUpdate(gone, _with_age(incident_state, cards, Notice(kind=NoticeKind.GONE, at=int(now)), now))


def clear_stale(cards: Sequence[Card], now: float) -> tuple[Card, ...]:
    """BigPanda has returned the incident: the cards that showed the age of their data."""
    fresh = ((card, remove_notices(card.notices, NoticeKind.STALE)) for card in cards)
    return tuple(_edit(replace(card, notices=rest), now) for card, rest in fresh if rest != card.notices)


def clear_staleness(card: Card) -> Card:
    """A share has come: the card no longer shows the age of its data."""
    return replace_changed(card, notices=remove_notices(card.notices, NoticeKind.STALE, NoticeKind.GONE))


def _next_check(cards: Sequence[Card], now: float) -> float | None:
    return now + max(card.options.stale_after for card in cards) if cards else None


def _with_age(state: IncidentState, cards: Sequence[Card], notice: Notice, now: float) -> tuple[Card, ...]:
    if not state.was_shared:  # a card that was found in Slack: nothing is known that it could show
        return ()
    return tuple(
        _edit(replace(card, notices=add_notices(clear_staleness(card).notices, notice)), now)
        for card in cards
        if card.is_current and not card.is_pointer
    )


def _edit(card: Card, now: float) -> Card:
    if card.state is not CardState.POSTED or NO_EDITS in card.notices:
        return card
    return replace(card, edit=Due.on(Urgency.EDIT, now).sooner(card.edit))
