"""Relay without its HTTP server: Slack is a fake over real HTTP, and time is the test's."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from typing import Any

import orjson
from sqlalchemy import update

from relay.config.configuration import Configuration
from relay.config.files import load_configuration
from relay.delivery.leader import Leader
from relay.delivery.service import DeliveryService
from relay.http.session import make_session
from relay.ingest.service import IngestService
from relay.metrics import Metrics
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.gateway import SlackGateway
from relay.slack.message import DEFAULT_INSTANCE
from relay.store import schema
from relay.store.store import Store
from relay.store.types import AcceptedShare
from tests.support.clocks import ManualClock
from tests.support.postgres import postgresql_with_tables

START = 1_700_000_000
LONG_STEP = 10.0
"""Seconds: the longest step in which a relay on PostgreSQL keeps its lease."""
IDLE_CHECKS, UNCHANGED_CHECKS = 4, 40
"""So many checks in a row, each in another turn of the event loop, find relay idle, or find that nothing moves."""

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], any: [here]}}]
"""


class StoreActivity:
    """Counts the work of a store: in progress, and done.

    On SQLite a transaction takes less than the way to its thread and back. If not `in_threads`, it runs in the loop.
    """

    def __init__(self, store: Store, *, in_threads: bool) -> None:
        self.in_progress = self.done = 0
        self._database = store.database
        self._in_thread = store.database._in_thread
        in_threads = in_threads or store.database.address.path is None
        # Every piece of work is counted.
        store.database._in_thread = self._counted if in_threads else self._in_loop  # type: ignore[method-assign]

    async def _in_loop(self, name: str, work: Any) -> Any:
        if self._database._closing is not None:
            return await self._in_thread(name, work)  # it says so
        try:
            return work()
        finally:
            self.done += 1
            await asyncio.sleep(0)

    async def _counted(self, name: str, work: Any) -> Any:
        self.in_progress += 1
        try:
            return await self._in_thread(name, work)
        finally:
            self.in_progress -= 1
            self.done += 1


@dataclass
class RelayInProcess:
    """The parts that a test uses."""

    clock: ManualClock
    slack: FakeSlack
    store: Store
    ingest: IngestService
    leader: Leader
    delivery: DeliveryService
    configuration: Configuration
    gateway: SlackGateway
    store_activity: StoreActivity
    metrics: Metrics

    async def share(
        self, incident: str = "i1", *, metadata: dict[str, Any] | None = None, **values: Any
    ) -> AcceptedShare:
        """Let BigPanda share an incident now; tags, links and events go beside the incident."""
        names = ("incidentTags", "links", "event_types", "relatedChanges")
        beside: dict[str, Any] = {name: values.pop(name) for name in names if name in values}
        changed = {"changedOn": int(self.clock.now()), **values}
        body = {"incident": {"id": incident, **changed}, **beside} | ({"metadata": metadata} if metadata else {})
        return await self.ingest.accept(orjson.dumps(body), {})

    async def settle(self) -> None:
        """Wait until everything due is done, or sleeps until time passes."""
        async with asyncio.timeout(100):
            idle, unchanged, before = 0, 0, None
            while idle < IDLE_CHECKS and unchanged < UNCHANGED_CHECKS:
                await asyncio.sleep(0 if idle or unchanged else 0.001)
                awake = self.clock.rousing or self.store_activity.in_progress
                idle = idle + 1 if self.delivery.idle and self.ingest.idle and not awake else 0
                now = (len(self.slack.calls), self.clock.sleepers, self.store_activity.done)
                unchanged = unchanged + 1 if self.clock.sleepers and not awake and now == before else 0
                before = now

    async def advance(self, seconds: float, *, step: float = 0.0) -> None:
        """Let time pass, step by step: what relay waits for happens in between.

        `step` is the shortest step in seconds: a relay on PostgreSQL does something every few seconds, and where many
        minutes pass, `LONG_STEP` is enough.
        """
        until = self.clock.now() + seconds
        await self.settle()
        while (moment := self.clock.next_timer()) is not None and moment <= until:
            now = self.clock.now()
            self.clock.advance(min(until, max(moment, now + step)) - now)
            await self.settle()
        self.clock.advance(until - self.clock.now())
        await self.settle()

    async def end_lease(self) -> None:
        """Let another relay lead at once, as if this one had died long enough ago."""
        await self.store.database.write(lambda connection: connection.execute(update(schema.lease).values(until=0)))

    def transcript(self, channel: str = "all") -> str:
        """Return what a reader of the channel sees."""
        return self.slack.transcript(channel)


