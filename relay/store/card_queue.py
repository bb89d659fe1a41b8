"""The cards with due work: the next one is started in one transaction."""

from collections.abc import Callable
from enum import Enum, auto
from math import inf
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, and_, bindparam, func, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from relay.cards.eligibility import STATES_WITH_WORK, WorkKind, is_due
from relay.cards.model import Card, CardContext, CardState, CardUpdate, Channel
from relay.model.errors import CardFailure
from relay.model.struct import replace
from relay.store import due_queries, schema
from relay.store.card_context import card_context, save_update
from relay.store.channels import CANONICAL_REF, canonical_channel, reference
from relay.store.database import is_in_transaction, savepoint
from relay.store.execution import execute
from relay.store.left_work import leave, take
from relay.store.locks import check_lease
from relay.store.mappers import to_card
from relay.store.mutes import mutes_after
from relay.store.storms import StormRules, StormsAt
from relay.store.types import Lease


class Decision(Protocol):
    """What is decided about a card, with the update that is saved."""

    @property
    def update(self) -> CardUpdate:
        """What changes."""


D = TypeVar("D", bound=Decision)


class Unknown(Enum):
    """Whether a card was started: nobody knows."""

    UNKNOWN = auto()


UNKNOWN: Final = Unknown.UNKNOWN


class Started(NamedTuple, Generic[D]):
    """A card that was started: its context before the decision, the decision, and whether other cards have work."""

    context: CardContext
    decision: D
    more: bool


class LentPick(NamedTuple, Generic[D]):
    """The next pick of a scheduler, for a transaction that makes cards due: one commit for what would be two.

    The transaction that borrows it calls `give_back` once: with what it started (None: nothing), or with `UNKNOWN` if
    its commit may or may not have happened. Until then the scheduler picks nothing.
    """

    pick: Callable[[Connection], Started[D] | float | None]
    give_back: Callable[[Started[D] | Unknown | None], None]


_card = schema.card


def start_in_passing(connection: Connection, lent: LentPick[D]) -> Started[D] | None:
    """Start the next card in a transaction that does something else, which must not fail because of it."""
    left = take(connection)
    leave(connection, left)
    try:
        with savepoint(connection):
            picked = lent.pick(connection)
    except Exception:
        if not is_in_transaction(connection):
            raise
        leave(connection, left)
        return None  # the scheduler finds the work itself, and reports what is wrong
    return picked if isinstance(picked, Started) else None


def start_next_card(  # noqa: PLR0913  the search has that many conditions
    connection: Connection,
    work: WorkKind,
    now: float,
    *,
    decide: Callable[[CardContext], D],
    skip_cards: frozenset[int] = frozenset(),
    skip_channels: frozenset[str] = frozenset(),
    last_channel: str = "",
    oldest_first: bool = False,
    storm_in: StormRules | None = None,
    lease: Lease | None = None,
) -> Started[D] | float | None:
    """Find the next card with due work, decide how to begin, and save that it is begun.

    A post is due for a pending or posted card without an attempt that is in flight or in doubt; an edit for a posted
    card; both in an open channel. Urgent work comes first, then the earliest deadline; with `oldest_first` the work
    that has waited longest. The `last_channel` gets its turn if no other channel has due work. `storm_in` gives the
    storm limits of a channel; without it, no storm holds a new card.

    If nothing is due: when work will be due (`inf`: not by time alone), or None if no card has work that is not
    skipped.

    Raises:
        LeaseLost: another relay delivers now.
        CardFailure: something unexpected happened with one card; nothing was saved.
    """
    check_lease(connection, lease)
    cards = list(skip_cards)
    if not _any_card(connection, work, cards):
        return None
    mutes = mutes_after(connection, now) if work == "post" else ()
    search = {"cards": cards, "now": now}
    turns = [sorted({*skip_channels, last_channel}), sorted(skip_channels)] if last_channel else [sorted(skip_channels)]
    storms = None if storm_in is None or work == "edit" else StormsAt(storm_in, now)
    while (card := _find(connection, work, search, turns, oldest_first=oldest_first)) is not None:
        try:
            context = replace(card_context(connection, card, storms), mutes=mutes)
            if is_due(context, work, now):
                decision = decide(context)
                save_update(connection, context, decision.update)
                leave(connection, take(connection) - {work})  # who starts the card knows that it has this work
                return Started(context, decision, more=_any_card(connection, work, [*cards, card]))
        except Exception as error:
            if isinstance(error, DBAPIError) and not isinstance(error, IntegrityError):
                raise
            raise CardFailure(card, _log_fields(connection, card), error) from error
        # Between the search and the lock another relay accepted a share of this incident, and the work is gone.
        cards.append(card)
    due_at: float | None = execute(connection, due_queries.next_due_at(work), {"now": now}).scalar()
    return inf if due_at is None else due_at


