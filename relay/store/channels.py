"""Channels by every reference (an id or a #name) that names them.

Several references may name one channel. One of them is canonical: its row speaks for the channel, and the others point
to it with `canonical_ref`.
"""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, func, select

from relay.cards.model import Channel
from relay.store import schema
from relay.store.mappers import channel_row, to_channel
from relay.store.upsert import insert_or_keep

_channel = schema.channel
_ALL = select(_channel).order_by(_channel.c.ref)
_NEXT_LOOKUP = select(func.min(func.coalesce(_channel.c.retry_at, 0.0))).where(_channel.c.canonical_ref.is_(None))
_CANONICAL_REFS = select(_channel.c.ref, _channel.c.canonical_ref).where(_channel.c.canonical_ref.is_not(None))

reference, canonical = _channel.alias("reference"), _channel.alias("canonical")
CANONICAL_REF = func.coalesce(reference.c.canonical_ref, reference.c.ref)
"""The canonical reference of the channel that `reference` names."""

_CANONICAL = (
    select(canonical)
    .select_from(reference.join(canonical, canonical.c.ref == CANONICAL_REF))
    .where(reference.c.ref == bindparam("ref"))
)


def add_channels(connection: Connection, refs: Collection[str]) -> None:
    """Add channels by these references; known ones stay as they are."""
    # Sorted, so that two relays never wait for each other's rows in a circle.
    if rows := [channel_row(Channel(ref=ref)) for ref in sorted(set(refs))]:
        connection.execute(insert_or_keep(connection, _channel, ("ref",)), rows)


def channels(connection: Connection) -> tuple[Channel, ...]:
    """Return all channels under all their references, by name."""
    return tuple(to_channel(row) for row in connection.execute(_ALL).mappings())


def next_channel_lookup_at(connection: Connection) -> float | None:
    """Return when to ask Slack about the next channel: 0 if one is new, None if there is no channel."""
    at: float | None = connection.execute(_NEXT_LOOKUP).scalar_one()
    return at


def canonical_channel(connection: Connection, ref: str) -> Channel:
    """Return the channel that `ref` names, from the row that speaks for it."""
    return to_channel(connection.execute(_CANONICAL, {"ref": ref}).mappings().one())


def canonical_refs(connection: Connection) -> dict[str, str]:
    """Return the references that are not canonical, each with its canonical one; read from a small index."""
    return {row.ref: row.canonical_ref for row in connection.execute(_CANONICAL_REFS)}
