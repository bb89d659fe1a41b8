"""Channels as they are spelled; a spelling that is `same_as` another is looked up there (its *home*)."""

from collections.abc import Iterable

from sqlalchemy import Connection, bindparam, func, select

from relay.cards.model import Channel
from relay.store import schema
from relay.store.mappers import channel_of, channel_row
from relay.store.upsert import insert_or_keep

_ALL = select(schema.channel).order_by(schema.channel.c.ref)
_BY_REF = select(schema.channel).where(schema.channel.c.ref == bindparam("ref"))
_DUE = select(func.min(func.coalesce(schema.channel.c.retry_at, 0.0))).where(schema.channel.c.canonical_ref.is_(None))
_SPELLINGS = select(schema.channel.c.ref, schema.channel.c.canonical_ref).where(
    schema.channel.c.canonical_ref.is_not(None)
)

spelled, home = schema.channel.alias("spelled"), schema.channel.alias("home")
AT_HOME = home.c.ref == func.coalesce(spelled.c.canonical_ref, spelled.c.ref)
"""Joins a spelling to the row that speaks for its channel."""

_HOME = select(home).select_from(spelled.join(home, AT_HOME)).where(spelled.c.ref == bindparam("ref"))


def want(connection: Connection, refs: Iterable[str]) -> None:
    """Make those known that are not; in one order everywhere, so that two relays never wait for each other's rows."""
    if rows := [channel_row(Channel(ref=ref)) for ref in sorted(set(refs))]:
        connection.execute(insert_or_keep(connection, schema.channel, ("ref",)), rows)


def every(connection: Connection) -> tuple[Channel, ...]:
    """All spellings, by name."""
    return tuple(channel_of(row) for row in connection.execute(_ALL).mappings())


def due(connection: Connection) -> float | None:
    """When the first of them is to be asked about, as `Store.channel_due` promises."""
    at: float | None = connection.execute(_DUE).scalar_one()
    return at


def one(connection: Connection, ref: str) -> Channel:
    """The channel of that spelling, as it stands there."""
    return channel_of(connection.execute(_BY_REF, {"ref": ref}).mappings().one())


def home_of(connection: Connection, ref: str) -> Channel:
    """The channel of that spelling, by the row that speaks for it."""
    return channel_of(connection.execute(_HOME, {"ref": ref}).mappings().one())


def spellings(connection: Connection) -> dict[str, str]:
    """Those spellings that are another one's: ref -> canonical ref. An index holds just these: asking costs nothing."""
    return {row.ref: row.canonical_ref for row in connection.execute(_SPELLINGS)}
