"""What came of a call is written down; and what nobody is about any more, though it was begun, is called doubt."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, select, update

from relay.cards.model import AttemptState, CardContext, CardState, CardUpdate
from relay.store import schema
from relay.store.card_context import load, write
from relay.store.locks import check_lease, hold_incidents
from relay.store.mappers import call_row
from relay.store.types import Lease, SlackCall

_card, _attempt = schema.card, schema.attempt


def settle(
    connection: Connection,
    card_id: int,
    finish: Callable[[CardContext], CardUpdate],
    call: SlackCall | None,
    lease: Lease | None,
) -> CardContext:
    """Finish with a card, as `Store.settle` promises."""
    check_lease(connection, lease)
    case = load(connection, card_id)
    after = write(connection, case, finish(case))
    if call is not None:
        connection.execute(schema.call.insert(), call_row(card_id, call))
    return after


def recover(connection: Connection, now: float, under_way: Collection[int], lease: Lease | None) -> int:
    """Doubt what nobody settles, as `Store.recover` promises."""
    check_lease(connection, lease)
    left = and_(_attempt.c.state == AttemptState.IN_FLIGHT, _attempt.c.card.not_in(under_way))
    hold_incidents(connection, list(connection.execute(_incidents_of(left)).scalars()))
    doubted = connection.execute(
        update(_attempt)
        .where(schema.IS_OPEN, left)
        .values(state=AttemptState.IN_DOUBT, next_search_at=func.coalesce(_attempt.c.next_search_at, now))
    )
    # Asked by their numbers, which an index holds: looked through for their states, all the cards there are would be.
    in_doubt = select(_attempt.c.card).where(schema.IS_OPEN, _attempt.c.state == AttemptState.IN_DOUBT)
    connection.execute(
        update(_card)
        .where(_card.c.id.in_(in_doubt), _card.c.state == CardState.POSTING)
        .values(state=CardState.IN_DOUBT)
    )
    return doubted.rowcount


def _incidents_of(attempts: ColumnElement[bool]) -> Any:
    return (
        select(_card.c.incident)
        .join(_attempt, _attempt.c.card == _card.c.id)
        .where(schema.IS_OPEN, attempts)
        .distinct()
    )
