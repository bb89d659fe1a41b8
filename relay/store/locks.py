"""The order in which rows are locked, so that relays on one PostgreSQL never wait for each other in a circle.

    1. the lease                 checked by delivery; nobody can take it away until the transaction ends
    2. the channel references    shared by those who plan cards; exclusive for merging two references
    3. the incidents, by id      locked before a card, entry or attempt is read in order to change it
    4. the bulletins, by id      the same, for the lists of what several incidents have in common
    5. everything else

On SQLite `BEGIN IMMEDIATE` is the only lock, and these functions lock nothing.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select, text

from relay.model.errors import LeaseLost
from relay.store import schema
from relay.store.types import Lease

_REFERENCES = 0x7370656C6C
"""The key of PostgreSQL's advisory lock on the channel references."""
_LOCK_SHARED = text("SELECT pg_advisory_xact_lock_shared(:key)")
_LOCK_EXCLUSIVE = text("SELECT pg_advisory_xact_lock(:key)")

_BATCH_SIZE = 1000
"""Ids in one statement; PostgreSQL accepts 65,535 parameters at most."""

_LEASE = (
    select(schema.lease.c.holder, schema.lease.c.epoch)
    .where(schema.lease.c.name == bindparam("name"))
    .with_for_update(read=True)
)
_INCIDENTS = (
    select(schema.incident.c.id)
    .where(schema.incident.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(schema.incident.c.id)
    .with_for_update()
)

_BULLETINS = (
    select(schema.bulletin.c.id)
    .where(schema.bulletin.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(schema.bulletin.c.id)
    .with_for_update()
)


def postgresql(connection: Connection) -> bool:
    """Return whether the database is PostgreSQL, where others may write at the same time."""
    return connection.dialect.name == "postgresql"


def check_lease(connection: Connection, lease: Lease | None) -> None:
    """Make sure that the lease is still held, and stays so until this transaction ends.

    Raises LeaseLost: another relay has it.
    """
    if lease is None:
        return
    row = connection.execute(_LEASE, {"name": lease.name}).one_or_none()
    if row is None or (row.holder, row.epoch) != (lease.holder, lease.epoch):
        now = f"{row.holder} has it, at epoch {row.epoch}" if row else "nobody has it"
        raise LeaseLost(f"This relay has lost the lease {lease.name!r}, which it held at epoch {lease.epoch}: {now}.")


def share_channel_references(connection: Connection) -> None:
    """Until this transaction ends, nobody merges two references of a channel."""
    if postgresql(connection):
        connection.execute(_LOCK_SHARED, {"key": _REFERENCES})


def lock_channel_references(connection: Connection) -> None:
    """Until this transaction ends, nobody plans cards."""
    if postgresql(connection):
        connection.execute(_LOCK_EXCLUSIVE, {"key": _REFERENCES})


def lock_bulletins(connection: Connection, ids: Iterable[int]) -> None:
    """Until this transaction ends, nobody else changes anything of these bulletins."""
    if postgresql(connection) and (in_order := sorted(ids)):
        connection.execute(_BULLETINS, {"ids": in_order})


def lock_incidents(connection: Connection, ids: Iterable[str]) -> None:
    """Until this transaction ends, nobody else changes anything of these incidents."""
    if not postgresql(connection):
        return
    in_order = sorted(ids)
    for start in range(0, len(in_order), _BATCH_SIZE):
        connection.execute(_INCIDENTS, {"ids": in_order[start : start + _BATCH_SIZE]})
