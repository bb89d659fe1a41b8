"""Relay with a fake Slack and a fake BigPanda around it, on a clock that the test moves.

click -> relay -> BigPanda's API -> BigPanda's share -> relay -> card
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relay.app import Relay
from relay.config.settings import Settings
from relay.demo.clock import SimulatedClock, wait_until_idle
from relay.http.session import make_session
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.interactivity import PayloadDelivery, RequestUrl
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.interactions import MENU_ACTION
from relay.store.store import Store
from tests.support.relay_in_process import StoreActivity, open_store

START = 1_700_000_000
SECRET = "signing-secret"  # of the fake
KEY = "webhook-key"
APP_KEY = "app-sandbox"
ANN, BOB = "U0ANN00001", "U0BOB00001"
NOC, DB = "C0NOC00001", "C0DB000001"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: databases
    match: {tags: {team: database}}
    post: [C0DB000001, C0NOC00001]
    actions: [assign, comment, snooze, resolve]
    sync_replies: true
  - name: guarded
    match: {tags: {team: payments}}
    post: [C0NOC00001]
    actions: [assign, resolve]
    actors: [S0ONCALL01]
"""


def body(incident: str = "i1", *, team: str = "database", **values: Any) -> dict[str, Any]:
    alert = {
        "id": f"{incident}-a",
        "status": "Critical",
        "active": True,
        "startedOn": START,
        "primaryProperty": "host",
        "secondaryProperty": "check",
        "tags": [{"name": "host", "value": "db-117"}, {"name": "check", "value": "replication lag"}],
    }
    state = {"status": "Critical", "active": True, "severity": "Critical", "flapping": False, "resolved": False}
    times = {"startedOn": START, "changedOn": START, "updatedOn": START, "endedOn": None}
    return {
        "incident": {"id": incident, **state, "snooze": {"snoozed": False}, **times, "alerts": [alert], **values},
        "incidentTags": [{"id": "team", "value": team}],
        "links": {"landingPage": "http://bigp.io/1"},
        "metadata": {"environment": "Production", "environment_id": "e1"},
    }


async def press(slack: FakeSlack, user: str, channel: str, card: FakeMessage, action: str) -> PayloadDelivery:
    """Press a button of relay's on the card: where it stands in the menu, choose that entry."""
    elements = [
        element for part in card.attachments for block in part["blocks"] for element in block.get("elements", ())
    ]
    entries = [option["value"] for element in elements for option in element.get("options", ())]
    entry = next((value for value in entries if value.startswith(f"relay_{action}:")), None)
    return await slack.click(user, channel, card.ts, MENU_ACTION if entry else f"relay_{action}", option=entry)


