"""Leases: of all relays that share a database, one delivers, for as long as it renews its lease.

The database's clock counts, since the clocks of several relays need not agree.
"""

import time

from sqlalchemy import Connection, bindparam, select, text, update

from relay.store import schema
from relay.store.types import Lease
from relay.store.upsert import insert_or_keep

_lease = schema.lease
_ROW = select(_lease).where(_lease.c.name == bindparam("name"))
_UPDATE = (
    update(_lease)
    .where(_lease.c.name == bindparam("which"))
    .values(holder=bindparam("holder"), epoch=bindparam("epoch"), until=bindparam("until"))
)
_CLOCKS = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())"),
}


def acquire_lease(connection: Connection, name: str, holder: str, now: float | None, ttl: float) -> int | None:
    """Acquire a lease that nobody holds, or extend our own, until `now + ttl`.

    If `now` is None, the database's clock counts: the clocks of several relays need not agree.

    Returns its epoch, one more than the previous holder's; None while somebody else holds it.
    """
    started = _database_time(connection) if now is None else now
    first = {"name": name, "holder": holder, "epoch": 1, "until": started + ttl}
    statement = insert_or_keep(connection, _lease, ("name",), returning=("epoch",))
    if connection.execute(statement, first).first() is not None:
        return 1
    row = connection.execute(_ROW.with_for_update(), {"name": name}).one()
    if now is None:
        now = _database_time(connection)  # read again: the wait for the row may have been long
    if row.holder != holder and row.until > now:
        if row.until > now + ttl:  # the clock was set back since: no lease lasts that long
            connection.execute(update(_lease).where(_lease.c.name == name).values(until=now + ttl))
        return None
    epoch: int = row.epoch if row.holder == holder else row.epoch + 1
    connection.execute(_UPDATE, {"which": name, "holder": holder, "epoch": epoch, "until": now + ttl})
    return epoch


def clock_offset(connection: Connection) -> float:
    """Return by how many seconds the database's clock is ahead of this machine's (negative: behind).

    The fastest of three readings counts: half of its time is its error.
    """
    readings = [_clock_offset(connection) for _ in range(3)]
    return min(readings)[1]


def _clock_offset(connection: Connection) -> tuple[float, float]:
    """The seconds that one reading took, and the offset that it gave."""
    began, own = time.monotonic(), time.time()
    theirs = _database_time(connection)
    took = time.monotonic() - began
    return took, theirs - own - took / 2


def _database_time(connection: Connection) -> float:
    """The database's clock now, not at the start of the transaction."""
    return float(connection.execute(_CLOCKS[connection.dialect.name]).scalar_one())


def release_lease(connection: Connection, lease: Lease) -> None:
    """Release a lease, so that the next relay need not wait; does nothing if it is lost already."""
    held = (_lease.c.name == lease.name) & (_lease.c.holder == lease.holder) & (_lease.c.epoch == lease.epoch)
    # The row stays: its epoch must never start again.
    connection.execute(update(_lease).where(held).values(holder="", until=0.0))
