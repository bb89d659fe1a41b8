"""Deletes old data in batches: shares, the details of ended incidents, Slack's answers.

A wrong clock must not cost the history: one run deletes at most the oldest day of each.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Integer,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from relay.cards.bulletins import KINDS
from relay.model.record import Record
from relay.store import schema
from relay.store.locks import lock_bulletins, lock_incidents
from relay.store.mappers import record_text, to_record

T = TypeVar("T")

DAY = 86_400.0
CALL_DAYS = 7.0
"""How long Slack's answers are stored."""
BATCH_SIZE = 500
"""Rows deleted in one transaction, so that nothing else waits for long."""
INCIDENT_BATCH_SIZE = 50
"""Incidents reduced in one transaction: each has many rows."""

_incident, _card, _attempt, _share, _call = schema.incident, schema.card, schema.attempt, schema.share, schema.call
_task = schema.bigpanda_task
_END_WITH_LINES = [kind for kind, row in KINDS.items() if row.ends_with_lines]


class Cutoffs(NamedTuple):
    """The moments before which shares, ended incidents, calls and bulletins are deleted.

    An incident with a share after `quiet_since` stays, even if it ended before `incidents`.
    """

    shares: float
    incidents: float
    calls: float
    bulletins: float
    quiet_since: float


def cutoff(now: float, days: float, oldest: float | None) -> float:
    """Return `days` ago, but at most a day after the oldest, if there is any."""
    return min(now - days * DAY, math.inf if oldest is None else oldest + DAY)


def find_cutoffs(connection: Connection, now: float, days: float) -> Cutoffs:
    """Find the cutoffs of one run. An incident that cannot be deleted yet does not stop the others."""
    quiet_since = now - days * DAY
    ended = connection.execute(_OLDEST_ENDED, {"quiet_since": quiet_since}).scalar()
    return Cutoffs(
        shares=cutoff(now, days, connection.execute(_OLDEST_SHARE).scalar()),
        incidents=cutoff(now, days, ended),
        calls=cutoff(now, CALL_DAYS, connection.execute(_OLDEST_CALL).scalar()),
        bulletins=cutoff(now, days, connection.execute(_OLDEST_BULLETIN).scalar()),
        quiet_since=quiet_since,
    )


def delete_shares(connection: Connection, before: float) -> int:
    """Delete one batch of the planned shares received before then; return how many."""
    return _delete_oldest(connection, _share, _share.c.received, before, _PLANNED)


def delete_calls(connection: Connection, before: float) -> int:
    """Delete one batch of the calls made before then; return how many."""
    return _delete_oldest(connection, _call, _call.c.at, before)


def reduce_incidents(
    connection: Connection, before: float, quiet_since: float, stub: Callable[[Record], Record]
) -> tuple[int, int]:
    """Reduce one batch of the incidents that ended before then to stubs; return how many, and their deleted shares.

    An incident that is still active in relay (a share after `quiet_since`, due work, an open attempt) stays. An
    incident with more shares than a batch loses one batch of them, and is reduced after the last one.
    """
    limits = {"before": before, "quiet_since": quiet_since, "most": INCIDENT_BATCH_SIZE}
    ids = list(connection.execute(ENDED, limits).scalars())
    lock_incidents(connection, ids)
    # Again behind the lock: a share may have been accepted meanwhile, and its work needs the entries.
    ended = list(connection.execute(_ENDED_RECORDS, limits | {"ids": ids}).mappings())
    if not ended:
        return 0, 0
    reduced = {"ids": [row["id"] for row in ended]}
    deleted = connection.execute(_DELETE_SHARES, reduced | {"batch": BATCH_SIZE}).rowcount
    if deleted == BATCH_SIZE:
        return 0, deleted
    stubs = [{"which": row["id"], "stub_record": record_text(stub(to_record(row["record"])))} for row in ended]
    connection.execute(_SAVE_STUB, stubs)
    for statement in _DELETE_DETAILS:
        connection.execute(statement, reduced)
    return len(ended), deleted


def delete_bulletins(connection: Connection, before: float) -> int:
    """Delete one batch of the bulletins that are over since before then; return how many. Their messages stay."""
    ids = list(connection.execute(_OLD_BULLETINS, {"before": before, "most": INCIDENT_BATCH_SIZE}).scalars())
    lock_bulletins(connection, ids)
    for statement in _DELETE_BULLETINS:
        connection.execute(statement, {"ids": ids})
    return len(ids)


