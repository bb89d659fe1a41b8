"""What the board reads: open incidents from the worst, the last cards of a channel, how often routes match.

Each reads along an index, however many incidents are stored.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Integer, Select, and_, bindparam, func, or_, select

from relay.cards.model import Card, CardState
from relay.model.incident import State
from relay.store import schema
from relay.store.mappers import dumps, to_card, to_incident_state
from relay.store.rows import load_current_cards
from relay.store.types import ListedIncident

WORST_FIRST = tuple(sorted(State, key=lambda state: -state.rank))

_incident, _card, _share = schema.incident, schema.card, schema.share
_NEWEST_FIRST = (_incident.c.last_share_at.desc(), _incident.c.id.desc())
_LAST_CARDS = (
    select(_card)
    .where(_card.c.channel == bindparam("ref"), _card.c.ts.is_not(None))
    .order_by(_card.c.ts.desc())
    .limit(bindparam("most", type_=Integer))
)
ROUTE_SETS = (
    select(_share.c.routes, func.count()).where(_share.c.received >= bindparam("since")).group_by(_share.c.routes)
)


class OpenPosition(NamedTuple):
    """The place of an open incident in the list: the worst first, and of one state the newest share first."""

    state: State
    last_share_at: float
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFilter:
    """Which open incidents to list: of one state; with a card in one of these channels (references), or by a route.

    `words` (casefolded) are all in the record.
    """

    state: State | None = None
    channels: frozenset[str] | None = None
    route: str = ""
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncidents:
    """A part of the list; `after` is the place of the last incident that was looked at, None at the list's end."""

    incidents: tuple[ListedIncident, ...]
    after: OpenPosition | None


def open_incidents(
    connection: Connection, wanted: OpenFilter, after: OpenPosition | None, most: int, scanned: int
) -> OpenIncidents:
    """Read at most so many open incidents that are wanted; look at no more than `scanned`."""
    found: list[ListedIncident] = []
    states = WORST_FIRST if wanted.state is None else (wanted.state,)
    if after is not None:
        states = states[states.index(after.state) :] if after.state in states else ()
    for state in states:
        position = after if after is not None and after.state is state else None
        statement = _of_state(state, wanted, position)
        for row in connection.execute(statement.limit(scanned)).mappings():
            scanned -= 1
            after = OpenPosition(state, row["last_share_at"], row["id"])
            record = row["record"].casefold() if wanted.words else ""
            if all(dumps(word)[1:-1].casefold() in record for word in wanted.words):
                found.append(ListedIncident(state=to_incident_state(row)))
            if len(found) >= most or scanned <= 0:
                return OpenIncidents(incidents=_with_cards(connection, found), after=after)
    return OpenIncidents(incidents=_with_cards(connection, found), after=None)


def _of_state(state: State, wanted: OpenFilter, after: OpenPosition | None) -> Select[Any]:
    query = select(_incident).where(schema.IS_OPEN_INCIDENT, _incident.c.state == state).order_by(*_NEWEST_FIRST)
    if after is not None:
        same_time = and_(_incident.c.last_share_at == after.last_share_at, _incident.c.id < after.incident)
        query = query.where(
            _incident.c.last_share_at <= after.last_share_at,  # this one uses the index
            or_(_incident.c.last_share_at < after.last_share_at, same_time),
        )
    cards = select(_card.c.id).where(_card.c.incident == _incident.c.id, _card.c.state != CardState.SUPERSEDED)
    if wanted.channels is not None:
        query = query.where(cards.where(_card.c.channel.in_(wanted.channels)).exists())
    if wanted.route:
        query = query.where(cards.where(_card.c.route == wanted.route).exists())
    return query


def _with_cards(connection: Connection, listed: Sequence[ListedIncident]) -> tuple[ListedIncident, ...]:
    cards: defaultdict[str, list[Card]] = defaultdict(list)
    for card in load_current_cards(connection, [each.state.record.incident for each in listed]):
        cards[card.incident].append(card)
    return tuple(ListedIncident(state=each.state, cards=tuple(cards[each.state.record.incident])) for each in listed)


def last_cards(connection: Connection, ref: str, most: int) -> tuple[Card, ...]:
    """Return the cards of a channel that were posted last, the newest first."""
    return tuple(to_card(row) for row in connection.execute(_LAST_CARDS, {"ref": ref, "most": most}).mappings())


def route_hits(connection: Connection, since: float) -> Mapping[str, int]:
    """Return how many shares each route has matched since a moment (Unix seconds)."""
    hits: Counter[str] = Counter()
    for routes, shares in connection.execute(ROUTE_SETS, {"since": since}):
        for route in orjson.loads(routes):
            hits[route] += shares
    return hits
