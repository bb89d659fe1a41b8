"""Recorded shares once more, incident by incident: what a candidate configuration is tried against.

Each piece is a reading of its own, by the order of the primary key: a reading that lasted for minutes would keep SQLite
from folding its write-ahead log back, beside a relay that goes on writing.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, func, select

from relay.store import schema
from relay.store.mappers import share_body_of
from relay.store.types import ShareBody

RecordedIncidents: TypeAlias = tuple[tuple[str, tuple[ShareBody, ...]], ...]
"""Incidents by id, each with its shares as they were sent, in the order in which they came."""

PIECE = 200
"""How many incidents are read at a time."""

_incident, _share = schema.incident, schema.share
_SINCE: Any = bindparam("since")
_NEXT = (
    select(_incident.c.id)
    .where(_incident.c.id > bindparam("after"), _incident.c.last_share_at >= _SINCE)
    .order_by(_incident.c.id)
    .limit(PIECE)
)
_SHARES = (
    select(*_share.c["incident", "id", "received", "headers", "body"])
    .where(_share.c.incident.in_(bindparam("ids", expanding=True)))
    .order_by(_share.c.incident, _share.c.id)
)
_COUNT = select(func.count()).select_from(_incident).where(_incident.c.last_share_at >= _SINCE)


def count(connection: Connection, since: float) -> int:
    """How many incidents have had a share since then."""
    return int(connection.execute(_COUNT, {"since": since}).scalar_one())


def piece(connection: Connection, since: float, after: str) -> tuple[str, RecordedIncidents] | None:
    """The next incidents after that id which have had a share since then, with all their shares that are kept.

    Returns the last of their ids with them; None where there are no more.
    """
    ids: Sequence[str] = connection.execute(_NEXT, {"since": since, "after": after}).scalars().all()
    if not ids:
        return None
    rows = connection.execute(_SHARES, {"ids": ids}).mappings()
    told = groupby(rows, key=itemgetter("incident"))
    return ids[-1], tuple((incident, tuple(map(share_body_of, group))) for incident, group in told)
