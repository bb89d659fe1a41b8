"""Mutes, as people have made them."""

from typing import Any

from sqlalchemy import Connection, Select, bindparam, select

from relay.cards.eligibility import Work
from relay.cards.mutes import Mute
from relay.model.incident import State
from relay.model.struct import replace
from relay.store import schema
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.mappers import dumps, loads
from relay.store.notify import notify
from relay.store.upsert import insert_or_keep

_mute = schema.mute
_NOT_OVER = select(_mute).where(_mute.c.end_at > bindparam("after")).order_by(_mute.c.id)
_ONE = select(_mute).where(_mute.c.id == bindparam("which"))
_OF_KEY = select(_mute).where(_mute.c.key == bindparam("of_key"))


def add_mute(connection: Connection, mute: Mute, key: str | None = None) -> Mute:
    """Store a mute; return it with its number.

    `key` names what a person did to make it: if it has made a mute already, that one is returned as it is now.
    """
    values = {
        "key": key,
        "match_text": mute.match,
        "incident": mute.incident,
        "routes": dumps(mute.routes),
        "start_at": mute.start,
        "end_at": mute.end,
        "reason": mute.reason,
        "author": mute.author,
        "origin": mute.origin,
        "unless": mute.unless,
        "created": mute.created,
        "ended_by": "",
        "applied": "",
    }
    statement = insert_or_keep(connection, _mute, ("key",), returning=("id",))
    number: int | None = connection.execute(statement, values).scalar_one_or_none()
    if number is None:
        return to_mute(connection.execute(_OF_KEY, {"of_key": key}).mappings().one())
    leave(connection, {Work.MUTE})
    notify(connection)
    return replace(mute, id=number)


def mute_with_key(connection: Connection, key: str) -> Mute | None:
    """Return the mute that was made with this key; None if there is none."""
    return _found(connection, _OF_KEY, of_key=key)


def mutes_after(connection: Connection, after: float) -> tuple[Mute, ...]:
    """Return the mutes that end after that time (Unix seconds), also those that have not begun."""
    return tuple(to_mute(row) for row in execute(connection, _NOT_OVER, {"after": after}).mappings())


def mute(connection: Connection, number: int) -> Mute | None:
    """Return a mute, also one that is over."""
    return _found(connection, _ONE, which=number)


def _found(connection: Connection, statement: Select[Any], **values: object) -> Mute | None:
    row = connection.execute(statement, values).mappings().one_or_none()
    return None if row is None else to_mute(row)


def to_mute(row: Any) -> Mute:
    """Read a row."""
    return Mute(
        id=row["id"],
        match=row["match_text"],
        incident=row["incident"],
        routes=tuple(loads(row["routes"])),
        start=row["start_at"],
        end=row["end_at"],
        reason=row["reason"],
        author=row["author"],
        origin=row["origin"],
        unless=None if row["unless"] is None else State(row["unless"]),
        created=row["created"],
        ended_by=row["ended_by"],
    )
