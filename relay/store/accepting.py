"""The group commit: all shares that came in meanwhile become one transaction of few statements."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, bindparam, delete, select, update

from relay.bigpanda.webhook.share import Share
from relay.cards.model import Card, Entry, IncidentState, Plan, ShareOutcome
from relay.store import schema
from relay.store.channels import spellings
from relay.store.locks import postgresql, share_spellings
from relay.store.mappers import loads, share_row, story_row
from relay.store.notify import ring
from relay.store.rows import followed, stories, write_cards, write_entries
from relay.store.tasks import ask
from relay.store.types import AcceptedShare
from relay.store.upsert import insert_or_keep, insert_or_update

Planner = Callable[[IncidentState | None, tuple[Card, ...], Share, Mapping[str, str]], Plan]
"""From what is kept of an incident, and a share of it, to what follows; the mapping is ref -> canonical ref."""

_Which = tuple[str, str]  # incident and hash: by these a share is known

_KNOWN = select(*schema.share.c["id", "incident", "hash", "routes"]).where(
    schema.share.c.hash.in_(bindparam("hashes", expanding=True))
)
_SEEN_AGAIN = (
    update(schema.share)
    .where(schema.share.c.id == bindparam("share_id"))
    .values(times_seen=schema.share.c.times_seen + bindparam("more"))
)


def accept(connection: Connection, shares: Sequence[Share], plan: Planner, within: float) -> list[AcceptedShare]:
    """Keep the shares and what follows from them, as `Store.accept` promises."""
    if not shares:
        return []
    ids = sorted({share.incident for share in shares})
    share_spellings(connection)
    new = _claim(connection, ids)
    group = _Group(
        stories=stories(connection, [key for key in ids if key not in new]),
        known=_known(connection, shares),
        cards={key: {} for key in ids},
        same=spellings(connection),
    )
    for card in followed(connection, ids):
        group.cards[card.incident][card.channel, card.episode] = card
    taken = group.take_in_time(shares, plan, time.monotonic() + within)
    _unclaim(connection, new - {share.incident for share in taken})
    group.write(connection)
    if any(map(_has_work, group.changed.values())):
        ring(connection)
    return [group.accepted(share) for share in taken]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """What the group knows so far: the shares of one incident see what the ones before them did."""

    known: dict[_Which, tuple[int, tuple[str, ...]]]
    stories: dict[str, IncidentState]
    cards: dict[str, dict[tuple[str, int], Card]]
    same: Mapping[str, str]
    plans: dict[_Which, tuple[Share, Plan]] = field(default_factory=dict)
    seen: Counter[_Which] = field(default_factory=Counter)
    changed: dict[tuple[str, str, int], Card] = field(default_factory=dict)
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    numbers: dict[_Which, int] = field(default_factory=dict)

    def take_in_time(self, shares: Sequence[Share], plan: Planner, until: float) -> Sequence[Share]:
        """Plan the shares one by one, until that moment at the longest; the first in any case. Returns those."""
        for number, share in enumerate(shares):
            if number and time.monotonic() >= until:
                return shares[:number]
            self.take(share, plan)
        return shares

    def take(self, share: Share, plan: Planner) -> None:
        """Plan a share, unless it repeats one that is kept, or one before it in the group."""
        which = (share.incident, share.hash)
        self.seen[which] += 1
        if which in self.known or which in self.plans:
            return
        cards = self.cards[share.incident]
        planned = plan(
            self.stories.get(share.incident),
            tuple(card for card in cards.values() if card.is_current),
            share,
            self.same,
        )
        self.plans[which] = share, planned
        self.stories[share.incident] = planned.incident_state
        self.entries.extend((share.incident, entry) for entry in planned.entries)
        for card in planned.cards:
            cards[card.channel, card.episode] = card
            self.changed[card.incident, card.channel, card.episode] = card

    def write(self, connection: Connection) -> None:
        """Write all of it down, in as many statements for many shares as for one."""
        if again := [which for which in self.seen if which in self.known]:
            connection.execute(
                _SEEN_AGAIN, [{"share_id": self.known[which][0], "more": self.seen[which]} for which in again]
            )
        if not self.plans:
            return
        planned = sorted({share.incident for share, _ in self.plans.values()})
        connection.execute(
            insert_or_update(connection, schema.incident, ("id",)), [story_row(self.stories[key]) for key in planned]
        )
        rows = [share_row(share, planned, self.seen[which]) for which, (share, planned) in self.plans.items()]
        made = connection.execute(_INSERT_SHARES, rows)
        self.numbers.update({(row.incident, row.hash): row.id for row in made})
        write_entries(connection, self.entries)
        write_cards(connection, self.changed.values())
        ask(connection, [errand for _, planned in self.plans.values() for errand in planned.tasks])

    def accepted(self, share: Share) -> AcceptedShare:
        """What became of a share, once all is written."""
        which = (share.incident, share.hash)
        if which in self.known:
            number, routes = self.known[which]
            return AcceptedShare(share_id=number, incident=share.incident, routes=routes, outcome=ShareOutcome.REPEAT)
        first, planned = self.plans[which]
        return AcceptedShare(
            share_id=self.numbers[which],
            incident=share.incident,
            routes=planned.routes,
            outcome=planned.outcome if share is first else ShareOutcome.REPEAT,
            due=share is first and (bool(planned.tasks) or any(map(_has_work, planned.cards))),
            decision=planned.decision if share is first else {},
        )


_INSERT_SHARES = schema.share.insert().returning(schema.share.c.id, schema.share.c.incident, schema.share.c.hash)
_PLACE = {
    "version": 0,
    "episode": 1,
    "ended_at": None,
    "next_seq": 1,
    "last_share_at": 0.0,
    "stale_at": None,
    "stub": False,
    "record": "{}",
}


def _claim(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Lock the new incidents by a row in their place, and tell which they are; the known ones are locked when read."""
    if not postgresql(connection):
        return set()
    # Two relays take the first shares of one incident at the same time: the later waits here for the earlier's row.
    statement = insert_or_keep(connection, schema.incident, ("id",), returning=("id",))
    return {row.id for row in connection.execute(statement, [_PLACE | {"id": key} for key in ids])}


def _unclaim(connection: Connection, ids: Collection[str]) -> None:
    """Let go of the places of incidents that nothing was planned for."""
    if ids:
        connection.execute(delete(schema.incident).where(schema.incident.c.id.in_(sorted(ids))))


def _known(connection: Connection, shares: Sequence[Share]) -> dict[_Which, tuple[int, tuple[str, ...]]]:
    """Those of the group that are kept already. Asked by hash, which is as good as unique; then the incident counts."""
    rows = connection.execute(_KNOWN, {"hashes": list({share.hash for share in shares})})
    return {(row.incident, row.hash): (row.id, tuple(loads(row.routes))) for row in rows}


def _has_work(card: Card) -> bool:
    return card.is_current and (card.post is not None or card.edit is not None)
