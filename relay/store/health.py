"""Whether the database can be written, and how much room it takes."""

from sqlalchemy import Connection, text

from relay.store import schema
from relay.store.upsert import insert_or_keep

_BEAT = schema.health_probe.update().values(writes=schema.health_probe.c.writes + 1)
_SIZE = {
    "sqlite": text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"),
    "postgresql": text("SELECT pg_database_size(current_database())"),
}


def beat(connection: Connection) -> None:
    """Write a little. It must be committed: a full disk shows no earlier."""
    if not connection.execute(_BEAT).rowcount:
        connection.execute(insert_or_keep(connection, schema.health_probe, ("id",)), {"id": 1, "writes": 1})


def size_bytes(connection: Connection) -> int:
    """The bytes that the database takes; on SQLite without its write-ahead log."""
    return int(connection.execute(_SIZE[connection.dialect.name]).scalar_one())
