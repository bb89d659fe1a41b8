"""The inbox: shares that are stored and not planned yet.

A share is in the inbox while its `planned_at` is null. `plan_due` is when planning may begin (again); null means that
relay does not try by itself any more. While one relay plans a share, the due moment lies ahead, so that another relay
takes over if the first one dies.
"""

from collections.abc import Collection, Mapping
from math import inf
from typing import Any

from sqlalchemy import Connection, Integer, and_, bindparam, delete, func, or_, select, update

from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.cards.model import Plan
from relay.store import schema
from relay.store.execution import execute
from relay.store.mappers import to_received_share, to_share_body
from relay.store.notify import notify
from relay.store.planning import Decide, Planning, affordable, describe_error, has_work, in_order
from relay.store.types import AcceptedShare, FailedShare, ShareBody, UnplannedShare

CLAIM_SECONDS = 15.0
"""Seconds after which a share that a relay has in hand is due again: that relay has died."""

MAX_STARTS = 3
"""How often planning a share may end with the end of the process, before relay stops trying."""

SET_ASIDE = f"relay ended {MAX_STARTS} times while it planned this share; it does not try again by itself"
"""The error of a share that relay has stopped trying."""

FIRST_PAUSE, LONGEST_PAUSE = 10.0, 3600.0
"""Seconds between the tries to plan a share that failed: four times as many after each, up to an hour."""

MAX_FAILED_BYTES = 256 * 1024 * 1024
"""The limit for all stored bodies of failed shares together; beyond it, the oldest are deleted."""

_share = schema.share
_NOW: Any = bindparam("now")
_IDS: Any = bindparam("ids", expanding=True)
_FAILED = and_(schema.IS_UNPLANNED, _share.c.plan_error != "")

DUE = (
    select(*_share.c["id", "size"], _share.c.plan_starts.label("starts"))
    .where(_share.c.plan_due.is_not(None), _share.c.plan_due <= _NOW)
    .order_by(_share.c.plan_due, _share.c.id)
    .limit(bindparam("most", type_=Integer))
)
NEXT_DUE = select(func.min(_share.c.plan_due)).where(_share.c.plan_due > bindparam("after"))
_SHARES = (
    select(*_share.c["id", "incident", "hash", "received", "headers", "body"])
    .where(_share.c.id.in_(_IDS), schema.IS_UNPLANNED)
    .order_by(_share.c.id)
)
_INCIDENTS_OF = select(_share.c.id, _share.c.incident).where(_share.c.id.in_(_IDS), schema.IS_UNPLANNED)
_START = (
    update(_share)
    .where(_share.c.id.in_(_IDS), schema.IS_UNPLANNED)
    .values(plan_starts=_share.c.plan_starts + 1, plan_due=bindparam("until"))
)
_RENEW = (
    update(_share)
    .where(_share.c.id.in_(_IDS), schema.IS_UNPLANNED, _share.c.plan_due.is_not(None))
    .values(plan_due=bindparam("until"))
)
_EARLIER = select(
    func.max(_share.c.plan_tries),
    func.max(_share.c.plan_due).filter(_share.c.plan_starts == 0, _share.c.id.not_in(_IDS)),
).where(_FAILED, _share.c.incident == bindparam("which"))
_FAIL = (
    update(_share)
    .where(_share.c.id == bindparam("share_id"), schema.IS_UNPLANNED)
    .values(
        plan_tries=_share.c.plan_tries + 1,
        plan_starts=0,
        plan_error=bindparam("error"),
        plan_failed_by=bindparam("basis"),
    )
)
_PAUSE = (
    update(_share)
    .where(_share.c.id.in_(_IDS), _FAILED, _share.c.plan_due.is_not(None))
    .values(plan_due=bindparam("until"))
)
_SET_ASIDE = (
    update(_share)
    .where(
        schema.IS_UNPLANNED,
        _share.c.plan_starts >= MAX_STARTS,
        _share.c.plan_due.is_not(None),
        _share.c.plan_due <= _NOW,
    )
    .values(
        plan_due=None,
        plan_tries=_share.c.plan_tries + 1,
        plan_error=SET_ASIDE,
        plan_failed_by=bindparam("basis"),
    )
    .returning(_share.c.id)
)
_CHANGED = (
    update(_share)
    .where(
        _FAILED,
        _share.c.plan_failed_by != bindparam("basis"),
        or_(_share.c.plan_due.is_(None), _share.c.plan_due > _NOW),
    )
    .values(plan_due=_NOW, plan_starts=0)
)
_INTERRUPTED = (
    update(_share).where(schema.IS_UNPLANNED, _share.c.plan_error == "", _share.c.plan_due > _NOW).values(plan_due=_NOW)
)
_LIST = select(
    *_share.c["id", "incident", "received"],
    _share.c.plan_tries.label("tries"),
    _share.c.plan_error.label("error"),
    _share.c.plan_due.label("retry_at"),
).where(_FAILED)
COUNTS = select(func.count(), func.count().filter(_share.c.plan_error != ""), func.min(_share.c.received)).where(
    schema.IS_UNPLANNED
)


