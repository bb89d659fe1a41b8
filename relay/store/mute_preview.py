"""What a new mute would be compared with: open incidents, and those that have ended lately, in parts.

Only the records are read, along indexes, however many incidents are stored.
"""

from collections.abc import Collection
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, and_, or_, select

from relay.model.incident import State
from relay.model.record import Record
from relay.store import schema
from relay.store.mappers import to_record
from relay.store.rows import has_current_card

_incident, _card = schema.incident, schema.card
_WORST_FIRST = sorted(State, key=lambda state: -state.rank)


class PreviewPlace(NamedTuple):
    """The last incident that was read: an open one of a `state`, or one that has ended; `at` orders them."""

    state: State | None
    at: float
    incident: str


class ComparedIncident(NamedTuple):
    """An incident that a mute is compared with; `last_share_at` is Unix seconds."""

    record: Record
    is_open: bool
    last_share_at: float


class ComparedIncidents(NamedTuple):
    """A part of them; `after` is where the next part begins, None after the last."""

    incidents: tuple[ComparedIncident, ...]
    after: PreviewPlace | None


def incidents_to_compare(
    connection: Connection, since: float, after: PreviewPlace | None, most: int, routes: Collection[str] = ()
) -> ComparedIncidents:
    """Read the next incidents, at most so many: the open ones, the worst first, then those that ended since.

    `since` is Unix seconds. With `routes`, only those that have a card of one of these (empty: of the fallback).
    """
    found: list[ComparedIncident] = []
    parts = (*_WORST_FIRST, None)
    for state in parts if after is None else parts[parts.index(after.state) :]:
        place = after if after is not None and after.state is state else None
        rows = connection.execute(part_of_state(state, since, place, routes).limit(most - len(found))).mappings().all()
        found += [ComparedIncident(to_record(row["record"]), state is not None, row["last_share_at"]) for row in rows]
        if len(found) == most:
            return ComparedIncidents(tuple(found), PreviewPlace(state, rows[-1]["at"], rows[-1]["id"]))
    return ComparedIncidents(tuple(found), None)


def part_of_state(
    state: State | None, since: float, after: PreviewPlace | None, routes: Collection[str]
) -> Select[Any]:
    """The open incidents of a state (None: those that ended after `since`), the newest first, after a place."""
    at = _incident.c.ended_at if state is None else _incident.c.last_share_at
    columns = (_incident.c.id, _incident.c.record, _incident.c.last_share_at, at.label("at"))
    query = select(*columns).order_by(at.desc(), _incident.c.id.desc())
    if state is None:
        query = query.where(schema.IS_ENDED_INCIDENT, at >= since)
    else:
        query = query.where(schema.IS_OPEN_INCIDENT, _incident.c.state == state)
    if after is not None:
        same = and_(at == after.at, _incident.c.id < after.incident)
        query = query.where(at <= after.at, or_(at < after.at, same))
    if routes:
        query = query.where(has_current_card(_card.c.route.in_(routes)))
    return query
