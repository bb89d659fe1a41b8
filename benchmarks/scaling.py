"""How far one relay goes: `python -m benchmarks.scaling` measures its costs and simulates its load; it takes minutes.

The real core, store and gateway run against the sandbox, which rejects what exceeds Slack's published limits. Time is
simulated: an hour of load takes as long as the work in it. So the delays follow from Slack's limits and relay's order
of work alone, and not from this machine. docs/scaling.md explains the tables.
"""

import argparse
import asyncio
import random
import statistics
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import structlog
from sqlalchemy import Connection, event, text

from benchmarks.measure import SAMPLE, machine, percentile
from benchmarks.workspace import channels_of, routed, routes_to
from relay.ratelimit.budgets import CHANNEL_POSTS, Limit
from relay.sandbox.calls import ReceivedCall
from relay.sandbox.slack.server import FakeSlack
from relay.slack.methods import RATE_LIMITS
from relay.store import execution
from relay.store.database import Database
from tests.support.clocks import ManualClock
from tests.support.postgres import postgresql
from tests.support.relay_in_process import RelayInProcess, run_relay

POST, EDIT = "chat.postMessage", "chat.update"
MINUTE = 60.0
IDLE = 30 * MINUTE
"""Simulated seconds in which relay does nothing, to know what it uses then."""
DRAINED_AFTER = 120.0
"""Seconds without a post or an edit after which nothing is left to send: no budget lets a call wait for so long."""
LONGEST_DRAIN = 6 * 3600.0

LIFE: Sequence[tuple[float, dict[str, Any]]] = (
    (0.0, {"status": "Warning"}),
    (1 * MINUTE, {"status": "Critical"}),
    (3 * MINUTE, {"status": "Critical", "comment": "looking at it"}),
    (6 * MINUTE, {"status": "Critical", "tag": "db-2"}),
    (10 * MINUTE, {"status": "Ok", "active": False}),
)
"""The shares of an incident: seconds since its first one, and what each says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Incidents that begin at random moments, as many a minute on average, evenly over the channels."""

    per_minute: float
    channels: int
    minutes: float

    @property
    def name(self) -> str:
        """What it is, for the table."""
        where = "one channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.per_minute:g} incidents a minute for {self.minutes:g} min, {where}"


@dataclass(frozen=True, slots=True)
class SentShare:
    """One share of the load: when (seconds from the beginning), of which incident, in which channel."""

    at: float
    incident: str
    channel: str
    fields: dict[str, Any]


@dataclass(slots=True)
class Observed:
    """What a load did: seconds from a share to what it changes in Slack, and the calls."""

    first_cards: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    rate_limited: int = 0
    drained: float = 0.0
    missing: int = 0


def schedule(load: Load, channels: Sequence[str], seed: int = 1) -> list[SentShare]:
    """Return all shares of a load by their time; the same seed gives the same ones."""
    generator = random.Random(seed)
    found: list[SentShare] = []
    at = 0.0
    while (at := at + generator.expovariate(load.per_minute / MINUTE)) < load.minutes * MINUTE:
        number = len(found) // len(LIFE)
        channel = channels[number % len(channels)]
        found += [SentShare(at + after, f"scale-{number}", channel, fields) for after, fields in LIFE]
    return sorted(found, key=lambda share: share.at)


def body_of(share: SentShare, now: float) -> bytes:
    """Return the share as BigPanda sends it: the documented sample with these changes."""
    sample = orjson.loads(SAMPLE.read_bytes())
    fields = dict(share.fields)
    comment, tag = fields.pop("comment", ""), fields.pop("tag", "")
    incident = sample["incident"] | {"id": share.incident, "changedOn": int(now), "active": True} | fields
    if not incident["active"]:
        incident["endedOn"] = int(now)
    body = sample | {"incident": incident, "event_types": []}
    if comment:
        body["metadata"] = sample.get("metadata", {}) | {"comment": f"{comment} {share.incident}"}
    if tag:
        body["incidentTags"] = [*sample.get("incidentTags", ()), {"id": "host", "name": "host", "value": tag}]
    return routed(orjson.dumps(body), share.channel)


async def simulate(folder: Path, load: Load) -> Observed:
    """Run a load to its last message, and say when a reader saw what."""
    clock = ManualClock()
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    channels = channels_of(slack, load.channels)
    async with run_relay(folder, routes=routes_to(channels), slack=slack, clock=clock) as relay:
        slack.limits.enabled = True
        began, seen = clock.now(), len(slack.calls)
        shares = schedule(load, channels)
        for share in shares:
            await relay.advance(began + share.at - clock.now())
            await relay.ingest.accept(body_of(share, clock.now()), {})
        await drain(relay)
        calls = _sent(slack.calls[seen:])
    return observe(shares, calls, began)


async def drain(relay: RelayInProcess) -> None:
    """Let time pass until relay has nothing left to say."""
    began = relay.clock.now()
    while relay.clock.now() - began < LONGEST_DRAIN:
        before = len(_sent(relay.slack.calls))
        await relay.advance(DRAINED_AFTER)
        if len(_sent(relay.slack.calls)) == before:
            return


