"""A database that was copied and is served again does not know what was sent meanwhile: it says since when.

The copy bears a mark, written by `relay backup` (or by hand into what `pg_restore` made; the guide has the statement):
the lease `restored`, with the Unix second of the copy as its epoch. The first relay that delivers from it sets the end.
"""

from sqlalchemy import Connection, select, update

from relay.store import schema

NAME = "restored"
SEARCH_FIRST_FOR = 86_400.0
"""Seconds from the first delivery in which nothing new is posted before Slack was asked whether it is there."""

MARK = f"INSERT OR REPLACE INTO lease (name, holder, epoch, until) VALUES ('{NAME}', '', ?, 0)"  # noqa: S608  ours
"""The mark in a copy of an SQLite file; its parameter is the Unix second in which the copy was begun."""

_lease = schema.lease
_ROW = select(_lease).where(_lease.c.name == NAME)


def restored(connection: Connection, now: float) -> tuple[float, float] | None:
    """When the copy was made and until when to look first; None where that is over, or this is no copy."""
    row = connection.execute(_ROW).one_or_none()
    if row is None:
        return None
    until = row.until
    if not until:
        until = now + SEARCH_FIRST_FOR
        connection.execute(update(_lease).where(_lease.c.name == NAME).values(until=until))
    return (float(row.epoch), until) if now < until else None
