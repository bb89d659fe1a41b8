"""Changes the cards of all open incidents, some incidents at a time: what decides about them has changed."""

from collections.abc import Callable
from time import thread_time
from typing import Final, TypeAlias

from sqlalchemy import Connection, Integer, bindparam, select

from relay.cards.model import Card, IncidentState
from relay.store import schema
from relay.store.locks import check_lease, share_channel_references
from relay.store.rows import current_cards_of, has_current_card, load_incident_states, save_cards
from relay.store.types import Lease

ChangeCard: TypeAlias = Callable[[Card, IncidentState], Card]
"""By a card and its incident: the card as it is to be."""

MOST_SECONDS: Final = 0.2
"""Processor time for the decisions of one transaction: some evaluate a match."""

_incident = schema.incident
_OPEN = (
    select(_incident.c.id)
    .where(schema.IS_OPEN_INCIDENT, _incident.c.id > bindparam("after"), has_current_card())
    .order_by(_incident.c.id)
    .limit(bindparam("most", type_=Integer))
)


def change_open_cards(
    connection: Connection, after: str, most: int, decide: ChangeCard, *, lease: Lease | None = None
) -> str | None:
    """Change the current cards of the next open incidents, by id; return the last id, None at the end.

    A decision may cost much, and nothing else is written meanwhile: after `MOST_SECONDS` it goes no further.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    ids = list(connection.execute(_OPEN, {"after": after, "most": most}).scalars())
    share_channel_references(connection)
    states = load_incident_states(connection, ids)
    cards = current_cards_of(connection, ids)
    changed, until, last = [], thread_time() + MOST_SECONDS, None
    for last in ids:
        decided = [(card, decide(card, states[last])) for card in cards[last] if last in states]
        changed += [new for card, new in decided if new != card]
        if thread_time() > until:
            break
    save_cards(connection, changed)
    return last if len(ids) == most or (ids and last != ids[-1]) else None
