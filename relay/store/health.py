"""Whether the database takes writes."""

from sqlalchemy import Connection

from relay.store import schema
from relay.store.upsert import insert_or_keep

_probe = schema.health_probe
_COUNT = _probe.update().values(writes=_probe.c.writes + 1)


def check_writable(connection: Connection) -> None:
    """Write a little, to the disk: a full disk shows only at the commit.

    Raises StoreUnusable: the database does not take writes.
    """
    if not connection.execute(_COUNT).rowcount:
        connection.execute(insert_or_keep(connection, _probe, ("id",)), {"id": 1, "writes": 1})
