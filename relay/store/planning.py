"""Plans shares: saves their effects, as one change for all shares of an incident.

A share that cannot be planned affects no other share. All shares of a call are planned in one savepoint. If that fails,
each is planned in its own savepoint, and the error stays with the share that caused it.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Self, TypeAlias

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError

from relay.bigpanda.webhook.share import Share
from relay.cards.bulletin_cards import is_unmatched, lines_of_resolved, lines_of_unmatched, lines_with_news
from relay.cards.bulletins import EndedLines
from relay.cards.model import Card, Entry, IncidentState, Plan
from relay.cards.mutes import Mute
from relay.store import schema
from relay.store.bulletins import save_bulletin_changes
from relay.store.channels import canonical_refs
from relay.store.database import is_in_transaction, savepoint
from relay.store.db_errors import is_failure_of_database, violated_constraint
from relay.store.execution import execute
from relay.store.integrations import note_assignments
from relay.store.locks import lock_incidents, share_channel_references
from relay.store.mappers import incident_row, planned_columns
from relay.store.mutes import mutes_after
from relay.store.rows import claim_incidents, load_current_cards, load_incident_states, save_cards, save_entries
from relay.store.tasks import add_tasks
from relay.store.types import PlanContext
from relay.store.upsert import insert_or_update

Decide: TypeAlias = Callable[[PlanContext], Plan]
PlanResults: TypeAlias = dict[int, Plan | Exception]
"""By the ids of the shares. A share that is missing was not tried, since there was no time."""

MAX_RECORDS = 16_000_000
"""Characters of the records that one transaction loads. Nearly all records have fewer than 100,000."""

MAX_ERROR = 500
"""Characters of an error that are stored."""

_FEW_INCIDENTS = 8
"""So few records are within `MAX_RECORDS` in any case: each has at most about a million characters."""

_RECORD_SIZES = select(schema.incident.c.id, func.length(schema.incident.c.record)).where(
    schema.incident.c.id.in_(bindparam("ids", expanding=True))
)
_WAITING = (
    select(schema.share.c.id, schema.share.c.incident)
    .where(
        schema.IS_UNPLANNED,
        schema.share.c.incident.in_(bindparam("incidents", expanding=True)),
        schema.share.c.id <= bindparam("last"),
        schema.share.c.plan_error == "",
    )
    .order_by(schema.share.c.id)
)
_SAVE_PLANNED = (
    update(schema.share)
    .where(schema.share.c.id == bindparam("share_id"))
    .values(
        {
            name: bindparam(name)
            for name in ("planned_at", "as_of", "outcome", "routes", "decision", "plan_due", "plan_error")
        }
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """Incidents that are locked, so that shares of theirs can be planned. `new` ones are not stored yet."""

    connection: Connection
    canonical_refs: Mapping[str, str]
    new: set[str]

    @classmethod
    def begin(cls, connection: Connection, incidents: Collection[str]) -> Self:
        """Lock the incidents until the transaction ends."""
        ids = sorted(incidents)
        share_channel_references(connection)
        new = claim_incidents(connection, ids)
        lock_incidents(connection, ids)
        return cls(connection=connection, canonical_refs=canonical_refs(connection), new=new)

    def plan(self, shares: Mapping[int, Share], decide: Decide, now: float, *, within: float = inf) -> PlanResults:
        """Plan shares that are stored, in this order, and save the result; `decide` is called once for each.

        Each share sees what those before it led to. After `within` seconds no more shares are planned, except for the
        first. A share that `decide` fails for, or whose result cannot be saved, or whose incident cannot be read, has
        that error as its result.

        Raises DBAPIError if the database failed.
        """
        end = time.monotonic() + within
        results = self._plan_together(shares, self.new, decide, now, end)
        if results is None:
            results = dict(self._plan_one_by_one(shares, decide, now, end))
        planned = {shares[key].incident for key, result in results.items() if isinstance(result, Plan)}
        if unplanned := self.new - planned:  # their placeholders go
            self.connection.execute(delete(schema.incident).where(schema.incident.c.id.in_(sorted(unplanned))))
        return results

    def _plan_together(
        self, shares: Mapping[int, Share], new: Collection[str], decide: Decide, now: float, end: float
    ) -> PlanResults | None:
        """None if it failed, and one of several shares is the cause."""
        try:
            with savepoint(self.connection):
                mutes = mutes_after(self.connection, now)
                group = _Group.load(self.connection, {share.incident for share in shares.values()}, new)
                for number, (key, share) in enumerate(shares.items()):
                    if number and time.monotonic() >= end:
                        break
                    group.plan(key, share, decide, self.canonical_refs, mutes)
                group.save(now)
        except Exception as error:
            if not _caused_by_share(error) or not is_in_transaction(self.connection):
                raise
            return dict.fromkeys(shares, error) if len(shares) == 1 else None
        return {key: plan for key, (_, plan) in group.plans.items()}

    def _plan_one_by_one(
        self, shares: Mapping[int, Share], decide: Decide, now: float, end: float
    ) -> Iterator[tuple[int, Plan | Exception]]:
        new = set(self.new)
        for number, (key, share) in enumerate(shares.items()):
            if number and time.monotonic() >= end:
                return
            results = self._plan_together({key: share}, new, decide, now, end)
            for result in (results or {}).values():
                if isinstance(result, Plan):
                    new.discard(share.incident)
                yield key, result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What shares lead to, in memory: each share sees what those before it did."""

    connection: Connection
    states: dict[str, IncidentState]
    cards: dict[str, dict[tuple[str, int], Card]]
    plans: dict[int, tuple[Share, Plan]] = field(default_factory=dict)
    changed: dict[tuple[str, str, int], Card] = field(default_factory=dict)
    entries: list[tuple[str, Entry]] = field(default_factory=list)

    @classmethod
    def load(cls, connection: Connection, incidents: Collection[str], new: Collection[str]) -> Self:
        """Load the incidents; of the `new` ones there are only placeholders."""
        stored = sorted(set(incidents).difference(new))
        cards: dict[str, dict[tuple[str, int], Card]] = {incident: {} for incident in incidents}
        for card in load_current_cards(connection, stored):
            cards[card.incident][card.channel, card.episode] = card
        return cls(connection=connection, states=load_incident_states(connection, stored), cards=cards)

    def plan(
        self, key: int, share: Share, decide: Decide, canonical_refs: Mapping[str, str], mutes: tuple[Mute, ...]
    ) -> None:
        cards = self.cards[share.incident]
        plan = decide(
            PlanContext(
                incident_state=self.states.get(share.incident),
                cards=tuple(card for card in cards.values() if card.is_current),
                share=share,
                canonical_refs=canonical_refs,
                mutes=mutes,
            )
        )
        self.plans[key] = share, plan
        self.states[share.incident] = plan.incident_state
        self.entries.extend((share.incident, entry) for entry in plan.entries)
        for card in plan.cards:
            cards[card.channel, card.episode] = card
            self.changed[card.incident, card.channel, card.episode] = card

    def _ended_lines(self, now: float) -> list[EndedLines]:
        """The lines of bulletins that end: those of incidents that are resolved, or whose card is not to be posted."""
        states = (self.states[incident] for incident in {share.incident for share, _ in self.plans.values()})
        resolved = [lines_of_resolved(state, now) for state in states if state.ended_at is not None]
        unmatched = [lines_of_unmatched(card, now) for card in self.changed.values() if is_unmatched(card)]
        news = [
            line
            for incident in dict.fromkeys(incident for incident, _ in self.entries)
            for line in lines_with_news(self.states[incident], self.cards[incident].values(), now)
        ]
        return [*resolved, *unmatched, *news]

    def save(self, now: float) -> None:
        """Save everything, with as many statements for many shares as for one."""
        if not self.plans:
            return
        planned = sorted({share.incident for share, _ in self.plans.values()})
        rows = [incident_row(self.states[key]) for key in planned]
        execute(self.connection, insert_or_update(self.connection, schema.incident, ("id",)), rows)
        rows = [planned_columns(share, plan, now) | {"share_id": key} for key, (share, plan) in self.plans.items()]
        execute(self.connection, _SAVE_PLANNED, rows)
        save_entries(self.connection, self.entries)
        save_cards(self.connection, self.changed.values())
        bulletins = [change for _, plan in self.plans.values() for change in plan.bulletins]
        save_bulletin_changes(self.connection, bulletins, self._ended_lines(now))
        sharing = {share.integration for share, _ in self.plans.values() if share.carries_assignment}
        note_assignments(self.connection, sharing, now)
        add_tasks(self.connection, [task for _, plan in self.plans.values() for task in plan.tasks])