def due_shares(connection: Connection, now: float, most: int) -> tuple[UnplannedShare, ...]:
    """Return the shares of the inbox that are due, the longest due first."""
    return tuple(UnplannedShare(**row) for row in connection.execute(DUE, {"now": now, "most": most}).mappings())


def next_plan_due(connection: Connection, after: float) -> float | None:
    """Return when the next share of the inbox is due after that time (Unix seconds); None if none is."""
    due: float | None = connection.execute(NEXT_DUE, {"after": after}).scalar()
    return due


def start_planning(connection: Connection, ids: Collection[int], now: float) -> None:
    """Remember that planning these shares begins: if the process ends meanwhile, they are due again, and counted."""
    execute(connection, _START, {"ids": list(ids), "until": now + CLAIM_SECONDS})


def renew_claims(connection: Connection, ids: Collection[int], now: float) -> None:
    """Keep shares that this relay still plans from being taken over."""
    connection.execute(_RENEW, {"ids": list(ids), "until": now + CLAIM_SECONDS})


def inbox_shares(connection: Connection, ids: Collection[int]) -> dict[int, ReceivedShare]:
    """Return those of these shares that are still in the inbox, by their ids in the order in which they were stored."""
    rows = execute(connection, _SHARES, {"ids": list(ids)}).mappings()
    return {row["id"]: to_received_share(row) for row in rows}


def plan_shares(  # noqa: PLR0913  each has a name
    connection: Connection,
    shares: Mapping[int, Share],
    decide: Decide,
    now: float,
    *,
    basis: str = "",
    within: float = inf,
    errors: Mapping[int, Exception] | None = None,
) -> list[AcceptedShare]:
    """Plan shares of the inbox, in this order; return what happened to each that was tried, in any order.

    `errors` are shares that could not be parsed: they fail. A share that fails is retried later, or by another version
    or configuration of relay than `basis`. After `within` seconds, or where the records are too large to be loaded
    together, no more shares are tried (but the first one is).
    """
    ids = [*shares, *(errors or ())]
    incidents: dict[int, str] = {row.id: row.incident for row in execute(connection, _INCIDENTS_OF, {"ids": ids})}
    wanted = [key for key in shares if key in incidents]
    wanted = wanted[: affordable(connection, [incidents[key] for key in wanted])]
    results: dict[int, Plan | Exception] = {}
    if wanted:
        planning = Planning.begin(connection, {incidents[key] for key in wanted})
        # Again behind the locks: another relay may have planned one meanwhile.
        left = {row.id for row in execute(connection, _INCIDENTS_OF, {"ids": ids})}
        tried = {key: incidents[key] for key in (*wanted, *(errors or ())) if key in left}
        allowed = in_order(connection, tried)
        results = planning.plan({key: shares[key] for key in wanted if key in allowed}, decide, now, within=within)
    failed = {key: each for key, each in results.items() if isinstance(each, Exception)}
    failed |= {key: each for key, each in (errors or {}).items() if key in incidents}
    fail(connection, {key: incidents[key] for key in failed}, failed, now, basis)
    accepted = [to_accepted(key, incidents[key], each) for key, each in (results | failed).items()]
    if any(each.due for each in accepted):
        notify(connection, anything=False)
    return accepted


