"""Whether the database takes writes."""

import os

from sqlalchemy import Connection, bindparam

from relay.store import schema
from relay.store.upsert import insert_or_keep

USUAL_SIZE = 16 * 1024
"""Bytes that a check writes, about what a usual share needs."""

_probe = schema.health_probe
_WRITE = _probe.update().values(writes=_probe.c.writes + 1, padding=bindparam("bytes"))


def check_writable(connection: Connection, size: int = USUAL_SIZE) -> None:
    """Write so many bytes, to the disk: a full disk shows only at the commit, and may still have space for less.

    Raises StoreUnusable: the database does not take writes.
    """
    padding = os.urandom(size)  # PostgreSQL would compress anything else
    if not connection.execute(_WRITE, {"bytes": padding}).rowcount:
        connection.execute(insert_or_keep(connection, _probe, ("id",)), {"id": 1, "writes": 1, "padding": padding})
