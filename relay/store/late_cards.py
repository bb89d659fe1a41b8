"""Finds open incidents that routes in shadow would have a card for, and gives them one once the routes are live."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import Connection, bindparam, select

from relay.cards.model import Card, IncidentState
from relay.store import schema
from relay.store.channels import canonical_refs
from relay.store.locks import lock_incidents, share_channel_references
from relay.store.mappers import incident_row
from relay.store.notify import notify
from relay.store.rows import current_cards_of, load_incident_states, save_cards
from relay.store.upsert import insert_or_update

DecideLate: TypeAlias = Callable[
    [IncidentState, Sequence[Card], Mapping[str, str]], tuple[IncidentState, Sequence[Card]]
]
"""By an incident, its current cards and the channels' canonical references: its late cards, and its state then."""

_IN_SHADOW = (
    select(schema.incident.c.id)
    .where(
        schema.IS_OPEN_INCIDENT,
        schema.incident.c.record.like('%"shadows":[[%'),
        schema.incident.c.id > bindparam("after"),
    )
    .order_by(schema.incident.c.id)
    .limit(bindparam("most"))
)


def incidents_in_shadow(connection: Connection, after: str, most: int) -> tuple[str, ...]:
    """Return open incidents that routes in shadow have matched, by id, the first ones after that id."""
    return tuple(row.id for row in connection.execute(_IN_SHADOW, {"after": after, "most": most}))


def add_late_cards(connection: Connection, incidents: Sequence[str], decide: DecideLate) -> int:
    """Give these incidents their late cards; return how many."""
    ids = sorted(incidents)
    share_channel_references(connection)
    lock_incidents(connection, ids)
    refs = canonical_refs(connection)
    cards = current_cards_of(connection, ids)
    states: list[IncidentState] = []
    late: list[Card] = []
    for key, state in load_incident_states(connection, ids).items():
        after, new = decide(state, cards.get(key, ()), refs)
        if new:
            states.append(after)
            late += new
    if late:
        rows = [incident_row(each) for each in states]
        connection.execute(insert_or_update(connection, schema.incident, ("id",)), rows)
        save_cards(connection, late)
        notify(connection, anything=False)
    return len(late)
