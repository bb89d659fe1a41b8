"""After the clock was set back: work that was planned by the old time would be late, and moves back with the clock.

`MOMENTS` has a row for every time that is stored: to add a column, decide what a step of the clock means for it.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from sqlalchemy import Column, Connection, Update, case, func, select, update

from relay.cards.model import NO_DEADLINE
from relay.store import schema


class Moment(Enum):
    """The meaning of a stored time, and what to do if it is later than the new time."""

    DUE = auto()
    """Relay waits for it: it moves back with the clock, to now at the earliest."""
    PAST = auto()
    """It has happened, and relay counts from it: it moves back with the clock, to now at the latest."""
    SHOWN = auto()
    """Nothing waits for it, and nothing counts from it, or it comes from the clock of BigPanda: it stays."""


_INCIDENT, _SHARE, _CARD = schema.incident.c, schema.share.c, schema.card.c

MOMENTS: Final[Mapping[Column[float], Moment]] = {
    _INCIDENT.stale_at: Moment.DUE,
    _INCIDENT.ended_at: Moment.PAST,
    _INCIDENT.last_share_at: Moment.PAST,
    _INCIDENT.shared_at: Moment.SHOWN,
    _INCIDENT.assigned_at: Moment.SHOWN,
    _INCIDENT.resolved_at: Moment.SHOWN,
    _SHARE.plan_due: Moment.DUE,
    _SHARE.received: Moment.PAST,
    _SHARE.planned_at: Moment.SHOWN,
    _SHARE.as_of: Moment.SHOWN,
    schema.entry.c.at: Moment.SHOWN,
    schema.bulletin.c.opened_at: Moment.PAST,
    schema.bulletin.c.closed_at: Moment.PAST,
    schema.bulletin_line.c.at: Moment.SHOWN,
    schema.bulletin_line.c.ended_at: Moment.SHOWN,
    schema.channel.c.retry_at: Moment.DUE,
    schema.channel.c.unread_since: Moment.PAST,
    _CARD.post_due: Moment.DUE,
    _CARD.post_deadline: Moment.DUE,
    _CARD.post_since: Moment.PAST,
    _CARD.edit_due: Moment.DUE,
    _CARD.edit_deadline: Moment.DUE,
    _CARD.edit_since: Moment.PAST,
    _CARD.edit_in_doubt_until: Moment.DUE,
    _CARD.catch_up_due: Moment.DUE,
    _CARD.held_until: Moment.SHOWN,  # relay checks again what holds due work
    _CARD.edited_at: Moment.PAST,
    _CARD.unowned_since: Moment.PAST,
    _CARD.reminder_base: Moment.PAST,
    _CARD.reminder_due: Moment.DUE,
    _CARD.reminder_asked_at: Moment.PAST,
    _CARD.escalated_at: Moment.SHOWN,
    _CARD.pending_since: Moment.PAST,
    _CARD.first_matched_at: Moment.PAST,
    _CARD.first_posted_at: Moment.PAST,
    _CARD.reopening_pinged_at: Moment.PAST,
    _CARD.reopening_reported_at: Moment.PAST,
    _CARD.shown_ended_at: Moment.SHOWN,
    schema.attempt.c.next_search_at: Moment.DUE,
    schema.attempt.c.started_at: Moment.PAST,
    schema.call.c.at: Moment.PAST,
    schema.dead_letter.c.since: Moment.SHOWN,
    schema.dead_letter.c.closed_at: Moment.SHOWN,
    schema.lease.c.until: Moment.SHOWN,  # `leases` itself shortens one that lasts too long
    schema.bigpanda_task.c.due_at: Moment.DUE,
    schema.bigpanda_task.c.created: Moment.PAST,
    schema.configuration.c.saved_at: Moment.SHOWN,  # each is later than the one before, whatever the clock says
    schema.summary.c.decided: Moment.PAST,
    schema.summary.c.posted_as_of: Moment.PAST,
    schema.mute.c.start_at: Moment.DUE,
    schema.mute.c.end_at: Moment.DUE,  # a mute that ends too early is better than one that ends too late
    schema.mute.c.created: Moment.SHOWN,
    schema.integration.c.assigned_at: Moment.SHOWN,
    schema.notice.c.opened_at: Moment.PAST,
    schema.quarantine.c.received: Moment.SHOWN,
    schema.tag_definition.c.fetched_at: Moment.PAST,
    schema.installation.c.adopt_since: Moment.PAST,
}
"""Every time in the database."""

_NEWEST = (select(func.max(_SHARE.received)), select(func.max(schema.call.c.at)))


def seconds_ahead(connection: Connection, now: float) -> float:
    """Return by how many seconds the newest thing that happened is later than now: the clock was set back since."""
    newest = (connection.execute(statement).scalar() for statement in _NEWEST)
    return max(0.0, *(float(moment or 0.0) - now for moment in newest))


def move_back(connection: Connection, now: float, seconds: float) -> None:
    """Move back what is later than `now` by so many seconds.

    Pending work that was planned before the clock was wrong then comes too early; nothing comes too late.
    """
    for column, moment in MOMENTS.items():
        if moment is not Moment.SHOWN:
            connection.execute(_moved_back(column, moment, now, seconds))


def _moved_back(column: Column[float], moment: Moment, now: float, seconds: float) -> Update:
    earlier = column - seconds
    nearest = case((earlier < now if moment is Moment.DUE else earlier > now, now), else_=earlier)
    return update(column.table).where(column > now, column < NO_DEADLINE).values({column.name: nearest})
