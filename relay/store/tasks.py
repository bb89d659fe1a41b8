"""What relay has to tell or ask BigPanda: tasks are saved before any call, then started and closed one by one."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, func, select, text, update

from relay.cards.bulletin_cards import lines_of_resolved
from relay.cards.eligibility import Work
from relay.cards.model import AttemptState, Card, IncidentState, Task, TaskKind
from relay.cards.staleness import StalenessUpdate
from relay.cards.tasks import (
    CHECK_AFTER,
    CHECK_FOR_REMINDER,
    TaskContext,
    TaskUpdate,
    is_card_settled,
    recover_interrupted,
)
from relay.model.struct import replace
from relay.store import schema
from relay.store.batch_progress import record_progress
from relay.store.bulletins import save_bulletin_changes
from relay.store.execution import execute
from relay.store.left_work import leave
from relay.store.locks import check_lease
from relay.store.mappers import record_text, task_row, to_task
from relay.store.notify import notify
from relay.store.rows import load_current_cards, load_incident_states, save_cards
from relay.store.types import IncidentContext, Lease
from relay.store.upsert import insert_or_keep

_task, _incident = schema.bigpanda_task, schema.incident
_NOW: Any = bindparam("now")


def add_tasks(connection: Connection, tasks: Collection[Task]) -> set[str]:
    """Add the tasks whose keys are new; return those keys."""
    if not tasks:
        return set()
    statement = insert_or_keep(connection, _task, ("key",), returning=("key",))
    added = {row.key for row in execute(connection, statement, [task_row(task) for task in tasks])}
    if added:
        leave(connection, [Work.TASK])
        notify(connection, anything=False)
    return added


def next_due_task(
    connection: Connection, now: float, *, skip: frozenset[str] = frozenset(), batches: bool = True
) -> TaskContext | float | None:
    """Return the most urgent due task, of an incident not in `skip`; else when one will be due (None: never).

    The order is: people's tasks and their checks, callbacks and checks before reminders, batches, other checks. Within
    each, the longest overdue task comes first. Without `batches`, what belongs to these is left out.
    """
    statement = _DUE if batches else _DUE_SINGLE
    row = execute(connection, statement, {"now": now, "skip": list(skip)}).mapping()
    if row is None:
        due_at: float | None = execute(connection, _NEXT_DUE, {"now": now}).scalar()
        return due_at
    task = to_task(row)
    return _task_context(connection, task, load_incident_states(connection, [task.incident])[task.incident])


def update_task(
    connection: Connection,
    key: str,
    decide: Callable[[TaskContext], TaskUpdate | None],
    *,
    now: float,
    lease: Lease | None = None,
) -> TaskContext | None:
    """Update an open task as `decide` says; return it as it is then. None if it was closed, or nothing is decided.

    A batch whose task is closed says so on its storm card.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    incident = execute(connection, _INCIDENT_OF, {"key": key}).scalar()
    if incident is None:
        return None
    state = load_incident_states(connection, [incident])[incident]
    # Read behind the incident's lock: another relay may have closed it meanwhile.
    (row,) = execute(connection, _BY_KEY, {"key": key}).mappings()
    task = to_task(row)
    if not task.state.open:
        return None
    context = _task_context(connection, task, state)
    task_update = decide(context)
    if task_update is None:
        return None
    _save_task(connection, task_update.task)
    _save_incident_state(connection, state, task_update.incident_state)
    cards = save_cards(connection, task_update.cards)
    add_tasks(connection, task_update.follow_ups)
    closed = task.state.open and not task_update.task.state.open
    if task.kind is TaskKind.CHECK and not task_update.task.state.open:
        _remind_after_answer(connection, incident)
    return replace(
        context,
        batch=record_progress(connection, task, now) if closed else None,
        task=task_update.task,
        incident_state=task_update.incident_state or state,
        cards=tuple(cards) or context.cards,
    )


def _remind_after_answer(connection: Connection, incident: str) -> None:
    """Look at once at the reminders for which BigPanda was asked: its answer is known now."""
    if execute(connection, _WAKE_REMINDERS, {"of_incident": incident}).rowcount:
        leave(connection, [Work.REMIND])


