"""After the clock was set back: what was planned by the old time is due in its future, and moves back with it."""

from typing import Final

from sqlalchemy import Column, Connection, Update, case, func, select, update

from relay.store import schema

_MOMENTS: Final = (
    schema.incident.c.stale_at,
    schema.channel.c.retry_at,
    schema.card.c.post_due,
    schema.card.c.edit_due,
    schema.card.c.edited_at,
    schema.card.c.edit_in_doubt_until,
    schema.attempt.c.next_search_at,
    schema.bigpanda_task.c.due_at,
    schema.share.c.plan_due,
)
"""Every moment that relay waits for, or counts from."""

_HAPPENED: Final = (schema.share.c.received, schema.call.c.at, schema.incident.c.last_share_at)
"""When something happened: never later than now."""

_NEWEST = (select(func.max(schema.share.c.received)), select(func.max(schema.call.c.at)))


def seconds_ahead(connection: Connection, now: float) -> float:
    """Return by how many seconds the newest thing that happened is later than now: the clock was set back since."""
    newest = (connection.execute(statement).scalar() for statement in _NEWEST)
    return max(0.0, *(float(moment or 0.0) - now for moment in newest))


def move_back(connection: Connection, now: float, seconds: float) -> None:
    """Move back what is due after `now` by so many seconds, to now at the earliest.

    What was planned before the clock was wrong, and is still to come, comes too early then; nothing comes too late.
    """
    for moment in _MOMENTS:
        connection.execute(_moved_back(moment, now, seconds))
    for moment in _HAPPENED:  # so that the next start does not move everything again
        connection.execute(update(moment.table).where(moment > now).values({moment.name: now}))


def _moved_back(moment: Column[float], now: float, seconds: float) -> Update:
    earlier = case((moment - seconds < now, now), else_=moment - seconds)
    return update(moment.table).where(moment > now).values({moment.name: earlier})
