"""The search for the next card, so that it costs little however much waits and however few channels take work.

Cards stand in an index in the order in which they are served, and mostly one of the first is the one. But where a
channel lags behind (its pace is one message a second), thousands of its cards may stand first, and none of them may go
now. So only the head of the line is looked through; then each channel is asked for its own first card, along an index
that has them by channel.
"""

from functools import cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, bindparam, exists, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from relay.cards.eligibility import BLOCKING_STATES, STATES_WITH_WORK, WorkKind
from relay.cards.model import ChannelState
from relay.store import schema
from relay.store.channels import AT_HOME, home, spelled

HEAD = 100
"""Cards that are looked through before each channel is asked."""

_Columns = ReadOnlyColumnCollection[str, Any]
_card, _attempt = schema.card, schema.attempt
_NOW: Any = bindparam("now")


@cache
def anything(track: WorkKind) -> Select[int]:
    """A card that waits, now or later, whoever may have it: where there is none, nothing more need be asked."""
    return select(_card.c.id).where(_waits(track)).limit(1)


@cache
def at_head(track: WorkKind, *, oldest: bool) -> Select[int]:
    """The next card, if it is one of the first in line. Parameters: `now`, and `cards` and `lanes` to pass over."""
    asked_for = ("id", "channel", "state", *(f"{track}_{part}" for part in ("due", "deadline", "since", "urgent")))
    line = select(*(_card.c[name] for name in asked_for)).where(_waits(track))
    head = line.order_by(*_order(track, _card.c, oldest=oldest)).limit(HEAD).subquery("head").c
    return (
        select(head.id)
        .where(*_ready(track, head), _in_open_lane(head.channel, _not_skipped()))
        .order_by(*_order(track, head, oldest=oldest))
        .limit(1)
    )


@cache
def by_lane(track: WorkKind, *, oldest: bool) -> Select[int]:
    """The next card of all. Parameters as of `at_head`."""
    lane = _lanes_at_work(track)
    first = (
        select(_card.c.id)
        .where(_card.c.channel == lane.c.ref, _waits(track), *_ready(track, _card.c))
        .order_by(*_order(track, _card.c, oldest=oldest))
        .limit(1)
        .correlate(lane)
    )
    firsts = select(first.scalar_subquery()).where(lane.c.ref.is_not(None), _in_open_lane(lane.c.ref, _not_skipped()))
    card = _card.alias("found").c
    return select(card.id).where(card.id.in_(firsts)).order_by(*_order(track, card, oldest=oldest)).limit(1)


@cache
def later(track: WorkKind) -> Select[float]:
    """When the next work is due after `now`."""
    due = _card.c[f"{track}_due"]
    return (
        select(due)
        .where(due > _NOW, *takes_work(track, _card.c), _in_open_lane(_card.c.channel))
        .order_by(due)
        .limit(1)
    )


@cache
def lanes(track: WorkKind, *, is_open: bool) -> Select[str]:
    """The spellings under which work is due `now`, in channels that take it or do not."""
    lane = _lanes_at_work(track)
    due = (
        exists()
        .where(_card.c.channel == lane.c.ref, _waits(track), *takes_work(track, _card.c), _is_due(track, _card.c))
        .correlate(lane)
    )
    takes = _in_open_lane(lane.c.ref)
    return select(lane.c.ref).where(lane.c.ref.is_not(None), takes if is_open else ~takes, due)


def takes_work(track: WorkKind, card: _Columns) -> tuple[ColumnElement[bool], ...]:
    """Whether a card that has work takes it, as `turn.is_due` has it."""
    in_state = card.state.in_(STATES_WITH_WORK[track])
    busy = exists().where(_attempt.c.card == card.id, schema.IS_OPEN, _attempt.c.state.in_(BLOCKING_STATES))
    return (in_state,) if track == "edit" else (in_state, ~busy)


def _waits(track: WorkKind) -> ColumnElement[bool]:
    """Work, now or later: the literal words that the partial indexes ask for."""
    return _card.c[f"{track}_due"].is_not(None)


def _is_due(track: WorkKind, card: _Columns) -> ColumnElement[bool]:
    """The sum keeps SQLite off the index of due times, which would have it sort all that is due."""
    due: ColumnElement[bool] = card[f"{track}_due"] + 0.0 <= _NOW
    return due


def _ready(track: WorkKind, card: _Columns) -> tuple[ColumnElement[bool], ...]:
    passed_over = card.id.not_in(bindparam("cards", expanding=True))
    return _is_due(track, card), passed_over, *takes_work(track, card)


def _order(track: WorkKind, card: _Columns, *, oldest: bool) -> tuple[ColumnElement[Any], ...]:
    if oldest:
        return card[f"{track}_since"], card.id
    return card[f"{track}_urgent"].desc(), card[f"{track}_deadline"], card.id


def _not_skipped() -> ColumnElement[bool]:
    return home.c.ref.not_in(bindparam("lanes", expanding=True))


def _in_open_lane(ref: ColumnElement[str], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """A subquery rather than a join: SQLite, which keeps no statistics, would begin with the channels and sort."""
    lane = exists().select_from(spelled.join(home, AT_HOME))
    return lane.where(spelled.c.ref == ref, home.c.state == ChannelState.OPEN, *conditions)


def _lanes_at_work(track: WorkKind) -> CTE:
    """The channels of cards that wait, by skipping along the index from one to the next; a NULL ends them."""
    refs = select(_card.c.channel).where(_waits(track)).order_by(_card.c.channel).limit(1)
    lane = select(refs.scalar_subquery().label("ref")).cte("lane", recursive=True)
    following = refs.where(_card.c.channel > lane.c.ref).correlate(lane).scalar_subquery()
    return lane.union_all(select(following).where(lane.c.ref.is_not(None)))