def recover_tasks(connection: Connection, now: float, lease: Lease | None = None) -> int:
    """Have the tasks that were interrupted done again, or searched for; return how many.

    Called by a relay that begins with tasks and has none in flight.

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    interrupted = connection.execute(_IN_FLIGHT).mappings().all()
    for row in interrupted:
        _save_task(connection, recover_interrupted(to_task(row), now))
    return len(interrupted)


def update_silent_incident(
    connection: Connection,
    now: float,
    decide: Callable[[IncidentContext], StalenessUpdate],
    *,
    lease: Lease | None = None,
) -> str | float | None:
    """Update the incident that has been without shares longest, if that is too long.

    Returns its id; else when the next one will have been silent for too long (None: never).

    Raises LeaseLost: another relay delivers now.
    """
    check_lease(connection, lease)
    incident: str | None = execute(connection, _SILENT, {"now": now}).scalar()
    if incident is None:
        silent_at: float | None = execute(connection, _NEXT_SILENT).scalar()
        return silent_at
    state = load_incident_states(connection, [incident])[incident]
    if state.stale_at is not None and state.stale_at <= now:  # else a share was accepted before the lock
        context = IncidentContext(incident_state=state, cards=tuple(load_current_cards(connection, [incident])))
        after, cards, tasks = decide(context)
        _save_incident_state(connection, state, after)
        save_cards(connection, cards)
        add_tasks(connection, tasks)
        notify(connection, anything=False)
    return incident


def make_callbacks_due(connection: Connection, incident: str, before: Iterable[Card], after: Sequence[Card]) -> None:
    """Make the callbacks of an incident due, once the result of its first card is known."""
    is_due = is_card_settled(after) and not is_card_settled(list(before))
    if is_due and execute(connection, _CALL_BACK_NOW, {"of_incident": incident}).rowcount:
        leave(connection, [Work.TASK])


def incident_state(connection: Connection, incident: str) -> IncidentState | None:
    """Return the state of an incident; None if it is unknown."""
    return load_incident_states(connection, [incident]).get(incident)


def open_tasks(connection: Connection, incident: str) -> list[Task]:
    """Return the tasks of an incident that are not closed."""
    rows = connection.execute(_OPEN_OF, {"incident": incident}).mappings()
    return [to_task(row) for row in rows]


def count_waiting(connection: Connection, now: float) -> tuple[int, float]:
    """Return how many tasks are due, and the age of the oldest open task in seconds.

    The age counts from its creation: its due time moves with each try.
    """
    number, oldest = connection.execute(_WAITING, {"now": now}).one()
    return number or 0, max(0.0, now - oldest) if oldest is not None else 0.0


def _task_context(connection: Connection, task: Task, state: IncidentState) -> TaskContext:
    cards = load_current_cards(connection, [task.incident])
    return TaskContext(task=task, incident_state=state, cards=tuple(cards))


def _save_task(connection: Connection, task: Task) -> None:
    row = task_row(task)
    execute(connection, _UPDATE, {"which": task.key, **{f"new_{name}": row[name] for name in _CHANGING}})


def _save_incident_state(connection: Connection, before: IncidentState, after: IncidentState | None) -> None:
    if after is not None and after != before:
        row = {"record": record_text(after.record), "ended_at": after.ended_at, "stale_at": after.stale_at}
        connection.execute(update(_incident).where(_incident.c.id == after.record.incident).values(row))
        if after.ended_at is not None and before.ended_at is None:
            save_bulletin_changes(connection, ended=[lines_of_resolved(after, after.ended_at)])


_RANK = case(
    (_task.c.batch.is_not(None), 2),
    (and_(_task.c.kind == TaskKind.CHECK, _task.c.key.like(f"%:{CHECK_FOR_REMINDER}%")), 1),
    (and_(_task.c.kind == TaskKind.CHECK, _task.c.key.not_like(f"%:{CHECK_AFTER}%")), 3),
    (_task.c.kind == TaskKind.CALLBACK, 1),
    else_=0,
)
"""What people wait for comes first, then what BigPanda and reminders wait for: there may be thousands of checks.

A person who takes two hundred incidents at once waits for none in particular."""
_DUE = (
    select(_task)
    .where(_task.c.due_at.is_not(None), _task.c.due_at <= _NOW)
    .where(_task.c.incident.not_in(bindparam("skip", expanding=True)))
    .order_by(_RANK, _task.c.due_at, _task.c.id)
    .limit(1)
)
_DUE_SINGLE = _DUE.where(_task.c.batch.is_(None))
_NEXT_DUE = select(func.min(_task.c.due_at)).where(_task.c.due_at.is_not(None), _task.c.due_at > _NOW)
_WAITING = select(func.sum(case((_task.c.due_at <= _NOW, 1), else_=0)), func.min(_task.c.created)).where(
    _task.c.due_at.is_not(None)
)
_INCIDENT_OF = select(_task.c.incident).where(_task.c.key == bindparam("key"))
_OPEN_OF = select(_task).where(
    _task.c.incident == bindparam("incident"), _task.c.state.in_([state for state in AttemptState if state.open])
)
_BY_KEY = select(_task).where(_task.c.key == bindparam("key"))
_IN_FLIGHT = select(_task).where(text(f"bigpanda_task.state = '{AttemptState.IN_FLIGHT}'"))
"""The exact condition of the partial index: SQLite uses it for no other."""
_CHANGING = ("payload", "state", "reason", "due_at", "tries")
_UPDATE = (
    update(_task)
    .where(_task.c.key == bindparam("which"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGING})
)
_CALL_BACK_NOW = (
    update(_task)
    .where(
        _task.c.incident == bindparam("of_incident"),
        _task.c.kind == TaskKind.CALLBACK,
        _task.c.state == AttemptState.WAITING,
        _task.c.tries == 0,
    )
    .values(due_at=_task.c.created)
)
_WAKE_REMINDERS = (
    update(schema.card)
    .where(
        schema.card.c.incident == bindparam("of_incident"),
        schema.card.c.reminder_asked_at.is_not(None),
        schema.card.c.reminder_due > schema.card.c.reminder_asked_at,
    )
    .values(reminder_due=schema.card.c.reminder_asked_at)
)
_SILENT = (
    select(_incident.c.id)
    .where(_incident.c.stale_at.is_not(None), _incident.c.stale_at <= _NOW)
    .order_by(_incident.c.stale_at)
    .limit(1)
)
_NEXT_SILENT = select(func.min(_incident.c.stale_at)).where(_incident.c.stale_at.is_not(None))
