"""Whether the database takes writes, and how large it is."""

from sqlalchemy import Connection, text

from relay.store import schema
from relay.store.upsert import insert_or_keep

_probe = schema.health_probe
_COUNT = _probe.update().values(writes=_probe.c.writes + 1)
_SIZE = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


def check_writable(connection: Connection) -> None:
    """Write a little, to the disk: a full disk shows only at the commit.

    Raises:
        StoreUnusable: the database does not take writes.
    """
    if not connection.execute(_COUNT).rowcount:
        connection.execute(insert_or_keep(connection, _probe, ("id",)), {"id": 1, "writes": 1})


def size_bytes(connection: Connection) -> int:
    """Return the size of the database; on SQLite without its write-ahead log."""
    return int(connection.execute(_SIZE[connection.dialect.name]).scalar_one())
