"""The group commit: all shares that are waiting become one transaction of few statements."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from sqlalchemy import Connection, bindparam, delete, func, select, update

from relay.bigpanda.webhook.share import Share
from relay.cards.model import Card, Entry, IncidentState, Plan, ShareOutcome
from relay.store import schema
from relay.store.channels import canonical_refs
from relay.store.locks import share_channel_references
from relay.store.mappers import incident_row, loads, share_row
from relay.store.notify import notify
from relay.store.rows import claim_incidents, load_current_cards, load_incident_states, save_cards, save_entries
from relay.store.tasks import add_tasks
from relay.store.types import AcceptedShare, PlanContext
from relay.store.upsert import insert_or_update

_Key = tuple[str, str]  # incident and hash: a share is known by these

_KNOWN = select(*schema.share.c["id", "incident", "hash", "routes"]).where(
    schema.share.c.hash.in_(bindparam("hashes", expanding=True))
)
_COUNT_REPEATS = (
    update(schema.share)
    .where(schema.share.c.id == bindparam("share_id"))
    .values(times_seen=schema.share.c.times_seen + bindparam("more"))
)
_INSERT_SHARES = schema.share.insert().returning(schema.share.c.id, schema.share.c.incident, schema.share.c.hash)


MAX_RECORDS = 16_000_000
"""Characters of the records that one commit loads. Nearly all records have fewer than 100,000."""

_FEW_INCIDENTS = 8
"""So few records are within `MAX_RECORDS` in any case: each has at most about a million characters."""

_RECORD_SIZES = select(schema.incident.c.id, func.length(schema.incident.c.record)).where(
    schema.incident.c.id.in_(bindparam("ids", expanding=True))
)


def accept(
    connection: Connection, shares: Sequence[Share], decide: Callable[[PlanContext], Plan], *, within: float = inf
) -> list[AcceptedShare]:
    """Save shares and everything that follows from them in one commit: when this returns, they are on disk.

    `decide` is called in the order of arrival. Each share sees the result of the shares of its incident before it. A
    repeated share is counted, not decided, and gets the answer of the first one. After `within` seconds, or
    where the records are too large to be loaded together, no more shares are decided: the result is shorter than
    `shares` (never empty), and nothing of the rest is saved.

    Raises StoreError, or whatever `decide` raises: nothing of the whole group is saved.
    """
    if not shares:
        return []
    shares = _affordable(connection, shares)
    ids = sorted({share.incident for share in shares})
    share_channel_references(connection)
    new = claim_incidents(connection, ids)
    # A hash is nearly unique; where it is not, the incident decides.
    stored = connection.execute(_KNOWN, {"hashes": list({share.hash for share in shares})})
    group = _Group(
        states=load_incident_states(connection, [key for key in ids if key not in new]),
        known={(row.incident, row.hash): (row.id, tuple(loads(row.routes))) for row in stored},
        cards={key: {} for key in ids},
        canonical_refs=canonical_refs(connection),
    )
    for card in load_current_cards(connection, ids):
        group.cards[card.incident][card.channel, card.episode] = card
    decided = group.decide_until(time.monotonic() + within, shares, decide)
    if undecided := new - {share.incident for share in decided}:  # their placeholders go
        connection.execute(delete(schema.incident).where(schema.incident.c.id.in_(sorted(undecided))))
    group.save(connection)
    if any(map(_has_work, group.changed.values())):
        notify(connection, anything=False)
    return [group.accepted(share) for share in decided]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What the shares of the group lead to, in memory: each share sees what those before it did."""

    known: dict[_Key, tuple[int, tuple[str, ...]]]  # id and routes of the shares that are stored already
    states: dict[str, IncidentState]
    cards: dict[str, dict[tuple[str, int], Card]]
    canonical_refs: Mapping[str, str]
    plans: dict[_Key, tuple[Share, Plan]] = field(default_factory=dict)
    times: Counter[_Key] = field(default_factory=Counter)
    changed: dict[tuple[str, str, int], Card] = field(default_factory=dict)
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    ids: dict[_Key, int] = field(default_factory=dict)

    def decide_until(
        self, end: float, shares: Sequence[Share], decide: Callable[[PlanContext], Plan]
    ) -> Sequence[Share]:
        """Decide about the shares one by one until that moment, the first one in any case; return those."""
        for number, share in enumerate(shares):
            if number and time.monotonic() >= end:
                return shares[:number]
            self._decide(share, decide)
        return shares

    def _decide(self, share: Share, decide: Callable[[PlanContext], Plan]) -> None:
        key = (share.incident, share.hash)
        self.times[key] += 1
        if key in self.known or key in self.plans:
            return
        cards = self.cards[share.incident]
        plan = decide(
            PlanContext(
                incident_state=self.states.get(share.incident),
                cards=tuple(card for card in cards.values() if card.is_current),
                share=share,
                canonical_refs=self.canonical_refs,
            )
        )
        self.plans[key] = share, plan
        self.states[share.incident] = plan.incident_state
        self.entries.extend((share.incident, entry) for entry in plan.entries)
        for card in plan.cards:
            cards[card.channel, card.episode] = card
            self.changed[card.incident, card.channel, card.episode] = card

    def save(self, connection: Connection) -> None:
        """Save everything, with as many statements for many shares as for one."""
        repeats = [
            {"share_id": self.known[key][0], "more": times} for key, times in self.times.items() if key in self.known
        ]
        if repeats:
            connection.execute(_COUNT_REPEATS, repeats)
        if not self.plans:
            return
        planned = sorted({share.incident for share, _ in self.plans.values()})
        rows = [incident_row(self.states[key]) for key in planned]
        connection.execute(insert_or_update(connection, schema.incident, ("id",)), rows)
        rows = [share_row(share, plan, self.times[key]) for key, (share, plan) in self.plans.items()]
        self.ids.update({(row.incident, row.hash): row.id for row in connection.execute(_INSERT_SHARES, rows)})
        save_entries(connection, self.entries)
        save_cards(connection, self.changed.values())
        add_tasks(connection, [task for _, plan in self.plans.values() for task in plan.tasks])

    def accepted(self, share: Share) -> AcceptedShare:
        """Return the answer to a share, once everything is saved."""
        key = (share.incident, share.hash)
        if key in self.known:
            share_id, routes = self.known[key]
            return AcceptedShare(share_id=share_id, incident=share.incident, routes=routes, outcome=ShareOutcome.REPEAT)
        first, plan = self.plans[key]
        return AcceptedShare(
            share_id=self.ids[key],
            incident=share.incident,
            routes=plan.routes,
            outcome=plan.outcome if share is first else ShareOutcome.REPEAT,
            due=share is first and (bool(plan.tasks) or any(map(_has_work, plan.cards))),
            decision=plan.decision if share is first else {},
            times_taken=plan.times_taken if share is first else {},
            severity=plan.incident_state.record.worst,
        )


def _affordable(connection: Connection, shares: Sequence[Share]) -> Sequence[Share]:
    """The first shares, as many as have records that can be loaded together."""
    ids = {share.incident for share in shares}
    if len(ids) <= _FEW_INCIDENTS:
        return shares
    sizes = {row[0]: row[1] for row in connection.execute(_RECORD_SIZES, {"ids": list(ids)})}
    total = 0
    for number, share in enumerate(shares):
        total += sizes.pop(share.incident, 0)
        if number and total > MAX_RECORDS:
            return shares[:number]
    return shares


def _has_work(card: Card) -> bool:
    return card.is_current and (card.post is not None or card.edit is not None)