def to_accepted(share_id: int, incident: str, result: Plan | Exception) -> AcceptedShare:
    """Say what happened to a share that was planned, or failed."""
    if isinstance(result, Exception):
        return AcceptedShare(share_id=share_id, incident=incident, planned=False, error=describe_error(result))
    return AcceptedShare(
        share_id=share_id,
        incident=incident,
        routes=result.routes,
        outcome=result.outcome,
        due=bool(result.tasks) or any(map(has_work, result.cards)),
        decision=result.decision,
        times_taken=result.times_taken,
        severity=result.incident_state.record.worst,
    )


def fail(
    connection: Connection, incidents: Mapping[int, str], errors: Mapping[int, Exception], now: float, basis: str
) -> None:
    """Save why shares failed. They are retried together with those of their incidents that wait for a retry already.

    Only their own rows are written, however many failed before: each row has a body.
    """
    if not errors:
        return
    rows = [{"share_id": key, "error": describe_error(error), "basis": basis} for key, error in sorted(errors.items())]
    connection.execute(_FAIL, rows)
    for incident in sorted(set(incidents.values())):
        ids = [key for key, each in incidents.items() if each == incident]
        tries, waiting_until = connection.execute(_EARLIER, {"which": incident, "ids": ids}).one()
        until = waiting_until if waiting_until and waiting_until > now else now + pause(tries or 1)
        connection.execute(_PAUSE, {"ids": ids, "until": until})


def pause(tries: int) -> float:
    """Seconds until the next try to plan a share that failed so many times."""
    return float(min(LONGEST_PAUSE, FIRST_PAUSE * 4 ** min(tries - 1, 10)))


def set_aside(connection: Connection, now: float, basis: str) -> list[int]:
    """Stop trying the due shares over which the process died too often; return their ids."""
    return list(connection.execute(_SET_ASIDE, {"now": now, "basis": basis}).scalars())


def retry_failed(connection: Connection, now: float, basis: str) -> int:
    """Make all failed shares due that failed by another version or configuration; return how many."""
    return connection.execute(_CHANGED, {"now": now, "basis": basis}).rowcount


def resume_inbox(connection: Connection, now: float) -> int:
    """When the only relay of a database starts: make due what a former process had in hand; return how many."""
    return connection.execute(_INTERRUPTED, {"now": now}).rowcount


def failed_shares(connection: Connection) -> tuple[FailedShare, ...]:
    """Return the shares whose planning failed, the oldest first."""
    return tuple(FailedShare(**row) for row in connection.execute(_LIST.order_by(_share.c.id)).mappings())


def unplanned_body(connection: Connection, number: int) -> ShareBody | None:
    """Return a share of the inbox as it was sent; None if there is none with that number (any more)."""
    return next(map(to_share_body, execute(connection, _SHARES, {"ids": [number]}).mappings()), None)


def discard_share(connection: Connection, number: int) -> bool:
    """Delete a share whose planning failed; return False if there is none with that number (any more)."""
    return connection.execute(delete(_share).where(_share.c.id == number, _FAILED)).rowcount > 0


def delete_failed_beyond(connection: Connection, most: int) -> int:
    """Delete the oldest failed shares whose bodies together have more than so many bytes; return how many."""
    size = func.length(_share.c.body)
    running = (
        select(_share.c.id, func.sum(size).over(order_by=_share.c.id.desc()).label("bytes")).where(_FAILED).subquery()
    )
    beyond = select(running.c.id).where(running.c.bytes > most)
    return connection.execute(delete(_share).where(_share.c.id.in_(beyond))).rowcount


def count_inbox(connection: Connection, now: float) -> tuple[int, int, float]:
    """Return how many shares are in the inbox, how many of those failed, and the age of the oldest in seconds."""
    unplanned, failed, oldest = connection.execute(COUNTS).one()
    return unplanned, failed, max(0.0, now - oldest) if unplanned else 0.0
