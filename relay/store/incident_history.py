"""Everything that is stored about one incident, for `relay incident`."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, bindparam, func, select

from relay.cards.model import ADOPTING, Card, IncidentState
from relay.model.outside_text import clean_text
from relay.model.record import Record
from relay.model.struct import replace
from relay.store import mappers, schema
from relay.store.adoption import unread_channels
from relay.store.channels import canonical_channel
from relay.store.mappers import Row
from relay.store.types import IncidentHistory

T = TypeVar("T")

_ID: Any = bindparam("incident")
_INCIDENT = select(schema.incident).where(schema.incident.c.id == _ID)


MOST = 500
"""Rows of each table that are read, the newest: an incident may have been shared every second for days."""


def _of_incident(table: Table, columns: Iterable[ColumnElement[Any]] | None = None, order: str = "id") -> Select[Any]:
    return select(*(columns or table.c)).where(table.c.incident == _ID).order_by(table.c[order].desc())


def _of_its_cards(table: Table) -> Select[Any]:
    of_card = schema.card.c.id == table.c.card
    return select(table).join(schema.card, of_card).where(schema.card.c.incident == _ID).order_by(table.c.id.desc())


_SHARES = _of_incident(schema.share, [column for column in schema.share.c if column.name != "body"])
_ENTRIES = _of_incident(schema.entry, order="seq")
_TASKS = _of_incident(schema.bigpanda_task)
_CARDS = _of_incident(schema.card)
_AT = select(schema.card.c.incident).where(
    schema.card.c.ts == bindparam("ts"), schema.card.c.slack_channel == bindparam("slack_channel")
)
_ATTEMPTS, _CALLS = _of_its_cards(schema.attempt), _of_its_cards(schema.call)
_DEAD_LETTERS = _of_its_cards(schema.dead_letter)


def incident_history(connection: Connection, incident: str) -> IncidentHistory | None:
    """Return everything about an incident but its shares' bodies, the newest `MOST` of each; None if it is unknown."""
    if clean_text(incident) != incident:  # no incident has such an id, and PostgreSQL does not accept it
        return None
    row = connection.execute(_INCIDENT, {"incident": incident}).mappings().one_or_none()
    newest = _Newest(connection, incident)
    if row is None and not newest.any_share():
        return None
    return IncidentHistory(
        # Without a row, all its shares are in the inbox.
        state=mappers.to_incident_state(row) if row else IncidentState(record=Record(incident=incident)),
        shares=newest.all("shares", _SHARES, mappers.to_share_summary),
        entries=newest.all("entries", _ENTRIES, mappers.to_entry),
        cards=_with_reasons(connection, newest.all("cards", _CARDS, mappers.to_card)),
        attempts=newest.by_card("attempts", _ATTEMPTS, mappers.to_attempt),
        calls=newest.by_card("calls", _CALLS, mappers.to_call),
        tasks=newest.all("tasks", _TASKS, mappers.to_task),
        dead_letters=newest.all("dead_letters", _DEAD_LETTERS, mappers.to_dead_letter),
        omitted=newest.omitted,
    )


def _with_reasons(connection: Connection, cards: tuple[Card, ...]) -> tuple[Card, ...]:
    """Mark each card that waits until its channel was read."""
    unread = {channel.ref for channel in unread_channels(connection)}
    return tuple(
        replace(card, reason=ADOPTING)
        if card.post and canonical_channel(connection, card.channel).ref in unread
        else card
        for card in cards
    )


def incident_at(connection: Connection, slack_channel: str, ts: str) -> str | None:
    """Return the incident whose card is this message (Slack's channel id, and the `ts`), also a former card."""
    found = connection.execute(_AT, {"slack_channel": slack_channel, "ts": ts}).scalars().first()
    return None if found is None else str(found)


@dataclass(frozen=True, slots=True)
class _Newest:
    """Reads the newest rows of an incident, oldest first, and counts in `omitted` those that it does not read."""

    connection: Connection
    incident: str
    omitted: dict[str, int] = field(default_factory=dict)

    def all(self, name: str, statement: Select[Any], read: Callable[[Row], T]) -> tuple[T, ...]:
        return tuple(read(row) for row in self._rows(name, statement))

    def any_share(self) -> bool:
        return self.connection.execute(_SHARES.limit(1), {"incident": self.incident}).first() is not None

    def by_card(self, name: str, statement: Select[Any], read: Callable[[Row], T]) -> dict[int, tuple[T, ...]]:
        by_card: dict[int, list[T]] = defaultdict(list)
        for row in self._rows(name, statement):
            by_card[row["card"]].append(read(row))
        return {card: tuple(each) for card, each in by_card.items()}

    def _rows(self, name: str, statement: Select[Any]) -> list[Row]:
        query = {"incident": self.incident}
        rows: list[Row] = list(self.connection.execute(statement.limit(MOST), query).mappings())
        if len(rows) == MOST:
            count = select(func.count()).select_from(statement.order_by(None).subquery())
            if more := self.connection.execute(count, query).scalar_one() - MOST:
                self.omitted[name] = more
        return rows[::-1]