def in_order(connection: Connection, shares: Mapping[int, str]) -> set[int]:
    """Return those of these shares of the inbox (id: incident) before which no other share of their incident waits.

    A share that failed does not count: it must not hold up later ones.
    """
    if not shares:
        return set()
    query = {"incidents": sorted(set(shares.values())), "last": max(shares)}
    for row in execute(connection, _WAITING, query):
        if row.id not in shares:
            shares = {key: each for key, each in shares.items() if each != row.incident or key < row.id}
    return set(shares)


def affordable(connection: Connection, incidents: Sequence[str]) -> int:
    """Return how many of these shares' incidents, from the first, have records that can be loaded together."""
    ids = set(incidents)
    if len(ids) <= _FEW_INCIDENTS:
        return len(incidents)
    sizes = {row[0]: row[1] for row in execute(connection, _RECORD_SIZES, {"ids": list(ids)})}
    total = 0
    for number, incident in enumerate(incidents):
        total += sizes.pop(incident, 0)
        if number and total > MAX_RECORDS:
            return number
    return len(incidents)


def has_work(card: Card) -> bool:
    """Return whether a card has something to post or edit, now or later."""
    return card.is_current and (card.post is not None or card.edit is not None)


def _caused_by_share(error: Exception) -> bool:
    """Return whether a share is at fault, and not the database: the same would happen at every try."""
    if not isinstance(error, DBAPIError) or isinstance(error, IntegrityError | DataError):
        return True
    return not is_failure_of_database(error)


def describe_error(error: Exception) -> str:
    """Describe why a share could not be planned, for an operator; it shows no values of a statement."""
    if isinstance(error, IntegrityError):
        return f"the database rejects it: it violates the constraint {violated_constraint(error)}"
    if isinstance(error, DBAPIError):
        return "the database rejects a value of it"
    return (f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)[:MAX_ERROR]
