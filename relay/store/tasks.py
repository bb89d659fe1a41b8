"""What BigPanda is to be told or asked: kept as it is asked for, begun and settled one by one."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, text, update

from relay.cards.model import AttemptState, Card, CardState, IncidentState, Task, TaskKind
from relay.cards.staleness import StalenessUpdate
from relay.cards.tasks import TaskContext, TaskUpdate, is_card_settled, recover_interrupted
from relay.store import schema
from relay.store.locks import check_lease
from relay.store.mappers import card_of, errand_of, errand_row, record_text
from relay.store.notify import ring
from relay.store.rows import followed, stories, write_cards
from relay.store.types import Lease
from relay.store.upsert import insert_or_keep

_errand, _incident, _card = schema.bigpanda_task, schema.incident, schema.card
_NOW: Any = bindparam("now")


def ask(connection: Connection, errands: Iterable[Task]) -> set[str]:
    """Keep errands that are new, by their keys; returns the keys of those that were."""
    rows = [errand_row(errand) for errand in errands]
    if not rows:
        return set()
    made = {
        row.key for row in connection.execute(insert_or_keep(connection, _errand, ("key",), returning=("key",)), rows)
    }
    if made:
        ring(connection)
    return made


def due(connection: Connection, now: float, skip: Collection[str]) -> TaskContext | float | None:
    """The errand that is the most urgent, of an incident not in `skip`; else when the next will be (None: never).

    People's come first, then callbacks, then checks; of each the one that has been due longest.
    """
    row = connection.execute(_DUE, {"now": now, "skip": list(skip)}).mappings().first()
    if row is None:
        return connection.execute(_LATER, {"now": now}).scalar()
    return _matter(connection, errand_of(row))


def settle(
    connection: Connection, key: str, finish: Callable[[TaskContext], TaskUpdate | None], lease: Lease | None
) -> TaskContext | None:
    """Write down what was decided about an open errand; None where it is open no more, or `finish` wants nothing."""
    check_lease(connection, lease)
    incident = connection.execute(_INCIDENT_OF, {"key": key}).scalar_one_or_none()
    if incident is None:
        return None
    story = stories(connection, [incident])[incident]
    # Read again behind the incident's lock: another relay may have settled it meanwhile.
    row = connection.execute(_BY_KEY, {"key": key}).mappings().one()
    matter = TaskContext(task=errand_of(row), incident_state=story, cards=tuple(followed(connection, [incident])))
    dealt = finish(matter) if matter.task.state.open else None
    if dealt is None:
        return None
    _write(connection, dealt.task)
    story = _written(connection, story, dealt.incident_state)
    cards = write_cards(connection, dealt.cards)
    ask(connection, dealt.follow_ups)
    return replace(matter, task=dealt.task, incident_state=story, cards=tuple(cards) or matter.cards)


def next_silent(
    connection: Connection,
    now: float,
    judge: Callable[[IncidentState, Sequence[Card]], StalenessUpdate],
    lease: Lease | None,
) -> str | float | None:
    """Deal with the incident that has been silent for too long the longest; its id, else when the next will be."""
    check_lease(connection, lease)
    found = connection.execute(_SILENT, {"now": now}).scalar()
    if found is None:
        return connection.execute(_SILENT_LATER).scalar()
    story = stories(connection, [found])[found]
    if story.stale_at is None or story.stale_at > now:  # a share came in before the lock
        return str(found)
    kept, cards, asked = judge(story, followed(connection, [found]))
    _written(connection, story, kept)
    write_cards(connection, cards)
    ask(connection, asked)
    ring(connection)
    return str(found)


def recover(connection: Connection, now: float, lease: Lease | None) -> int:
    """Look again at what nobody is about any more, as `Store.recover_errands` promises."""
    check_lease(connection, lease)
    rows = connection.execute(_TRYING).mappings().all()
    for row in rows:
        errand = recover_interrupted(errand_of(row), now)
        _write(connection, errand)
    return len(rows)


def callbacks_due(connection: Connection, incident: str, before: Iterable[Card], after: Sequence[Card]) -> None:
    """Make the callbacks of an incident due, once it is settled what becomes of its first card."""
    if is_card_settled(after) and not is_card_settled(list(before)):
        connection.execute(_CALL_BACK_NOW, {"of_incident": incident})


def card_at(connection: Connection, slack_channel: str, ts: str, incident: str) -> Card | None:
    """The card that is this message; or may be, since it is in that channel and nobody knows yet where."""
    row = connection.execute(_CARD_AT, {"slack_channel": slack_channel, "ts": ts}).mappings().first()
    if row is None and incident:
        row = connection.execute(_CARD_IN, {"slack_channel": slack_channel, "incident": incident}).mappings().first()
    return None if row is None else card_of(row)


def story(connection: Connection, incident: str) -> IncidentState | None:
    """The story of an incident, as it is now."""
    return stories(connection, [incident]).get(incident)


def waiting(connection: Connection, now: float) -> tuple[int, float]:
    """How many errands are due, and how long ago the oldest of those that are open was asked for.

    Not since when it has been due: that begins anew with each try.
    """
    number, oldest = connection.execute(_WAITING, {"now": now}).one()
    return number or 0, max(0.0, now - oldest) if oldest is not None else 0.0


def _write(connection: Connection, errand: Task) -> None:
    row = errand_row(errand)
    connection.execute(_WRITE, {"which": errand.key, **{f"new_{name}": row[name] for name in _CHANGING}})


def _matter(connection: Connection, errand: Task) -> TaskContext:
    known = stories(connection, [errand.incident])[errand.incident]
    return TaskContext(task=errand, incident_state=known, cards=tuple(followed(connection, [errand.incident])))


def _written(connection: Connection, before: IncidentState, after: IncidentState | None) -> IncidentState:
    if after is None or after == before:
        return before
    record = record_text(after.record)
    connection.execute(
        _WRITE_STORY,
        {
            "which": after.record.incident,
            "now_record": record,
            "now_ended": after.ended_at,
            "now_stale": after.stale_at,
        },
    )
    return after


_RANK = case((_errand.c.kind == TaskKind.CHECK, 2), (_errand.c.kind == TaskKind.CALLBACK, 1), else_=0)
"""What people wait for comes first, then what BigPanda waits for: after an outage there may be thousands of checks."""
_DUE = (
    select(_errand)
    .where(_errand.c.due_at.is_not(None), _errand.c.due_at <= _NOW)
    .where(_errand.c.incident.not_in(bindparam("skip", expanding=True)))
    .order_by(_RANK, _errand.c.due_at, _errand.c.id)
    .limit(1)
)
_LATER = select(func.min(_errand.c.due_at)).where(_errand.c.due_at.is_not(None), _errand.c.due_at > _NOW)
_WAITING = select(func.sum(case((_errand.c.due_at <= _NOW, 1), else_=0)), func.min(_errand.c.created)).where(
    _errand.c.due_at.is_not(None)
)
_INCIDENT_OF = select(_errand.c.incident).where(_errand.c.key == bindparam("key"))
_BY_KEY = select(_errand).where(_errand.c.key == bindparam("key"))
_TRYING = select(_errand).where(text(f"bigpanda_task.state = '{AttemptState.IN_FLIGHT}'"))
"""In the words of the index, since SQLite uses a partial one for nothing less."""
_CHANGING = ("payload", "state", "reason", "due_at", "tries")
_WRITE = (
    update(_errand)
    .where(_errand.c.key == bindparam("which"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
_CALL_BACK_NOW = (
    update(_errand)
    .where(
        _errand.c.incident == bindparam("of_incident"),
        _errand.c.kind == TaskKind.CALLBACK,
        _errand.c.state == AttemptState.WAITING,
        _errand.c.tries == 0,
    )
    .values(due_at=_errand.c.created)
)
_WRITE_STORY = (
    update(_incident)
    .where(_incident.c.id == bindparam("which"))
    .values(record=bindparam("now_record"), ended_at=bindparam("now_ended"), stale_at=bindparam("now_stale"))
)
_SILENT = (
    select(_incident.c.id)
    .where(_incident.c.stale_at.is_not(None), _incident.c.stale_at <= _NOW)
    .order_by(_incident.c.stale_at)
    .limit(1)
)
_SILENT_LATER = select(func.min(_incident.c.stale_at)).where(_incident.c.stale_at.is_not(None))
_CARD_AT = select(_card).where(
    _card.c.slack_channel == bindparam("slack_channel"),
    _card.c.ts == bindparam("ts"),
    _card.c.state == CardState.POSTED,
)
_CARD_IN = (
    select(_card)
    .select_from(_card.join(schema.channel, schema.channel.c.ref == _card.c.channel))
    .where(
        _card.c.incident == bindparam("incident"),
        schema.channel.c.slack_id == bindparam("slack_channel"),
        _card.c.ts.is_(None),
        _card.c.state.in_((CardState.POSTING, CardState.IN_DOUBT)),
    )
)
"""Somebody may press a button before relay knows that the card is there: its answer may be lost."""
