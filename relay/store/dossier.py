"""All that is kept of one incident, for people: `relay incident`, and whatever reads recorded shares again."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, bindparam, select

from relay.store import schema
from relay.store.mappers import (
    Row,
    attempt_of,
    call_of,
    card_of,
    entry_of,
    errand_of,
    share_body_of,
    share_line_of,
    story_of,
)
from relay.store.types import IncidentHistory, ShareBody

T = TypeVar("T")

_ASKED: Any = bindparam("incident")
_STORY = select(schema.incident).where(schema.incident.c.id == _ASKED)
_SHARES = (
    select(*(column for column in schema.share.c if column.name != "body"))
    .where(schema.share.c.incident == _ASKED)
    .order_by(schema.share.c.id)
)
_BODIES = (
    select(*schema.share.c["id", "received", "headers", "body"])
    .where(schema.share.c.incident == _ASKED)
    .order_by(schema.share.c.id)
)
_ENTRIES = select(schema.entry).where(schema.entry.c.incident == _ASKED).order_by(schema.entry.c.seq)
_ERRANDS = (
    select(schema.bigpanda_task).where(schema.bigpanda_task.c.incident == _ASKED).order_by(schema.bigpanda_task.c.id)
)
_CARDS = select(schema.card).where(schema.card.c.incident == _ASKED).order_by(schema.card.c.id)


def story(connection: Connection, incident: str) -> IncidentHistory | None:
    """Everything but the bodies; None where no such incident is known."""
    asked = {"incident": incident}
    row = connection.execute(_STORY, asked).mappings().one_or_none()
    if row is None:
        return None
    return IncidentHistory(
        state=story_of(row),
        shares=_all(connection, _SHARES, incident, share_line_of),
        entries=_all(connection, _ENTRIES, incident, entry_of),
        cards=_all(connection, _CARDS, incident, card_of),
        attempts=_by_card(connection, _of_cards(schema.attempt), incident, attempt_of),
        calls=_by_card(connection, _of_cards(schema.call), incident, call_of),
        tasks=_all(connection, _ERRANDS, incident, errand_of),
    )


def share_bodies(connection: Connection, incident: str) -> tuple[ShareBody, ...]:
    """The shares of an incident as they were sent, in the order in which they came."""
    return _all(connection, _BODIES, incident, share_body_of)


def _all(connection: Connection, statement: Select[Any], incident: str, read: Callable[[Row], T]) -> tuple[T, ...]:
    return tuple(read(row) for row in connection.execute(statement, {"incident": incident}).mappings())


def _by_card(
    connection: Connection, statement: Select[Any], incident: str, read: Callable[[Row], T]
) -> dict[int, tuple[T, ...]]:
    found: dict[int, list[T]] = defaultdict(list)
    for row in connection.execute(statement, {"incident": incident}).mappings():
        found[row["card"]].append(read(row))
    return {card: tuple(each) for card, each in found.items()}


def _of_cards(table: Any) -> Select[Any]:
    return (
        select(table)
        .join(schema.card, schema.card.c.id == table.c.card)
        .where(schema.card.c.incident == _ASKED)
        .order_by(table.c.id)
    )
