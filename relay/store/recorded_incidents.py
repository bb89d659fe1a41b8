"""All incidents with their stored shares, for `relay backtest`.

Each batch is a transaction of its own, in the order of the primary key. A transaction that lasted for minutes would
keep SQLite from checkpointing its write-ahead log while relay continues to write.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, func, select

from relay.store import schema
from relay.store.mappers import to_share_body
from relay.store.types import ShareBody

RecordedIncidents: TypeAlias = tuple[tuple[str, tuple[ShareBody, ...]], ...]
"""Incidents by id, each with its shares as they were sent, in the order of arrival."""

BATCH_SIZE = 200
"""How many incidents are read at a time."""

_incident, _share = schema.incident, schema.share
_SINCE: Any = bindparam("since")
_NEXT_IDS = (
    select(_incident.c.id)
    .where(_incident.c.id > bindparam("after"), _incident.c.last_share_at >= _SINCE)
    .order_by(_incident.c.id)
    .limit(bindparam("batch_size"))
)
_SHARES = (
    select(*_share.c["incident", "id", "received", "headers", "body"])
    .where(_share.c.incident.in_(bindparam("ids", expanding=True)))
    .order_by(_share.c.incident, _share.c.id)
)
_COUNT = select(func.count()).select_from(_incident).where(_incident.c.last_share_at >= _SINCE)


def count_recorded_incidents(connection: Connection, since: float) -> int:
    """Return how many incidents had a share since then: as many as `Store.recorded_incidents` yields."""
    return int(connection.execute(_COUNT, {"since": since}).scalar_one())


def next_batch(connection: Connection, since: float, after: str) -> tuple[str, RecordedIncidents] | None:
    """Return the incidents after that id with a share since then, and the last of their ids; None if there are none."""
    page = {"since": since, "after": after, "batch_size": BATCH_SIZE}
    ids: Sequence[str] = connection.execute(_NEXT_IDS, page).scalars().all()
    if not ids:
        return None
    rows = connection.execute(_SHARES, {"ids": ids}).mappings()
    by_incident = groupby(rows, key=itemgetter("incident"))
    return ids[-1], tuple((incident, tuple(map(to_share_body, group))) for incident, group in by_incident)
