"""What is old goes, a little at a time: shares, the inside of incidents that have ended, Slack's answers.

Whoever sets a clock wrong must not lose the history: one run takes no more than the oldest day of each.
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

from relay.model.record import Record
from relay.store import schema
from relay.store.locks import hold_incidents
from relay.store.mappers import record_of, record_text

T = TypeVar("T")

DAY = 86_400.0
CALL_DAYS = 7.0
"""How long Slack's answers are kept."""
PIECE = 500
"""Rows of one transaction: nothing else waits for long."""
INCIDENTS = 50
"""Incidents of one transaction: each has many rows."""

_incident, _card, _attempt, _share = schema.incident, schema.card, schema.attempt, schema.share


class Cutoffs(NamedTuple):
    """Before which moments shares, ended incidents and calls go."""

    shares: float
    incidents: float
    calls: float


def cutoff(now: float, days: float, oldest: float | None) -> float:
    """Before which moment things go: `days` ago, but at most a day after the oldest (where there is one)."""
    return min(now - days * DAY, math.inf if oldest is None else oldest + DAY)


def cutoffs(connection: Connection, now: float, days: float) -> Cutoffs:
    """The limits of one run. Incidents count from the oldest that can go, lest one that cannot stop all others."""
    ended = connection.execute(_OLDEST_ENDED, {"silent": now - days * DAY}).scalar()
    return Cutoffs(
        shares=cutoff(now, days, connection.execute(_OLDEST_SHARE).scalar()),
        incidents=cutoff(now, days, ended),
        calls=cutoff(now, CALL_DAYS, connection.execute(_OLDEST_CALL).scalar()),
    )


def drop_shares(connection: Connection, before: float) -> int:
    """Drop a piece of the shares received before then; returns how many."""
    return _drop_oldest(connection, _share, _share.c.received, before)


def drop_calls(connection: Connection, before: float) -> int:
    """Drop a piece of the calls made before then; returns how many."""
    return _drop_oldest(connection, schema.call, schema.call.c.at, before)


def slim_incidents(
    connection: Connection, before: float, silent: float, stub: Callable[[Record], Record]
) -> tuple[int, int]:
    """Slim a piece of the incidents that ended before then to stubs; returns how many, and how many shares went along.

    An incident that is still spoken of (a share since `silent`, work that is due, an open attempt) is left for later.
    Those that have more shares than make a piece lose a piece of these, and are slimmed when the last is gone.
    """
    limits = {"before": before, "silent": silent, "most": INCIDENTS}
    ids = list(connection.execute(_ENDED, limits).scalars())
    hold_incidents(connection, ids)
    # Once more under the lock: a share may have come meanwhile, and its work must not lose its entries.
    ended = list(connection.execute(_ENDED_RECORDS, limits | {"ids": ids}).mappings())
    if not ended:
        return 0, 0
    gone = {"ids": [row["id"] for row in ended]}
    dropped = connection.execute(_DROP_SHARES, gone | {"piece": PIECE}).rowcount
    if dropped == PIECE:
        return 0, dropped
    slim = [{"which": row["id"], "slim": record_text(stub(record_of(row["record"])))} for row in ended]
    connection.execute(_SLIM, slim)
    for statement in (_DROP_ENTRIES, _DROP_CALLS, _DROP_ATTEMPTS, _DROP_ERRANDS):
        connection.execute(statement, gone)
    return len(ended), dropped


def _drop_oldest(connection: Connection, table: Table, moment: ColumnElement[float], before: float) -> int:
    old = select(table.c.id).where(moment < before).order_by(moment).limit(PIECE)
    return connection.execute(delete(table).where(table.c.id.in_(old))).rowcount


def _ended(column: ColumnElement[T], *conditions: ColumnElement[bool]) -> Select[T]:
    """Ended, not slimmed yet (in the words of the index), and nothing of it is to be told any more; oldest first."""
    at_work = exists().where(
        _card.c.incident == _incident.c.id, or_(_card.c.post_due.is_not(None), _card.c.edit_due.is_not(None))
    )
    under_way = (
        exists()
        .select_from(_attempt.join(_card, _card.c.id == _attempt.c.card))
        .where(_card.c.incident == _incident.c.id, schema.IS_OPEN)
    )
    asked = exists().where(
        schema.bigpanda_task.c.incident == _incident.c.id, schema.bigpanda_task.c.due_at.is_not(None)
    )
    silent = _incident.c.last_share_at < bindparam("silent")
    return (
        select(column)
        .where(schema.IS_ENDED, silent, ~at_work, ~under_way, ~asked, *conditions)
        .order_by(_incident.c.ended_at)
    )


def _of_cards(table: Table) -> Delete:
    return delete(table).where(table.c.card.in_(select(_card.c.id).where(_card.c.incident.in_(_IDS))))


_IDS: Any = bindparam("ids", expanding=True)
_OLDEST_SHARE = select(func.min(_share.c.received))
_OLDEST_CALL = select(func.min(schema.call.c.at))
_BEFORE = _incident.c.ended_at < bindparam("before")
_OLDEST_ENDED = _ended(_incident.c.ended_at).limit(1)
_ENDED = _ended(_incident.c.id, _BEFORE).limit(bindparam("most", type_=Integer))
_ENDED_RECORDS = _ended(_incident.c.id, _BEFORE, _incident.c.id.in_(_IDS)).add_columns(_incident.c.record)
_SLIM = update(_incident).where(_incident.c.id == bindparam("which")).values(stub=True, record=bindparam("slim"))
_DROP_ENTRIES = delete(schema.entry).where(schema.entry.c.incident.in_(_IDS))
_DROP_ERRANDS = delete(schema.bigpanda_task).where(schema.bigpanda_task.c.incident.in_(_IDS))
_DROP_CALLS = _of_cards(schema.call)
_DROP_ATTEMPTS = _of_cards(_attempt)
_OLD_SHARES = select(_share.c.id).where(_share.c.incident.in_(_IDS)).limit(bindparam("piece", type_=Integer))
_DROP_SHARES = delete(_share).where(_share.c.id.in_(_OLD_SHARES))