def fake_workspace(clock: ManualClock) -> FakeSlack:
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    for channel, name in (("C0ALL00001", "all"), ("C0NOC00001", "noc"), ("C0DB000001", "db")):
        slack.add_channel(channel, name)
    return slack


_EMPTY: dict[str, bytes] = {}
_LOADED: dict[str, Configuration] = {}


def _loaded(folder: Path) -> Configuration:
    """Load the folder's configuration; one without own templates is compiled once for all tests."""
    routes = folder / "routes.yaml"
    if (folder / "templates").exists():
        return load_configuration(routes, folder / "templates")
    text = routes.read_text()
    if text not in _LOADED:
        _LOADED[text] = load_configuration(routes, folder / "templates")
    return _LOADED[text]


async def open_store(folder: Path) -> Store:
    """Open the folder's database on SQLite. Its tables are created once for all tests, and copied from then on."""
    file = folder / "relay.db"
    if not file.exists():
        if "tables" not in _EMPTY:
            await (await Store.open(f"sqlite:///{file}")).close()
            _EMPTY["tables"] = file.read_bytes()
        file.write_bytes(_EMPTY["tables"])
    return await Store.open(f"sqlite:///{file}")


@contextmanager
def on_one_postgresql() -> Iterator[dict[str, Any]]:
    """Yield the options of `run_relay` for relays that have one database, one workspace and one clock."""
    clock = ManualClock()
    with postgresql_with_tables() as url:
        yield {"url": url, "slack": fake_workspace(clock), "clock": clock}


@asynccontextmanager
async def run_relay(
    folder: Path,
    *,
    routes: str = ROUTES,
    slack: FakeSlack | None = None,
    clock: ManualClock | None = None,
    url: str = "",
    dies: bool = False,
    name: str = DEFAULT_INSTANCE,
    is_new: bool = False,
    in_threads: bool = False,
    begin: Callable[["RelayInProcess"], None] | None = None,
) -> AsyncIterator[RelayInProcess]:
    """Start relay on a database in that folder, perhaps one that an earlier relay has left.

    One that `dies` is not stopped in order: its tasks are cut off where they are. A database that `is_new` was never
    used, so that relay reads the channels first. `begin` is called before relay does anything, and then nothing is
    waited for. Other tasks go on during a transaction if the store is on PostgreSQL, or works `in_threads`.
    """
    clock = clock or ManualClock()
    slack = slack or fake_workspace(clock)
    (folder / "routes.yaml").write_text(routes)
    configuration = _loaded(folder)
    store = await (Store.open(url) if url else open_store(folder))
    if not is_new:
        await store.marker_secret(token_hex(32))
    stopping = asyncio.Event()
    try:
        async with serve_slack(slack) as base_url, make_session() as session, asyncio.TaskGroup() as tasks:
            gateway = SlackGateway(session, slack.token, clock, base_url=base_url)
            metrics = Metrics()
            delivery = DeliveryService(store, gateway, lambda: configuration, clock, metrics=metrics, instance=name)
            leader = Leader(store, clock, [delivery])
            store.database.on_work = leader.wake
            ingest = IngestService(
                store, lambda: configuration.rulebook, clock, leader.wake, "X-Relay-Key", metrics=metrics
            )
            await store.add_channels(configuration.rulebook.channel_refs)
            activity = StoreActivity(store, in_threads=in_threads)
            parts = (clock, slack, store, ingest, leader, delivery, configuration, gateway, activity, metrics)
            relay = RelayInProcess(*parts)
            if begin is not None:
                begin(relay)
            ingesting = tasks.create_task(ingest.run())
            leading = tasks.create_task(leader.run(stopping))
            if begin is None:
                await relay.settle()
            try:
                yield relay
            finally:
                stopping.set()
                leader.stop()
                ingesting.cancel()
                slack.faults.release()
                if dies:
                    leading.cancel()
    finally:
        await store.close()
