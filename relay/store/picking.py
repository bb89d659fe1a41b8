"""The next card that something is due of; and what else is to be known of cards that wait or are in doubt."""

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from sqlalchemy import Connection, and_, bindparam, func, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from relay.cards.eligibility import STATES_WITH_WORK, WorkKind, is_due
from relay.cards.model import AttemptState, CardContext, CardState, CardUpdate, Channel
from relay.model.errors import CardFailure
from relay.store import due_queries, schema
from relay.store.card_context import load, write
from relay.store.channels import home_of, spelled, spellings
from relay.store.locks import check_lease
from relay.store.mappers import attempt_of
from relay.store.types import Lease, SearchTarget

T = TypeVar("T")

_card, _attempt = schema.card, schema.attempt


def pick(  # noqa: PLR0913  the search has that many conditions
    connection: Connection,
    track: WorkKind,
    now: float,
    *,
    skip_cards: Collection[int],
    skip_lanes: Collection[str],
    oldest: bool,
    begin: Callable[[CardContext], T],
    change: Callable[[T], CardUpdate],
    lease: Lease | None,
) -> tuple[CardContext, T] | float | None:
    """Pick a card and begin with it, as `Store.pick` promises."""
    check_lease(connection, lease)
    if connection.execute(due_queries.anything(track)).scalar() is None:
        return None
    cards = list(skip_cards)
    search = {"cards": cards, "lanes": list(skip_lanes), "now": now}
    while (card := _found(connection, track, search, oldest=oldest)) is not None:
        try:
            case = load(connection, card)
            if is_due(case, track, now):
                step = begin(case)
                write(connection, case, change(step))
                return case, step
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            raise CardFailure(card, _told(connection, card), error) from error
        # Between the search and the lock another relay has accepted a share of this incident, and the work is gone.
        cards.append(card)
    return connection.execute(due_queries.later(track), {"now": now}).scalar()


def _told(connection: Connection, card: int) -> dict[str, str]:
    """What the log says of a card that cannot be read; nothing where the transaction is past telling."""
    try:
        return dict(connection.execute(_TOLD, {"card": card}).mappings().one())
    except DBAPIError:
        return {}


def _found(connection: Connection, track: WorkKind, search: dict[str, Any], *, oldest: bool) -> int | None:
    found = connection.execute(due_queries.at_head(track, oldest=oldest), search).scalar()
    if found is None:
        found = connection.execute(due_queries.by_lane(track, oldest=oldest), search).scalar()
    return found


def lanes(connection: Connection, track: WorkKind, now: float) -> set[str]:
    """The open channels that have work due, by the names that `skip_lanes` takes."""
    same = spellings(connection)
    found = connection.execute(due_queries.lanes(track, is_open=True), {"now": now}).scalars()
    return {same.get(ref, ref) for ref in found}


def waiting_channels(connection: Connection, now: float) -> tuple[Channel, ...]:
    """The channels that have work due and do not take it, by name."""
    closed = [due_queries.lanes(track, is_open=False) for track in STATES_WITH_WORK]
    refs = {ref for statement in closed for ref in connection.execute(statement, {"now": now}).scalars()}
    homes = {channel.ref: channel for channel in (home_of(connection, ref) for ref in refs)}
    return tuple(homes[ref] for ref in sorted(homes))


def waiting_cards(connection: Connection, ref: str, now: float, limit: int) -> tuple[int, ...]:
    """The cards of one channel that have work due, those longest overdue first."""
    return tuple(connection.execute(_WAITING_CARDS, {"ref": ref, "now": now, "most": limit}).scalars())


def doubts(connection: Connection) -> tuple[SearchTarget, ...]:
    """The attempts of which nobody knows what became, those first that are to be looked at first."""
    return tuple(
        SearchTarget(card=row["card"], channel=row["home"], attempt=attempt_of(row))
        for row in connection.execute(_DOUBTS).mappings()
    )


def second_looks(connection: Connection) -> tuple[SearchTarget, ...]:
    """The attempts that are settled and looked for once more all the same, those first whose look is due first."""
    rows = connection.execute(_SECOND_LOOKS).mappings()
    return tuple(SearchTarget(card=row["card"], channel=row["home"], attempt=attempt_of(row)) for row in rows)


def open_cards(connection: Connection, ref: str, limit: int) -> tuple[tuple[int, str], ...]:
    """The shown cards of open incidents in a channel: number and ts, the newest first."""
    rows = connection.execute(_OPEN_CARDS, {"ref": ref, "most": limit})
    return tuple((row.id, row.ts) for row in rows)


_TOLD = select(*_card.c["incident", "route", "channel"]).where(_card.c.id == bindparam("card"))
_WAITING_CARDS = (
    select(_card.c.id)
    .select_from(_card.join(spelled, spelled.c.ref == _card.c.channel))
    .where(
        func.coalesce(spelled.c.canonical_ref, spelled.c.ref) == bindparam("ref"),
        or_(
            *(
                and_(_card.c[f"{track}_due"] <= bindparam("now"), *due_queries.takes_work(track, _card.c))
                for track in STATES_WITH_WORK
            )
        ),
    )
    .order_by(func.coalesce(_card.c.post_deadline, _card.c.edit_deadline), _card.c.id)
    .limit(bindparam("most"))
)
_OPEN_CARDS = (
    select(_card.c.id, _card.c.ts)
    .select_from(_card.join(schema.incident, schema.incident.c.id == _card.c.incident))
    .where(
        _card.c.channel == bindparam("ref"),
        _card.c.ts.is_not(None),
        _card.c.state == CardState.POSTED,
        schema.incident.c.ended_at.is_(None),
    )
    .order_by(_card.c.ts.desc())
    .limit(bindparam("most"))
)
_SECOND_LOOKS = (
    select(_attempt, func.coalesce(spelled.c.canonical_ref, spelled.c.ref).label("home"))
    .select_from(_attempt.join(_card, _card.c.id == _attempt.c.card).join(spelled, spelled.c.ref == _card.c.channel))
    .where(
        _attempt.c.next_search_at.is_not(None),
        _attempt.c.state.in_((AttemptState.DONE, AttemptState.DROPPED)),
    )
    .order_by(_attempt.c.next_search_at)
    .limit(100)
)
_DOUBTS = (
    select(_attempt, func.coalesce(spelled.c.canonical_ref, spelled.c.ref).label("home"))
    .select_from(_attempt.join(_card, _card.c.id == _attempt.c.card).join(spelled, spelled.c.ref == _card.c.channel))
    .where(schema.IS_OPEN, _attempt.c.state == AttemptState.IN_DOUBT)
    .order_by(func.coalesce(_attempt.c.next_search_at, 0.0), _attempt.c.id)
)