def _sent(calls: Sequence[ReceivedCall]) -> list[ReceivedCall]:
    return [call for call in calls if call.method in (POST, EDIT)]


def observe(shares: Sequence[SentShare], calls: Sequence[ReceivedCall], began: float) -> Observed:
    """Compare what was shared with what arrived in Slack."""
    seen = Observed(rate_limited=sum(call.status == 429 for call in calls))  # noqa: PLR2004  Too Many Requests
    seen.calls.update(call.method for call in calls if call.took_effect)
    cards, ends = _moments(calls)
    for share in shares:
        at = began + share.at
        if share.fields == LIFE[0][1]:
            _note(seen, seen.first_cards, cards.get(share.incident), at)
        elif share.fields == LIFE[-1][1]:
            _note(seen, seen.ends, ends.get(share.incident), at)
    seen.drained = max(call.at for call in calls) - began - max(share.at for share in shares)
    return seen


def _note(seen: Observed, delays: list[float], happened: float | None, shared: float) -> None:
    if happened is None:
        seen.missing += 1
    else:
        delays.append(happened - shared)


def _moments(calls: Sequence[ReceivedCall]) -> tuple[dict[str, float], dict[str, float]]:
    """When each incident's card was posted, and when it first showed the end."""
    cards: dict[str, float] = {}
    ends: dict[str, float] = {}
    for call in calls:
        metadata = call.arguments.get("metadata") if call.took_effect else None
        if not metadata:
            continue
        payload = (orjson.loads(metadata) if isinstance(metadata, str) else metadata)["event_payload"]
        if payload["kind"] == "card":
            cards.setdefault(payload["incident"], call.at)
            if payload.get("state") == "resolved":
                ends.setdefault(payload["incident"], call.at)
    return cards, ends


# -- Costs -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one share, and one incident with its whole life, cost a database and Slack."""

    database: str
    statements: float
    commits: float
    bytes_per_share: float
    bytes_per_incident: float
    posts: float
    edits: float


async def costs(folder: Path, url: str = "", *, incidents: int = 60) -> Costs:
    """Run incidents one after the other, far below every limit, and divide by their number what they used.

    What relay uses in that time while nothing happens is not theirs.
    """
    clock = ManualClock()
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    [channel] = channels_of(slack, 1)
    async with run_relay(folder, routes=routes_to([channel]), slack=slack, clock=clock, url=url) as relay:
        await live(relay, channel, "warm", 5)
        with counting(relay.store.database) as idle:
            await relay.advance(IDLE)
        size, seen, began = await used_bytes(relay.store.database), len(slack.calls), clock.now()
        with counting(relay.store.database) as counted:
            await live(relay, channel, "cost", incidents)
        calls = Counter(call.method for call in slack.calls[seen:])
        passed = clock.now() - began
        used = {name: count - idle[name] * passed / IDLE for name, count in counted.items()}
        grown = await used_bytes(relay.store.database) - size
    shares = incidents * len(LIFE)
    return Costs(
        database="PostgreSQL" if url else "SQLite",
        statements=used["statement"] / shares,
        commits=used["commit"] / shares,
        bytes_per_share=grown / shares,
        bytes_per_incident=grown / incidents,
        posts=calls[POST] / incidents,
        edits=calls[EDIT] / incidents,
    )


async def live(relay: RelayInProcess, channel: str, name: str, incidents: int) -> None:
    """Let incidents live one after the other, each to its end."""
    for number in range(incidents):
        passed = 0.0
        for after, fields in LIFE:
            await relay.advance(after - passed)
            passed = after
            share = SentShare(0.0, f"{name}-{number}", channel, fields)
            await relay.ingest.accept(body_of(share, relay.clock.now()), {})
        await relay.advance(MINUTE)


class counting:  # noqa: N801  used as a context manager
    """Counts the statements and commits of a database meanwhile, also statements that SQLAlchemy does not see.

    Other databases of the process must rest.
    """

    def __init__(self, database: Database) -> None:
        self._engines = tuple(database._engines.values())  # noqa: SLF001  a benchmark may look inside
        self._count: Counter[str] = Counter()
        self._listeners: tuple[tuple[str, Callable[..., None]], ...] = (
            ("before_cursor_execute", lambda *_: self._count.update(["statement"])),
            ("commit", lambda *_: self._count.update(["commit"])),
        )

    def __enter__(self) -> Counter[str]:
        for engine in self._engines:
            for name, listener in self._listeners:
                event.listen(engine, name, listener)
        run, count = execution._Prepared.run, self._count  # noqa: SLF001

        def counted(prepared: Any, cursor: Any, many: Sequence[Any]) -> Any:
            count.update(["statement"])
            return run(prepared, cursor, many)

        self._patch = patch.object(execution._Prepared, "run", counted)  # noqa: SLF001
        self._patch.start()
        return count

    def __exit__(self, *_: object) -> None:
        self._patch.stop()
        for engine in self._engines:
            for name, listener in self._listeners:
                event.remove(engine, name, listener)


