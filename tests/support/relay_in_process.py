"""The whole house without its front door: intake, store and delivery for real, Slack's stand-in over real HTTP, and a
clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from relay.config.configuration import Configuration
from relay.config.files import load_configuration
from relay.delivery import DeliveryService
from relay.http.session import make_session
from relay.ingest.service import IngestService
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.client import SlackClient
from relay.store.store import Store
from relay.store.types import AcceptedShare
from tests.support.clocks import ManualClock

START = 1_700_000_000
LOOKS, STILL = 4, 40
"""So many looks in a row, each after the event loop has gone round, find everybody at rest, or nothing that moves."""

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: all
    post: [{channel: C0ALL00001, mention: {critical: [S0CRIT], any: [here]}}]
"""


class StoreActivity:
    """Counts what a store's threads have under way, and what they have done."""

    def __init__(self, store: Store) -> None:
        self.under_way = self.done = 0
        self._in_thread = store.database._in_thread
        # Every piece of work in a thread is counted.
        store.database._in_thread = self._counted  # type: ignore[method-assign]

    async def _counted(self, name: str, work: Any) -> Any:
        self.under_way += 1
        try:
            return await self._in_thread(name, work)
        finally:
            self.under_way -= 1
            self.done += 1


@dataclass
class RelayInProcess:
    """What a test holds in its hands."""

    clock: ManualClock
    slack: FakeSlack
    store: Store
    ingest: IngestService
    delivery: DeliveryService
    configuration: Configuration
    slack_client: SlackClient
    storing: StoreActivity

    async def share(
        self, incident: str = "i1", *, metadata: dict[str, Any] | None = None, **told: Any
    ) -> AcceptedShare:
        """BigPanda shares an incident, now; what it tells of tags, links and events stands beside it."""
        beside: dict[str, Any] = {
            name: told.pop(name) for name in ("incidentTags", "links", "event_types", "relatedChanges") if name in told
        }
        changed = {"changedOn": int(self.clock.now()), **told}
        body = {"incident": {"id": incident, **changed}, **beside} | ({"metadata": metadata} if metadata else {})
        return await self.ingest.accept(orjson.dumps(body), {})

    async def settle(self) -> None:
        """Everything that is due now is done, or sleeps until time passes."""
        async with asyncio.timeout(30):
            quiet, still, seen = 0, 0, None
            while quiet < LOOKS and still < STILL:
                await asyncio.sleep(0 if quiet or still else 0.001)
                awake = self.clock.rousing or self.storing.under_way
                quiet = quiet + 1 if self.delivery.idle and not awake else 0
                now = (len(self.slack.calls), self.clock.sleepers, self.storing.done)
                still = still + 1 if self.clock.sleepers and not awake and now == seen else 0
                seen = now

    async def advance(self, seconds: float) -> None:
        """Time passes, step by step: whatever somebody waits for on the way happens then."""
        until = self.clock.now() + seconds
        await self.settle()
        while (moment := self.clock.next_timer()) is not None and moment <= until:
            self.clock.advance(max(0.0, moment - self.clock.now()))
            await self.settle()
        self.clock.advance(until - self.clock.now())
        await self.settle()

    def transcript(self, channel: str = "all") -> str:
        """What a reader of the channel sees."""
        return self.slack.transcript(channel)


def fake_workspace(clock: ManualClock) -> FakeSlack:
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    for channel, name in (("C0ALL00001", "all"), ("C0NOC00001", "noc"), ("C0DB000001", "db")):
        slack.add_channel(channel, name)
    return slack


_EMPTY: dict[str, bytes] = {}
_LOADED: dict[str, Configuration] = {}


def _loaded(folder: Path) -> Configuration:
    """The configuration of the folder; one without templates of its own is compiled once for all tests."""
    routes = folder / "routes.yaml"
    if (folder / "templates").exists():
        return load_configuration(routes, folder / "templates")
    text = routes.read_text()
    if text not in _LOADED:
        _LOADED[text] = load_configuration(routes, folder / "templates")
    return _LOADED[text]


async def _opened(url: str, folder: Path) -> Store:
    """The store of the folder; tables are made once, and copied from then on."""
    file = folder / "relay.db"
    if url or file.exists():
        return await Store.open(url or f"sqlite:///{file}")
    if "tables" not in _EMPTY:
        await (await Store.open(f"sqlite:///{file}")).close()
        _EMPTY["tables"] = file.read_bytes()
    file.write_bytes(_EMPTY["tables"])
    return await Store.open(f"sqlite:///{file}")


@asynccontextmanager
async def run_relay(
    folder: Path,
    *,
    routes: str = ROUTES,
    slack: FakeSlack | None = None,
    clock: ManualClock | None = None,
    url: str = "",
    dies: bool = False,
) -> AsyncIterator[RelayInProcess]:
    """Everything started, on a database in that folder (which may be one that an earlier house has left).

    One that `dies` is not shut down in order: its tasks are cut off where they are.
    """
    clock = clock or ManualClock()
    slack = slack or fake_workspace(clock)
    (folder / "routes.yaml").write_text(routes)
    configuration = _loaded(folder)
    store = await _opened(url, folder)
    stopping = asyncio.Event()
    try:
        async with serve_slack(slack) as base_url, make_session() as session, asyncio.TaskGroup() as tasks:
            door = SlackClient(session, slack.token, base_url=base_url)
            sender = DeliveryService(store, door, lambda: configuration, clock)
            intake = IngestService(store, lambda: configuration.rulebook, clock, sender.wake, "X-Relay-Key")
            await store.add_channels(configuration.rulebook.channel_refs)
            committing = tasks.create_task(intake.run())
            sending = tasks.create_task(sender.run(stopping))
            house = RelayInProcess(clock, slack, store, intake, sender, configuration, door, StoreActivity(store))
            await house.settle()
            try:
                yield house
            finally:
                stopping.set()
                sender.stop()
                committing.cancel()
                slack.faults.release()
                if dies:
                    sending.cancel()
    finally:
        await store.close()
