"""Posts whose result is unknown: those in doubt, and those that a relay left unfinished."""

from sqlalchemy import Connection, Double, Select, and_, bindparam, func, select, update

from relay.cards.model import Attempt, AttemptState, CardState
from relay.store import schema
from relay.store.channels import CANONICAL_REF, reference
from relay.store.execution import execute
from relay.store.locks import check_lease, lock_bulletins, lock_incidents
from relay.store.mappers import to_attempt
from relay.store.types import Lease, SearchTarget

_card, _attempt = schema.card, schema.attempt
_RECHECKED = 100

_TARGETS = select(_attempt, CANONICAL_REF.label("search_in")).select_from(
    _attempt.join(_card, _card.c.id == _attempt.c.card).join(reference, reference.c.ref == _card.c.channel)
)
_IN_DOUBT = _TARGETS.where(schema.IS_OPEN, _attempt.c.state == AttemptState.IN_DOUBT).order_by(
    func.coalesce(_attempt.c.next_search_at, 0.0), _attempt.c.id
)
_TO_RECHECK = (
    _TARGETS.where(
        _attempt.c.next_search_at.is_not(None), _attempt.c.state.in_((AttemptState.DONE, AttemptState.DROPPED))
    )
    .order_by(_attempt.c.next_search_at)
    .limit(_RECHECKED)
)

_REJECTED = (
    select(_attempt)
    .where(_attempt.c.card == bindparam("of_card"), _attempt.c.state == AttemptState.REJECTED)
    .order_by(_attempt.c.id)
)
_LEFT = and_(
    schema.IS_OPEN,
    _attempt.c.state == AttemptState.IN_FLIGHT,
    _attempt.c.card.not_in(bindparam("in_progress", expanding=True)),
)
_LEFT_TOPICS = select(_card.c.incident, _card.c.bulletin).join(_attempt, _attempt.c.card == _card.c.id).where(_LEFT)
_DOUBT = (
    update(_attempt)
    .where(_LEFT)
    .values(
        state=AttemptState.IN_DOUBT,
        next_search_at=func.coalesce(_attempt.c.next_search_at, bindparam("now", type_=Double)),
    )
)
# The cards are found by id, along an index; a condition on their state alone would read all cards.
_CARDS_IN_DOUBT = select(_attempt.c.card).where(schema.IS_OPEN, _attempt.c.state == AttemptState.IN_DOUBT)
_DOUBT_CARDS = (
    update(_card)
    .where(_card.c.id.in_(_CARDS_IN_DOUBT), _card.c.state == CardState.POSTING)
    .values(state=CardState.IN_DOUBT)
)


def attempts_in_doubt(connection: Connection) -> tuple[SearchTarget, ...]:
    """Return the attempts in doubt, in the order in which to search for them."""
    return _search_targets(connection, _IN_DOUBT)


def attempts_to_recheck(connection: Connection) -> tuple[SearchTarget, ...]:
    """Return the attempts that were repeated after a search without result, and are searched for once more."""
    return _search_targets(connection, _TO_RECHECK)


def rejected_attempts(connection: Connection, card: int) -> tuple[Attempt, ...]:
    """Return all attempts of a card that were given up, in their order."""
    return tuple(to_attempt(row) for row in connection.execute(_REJECTED, {"of_card": card}).mappings())


def recover_attempts(
    connection: Connection, now: float, *, in_progress: frozenset[int] = frozenset(), lease: Lease | None = None
) -> int:
    """Mark in doubt the attempts that a relay left in flight, and their cards; return how many.

    Called when a relay begins to deliver, and when `start_next_card` failed, since it may have been committed
    nevertheless. The cards `in_progress` are left alone: their result is still to be saved. The search begins at `now`.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    of = {"in_progress": list(in_progress)}
    rows = list(execute(connection, _LEFT_TOPICS, of))
    lock_incidents(connection, {row.incident for row in rows if row.incident is not None})
    lock_bulletins(connection, {row.bulletin for row in rows if row.bulletin is not None})
    in_doubt = execute(connection, _DOUBT, {**of, "now": now})
    execute(connection, _DOUBT_CARDS)
    return in_doubt.rowcount


def _search_targets(connection: Connection, statement: Select[tuple[object, ...]]) -> tuple[SearchTarget, ...]:
    rows = execute(connection, statement).mappings()
    return tuple(SearchTarget(card=row["card"], channel=row["search_in"], attempt=to_attempt(row)) for row in rows)