async def used_bytes(database: Database) -> float:
    """Bytes that are in use, with indexes and without the write-ahead log."""
    return await database.read(_used_on_postgresql if database.address.path is None else _used_on_sqlite)


def _used_on_sqlite(connection: Connection) -> float:
    pages, free, size = (
        connection.execute(text(f"PRAGMA {name}")).scalar_one()
        for name in ("page_count", "freelist_count", "page_size")
    )
    return float((pages - free) * size)


def _used_on_postgresql(connection: Connection) -> float:
    return float(connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


# -- Tables ------------------------------------------------------------------------------------------------------------


def rates(cost: Costs) -> list[tuple[str, str]]:
    """How many such incidents Slack's limits carry: what limits, and what follows."""
    posts, edits = RATE_LIMITS[POST], RATE_LIMITS[EDIT]
    return [
        (f"edits of a workspace: {edits.steady:g} a minute", _per_minute(edits, cost.edits)),
        (f"posts of a channel: {CHANNEL_POSTS.steady:g} a minute", f"{_per_minute(CHANNEL_POSTS, cost.posts)} in it"),
        (f"posts of a workspace: {posts.steady:g} a minute", _per_minute(posts, cost.posts)),
    ]


def _per_minute(limit: Limit, calls: float) -> str:
    return f"{limit.steady / calls:.0f} incidents a minute"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def costs_table(found: Sequence[Costs]) -> str:
    """Return what a share and an incident cost, one row for each database."""
    head = ("database", "statements a share", "transactions a share", "bytes a share", "bytes an incident", "calls")
    rows = [
        (
            cost.database,
            f"{cost.statements:.0f}",
            f"{cost.commits:.1f}",
            f"{cost.bytes_per_share:,.0f}",
            f"{cost.bytes_per_incident:,.0f}",
            f"{cost.posts:.1f} posts, {cost.edits:.1f} edits an incident",
        )
        for cost in found
    ]
    return table(head, rows)


def load_row(load: Load, seen: Observed) -> tuple[str, ...]:
    """Return the row of a load."""
    calls = f"{seen.calls[POST]:,} posts, {seen.calls[EDIT]:,} edits"
    wrong = f"{seen.missing} missing, {seen.rate_limited} rate-limited"
    return load.name, _spread(seen.first_cards), _spread(seen.ends), _duration(max(seen.drained, 0.0)), calls, wrong


def _spread(delays: Sequence[float]) -> str:
    if len(delays) < 2:  # noqa: PLR2004  quantiles need two
        return "-"
    return " / ".join(_duration(each) for each in (statistics.median(delays), percentile(delays, 99), max(delays)))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 2 * MINUTE else f"{seconds / MINUTE:.0f} min"


def loads(minutes: float) -> list[Load]:
    """From a usual day to more than Slack takes, and two storms."""
    steady = [Load(per_minute=rate, channels=10, minutes=minutes) for rate in (1, 5, 10, 15, 30)]
    crowded = Load(per_minute=10, channels=1, minutes=minutes)
    storms = [Load(per_minute=200, channels=channels, minutes=1) for channels in (1, 10)]
    return [*steady, crowded, *storms]


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="relay-scaling-") as name:
        yield Path(name)


async def print_costs() -> None:
    """Print what a share costs, and what follows from Slack's limits."""
    async with _folder() as folder:
        on_sqlite = await costs(folder)
    async with _folder() as folder:
        with postgresql() as url:
            on_postgresql = await costs(folder, url)
    print(f"On {machine()}\n\n{costs_table([on_sqlite, on_postgresql])}\n", flush=True)
    print(table(("what Slack limits", "such incidents"), rates(on_sqlite)) + "\n")


async def print_loads(some: Sequence[Load]) -> None:
    """Simulate loads, and print the row of each as soon as it is known."""
    head = ("load", "share to card: median / 99 % / longest", "end to card", "until all is sent", "calls", "wrong")
    print(table(head, []), flush=True)
    for load in some:
        async with _folder() as folder:
            print("| " + " | ".join(load_row(load, await simulate(folder, load))) + " |", flush=True)


async def main_async(minutes: float, own: Load | None) -> None:
    """Print all tables, or the row of one load."""
    if own is None:
        await print_costs()
    await print_loads([own] if own else loads(minutes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20, help="how long each steady load lasts (simulated)")
    parser.add_argument(
        "--load",
        nargs=3,
        type=float,
        metavar=("INCIDENTS", "CHANNELS", "MINUTES"),
        help="simulate only this: incidents a minute, over so many channels, for so long",
    )
    options = parser.parse_args()
    own = None
    if options.load:
        per_minute, channels, minutes = options.load
        own = Load(per_minute=per_minute, channels=int(channels), minutes=minutes)
    structlog.configure(processors=[lambda *_: (_ for _ in ()).throw(structlog.DropEvent)])
    asyncio.run(main_async(options.minutes, own))


if __name__ == "__main__":
    main()
