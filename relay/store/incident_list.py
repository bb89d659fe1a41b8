"""The list of incidents, the newest share first, for `relay incidents` and `GET /incidents`.

It is read in batches, each a short transaction that begins after the last incident of the one before.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from relay.store import schema
from relay.store.mappers import Row, dumps, to_incident_state
from relay.store.rows import current_cards_of, has_current_card
from relay.store.types import IncidentBatch, IncidentFilter, ListedIncident, ListPosition

BATCH_SIZE = 500
"""How many incidents are read at a time."""

_incident, _card, _share = schema.incident, schema.card, schema.share


NEWEST_FIRST = (_incident.c.last_share_at.desc(), _incident.c.id.desc())


def incident_batch(
    connection: Connection, wanted: IncidentFilter, after: ListPosition | None = None, most: int = BATCH_SIZE
) -> IncidentBatch:
    """Read the next incidents of the list, those after a position; at most so many are looked at, wanted or not."""
    window = _window(after, most)
    rows = connection.execute(_wanted(wanted, window)).mappings().all()
    found = [row for row in rows if has_words(row, wanted.words)]
    last = connection.execute(window.offset(most - 1).limit(1)).one_or_none()
    return IncidentBatch(
        incidents=load_listed(connection, found),
        after=None if last is None else ListPosition(last.last_share_at, last.id),
    )


def load_listed(connection: Connection, rows: Sequence[Row]) -> tuple[ListedIncident, ...]:
    """Load the incidents of these rows with their current cards."""
    cards = current_cards_of(connection, [row["id"] for row in rows])
    return tuple(ListedIncident(state=to_incident_state(row), cards=tuple(cards[row["id"]])) for row in rows)


def has_words(row: Row, words: Sequence[str]) -> bool:
    """Whether all these words (casefolded) are in the record of an incident."""
    record = row["record"].casefold() if words else ""
    return all(dumps(word)[1:-1].casefold() in record for word in words)


def comes_after(last_share_at: float, incident: str) -> ColumnElement[bool]:
    """Whether an incident comes after a place in the list of the newest first."""
    same_time = and_(_incident.c.last_share_at == last_share_at, _incident.c.id < incident)
    return and_(
        _incident.c.last_share_at <= last_share_at,  # this one uses the index
        or_(_incident.c.last_share_at < last_share_at, same_time),
    )


def _window(after: ListPosition | None, most: int) -> Select[Any]:
    query = select(_incident.c.id, _incident.c.last_share_at).order_by(*NEWEST_FIRST).limit(most)
    return query if after is None else query.where(comes_after(after.last_share_at, after.incident))


def _wanted(wanted: IncidentFilter, window: Select[Any]) -> Select[Any]:
    query = select(_incident).where(_incident.c.id.in_(select(window.subquery().c.id))).order_by(*NEWEST_FIRST)
    if wanted.open_only:
        query = query.where(_incident.c.ended_at.is_(None))
    if wanted.channels is not None:
        query = query.where(has_current_card(_card.c.channel.in_(wanted.channels)))
    if wanted.route:
        names = _share.c.routes.contains(dumps(wanted.route), autoescape=True)
        matched = select(_share.c.id).where(_share.c.incident == _incident.c.id, names)
        query = query.where(or_(has_current_card(_card.c.route == wanted.route), matched.exists()))
    return query
