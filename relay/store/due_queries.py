"""The SQL that finds the next card: cheap however much waits, and however few channels accept work.

An index holds the cards in the order in which they are served, and the next card is mostly among the first. But a
channel accepts one message a second. If it lags behind, thousands of its cards may come first, and none of them may go
now. So only the first cards are read; then each channel gives its own first card, along an index by channel.
"""

from functools import cache
from typing import Any

from sqlalchemy import CTE, ColumnElement, Select, bindparam, exists, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from relay.cards.attention import BLOCKING_STATES
from relay.cards.eligibility import STATES_WITH_WORK, WorkKind
from relay.cards.model import ChannelState
from relay.store import schema
from relay.store.channels import CANONICAL_REF, canonical, reference

HEAD = 100
"""How many of the first cards are read before each channel gives its first."""

_Columns = ReadOnlyColumnCollection[str, Any]
_card, _attempt = schema.card, schema.attempt
_NOW: Any = bindparam("now")


@cache
def any_card(work: WorkKind) -> Select[int]:
    """Any card that has work, now or later; if there is none, no other query is needed. Parameter: `cards` to skip."""
    return select(_card.c.id).where(_has_work(work), _not_skipped(_card.c)).limit(1)


@cache
def at_head(work: WorkKind, *, oldest_first: bool) -> Select[int]:
    """The next card, if it is among the first. Parameters: `now`, and the `cards` and `channels` to skip."""
    columns = ("id", "channel", "state", *(f"{work}_{part}" for part in ("due", "deadline", "since", "urgent")))
    line = select(*(_card.c[name] for name in columns)).where(_has_work(work))
    head = line.order_by(*_order(work, _card.c, oldest_first=oldest_first)).limit(HEAD).subquery("head").c
    return (
        select(head.id)
        .where(*_ready(work, head), _in_open_channel(head.channel, _channel_not_skipped()))
        .order_by(*_order(work, head, oldest_first=oldest_first))
        .limit(1)
    )


@cache
def by_channel(work: WorkKind, *, oldest_first: bool) -> Select[int]:
    """The next card of all channels. Parameters: as `at_head`."""
    channel = _channels_with_work(work)
    first = (
        select(_card.c.id)
        .where(_card.c.channel == channel.c.ref, _has_work(work), *_ready(work, _card.c))
        .order_by(*_order(work, _card.c, oldest_first=oldest_first))
        .limit(1)
        .correlate(channel)
    )
    firsts = select(first.scalar_subquery()).where(
        channel.c.ref.is_not(None), _in_open_channel(channel.c.ref, _channel_not_skipped())
    )
    card = _card.alias("next_card").c
    return select(card.id).where(card.id.in_(firsts)).order_by(*_order(work, card, oldest_first=oldest_first)).limit(1)


@cache
def next_due_at(work: WorkKind) -> Select[float]:
    """When the first work after `now` is due."""
    due = _card.c[f"{work}_due"]
    return (
        select(due)
        .where(due > _NOW, *accepts_work(work, _card.c), _in_open_channel(_card.c.channel))
        .order_by(due)
        .limit(1)
    )


@cache
def stalled_channels(work: WorkKind) -> Select[str]:
    """The channel references of cards with work due `now`, in channels that are not open."""
    channel = _channels_with_work(work)
    due = (
        exists()
        .where(_card.c.channel == channel.c.ref, _has_work(work), *accepts_work(work, _card.c), _is_due(work, _card.c))
        .correlate(channel)
    )
    return select(channel.c.ref).where(channel.c.ref.is_not(None), ~_in_open_channel(channel.c.ref), due)


def accepts_work(work: WorkKind, card: _Columns) -> tuple[ColumnElement[bool], ...]:
    """Whether a card accepts the work that it has; the same rule as `cards.eligibility.is_due`."""
    in_state = card.state.in_(STATES_WITH_WORK[work])
    busy = exists().where(_attempt.c.card == card.id, schema.IS_OPEN, _attempt.c.state.in_(BLOCKING_STATES))
    return (in_state,) if work == "edit" else (in_state, ~busy)


def _has_work(work: WorkKind) -> ColumnElement[bool]:
    """Whether there is work, now or later: the exact condition of the partial indexes."""
    return _card.c[f"{work}_due"].is_not(None)


def _is_due(work: WorkKind, card: _Columns) -> ColumnElement[bool]:
    """The sum keeps SQLite from using the index of due times, after which it would sort everything that is due."""
    due: ColumnElement[bool] = card[f"{work}_due"] + 0.0 <= _NOW
    return due


def _ready(work: WorkKind, card: _Columns) -> tuple[ColumnElement[bool], ...]:
    return _is_due(work, card), _not_skipped(card), *accepts_work(work, card)


def _not_skipped(card: _Columns) -> ColumnElement[bool]:
    not_skipped: ColumnElement[bool] = card.id.not_in(bindparam("cards", expanding=True))
    return not_skipped


def _order(work: WorkKind, card: _Columns, *, oldest_first: bool) -> tuple[ColumnElement[Any], ...]:
    if oldest_first:
        return card[f"{work}_since"], card.id
    return card[f"{work}_urgent"].desc(), card[f"{work}_deadline"], card.id


def _channel_not_skipped() -> ColumnElement[bool]:
    return canonical.c.ref.not_in(bindparam("channels", expanding=True))


def _in_open_channel(ref: ColumnElement[str], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """A subquery rather than a join: without statistics, SQLite would begin with the channels and sort."""
    channel = exists().select_from(reference.join(canonical, canonical.c.ref == CANONICAL_REF))
    is_open = (canonical.c.state == ChannelState.OPEN, canonical.c.unread_since.is_(None))
    return channel.where(reference.c.ref == ref, *is_open, *conditions)


def _channels_with_work(work: WorkKind) -> CTE:
    """The channels that have cards with work: skips along the index from one to the next; NULL ends the list."""
    refs = select(_card.c.channel).where(_has_work(work)).order_by(_card.c.channel).limit(1)
    channel = select(refs.scalar_subquery().label("ref")).cte("channel_with_work", recursive=True)
    following = refs.where(_card.c.channel > channel.c.ref).correlate(channel).scalar_subquery()
    return channel.union_all(select(following).where(channel.c.ref.is_not(None)))
