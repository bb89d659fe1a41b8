"""Incidents with their stored shares, for `relay backtest`, `relay explain` and the page of the sandbox.

Each batch is a transaction of its own, in the order of the primary key. A transaction that lasted for minutes would
keep SQLite from checkpointing its write-ahead log while relay continues to write.
"""

from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, func, select

from relay.model.outside_text import clean_text
from relay.store import schema
from relay.store.mappers import to_share_body
from relay.store.types import ShareBody

RecordedIncidents: TypeAlias = tuple[tuple[str, tuple[ShareBody, ...], int], ...]
"""Incidents by id, each with its shares as they were sent, in the order of arrival, and how many older ones it has."""

BATCH_SIZE = 200
"""How many incidents are read at a time."""

MAX_BATCH_BYTES = 64 * 1024**2
"""Bytes of bodies that are read at a time. If an incident has more, the newest shares are read."""

MAX_NEWEST, MAX_NEWEST_BYTES = 20, 1024**2
"""How many shares `newest_shares` returns, and of how many bytes."""

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
    .where(_share.c.incident.in_(bindparam("ids", expanding=True)), _share.c.id >= bindparam("oldest"))
    .order_by(_share.c.incident, _share.c.id)
)
_SIZES = (
    select(*_share.c["incident", "id", "size"])
    .where(_share.c.incident.in_(bindparam("ids", expanding=True)))
    .order_by(_share.c.incident, _share.c.id.desc())
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
    last, chosen, oldest, left_out = _fitting(connection, ids)
    rows = connection.execute(_SHARES, {"ids": chosen, "oldest": oldest}).mappings()
    by_incident = groupby(rows, key=itemgetter("incident"))
    return last, tuple((incident, tuple(map(to_share_body, group)), left_out) for incident, group in by_incident)


def recorded_incident(connection: Connection, incident: str) -> tuple[ShareBody, ...]:
    """Return the stored shares of one incident, the oldest first; of very many only the newest that fit."""
    if clean_text(incident) != incident:  # no incident has such an id, and PostgreSQL does not accept it
        return ()
    _, chosen, oldest, _ = _fitting(connection, [incident])
    rows = connection.execute(_SHARES, {"ids": chosen, "oldest": oldest}).mappings()
    return tuple(map(to_share_body, rows))


def newest_shares(connection: Connection, incident: str) -> tuple[ShareBody, ...]:
    """Return the newest stored shares of one incident that are at most `MAX_NEWEST` and fit, the oldest first."""
    if clean_text(incident) != incident:  # the same
        return ()
    rows = connection.execute(_SIZES.limit(MAX_NEWEST), {"ids": [incident]}).all()
    total = accumulate(row.size for row in rows)
    fitting = [row.id for row, size in zip(rows, total, strict=True) if size <= MAX_NEWEST_BYTES]
    if not fitting:
        return ()
    shares = connection.execute(_SHARES, {"ids": [incident], "oldest": fitting[-1]}).mappings()
    return tuple(map(to_share_body, shares))


def _fitting(connection: Connection, ids: Sequence[str]) -> tuple[str, list[str], int, int]:
    """The last incident of the batch, those that have shares, the oldest share to read, and how many are older.

    An incident whose shares do not fit is a batch by itself.
    """
    chosen: list[str] = []
    room = MAX_BATCH_BYTES
    for incident, group in groupby(connection.execute(_SIZES, {"ids": ids}), key=itemgetter(0)):
        shares = [(row.id, row.size) for row in group]
        room -= sum(size for _, size in shares)
        if room < 0 and chosen:
            return chosen[-1], chosen, 0, 0
        chosen.append(incident)
        if room < 0:
            total = accumulate(size for _, size in shares)
            fitting = max(1, sum(each <= MAX_BATCH_BYTES for each in total))
            return incident, chosen, shares[fitting - 1][0], len(shares) - fitting
    return ids[-1], chosen, 0, 0
