"""What the board reads: open incidents from the worst, a channel's last cards, held cards, route hits.

Each reads along an index, however many incidents are stored.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Integer, Select, bindparam, func, select

from relay.cards.bulletins import BulletinKind
from relay.cards.model import Card
from relay.model.incident import State
from relay.store import schema
from relay.store.incident_list import NEWEST_FIRST, comes_after, has_words, load_listed
from relay.store.mappers import Row, loads, to_card
from relay.store.rows import has_current_card
from relay.store.types import ListedIncident

WORST_FIRST = tuple(sorted(State, key=lambda state: -state.rank))

_incident, _card, _share = schema.incident, schema.card, schema.share
LAST_CARDS = (
    select(_card)
    .where(_card.c.channel == bindparam("ref"), _card.c.ts.is_not(None))
    .order_by(_card.c.ts.desc())
    .limit(bindparam("most", type_=Integer))
)
_BATCH = 200
_CHARACTERS = 16_000
"""When records are searched for words, one of more characters counts as several."""

ROUTE_SETS = (
    select(_share.c.routes, func.count()).where(_share.c.received >= bindparam("since")).group_by(_share.c.routes)
)


_bulletin, _line = schema.bulletin, schema.bulletin_line
_LISTING = (BulletinKind.HELD, BulletinKind.STORM)
OPEN_LISTS = (
    select(_bulletin.c.id, _bulletin.c.kind, _bulletin.c.channel, _bulletin.c.opened_at, _bulletin.c.data)
    .where(_bulletin.c.kind.in_(_LISTING), _bulletin.c.closed_at.is_(None))
    .limit(bindparam("most", type_=Integer))
)
LISTED_OPEN = select(func.count()).where(
    _line.c.bulletin == bindparam("of", type_=Integer), _line.c.ended.is_(None), _line.c.incident != ""
)
LIST_CARDS = select(_card.c.id, _card.c.slack_channel, _card.c.ts).where(
    _card.c.bulletin == bindparam("of", type_=Integer), _card.c.ts.is_not(None)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenList:
    """An open storm card or held list, in a channel (reference): what holds the cards, since when, and until when.

    `waiting` counts the incidents without a card. `slack_channel` and `ts` say where its message is; empty without one.
    Times are Unix seconds; `until` is None if nobody knows.
    """

    kind: BulletinKind
    channel: str
    reason: str
    since: float
    until: float | None
    waiting: int
    slack_channel: str = ""
    ts: str = ""


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
    """Read at most so many open incidents that are wanted; look at no more than `scanned`, and fewer if they are large.

    They are read in batches: a driver may hold all rows of a statement in memory.
    """
    found: list[Row] = []
    states = WORST_FIRST if wanted.state is None else (wanted.state,)
    if after is not None:
        states = states[states.index(after.state) :] if after.state in states else ()
    for state in states:
        position: OpenPosition | None = after if after is not None and after.state is state else None
        is_more = True
        while is_more:
            batch = min(scanned, _BATCH if wanted.words else most - len(found))
            rows = connection.execute(open_of_state(state, wanted, position).limit(batch)).mappings().all()
            for row in rows:
                after = position = OpenPosition(state, row["last_share_at"], row["id"])
                scanned -= 1 + (len(row["record"]) // _CHARACTERS if wanted.words else 0)
                if has_words(row, wanted.words):
                    found.append(row)
                if len(found) >= most or scanned <= 0:
                    return OpenIncidents(incidents=load_listed(connection, found), after=after)
            is_more = len(rows) == batch
    return OpenIncidents(incidents=load_listed(connection, found), after=None)


def open_of_state(state: State, wanted: OpenFilter, after: OpenPosition | None) -> Select[Any]:
    """The open incidents of a state in the order of the list, after a position."""
    query = select(_incident).where(schema.IS_OPEN_INCIDENT, _incident.c.state == state).order_by(*NEWEST_FIRST)
    if after is not None:
        query = query.where(comes_after(after.last_share_at, after.incident))
    if wanted.channels is not None:
        query = query.where(has_current_card(_card.c.channel.in_(wanted.channels)))
    if wanted.route:
        query = query.where(has_current_card(_card.c.route == wanted.route))
    return query


def last_cards(connection: Connection, ref: str, most: int) -> tuple[Card, ...]:
    """Return the cards of a channel that were posted last, the newest first."""
    return tuple(to_card(row) for row in connection.execute(LAST_CARDS, {"ref": ref, "most": most}).mappings())


def open_lists(connection: Connection, most: int) -> tuple[OpenList, ...]:
    """Return the storm cards and the held lists that are open, the oldest first."""
    rows = connection.execute(OPEN_LISTS, {"most": most}).mappings().all()
    return tuple(sorted((_open_list(connection, row) for row in rows), key=lambda each: each.since))


def _open_list(connection: Connection, row: Row) -> OpenList:
    data, of = loads(row["data"]), {"of": row["id"]}
    card = max(connection.execute(LIST_CARDS, of), key=lambda card: card.id, default=None)
    return OpenList(
        kind=BulletinKind(row["kind"]),
        channel=row["channel"],
        reason=str(data.get("reason", "")),
        since=float(data.get("since", row["opened_at"])),
        until=data.get("until"),
        waiting=connection.execute(LISTED_OPEN, of).scalar_one(),
        slack_channel=(card.slack_channel or "") if card else "",
        ts=card.ts if card else "",
    )


def route_hits(connection: Connection, since: float) -> Mapping[str, int]:
    """Return how many shares each route has matched since a moment (Unix seconds)."""
    hits: Counter[str] = Counter()
    for routes, shares in connection.execute(ROUTE_SETS, {"since": since}):
        for route in orjson.loads(routes):
            hits[route] += shares
    return hits
