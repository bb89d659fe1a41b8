"""Who delivers: one relay of all that share a database, for as long as it keeps saying so."""

from sqlalchemy import Connection, bindparam, select, text, update

from relay.store import schema
from relay.store.types import Lease
from relay.store.upsert import insert_or_keep

_lease = schema.lease
_ROW = select(_lease).where(_lease.c.name == bindparam("name"))
_TAKE = (
    update(_lease)
    .where(_lease.c.name == bindparam("which"))
    .values(holder=bindparam("holder"), epoch=bindparam("epoch"), until=bindparam("until"))
)

_CLOCKS = {
    "sqlite": text("SELECT (julianday('now') - 2440587.5) * 86400.0"),
    "postgresql": text("SELECT extract(epoch FROM clock_timestamp())"),
}


def hold(connection: Connection, name: str, holder: str, now: float | None, ttl: float) -> int | None:
    """Take or extend a lease, as `Store.hold_lease` promises."""
    began = _clock(connection) if now is None else now
    first = {"name": name, "holder": holder, "epoch": 1, "until": began + ttl}
    statement = insert_or_keep(connection, _lease, ("name",), returning=("epoch",))
    if connection.execute(statement, first).first() is not None:
        return 1
    row = connection.execute(_ROW.with_for_update(), {"name": name}).one()
    if now is None:
        now = _clock(connection)  # again: it may have taken long to get the row
    if row.holder != holder and row.until > now:
        return None
    epoch: int = row.epoch if row.holder == holder else row.epoch + 1
    connection.execute(_TAKE, {"which": name, "holder": holder, "epoch": epoch, "until": now + ttl})
    return epoch


def _clock(connection: Connection) -> float:
    """The database's own clock, at this moment rather than at the beginning of the transaction."""
    return float(connection.execute(_CLOCKS[connection.dialect.name]).scalar_one())


def release(connection: Connection, lease: Lease) -> None:
    """Let it go, if it is still held. The row stays: its epoch must never begin anew."""
    held = (_lease.c.name == lease.name) & (_lease.c.holder == lease.holder) & (_lease.c.epoch == lease.epoch)
    connection.execute(update(_lease).where(held).values(holder="", until=0.0))


def epoch(connection: Connection, name: str) -> int:
    """The epoch of a lease; 0 where nobody ever held it."""
    row = connection.execute(_ROW, {"name": name}).one_or_none()
    return 0 if row is None else row.epoch