def _any_card(connection: Connection, work: WorkKind, skipped: list[int]) -> bool:
    return execute(connection, due_queries.any_card(work), {"cards": skipped}).scalar() is not None


def _find(
    connection: Connection, work: WorkKind, search: dict[str, Any], turns: list[list[str]], *, oldest_first: bool
) -> int | None:
    """Return the card; `turns` are the channels to skip at first, and then."""
    for channels in turns:
        for query in (due_queries.at_head, due_queries.by_channel):
            statement = query(work, oldest_first=oldest_first)
            card: int | None = execute(connection, statement, {**search, "channels": channels}).scalar()
            if card is not None:
                return card
    return None


def _log_fields(connection: Connection, card: int) -> dict[str, str]:
    """What the log says about a card that cannot be read; nothing if the transaction has failed."""
    columns = select(*_card.c["incident", "bulletin", "route", "channel"]).where(_card.c.id == card)
    try:
        row = connection.execute(columns).mappings().one()
        return {name: str(value) for name, value in row.items() if value is not None}
    except DBAPIError:
        return {}


def stalled_channels(connection: Connection, now: float) -> tuple[Channel, ...]:
    """Return the channels that have due work and are not open, by name: their cards are never started."""
    closed = [due_queries.stalled_channels(work) for work in STATES_WITH_WORK]
    refs = {ref for statement in closed for ref in execute(connection, statement, {"now": now}).scalars()}
    by_ref = {channel.ref: channel for channel in (canonical_channel(connection, ref) for ref in refs)}
    return tuple(by_ref[ref] for ref in sorted(by_ref))


def due_cards(connection: Connection, ref: str, now: float, limit: int) -> tuple[int, ...]:
    """Return the ids of a channel's cards with due work, the longest overdue first."""
    return tuple(connection.execute(_DUE_CARDS, {"ref": ref, "now": now, "most": limit}).scalars())


def open_cards(connection: Connection, ref: str) -> tuple[tuple[int, str], ...]:
    """Return the id and `ts` of the posted cards of open incidents in a channel, the newest first."""
    return tuple((row.id, row.ts) for row in execute(connection, _OPEN_CARDS, {"ref": ref, "most": _MOST_OPEN}))


def card_at(connection: Connection, slack_channel: str, ts: str, incident: str = "") -> Card | None:
    """Return the card with this root message (Slack's channel id, and the `ts`).

    For an `incident`, also its card in that channel whose post Slack has not confirmed yet: people may press a button
    before relay has the answer, and the answer may be lost.
    """
    row = execute(connection, _CARD_AT, {"slack_channel": slack_channel, "ts": ts}).mapping()
    if row is None and incident:
        row = execute(connection, _UNCONFIRMED, {"slack_channel": slack_channel, "incident": incident}).mapping()
    return None if row is None else to_card(row)


_DUE_CARDS = (
    select(_card.c.id)
    .select_from(_card.join(reference, reference.c.ref == _card.c.channel))
    .where(
        bindparam("ref") == CANONICAL_REF,
        or_(
            *(
                and_(_card.c[f"{work}_due"] <= bindparam("now"), *due_queries.accepts_work(work, _card.c))
                for work in STATES_WITH_WORK
            )
        ),
    )
    .order_by(func.coalesce(_card.c.post_deadline, _card.c.edit_deadline), _card.c.id)
    .limit(bindparam("most"))
)
_MOST_OPEN = 2000
"""Cards of one channel that are looked at."""
_OPEN_CARDS = (
    select(_card.c.id, _card.c.ts)
    .select_from(
        _card.outerjoin(schema.incident, schema.incident.c.id == _card.c.incident).outerjoin(
            schema.bulletin, schema.bulletin.c.id == _card.c.bulletin
        )
    )
    .where(
        _card.c.channel == bindparam("ref"),
        _card.c.ts.is_not(None),
        _card.c.state == CardState.POSTED,
        or_(
            # one that was never shared cannot be posted again
            and_(schema.incident.c.ended_at.is_(None), schema.incident.c.version > 0),
            and_(_card.c.bulletin.is_not(None), schema.bulletin.c.closed_at.is_(None)),
        ),
    )
    .order_by(_card.c.ts.desc())
    .limit(bindparam("most"))
)
_CARD_AT = select(_card).where(
    _card.c.slack_channel == bindparam("slack_channel"),
    _card.c.ts == bindparam("ts"),
    _card.c.state == CardState.POSTED,
)
_UNCONFIRMED = (
    select(_card)
    .select_from(_card.join(schema.channel, schema.channel.c.ref == _card.c.channel))
    .where(
        _card.c.incident == bindparam("incident"),
        schema.channel.c.slack_id == bindparam("slack_channel"),
        _card.c.ts.is_(None),
        _card.c.state.in_((CardState.POSTING, CardState.IN_DOUBT)),
    )
)