@dataclass
class RoundTrip:
    """The parts that a test uses."""

    clock: SimulatedClock
    slack: FakeSlack
    panda: FakeBigPanda
    relay: Relay
    store: Store

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress; a share that BigPanda delays is not."""
        return self.relay.idle and (bool(self.panda.share_delay) or self.panda.idle)

    async def settle(self) -> None:
        async with asyncio.timeout(100):
            await wait_until_idle(lambda: self.idle)

    async def advance(self, seconds: float) -> None:
        """Let time pass, in steps of half a minute; hours pass in forty steps."""
        async with asyncio.timeout(100):
            await self.clock.run_for(seconds, lambda: self.idle, min_step=max(30.0, seconds / 40))

    async def start_incident(self, incident: str = "i1", **values: Any) -> None:
        await self.panda.start_incident(body(incident, **values))
        await self.settle()

    def card(self, channel: str = DB) -> FakeMessage:
        [found] = [each for each in self.slack.channel(channel).messages if each.metadata]
        return found

    def card_text(self, channel: str = DB) -> str:
        return self.slack.text_of(self.card(channel))

    def thread(self, channel: str = DB) -> list[str]:
        return [self.slack.text_of(each) for each in self.slack.channel(channel).thread(self.card(channel).ts)]

    async def click(self, action: str, user: str = ANN, channel: str = DB) -> Any:
        delivery = await press(self.slack, user, channel, self.card(channel), action)
        await self.settle()
        return delivery

    async def submit(self, user: str = ANN, **values: str) -> Any:
        delivery = await self.slack.submit(user, self.slack.open_views(user)[-1], values)
        await self.settle()
        return delivery

    def ephemeral_messages(self, user: str = ANN) -> list[str]:
        return [note.text for note in self.slack.ephemeral_messages(user)]

    async def tasks(self, incident: str = "i1") -> list[tuple[str, str, str]]:
        history = await self.store.incident_history(incident)
        assert history is not None
        return [(str(each.kind), str(each.state), each.reason) for each in history.tasks]


async def gauge(round_trip: RoundTrip, name: str) -> float:
    """Return a metric as Prometheus would read it now."""
    text = (await round_trip.relay.backend.metrics())[0].decode()
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))


def settings(folder: Path, slack: str, panda: str, **more: str) -> Settings:
    given: Mapping[str, str] = {
        "RELAY_LISTEN": "127.0.0.1:0",
        "RELAY_ROUTES": str(folder / "routes.yaml"),
        "RELAY_TEMPLATES": str(folder / "templates"),
        "RELAY_DATABASE_URL": f"sqlite:///{folder / 'relay.db'}",
        "RELAY_WEBHOOK_KEYS": KEY,
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_API_URL": slack,
        "SLACK_SIGNING_SECRET": SECRET,
        "BIGPANDA_API_URL": panda,
        "BIGPANDA_API_KEY": "BPUsandbox",
        "BIGPANDA_APP_KEY": APP_KEY,
    }
    return Settings.from_env({name: value for name, value in {**given, **more}.items() if value})


def fake_workspace(clock: SimulatedClock) -> FakeSlack:
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    slack.add_channel(NOC, "noc")
    slack.add_channel(DB, "db")
    slack.add_user(ANN, "Ann Lee", email="ann@example.com", channels=[NOC, DB], timezone="Europe/Berlin")
    slack.add_user(BOB, "Bob", email="bob@example.com", channels=[NOC, DB], timezone="America/New_York")
    slack.add_usergroup("S0ONCALL01", "oncall", users=[BOB])
    return slack


def fake_organisation(clock: SimulatedClock) -> FakeBigPanda:
    panda = FakeBigPanda(clock=clock.now, sleep=clock.sleep)
    panda.add_user(FakeBigPandaUser(id="5506e4fbe7e0e400000000a1", name="Ann Lee", email="ann@example.com"))
    return panda


def _request_url(at: str, clock: SimulatedClock) -> RequestUrl:
    """Give the answer to a click real time enough: a busy machine may need more than Slack's three seconds."""
    return RequestUrl(at, SECRET, clock=clock.now, timeout=60)


@asynccontextmanager
async def run_round_trip(
    folder: Path,
    *,
    routes: str = ROUTES,
    slack: FakeSlack | None = None,
    panda: FakeBigPanda | None = None,
    clock: SimulatedClock | None = None,
    integration: Mapping[str, Any] | None = None,
    dies: bool = False,
    prepare: Callable[[FakeSlack], FakeSlack] = lambda slack: slack,
    **more: str,
) -> AsyncIterator[RoundTrip]:
    """Start everything, on a database in that folder, perhaps one that an earlier relay has left.

    A relay that `dies` is not stopped in order: it is cut off where it is. `prepare` changes a new workspace.
    """
    clock = clock or SimulatedClock(START)
    slack, panda = slack or prepare(fake_workspace(clock)), panda or fake_organisation(clock)
    (folder / "routes.yaml").write_text(routes)
    async with AsyncExitStack() as stack:
        slack_at = await stack.enter_async_context(serve_slack(slack))
        panda_at = await stack.enter_async_context(serve_bigpanda(panda))
        session = await stack.enter_async_context(make_session())
        given = settings(folder, slack_at, panda_at, **more)
        store = await open_store(folder)
        stack.push_async_callback(store.close)
        StoreActivity(store, in_threads=False)
        relay = Relay(given, store, session, clock)
        running = asyncio.create_task(relay.run())
        starting: list[asyncio.Future[Any]] = [relay.address, running]
        await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        host, port = relay.address.result()
        at = f"http://{host}:{port}"
        slack.interactivity = slack.socket_mode if given.slack_app_token else _request_url(at, clock)
        panda.integrations.clear()
        panda.add_integration(f"{at}/shares", {"X-Relay-Key": KEY}, app_key=APP_KEY, **(integration or {}))
        round_trip = RoundTrip(clock, slack, panda, relay, store)
        await round_trip.settle()
        try:
            yield round_trip
        finally:
            if dies:
                running.cancel()
                await asyncio.wait([running])
            slack.faults.release()
            panda.faults.release()
            relay.stop()
            while not (await asyncio.wait([running], timeout=0.1))[0]:  # calls wait for their turns, in simulated time
                clock.set_time(clock.now() + 60)
            with suppress(asyncio.CancelledError):
                await running
