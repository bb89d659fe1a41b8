"""Follow the series of reminders of a card: when the next one is due, and what begins and ends a series.

A series counts from a moment, its base: the last ping that was sent, or the first post, or when the incident lost its
owner. The first reminder is due `after` the base, and each further one `every` after the one before. `then` comes
last, once more `every` later. Each due moment is computed from the one before, and not from when it was done, so that
nothing drifts. What comes late (something held it, or relay was down) counts from when it was done.

    the incident gets an owner              the series ends
    it loses its owner, or reopens          another series begins
    it falls below the route's `state`      the series waits, and goes on when it is back
    anything else pings the same people     the next reminder counts from that ping
"""

from dataclasses import dataclass
from math import inf
from typing import Final

from relay.cards.model import Card, CardState, replace_changed
from relay.cards.notices import NoticeKind
from relay.model.incident import Incident, State
from relay.model.struct import replace
from relay.routes.remind import Remind

LATE_AFTER: Final = 60.0
"""Seconds after which a reminder is late, so that the next counts from when it was sent; fewer if they come often."""

SERIES_OVER: Final = 1_000
"""So many reminders count as sent once `then` was done: whatever the routes say later, this series is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    """What a series does next: reminder `number` of `of`, or `then` (number 0); it is due at `at` (Unix seconds)."""

    at: float
    number: int = 0
    of: int = 0

    @property
    def is_then(self) -> bool:
        """Whether another channel gets a card."""
        return not self.number

    @property
    def is_last(self) -> bool:
        """Whether it is the last reminder."""
        return self.number == self.of


def next_step(card: Card) -> NextStep | None:
    """What the series of a posted card does next, if nobody takes the incident; None if it is over."""
    remind, sent, base = card.options.remind, card.reminders_sent, _base(card)
    if not remind or base is None:
        return None
    if sent < remind.times:
        return NextStep(at=base + _pause(remind, sent), number=sent + 1, of=remind.times)
    if remind.then is not None and sent < SERIES_OVER:
        return NextStep(at=base + _pause(remind, sent))
    return None


def _base(card: Card) -> float | None:
    """A card that an older relay has posted counts from its post."""
    return card.reminder_base if card.reminder_base is not None else float(card.ts) if card.ts else None


def _pause(remind: Remind, sent: int) -> float:
    return remind.every or remind.after if sent else remind.after


def is_unattended(card: Card, incident: Incident, least: State | None = None) -> bool:
    """Whether the card shows an incident that nobody has, and that is at least in that state (None: the route's)."""
    least = card.options.remind.state if least is None else least
    return (
        card.state is CardState.POSTED
        and card.matched
        and not card.is_pointer
        and not any(notice.kind is NoticeKind.GONE for notice in card.notices)
        and incident.active
        and not incident.is_owned
        and incident.state.rank >= least.rank
    )


def with_due(card: Card, incident: Incident) -> Card:
    """The card with the moment at which its next reminder is due; None if there is none."""
    step = next_step(card) if card.options.remind and is_unattended(card, incident) else None
    return replace_changed(card, reminder_due=step and step.at)


def follow(card: Card, before: Card, old: Incident | None, new: Incident, now: float) -> Card:
    """The card after its incident has changed from `old` to `new`, and perhaps its options have, too.

    A series that begins since the routes want one now counts from now: nobody is pinged just for that.
    """
    if old is not None and _is_free(new) and not _is_free(old):
        card = begin_series(replace(card, unowned_since=now), now)
    elif card.options.remind and not before.options.remind:
        card = begin_series(card, now)
    return with_due(card, new)


def _is_free(incident: Incident) -> bool:
    return incident.active and not incident.is_owned


def begin_series(card: Card, now: float) -> Card:
    """The card with a new series that counts from now."""
    return replace(card, reminder_base=now, reminders_sent=0, reminder_asked_at=None)


def after_ping(card: Card, incident: Incident, now: float) -> Card:
    """The card once it is posted, or has pinged people: the next reminder counts from now."""
    return with_due(replace(card, reminder_base=now, reminder_asked_at=None), incident)


def after_step(card: Card, step: NextStep, now: float) -> Card:
    """The card once a step of its series is done: the next one counts from when this one was due, unless it is late."""
    base = step.at if abs(now - step.at) <= _late_after(card) else now
    sent = SERIES_OVER if step.is_then else step.number
    return replace(card, reminder_base=base, reminders_sent=sent, reminder_asked_at=None)


def _late_after(card: Card) -> float:
    return min(LATE_AFTER, _pause(card.options.remind, 1) / 2)


def after_reminder_posted(card: Card, incident: Incident, now: float) -> Card:
    """The card once Slack has its reminder: one that waited for long counts from now."""
    waited = now - (card.reminder_base if card.reminder_base is not None else -inf) > _late_after(card)
    return with_due(replace(card, reminder_base=now) if waited else card, incident)
