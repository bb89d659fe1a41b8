"""Channels by every reference (an id or a #name) that names them.

Several references may name one channel. One of them is canonical: its row represents the channel, and the others point
to it with `canonical_ref`.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, bindparam, case, exists, func, or_, select, update

from relay.cards.eligibility import Work
from relay.cards.model import Channel, ChannelState
from relay.store import schema
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.mappers import channel_row, to_channel
from relay.store.upsert import insert_or_keep

_channel = schema.channel
_ALL = select(_channel).order_by(_channel.c.ref)
_NEXT_LOOKUP = select(func.min(func.coalesce(_channel.c.retry_at, 0.0))).where(_channel.c.canonical_ref.is_(None))
_IS_NAME = _channel.c.slack_id.is_(None) & _channel.c.ref.startswith("#")
_DUE = or_(_channel.c.retry_at.is_(None), _channel.c.retry_at <= bindparam("now"))
_DUE_BY_ID = (
    select(_channel)
    .where(_channel.c.canonical_ref.is_(None), ~_IS_NAME, _DUE)
    .order_by(
        # a channel that takes messages is looked up only to learn what has changed; then one for which a card waits
        case((_channel.c.state == ChannelState.OPEN, 1), else_=0),
        ~exists().where(schema.card.c.channel == _channel.c.ref, schema.card.c.post_due.is_not(None)),
        func.coalesce(_channel.c.retry_at, 0.0),
        _channel.c.ref,
    )
    .limit(bindparam("most"))
)
_WAITING = select(schema.card.c.channel).where(schema.card.c.post_due.is_not(None)).distinct()
_FOUND_OUT = ("facts", "state", "reason", "retry_at")
_NAMES = select(_channel).where(_channel.c.canonical_ref.is_(None), _IS_NAME)
_REJECT = (
    update(_channel)
    .where(_channel.c.ref == bindparam("which"), _IS_NAME)
    .values({name: bindparam(name) for name in _FOUND_OUT})
)
_READ_FIRST = (
    update(_channel)
    .where(_channel.c.ref.in_(bindparam("new", expanding=True)))
    .values(unread_since=select(schema.installation.c.adopt_since).scalar_subquery())
)
"""A database that relay began without any may be in the place of a lost one."""
_CANONICAL_REFS = select(_channel.c.ref, _channel.c.canonical_ref).where(_channel.c.canonical_ref.is_not(None))

reference, canonical = _channel.alias("reference"), _channel.alias("canonical")
CANONICAL_REF = func.coalesce(reference.c.canonical_ref, reference.c.ref)
"""The canonical reference of the channel that `reference` names."""


def of_channel(ref: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a reference names the channel whose canonical reference is the parameter `channel`."""
    there = or_(_channel.c.ref == bindparam("channel"), _channel.c.canonical_ref == bindparam("channel"))
    return ref.in_(select(_channel.c.ref).where(there))


_CANONICAL = (
    select(canonical)
    .select_from(reference.join(canonical, canonical.c.ref == CANONICAL_REF))
    .where(reference.c.ref == bindparam("ref"))
)


def add_channels(connection: Connection, refs: Collection[str]) -> None:
    """Add channels by these references; known ones stay as they are."""
    # Sorted, so that two relays never wait for each other's rows in a circle.
    if rows := [channel_row(Channel(ref=ref)) for ref in sorted(set(refs))]:
        added = execute(connection, insert_or_keep(connection, _channel, ("ref",), returning=("ref",)), rows)
        if new := added.scalars():
            execute(connection, _READ_FIRST, {"new": new})
            leave(connection, [Work.CHANNEL])


def channels(connection: Connection) -> tuple[Channel, ...]:
    """Return all channels under all their references, by name."""
    return tuple(to_channel(row) for row in execute(connection, _ALL).mappings())


def channels_due_by_id(connection: Connection, now: float, limit: int) -> tuple[Channel, ...]:
    """Return the channels with a known id that are due to be looked up, the most urgent first."""
    return tuple(to_channel(row) for row in execute(connection, _DUE_BY_ID, {"now": now, "most": limit}).mappings())


def waiting_channels(connection: Connection) -> frozenset[str]:
    """Return the channels for which a card or a reply waits to be posted, by canonical reference."""
    return frozenset(execute(connection, _WAITING).scalars())


def unresolved_names(connection: Connection) -> tuple[Channel, ...]:
    """Return the names of which no id is known, whether they are due or not."""
    return tuple(to_channel(row) for row in execute(connection, _NAMES).mappings())


def update_names(connection: Connection, names: Collection[Channel]) -> None:
    """Save what is known of names for which Slack has no id, all at once."""
    rows = [channel_row(each) | {"which": each.ref} for each in names]
    if rows := [{name: row[name] for name in ("which", *_FOUND_OUT)} for row in rows]:
        connection.execute(_REJECT, rows)


def next_channel_lookup_at(connection: Connection) -> float | None:
    """Return when to ask Slack about the next channel: 0 if one is new, None if there is no channel."""
    at: float | None = execute(connection, _NEXT_LOOKUP).scalar()
    return at


def canonical_channel(connection: Connection, ref: str) -> Channel:
    """Return the channel that `ref` names, from the row that represents it."""
    (row,) = execute(connection, _CANONICAL, {"ref": ref}).mappings()
    return to_channel(row)


def canonical_refs(connection: Connection) -> dict[str, str]:
    """Return the references that are not canonical, each with its canonical one; read from a small index."""
    return {row.ref: row.canonical_ref for row in execute(connection, _CANONICAL_REFS)}
