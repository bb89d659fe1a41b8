"""Everything that is stored about one incident, for `relay incident`."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, select

from relay.store import mappers, schema
from relay.store.mappers import Row
from relay.store.types import IncidentHistory

T = TypeVar("T")

_ID: Any = bindparam("incident")
_INCIDENT = select(schema.incident).where(schema.incident.c.id == _ID)


def _of_incident(table: Table, columns: Iterable[ColumnElement[Any]] | None = None, order: str = "id") -> Select[Any]:
    return select(*(columns or table.c)).where(table.c.incident == _ID).order_by(table.c[order])


def _of_its_cards(table: Table) -> Select[Any]:
    of_card = schema.card.c.id == table.c.card
    return select(table).join(schema.card, of_card).where(schema.card.c.incident == _ID).order_by(table.c.id)


_SHARES = _of_incident(schema.share, [column for column in schema.share.c if column.name != "body"])
_ENTRIES = _of_incident(schema.entry, order="seq")
_TASKS = _of_incident(schema.bigpanda_task)
_CARDS = _of_incident(schema.card)
_ATTEMPTS, _CALLS = _of_its_cards(schema.attempt), _of_its_cards(schema.call)


def incident_history(connection: Connection, incident: str) -> IncidentHistory | None:
    """Return everything about an incident except the bodies of its shares; None if it is unknown."""
    row = connection.execute(_INCIDENT, {"incident": incident}).mappings().one_or_none()
    if row is None:
        return None
    return IncidentHistory(
        state=mappers.to_incident_state(row),
        shares=_all(connection, _SHARES, incident, mappers.to_share_summary),
        entries=_all(connection, _ENTRIES, incident, mappers.to_entry),
        cards=_all(connection, _CARDS, incident, mappers.to_card),
        attempts=_by_card(connection, _ATTEMPTS, incident, mappers.to_attempt),
        calls=_by_card(connection, _CALLS, incident, mappers.to_call),
        tasks=_all(connection, _TASKS, incident, mappers.to_task),
    )


def _all(connection: Connection, statement: Select[Any], incident: str, read: Callable[[Row], T]) -> tuple[T, ...]:
    return tuple(read(row) for row in connection.execute(statement, {"incident": incident}).mappings())


def _by_card(
    connection: Connection, statement: Select[Any], incident: str, read: Callable[[Row], T]
) -> dict[int, tuple[T, ...]]:
    by_card: dict[int, list[T]] = defaultdict(list)
    for row in connection.execute(statement, {"incident": incident}).mappings():
        by_card[row["card"]].append(read(row))
    return {card: tuple(each) for card, each in by_card.items()}
