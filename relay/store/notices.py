"""The open notices about relay itself, so that each is posted once and then edited."""

from sqlalchemy import Connection, bindparam, delete, select, update

from relay.store import schema
from relay.store.execution import execute
from relay.store.types import StoredNotice
from relay.store.upsert import insert_or_keep

_notice = schema.notice
_OF_KIND = select(_notice).where(_notice.c.kind == bindparam("kind"))


def notice(connection: Connection, kind: str) -> StoredNotice | None:
    """Return the open notice of this kind."""
    row = execute(connection, _OF_KIND, {"kind": kind}).first()
    return (
        None
        if row is None
        else StoredNotice(digest=row.digest, channel=row.channel, ts=row.ts, opened_at=row.opened_at)
    )


def claim_notice(connection: Connection, kind: str, digest: str, now: float) -> bool:
    """Open a notice that is not posted yet; return False if one is open already, perhaps of another relay."""
    statement = insert_or_keep(connection, _notice, ("kind",), returning=("kind",))
    row = {"kind": kind, "digest": digest, "channel": "", "ts": "", "opened_at": now}
    return connection.execute(statement, row).first() is not None


def update_notice(connection: Connection, kind: str, changed: StoredNotice) -> None:
    """Store what an open notice shows, and where it is."""
    values = {"digest": changed.digest, "channel": changed.channel, "ts": changed.ts}
    connection.execute(update(_notice).where(_notice.c.kind == kind).values(values))


def close_notice(connection: Connection, kind: str) -> None:
    """Forget a notice."""
    connection.execute(delete(_notice).where(_notice.c.kind == kind))
