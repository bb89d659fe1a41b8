"""What a storm card sums up: its lines by state and by group, the worst that are open, what was posted meanwhile."""

from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, select

from relay.cards.bulletins import Bulletin, BulletinLine, LineEnd
from relay.cards.model import CardState
from relay.model.incident import State
from relay.model.json_types import JSON
from relay.store import schema
from relay.store.channels import of_channel
from relay.store.mappers import to_bulletin_line

MOST_GROUPS, MOST_WORST = 10, 5
"""How many of the largest groups and of the worst incidents a storm card names."""

IN_SLACK = (CardState.POSTING, CardState.IN_DOUBT, CardState.POSTED, CardState.SUPERSEDED)
"""The states of a card whose first post was sent, or may have been."""

_card, _line = schema.card, schema.bulletin_line
NAMES_INCIDENT = and_(_line.c.bulletin == bindparam("of"), _line.c.incident != "")
"""The lines of a bulletin without its pings."""


def by_rank(state: Any) -> Any:
    """The rank of a state, to sort by it."""
    return case({str(each): each.rank for each in State}, value=state)


_PINGS = select(func.count()).where(_line.c.bulletin == bindparam("of"), _line.c.incident == "")
_STATES = select(_line.c.state, func.count()).where(NAMES_INCIDENT, schema.IS_OPEN_LINE).group_by(_line.c.state)
_OPEN_IN_GROUP = func.sum(case((_line.c.ended.is_(None), 1), else_=0))
_GROUPS: Select[Any] = (
    select(_line.c.storm_group, func.count().label("incidents"), _OPEN_IN_GROUP.label("waiting"))
    .where(NAMES_INCIDENT)
    .group_by(_line.c.storm_group)
    .order_by(_OPEN_IN_GROUP.desc(), func.count().desc(), _line.c.storm_group)
)
_WORST = (
    select(_line)
    .where(NAMES_INCIDENT, schema.IS_OPEN_LINE)
    .order_by(by_rank(_line.c.state).desc(), _line.c.seq)
    .limit(MOST_WORST)
)
_POSTED = select(func.count()).where(
    of_channel(_card.c.channel), _card.c.first_posted_at >= bindparam("since"), _card.c.state.in_(IN_SLACK)
)


def count_pings(connection: Connection, bulletin: int) -> int:
    """Count the lines of a bulletin that name no incident."""
    return connection.execute(_PINGS, {"of": bulletin}).scalar_one()


def open_by_state(connection: Connection, bulletin: int) -> dict[State, int]:
    """Count the open lines of a bulletin by the state of the incident."""
    return {State(state): number for state, number in connection.execute(_STATES, {"of": bulletin})}


def summarize_storm(
    connection: Connection, bulletin: Bulletin, counts: dict[LineEnd | None, int]
) -> tuple[tuple[BulletinLine, ...], dict[str, JSON]]:
    """Return the worst open lines of a storm card, and the values by which its message sums up the others.

    `incidents` counts all: those that were posted since the storm began, and those that it has held.
    """
    query = {"of": bulletin.id}
    worst = tuple(to_bulletin_line(row) for row in connection.execute(_WORST, query).mappings())
    groups = connection.execute(_GROUPS, query).all()
    since = bulletin.data.get("since", bulletin.opened_at)
    sent = connection.execute(_POSTED, {"channel": bulletin.channel, "since": since}).scalar_one()
    incidents = sum(counts.values()) + max(0, sent - counts.get(LineEnd.POSTED, 0))
    states = open_by_state(connection, bulletin.id)
    summary: dict[str, JSON] = {
        "incidents": incidents,
        "states": [{"state": str(state), "count": states[state]} for state in sorted(states, key=_worst_first)],
        "groups": [
            {"name": row.storm_group or "", "count": row.incidents, "open": int(row.waiting)}
            for row in groups[:MOST_GROUPS]
        ],
        "more_groups": max(0, len(groups) - MOST_GROUPS),
    }
    return worst, summary


def _worst_first(state: State) -> int:
    return -state.rank
