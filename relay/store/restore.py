"""Whether the database is an older copy, which lacks what was sent since the copy was made.

A copy has a mark: the lease `restored`, whose epoch is the Unix second of the copy. `relay backup` writes it. After
`pg_restore` an operator has `relay restored` write it.
"""

from sqlalchemy import Connection, select, update

from relay.store import schema
from relay.store.execution import execute
from relay.store.upsert import insert_or_update

LEASE_NAME = "restored"
SEARCH_FIRST_FOR = 86_400.0
"""Seconds from the first delivery during which relay searches Slack before it posts anything."""

INSERT_MARK = f"INSERT OR REPLACE INTO lease (name, holder, epoch, until) VALUES ('{LEASE_NAME}', '', ?, 0)"  # noqa: S608  our own name
"""Marks a copy of an SQLite file; the parameter is the Unix second when the copy began."""

_card, _lease = schema.card, schema.lease
_MARK = _lease.c.name == LEASE_NAME
_NEWLY_MARKED = select(_lease.c.name).where(_MARK, _lease.c.until == 0.0)


def mark_restored(connection: Connection, copied: float) -> None:
    """Mark the database as a copy that was made at that moment (Unix seconds)."""
    row = {"name": LEASE_NAME, "holder": "", "epoch": int(copied), "until": 0.0}
    connection.execute(insert_or_update(connection, _lease, ("name",)), row)


def is_newly_marked(connection: Connection) -> bool:
    """Return whether the database was marked as a copy, and `restore_window` has not returned that yet."""
    return execute(connection, _NEWLY_MARKED).first() is not None


def restore_window(connection: Connection, now: float) -> tuple[float, float] | None:
    """Return when the copy was made, and until when to search Slack before posting (Unix seconds).

    None if the database is no copy, or has been in use for long enough. The first call sets the end. From then on
    nobody knows what the cards of the copy show, and what their threads have reported since.
    """
    row = connection.execute(select(_lease).where(_MARK)).one_or_none()
    if row is None:
        return None
    until: float = row.until or now + SEARCH_FIRST_FOR
    if not row.until:
        connection.execute(update(_lease).where(_MARK).values(until=until))
        connection.execute(update(_card).where(_card.c.ts.is_not(None)).values(shown_hash="", thread_unread=True))
    return (float(row.epoch), until) if now < until else None