def _delete_oldest(
    connection: Connection, table: Table, moment: ColumnElement[float], before: float, *only: ColumnElement[bool]
) -> int:
    old = select(table.c.id).where(moment < before, *only).order_by(moment).limit(BATCH_SIZE)
    return connection.execute(delete(table).where(table.c.id.in_(old))).rowcount


def _ended(column: ColumnElement[T], *conditions: ColumnElement[bool]) -> Select[T]:
    """The ended incidents that are no stubs yet and have no work left, the oldest first."""
    due_card = exists().where(
        _card.c.incident == _incident.c.id, or_(_card.c.post_due.is_not(None), _card.c.edit_due.is_not(None))
    )
    open_attempt = (
        exists()
        .select_from(_attempt.join(_card, _card.c.id == _attempt.c.card))
        .where(_card.c.incident == _incident.c.id, schema.IS_OPEN)
    )
    due_task = exists().where(_task.c.incident == _incident.c.id, _task.c.due_at.is_not(None))
    quiet = _incident.c.last_share_at < bindparam("quiet_since")
    return (
        select(column)
        .where(schema.IS_ENDED, quiet, ~due_card, ~open_attempt, ~due_task, *conditions)
        .order_by(_incident.c.ended_at)
    )


def _of_incidents(table: Table) -> Delete:
    return delete(table).where(table.c.incident.in_(_IDS))


def _of_cards(table: Table) -> Delete:
    return delete(table).where(table.c.card.in_(select(_card.c.id).where(_card.c.incident.in_(_IDS))))


_IDS: Any = bindparam("ids", expanding=True)
_PLANNED = _share.c.planned_at.is_not(None)
_OLDEST_SHARE = select(func.min(_share.c.received)).where(_PLANNED)
_OLDEST_CALL = select(func.min(_call.c.at))
_BEFORE = _incident.c.ended_at < bindparam("before")
_OLDEST_ENDED = _ended(_incident.c.ended_at).limit(1)
ENDED = _ended(_incident.c.id, _BEFORE).limit(bindparam("most", type_=Integer))
_ENDED_RECORDS = _ended(_incident.c.id, _BEFORE, _incident.c.id.in_(_IDS)).add_columns(_incident.c.record)
_SAVE_STUB = (
    update(_incident).where(_incident.c.id == bindparam("which")).values(stub=True, record=bindparam("stub_record"))
)
_DELETE_DETAILS = (_of_incidents(schema.entry), _of_cards(_call), _of_cards(_attempt), _of_incidents(_task))
_OLD_SHARES = select(_share.c.id).where(_share.c.incident.in_(_IDS), _PLANNED).limit(bindparam("batch", type_=Integer))
_DELETE_SHARES = delete(_share).where(_share.c.id.in_(_OLD_SHARES))
_bulletin = schema.bulletin
_OPEN_LETTER = (
    exists()
    .select_from(schema.dead_letter.join(_card, _card.c.id == schema.dead_letter.c.card))
    .where(_card.c.bulletin == _bulletin.c.id, schema.dead_letter.c.closed_at.is_(None))
)
_AGED_SINCE: ColumnElement[float] = func.coalesce(_bulletin.c.closed_at, _bulletin.c.opened_at)
_AGING = (or_(_bulletin.c.closed_at.is_not(None), _bulletin.c.kind.in_(_END_WITH_LINES)), ~_OPEN_LETTER)
"""Those that are over; also those that list what was open at a moment, though some of it still is."""
_OLDEST_BULLETIN = select(func.min(_AGED_SINCE)).where(*_AGING)
_OLD_BULLETINS = (
    select(_bulletin.c.id)
    .where(*_AGING, bindparam("before") > _AGED_SINCE)
    .order_by(_bulletin.c.id)
    .limit(bindparam("most", type_=Integer))
)
_CARDS_OF_BULLETINS = select(_card.c.id).where(_card.c.bulletin.in_(_IDS))
_DELETE_BULLETINS = (
    delete(schema.bulletin_line).where(schema.bulletin_line.c.bulletin.in_(_IDS)),
    *(delete(table).where(table.c.card.in_(_CARDS_OF_BULLETINS)) for table in (_attempt, _call, schema.dead_letter)),
    delete(_card).where(_card.c.bulletin.in_(_IDS)),
    delete(_bulletin).where(_bulletin.c.id.in_(_IDS)),
)
