"""Held cards and pings: re-evaluates them, and decides the catch-ups when held pings may be sent."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Double, Text, and_, bindparam, exists, func, or_, select, update

from relay.cards.bulletins import held_list_over
from relay.cards.eligibility import Work
from relay.cards.holding import UNPOSTED, CatchUp, catch_up_bulletin
from relay.cards.holds import UNKNOWN_END
from relay.cards.model import Card, CardState, IncidentState
from relay.cards.mutes import Mute
from relay.store import schema
from relay.store.bulletins import HeldList, newest_bulletin_id, open_held_lists, save_bulletin_changes
from relay.store.channels import CANONICAL_REF, canonical_channel, reference
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.locks import check_lease, share_channel_references
from relay.store.mappers import to_card
from relay.store.mutes import mutes_after
from relay.store.rows import load_incident_states, save_cards
from relay.store.types import Lease

DecideCatchUp = Callable[[str, Sequence[tuple[Card, IncidentState]], tuple[Mute, ...]], CatchUp]
"""By the channel, its due cards with their incidents, and the mutes that are not over."""

CARDS_FIRST = 60.0
"""Seconds for which a catch-up waits for cards that were held in its channel, so that it links to them."""

_BATCH = 500
_card, _share = schema.card, schema.share
_NOW: Any = bindparam("now", type_=Double)
_MAY_BE_CAUGHT_UP = or_(
    and_(
        _card.c.state == CardState.POSTED,
        ~_card.c.post_urgent,
        ~exists().where(schema.attempt.c.card == _card.c.id, schema.IS_OPEN),  # a reply on its way may ping
    ),
    and_(_card.c.state.in_(UNPOSTED), _card.c.held_by.is_not(None)),
)
"""The rule of `cards.holding.may_be_caught_up`."""
_released = _card.alias("released")
_CARDS_COME_FIRST = exists().where(
    _released.c.channel == _card.c.channel,
    _released.c.held_by.is_not(None),
    _released.c.state.in_(UNPOSTED),
    _released.c.post_due.is_not(None),  # as the index on channels says
    _released.c.post_due <= _NOW,
)
_DUE = (
    _card.c.catch_up_due <= _NOW,
    _MAY_BE_CAUGHT_UP,
    or_(_card.c.catch_up_due <= _NOW - CARDS_FIRST, ~_CARDS_COME_FIRST),
)
FIRST_DUE = select(_card.c.channel, _card.c.catch_up_due).where(*_DUE).order_by(_card.c.catch_up_due).limit(1)
DUE_IN_CHANNEL = (
    select(_card.c.id, _card.c.incident)
    .select_from(_card.join(reference, reference.c.ref == _card.c.channel))
    .where(bindparam("channel", type_=Text) == CANONICAL_REF, *_DUE)
)
_CARDS = select(_card).where(_card.c.id.in_(bindparam("ids", expanding=True)), *_DUE).order_by(_card.c.id)
_NEXT_DUE = select(func.min(_card.c.catch_up_due)).where(
    _card.c.catch_up_due.is_not(None), _card.c.catch_up_due < UNKNOWN_END
)
UNPLANNED_BEFORE = (
    select(_share.c.id)
    .where(schema.IS_UNPLANNED, _share.c.plan_error == "", _share.c.received <= bindparam("moment"))
    .limit(1)
)
_STILL_HELD = select(_card.c.id).where(
    _card.c.channel == bindparam("channel"),
    _card.c.held_by == bindparam("reason"),
    _card.c.state == CardState.PENDING,
    _card.c.post_due > _NOW,
)
_MAKE_DUE = {
    Work.HELD: update(_card).where(_card.c.catch_up_due > _NOW).values(catch_up_due=_NOW),
    Work.REMIND: update(_card).where(_card.c.reminder_due > _NOW).values(reminder_due=_NOW),
    Work.POST: (
        update(_card)
        .where(_card.c.held_by.is_not(None), _card.c.state == CardState.PENDING, _card.c.post_due > _NOW)
        .values(post_due=_NOW)
    ),
}


def look_at_held(connection: Connection, now: float, *, lease: Lease | None = None) -> None:
    """Make all held cards, held pings and reminders due, so that relay checks again what holds them.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    leave(connection, [work for work, change in _MAKE_DUE.items() if connection.execute(change, {"now": now}).rowcount])


def next_catch_up_due(connection: Connection) -> float | None:
    """Return the first moment at which a held ping may be sent; None if nobody knows one. This is cheap."""
    due: float | None = execute(connection, _NEXT_DUE).scalar()
    return due


def catch_up_next(
    connection: Connection, now: float, decide: DecideCatchUp, *, lease: Lease | None = None
) -> CatchUp | None:
    """Decide the catch-up for the due held pings of one channel, one message for all; return the decision.

    None if nothing can be done now: what is due waits for a reply on its way, or for shares that came before that
    moment, which are planned first.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    first = connection.execute(FIRST_DUE, {"now": now}).one_or_none()
    if first is None or connection.execute(UNPLANNED_BEFORE, {"moment": first.catch_up_due}).first() is not None:
        return None
    share_channel_references(connection)
    channel = canonical_channel(connection, first.channel).ref
    made = decide(channel, _due_cards(connection, channel, now), mutes_after(connection, now))
    save_cards(connection, made.cards)
    change = catch_up_bulletin(made, now, lambda bulletin: newest_bulletin_id(connection, bulletin) is not None)
    if change is not None:
        save_bulletin_changes(connection, [change])
    return made


def close_held_lists(connection: Connection, now: float, *, lease: Lease | None = None) -> float | None:
    """Close the held lists whose reason had an end that is over, once nothing waits there any more.

    Return when the next one may be closed; None if nobody knows.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    lists = open_held_lists(connection)
    changes = [
        held_list_over(each.channel, each.reason, now)
        for each in lists
        if each.until <= now and not _still_holds(connection, each, now)
    ]
    if changes:
        save_bulletin_changes(connection, changes)
    return min((each.until for each in lists if now < each.until < UNKNOWN_END), default=None)


def _still_holds(connection: Connection, held: HeldList, now: float) -> bool:
    query = {"channel": held.channel, "reason": held.reason, "now": now}
    return connection.execute(_STILL_HELD, query).first() is not None


def _due_cards(connection: Connection, channel: str, now: float) -> list[tuple[Card, IncidentState]]:
    """Load the due cards of a channel, each with its incident, which is locked first."""
    due = connection.execute(DUE_IN_CHANNEL, {"channel": channel, "now": now}).all()
    found = sorted(due, key=lambda row: row.incident)  # incidents are locked in their order
    cards: list[tuple[Card, IncidentState]] = []
    for start in range(0, len(found), _BATCH):
        batch = found[start : start + _BATCH]
        states = load_incident_states(connection, sorted({row.incident for row in batch}))
        rows = connection.execute(_CARDS, {"ids": [row.id for row in batch], "now": now}).mappings()
        cards += [(card, states[card.incident]) for card in map(to_card, rows)]
    return cards
