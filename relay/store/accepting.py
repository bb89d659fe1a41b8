"""The group commit: all shares that are waiting become one transaction of few statements."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

from sqlalchemy import Connection, bindparam, select, update

from relay.bigpanda.webhook.share import ReceivedShare, Share
from relay.cards.model import Plan, ShareOutcome
from relay.model.struct import replace
from relay.store import schema
from relay.store.card_queue import LentPick, Started, start_in_passing
from relay.store.execution import execute
from relay.store.inbox import CLAIM_SECONDS, fail, to_accepted
from relay.store.mappers import loads, share_row
from relay.store.notify import notify
from relay.store.planning import Decide, Planning, PlanResults, affordable, in_order
from relay.store.types import AcceptedShare
from relay.store.upsert import insert_or_count

_Key: TypeAlias = tuple[str, str]  # incident and hash: a share is known by these

_RETURNED = ("id", "incident", "hash", "times_seen", "routes", "outcome")
_KNOWN = select(*schema.share.c[_RETURNED]).where(schema.share.c.hash.in_(bindparam("hashes", expanding=True)))
_COUNT_REPEATS = (
    update(schema.share)
    .where(schema.share.c.id == bindparam("share_id"))
    .values(times_seen=schema.share.c.times_seen + bindparam("more"))
)


def accept(
    connection: Connection,
    shares: Sequence[ReceivedShare],
    decide: Decide,
    *,
    basis: str = "",
    within: float = inf,
) -> list[AcceptedShare]:
    """Save shares in one commit: when it is done, they are on disk.

    A `Share` is planned in the same transaction, in the order of arrival; a share that is not parsed stays in the
    inbox. So does a share that cannot be planned, with its error, and one for which there was no time `within` so many
    seconds. So does one with a record too large to load with the others. A repeated share is counted, not planned,
    and gets the answer of the first one.

    Raises StoreError: nothing of the whole group is saved.
    """
    if not shares:
        return []
    now = shares[-1].received
    parsed = [share for share in shares if isinstance(share, Share)]
    parsed = parsed[: affordable(connection, [share.incident for share in parsed])]
    # The incidents are locked before the shares: see `locks`.
    planning = Planning.begin(connection, {share.incident for share in parsed}) if parsed else None
    stored = _save(connection, shares)
    fresh = {stored[share.incident, share.hash].id: share for share in reversed(parsed)}
    fresh = {key: share for key, share in sorted(fresh.items()) if stored[share.incident, share.hash].new}
    allowed = in_order(connection, {key: share.incident for key, share in fresh.items()})
    fresh = {key: share for key, share in fresh.items() if key in allowed}
    results: PlanResults = planning.plan(fresh, decide, now, within=within) if planning else {}
    errors = {key: result for key, result in results.items() if isinstance(result, Exception)}
    fail(connection, {key: fresh[key].incident for key in errors}, errors, now, basis)
    accepted = _answers(shares, stored, results)
    if any(each.due for each in accepted):
        notify(connection, anything=False)
    return accepted


def accept_and_start(
    connection: Connection, /, shares: Sequence[ReceivedShare], lent: LentPick[Any], decide: Decide, **options: Any
) -> tuple[list[AcceptedShare], Started[Any] | None]:
    """Save shares, and in the same commit start the next card, if they make one due; return it too."""
    accepted = accept(connection, shares, decide, **options)
    return accepted, start_in_passing(connection, lent) if any(each.due for each in accepted) else None


@dataclass(frozen=True, slots=True)
class _Stored:
    """A share as it is stored; `new` says whether it was not before."""

    id: int
    new: bool
    routes: tuple[str, ...]
    planned: bool


def _save(connection: Connection, shares: Sequence[ReceivedShare]) -> dict[_Key, _Stored]:
    """Store the shares that are new, and count the others."""
    times = Counter((share.incident, share.hash) for share in shares)
    # A hash is nearly unique; where it is not, the incident decides.
    rows = execute(connection, _KNOWN, {"hashes": list({key[1] for key in times})})
    known = {(row.incident, row.hash): row for row in rows}
    if repeats := [{"share_id": known[key].id, "more": more} for key, more in times.items() if key in known]:
        execute(connection, _COUNT_REPEATS, repeats)
    first = {(share.incident, share.hash): share for share in reversed(shares)}
    new = [key for key in times if key not in known]  # in the order of arrival
    saved = {}
    if new:
        statement = insert_or_count(connection, schema.share, ("hash", "incident"), "times_seen", returning=_RETURNED)
        values = [share_row(first[key], times[key], first[key].received + CLAIM_SECONDS) for key in new]
        saved = {(row.incident, row.hash): row for row in execute(connection, statement, values)}
    return {
        key: _Stored(
            id=row.id,
            # Another relay may have stored it in the meantime.
            new=key in saved and row.times_seen == times[key],
            routes=tuple(loads(row.routes)),
            planned=row.outcome is not None,
        )
        for key, row in (known | saved).items()
        if key in times
    }


def _answers(
    shares: Sequence[ReceivedShare], stored: dict[_Key, _Stored], results: dict[int, Plan | Exception]
) -> list[AcceptedShare]:
    answered: set[int] = set()
    answers = []
    for share in shares:
        row = stored[share.incident, share.hash]
        result = results.get(row.id)
        if result is not None:
            answer = to_accepted(row.id, share.incident, result)
        else:
            answer = AcceptedShare(share_id=row.id, incident=share.incident, routes=row.routes, planned=row.planned)
        if not row.new or row.id in answered:
            answer = replace(answer, outcome=ShareOutcome.REPEAT, error="", due=False, decision={}, times_taken={})
        answered.add(row.id)
        answers.append(answer)
    return answers
