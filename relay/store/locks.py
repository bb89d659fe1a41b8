"""In which order rows are locked, so that relays on one PostgreSQL never wait for each other in a circle.

    1. the lease               a sender's right is checked, and cannot be taken away until its transaction ends
    2. the spellings           shared by whoever plans cards, alone for whoever joins two spellings of one channel
    3. the incidents, by id    whoever reads a card, an entry or an attempt in order to write it holds its incident
    4. all else

On SQLite `BEGIN IMMEDIATE` is all the lock there is, and these functions lock nothing.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, select, text

from relay.model.errors import LeaseLost
from relay.store import schema
from relay.store.types import Lease

_SPELLINGS = 0x7370656C6C  # "spell"
_SHARED = text("SELECT pg_advisory_xact_lock_shared(:key)")
_ALONE = text("SELECT pg_advisory_xact_lock(:key)")

_AT_ONCE = 1000
"""Rows named in one statement; PostgreSQL takes 65,535 parameters at most."""

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


def postgresql(connection: Connection) -> bool:
    """Whether others may write at the same time."""
    return connection.dialect.name == "postgresql"


def check_lease(connection: Connection, lease: Lease | None) -> None:
    """Make sure that the lease is still held, and stays so until this transaction ends.

    Raises:
        LeaseLost: another relay has taken it.
    """
    if lease is None:
        return
    row = connection.execute(_LEASE, {"name": lease.name}).one_or_none()
    if row is None or (row.holder, row.epoch) != (lease.holder, lease.epoch):
        now = f"{row.holder} has it, at epoch {row.epoch}" if row else "nobody has it"
        raise LeaseLost(f"The lease {lease.name!r} is no longer ours since epoch {lease.epoch}: {now}.")


def share_spellings(connection: Connection) -> None:
    """While this transaction runs, no two spellings of a channel become one."""
    if postgresql(connection):
        connection.execute(_SHARED, {"key": _SPELLINGS})


def hold_spellings(connection: Connection) -> None:
    """While this transaction runs, nobody plans cards."""
    if postgresql(connection):
        connection.execute(_ALONE, {"key": _SPELLINGS})


def hold_incidents(connection: Connection, ids: Iterable[str]) -> None:
    """While this transaction runs, nobody else changes what belongs to these incidents."""
    if not postgresql(connection):
        return
    wanted = sorted(ids)
    for start in range(0, len(wanted), _AT_ONCE):
        connection.execute(_INCIDENTS, {"ids": wanted[start : start + _AT_ONCE]})
