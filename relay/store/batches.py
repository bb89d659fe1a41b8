"""Batches: what a storm card lists, and the tasks that one press starts for it."""

from collections.abc import Collection

from sqlalchemy import Connection, and_, bindparam, select, text, union

from relay.cards.batches import (
    Batch,
    BatchProgress,
    OfferedIncident,
    batch_line,
    batch_task,
)
from relay.cards.model import AttemptState, Card, CardState, TaskKind
from relay.model.incident import State
from relay.model.record import Record
from relay.model.struct import Struct
from relay.store import schema
from relay.store.bulletins import change_lines
from relay.store.channels import of_channel
from relay.store.locks import lock_bulletins, lock_incidents
from relay.store.mappers import loads, to_card, to_record
from relay.store.tasks import add_tasks

_incident = schema.incident
_bulletin, _line, _card, _task = schema.bulletin, schema.bulletin_line, schema.card, schema.bigpanda_task
_OF_BULLETIN = _line.c.bulletin == bindparam("of")
_BY_ID = select(_bulletin).where(_bulletin.c.id == bindparam("of"))
_WAITING_CARD = and_(
    _card.c.incident == _line.c.incident,
    _card.c.episode == _line.c.episode,
    of_channel(_card.c.channel),
    _card.c.state != CardState.SUPERSEDED,
)
_LISTED = (
    select(_line.c.seq, _line.c.state, _line.c.data, _line.c.incident, _card.c.id.label("card"), _card.c.route)
    .select_from(_line.join(_card, _WAITING_CARD))
    .where(_OF_BULLETIN, _line.c.incident != "", schema.IS_OPEN_LINE)
    .order_by(_line.c.seq, _card.c.id)
)
_CARDS = select(_card).where(_card.c.id.in_(bindparam("ids", expanding=True)))
_RECORDS = select(_incident.c.id, _incident.c.record).where(_incident.c.id.in_(bindparam("ids", expanding=True)))
IN_PROGRESS = union(
    *(
        select(_task.c.incident).where(_task.c.kind == TaskKind.ASSIGN, text(f"bigpanda_task.{condition}"))
        for condition in ("due_at IS NOT NULL", f"state = '{AttemptState.IN_FLIGHT}'")
    )
)
"""The exact conditions of the partial indexes: SQLite uses them for no others."""
_CHOSEN = (
    select(_line.c.seq, _line.c.state, _line.c.incident, _card.c.channel)
    .select_from(_line.join(_card, _WAITING_CARD))
    .where(_OF_BULLETIN, _line.c.incident != "", _line.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(_line.c.seq, _card.c.id)
)


class Listed(Struct, frozen=True, kw_only=True):
    """What a storm card lists: its incidents, and one of the waiting cards of each route."""

    incidents: tuple[OfferedIncident, ...] = ()
    cards: tuple[Card, ...] = ()


def listed_incidents(connection: Connection, bulletin: int) -> Listed:
    """Return the open incidents that the storm card with this id lists."""
    storm = connection.execute(_BY_ID, {"of": bulletin}).mappings().one_or_none()
    if storm is None:
        return Listed()
    query = {"of": bulletin, "channel": storm["channel"]}
    rows = {row.seq: row for row in connection.execute(_LISTED, query)}
    awaited = set(connection.execute(IN_PROGRESS).scalars()) if rows else set()
    incidents = tuple(
        OfferedIncident(
            seq=row.seq,
            incident=row.incident,
            state=State(row.state),
            owner=str(loads(row.data).get("owner") or ""),
            route=row.route,
            in_progress=row.incident in awaited,
        )
        for row in rows.values()
    )
    of_routes = {row.route: row.card for row in rows.values()}
    cards = connection.execute(_CARDS, {"ids": sorted(of_routes.values())}).mappings()
    return Listed(incidents=incidents, cards=tuple(to_card(row) for row in cards))


def current_records(connection: Connection, incidents: Collection[str]) -> dict[str, Record]:
    """Return what relay knows of these incidents now: a line may be older."""
    rows = connection.execute(_RECORDS, {"ids": sorted(incidents)}).mappings()
    return {row["id"]: to_record(row["record"]) for row in rows}


def add_batch(connection: Connection, batch: Batch) -> int:
    """Start the tasks of a batch, and say so in the thread of its storm card.

    Return how many there are; 0 if it was started before, or if nothing is left to do.
    """
    row = connection.execute(_BY_ID, {"of": batch.bulletin}).mappings().one_or_none()
    if row is None:
        return 0
    query = {"of": batch.bulletin, "channel": row["channel"], "seqs": batch.lines}
    chosen = {each.seq: each for each in connection.execute(_CHOSEN, query)}
    in_order = sorted(chosen.values(), key=lambda each: (-State(each.state).rank, each.seq))
    lock_incidents(connection, {each.incident for each in in_order})
    added = add_tasks(connection, [batch_task(batch, each.seq, each.incident, each.channel) for each in in_order])
    if not added:
        return 0
    line = batch_line(batch, BatchProgress(left=len(added)), [State(each.state) for each in in_order])
    lock_bulletins(connection, [batch.bulletin])
    change_lines(connection, batch.bulletin, [line], batch.at)
    return len(added)
