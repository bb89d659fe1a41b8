"""Starts everything that the demo is made of, and stops it again: nothing is left behind but what was printed."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import orjson

from relay.app import Relay, bigpanda_client
from relay.config.settings import Settings
from relay.config.template_files import packaged_folder
from relay.demo.clock import wait_until_idle
from relay.demo.story import BILLING_CHANNEL, DATABASE_CHANNEL, NOC_CHANNEL, PEOPLE, UserStep
from relay.http.session import make_session
from relay.metrics import Metrics
from relay.model.errors import RelayError
from relay.runtime.clock import Clock
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.page.page import Page
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.interactivity import RequestUrl
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.client import SlackClient
from relay.store import Store

WEBHOOK_KEY: Final = "demo-webhook-key"
ADMIN_KEY: Final = "demo-admin-key"
SIGNING_SECRET: Final = "demo-signing-secret"  # noqa: S105  the same
"""They open a relay that lives for one demo, on this machine's own loop."""

OWN_INCIDENT: Final = "a-share-of-your-own"
"""The id of the incident that the page offers to paste."""

_CHANNELS: Final = (("C0NOC00001", NOC_CHANNEL), ("C0BILLING01", BILLING_CHANNEL), ("C0DBONCALL1", DATABASE_CHANNEL))
_GROUPS: Final = (("S0BILLING01", BILLING_CHANNEL), ("S0DBONCALL1", DATABASE_CHANNEL))


class CannotListen(RelayError):
    """The page cannot listen where it was told to."""


class ShareRejected(RelayError):
    """Relay did not take a share of the story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEnvironment:
    """Everything, running. `page` shows it at `address`; `folder` holds the routes and templates that are live."""

    slack: FakeSlack
    bigpanda: FakeBigPanda
    page: Page
    relay: Relay
    clock: Clock
    folder: Path
    address: str
    running: asyncio.Task[None]

    @property
    def idle(self) -> bool:
        """Whether nothing is under way anywhere, and nothing can be before time passes or somebody does something."""
        return self.relay.idle and self.bigpanda.idle

    async def share(self, body: dict[str, Any]) -> None:
        """Let what that share tells come about in BigPanda, which shares it through relay's front door.

        Raises:
            NotTaken: relay did not answer 202.
        """
        known = len(self.bigpanda.sent_shares)
        incident = await self.bigpanda.apply_and_send(body)
        for shared in self.bigpanda.sent_shares[known:]:
            if shared.incident == incident.id and shared.status != HTTPStatus.ACCEPTED:
                raise ShareRejected(f"relay answered a share of the story with {shared.status or 'nothing'}")

    async def perform(self, act: UserStep) -> None:
        """Let somebody do that in Slack.

        Raises:
            NotThere: there is no such card, or no such button on it.
            NotSendable: Slack's window would not send it.
        """
        card = self._card(act.incident, act.channel)
        if not act.action:
            await self.slack.post_as(act.user, card.channel, act.text, card.ts)
            return
        await self.slack.click(act.user, card.channel, card.ts, act.action)
        if act.values:
            await wait_until_idle(lambda: self.idle)
            opened = self.slack.open_views(act.user)
            if not opened:
                raise NoSuchElement(f"nothing was opened to be filled in at the press of {act.action}")
            await self.slack.submit(act.user, opened[-1], act.values)

    def is_resolved(self, incident: str) -> bool:
        """Whether BigPanda has that incident as resolved."""
        return incident in self.bigpanda.incidents and self.bigpanda.incident(incident).resolved

    def _card(self, incident: str, channel: str) -> FakeMessage:
        place = self.slack.channel(channel)
        cards = [each for each in place.messages if _incident_of(each) == incident and not each.deleted]
        if not cards:
            raise NoSuchElement(f"no card of {incident} in #{place.name}")
        return cards[-1]


@asynccontextmanager
async def start_demo(clock: Clock, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[DemoEnvironment]:
    """Start all of it; the page listens on `host` and `port` (0 takes any free one).

    Raises:
        CannotListen: the page cannot listen there.
        RelayError: relay cannot start.
    """
    slack, panda = _workspace(clock), _organisation(clock)
    page = Page(slack, host=host)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-demo-")))
        _furnish(folder)
        base = await _served(stack, slack, page, host, port)
        api = await stack.enter_async_context(serve_bigpanda(panda))
        session = await stack.enter_async_context(make_session())
        settings = _settings(folder, base, api)
        store = await Store.open(settings.database_url.get_secret_value())
        stack.push_async_callback(store.close)
        metrics = Metrics()
        relay = Relay(settings, store, clock, metrics)
        doors = SlackClient(session, slack.token, base_url=base), bigpanda_client(settings, session, metrics)
        running = asyncio.create_task(relay.run(*doors), name="relay")
        url = await _listening(relay, running)
        slack.interactivity = RequestUrl(url, SIGNING_SECRET, clock=clock.now)
        panda.add_integration(f"{url}/shares", {"X-Relay-Key": WEBHOOK_KEY})
        page.relay = _backstage(url, panda, int(clock.now()))
        try:
            yield DemoEnvironment(
                slack=slack,
                bigpanda=panda,
                page=page,
                relay=relay,
                clock=clock,
                folder=folder,
                address=base.removesuffix("api/"),
                running=running,
            )
        finally:
            relay.stop()
            await running


async def _served(stack: AsyncExitStack, slack: FakeSlack, page: Page, host: str, port: int) -> str:
    """The base address of the stand-in, which is served until the stack unwinds."""
    try:
        return await stack.enter_async_context(serve_slack(slack, host, port, add_routes=page.add_routes))
    except OSError as error:
        raise CannotListen(f"the page cannot listen on {host} port {port}: {error.strerror or error}") from error


def documented_sample() -> dict[str, Any]:
    """The share that BigPanda documents, as relay is packaged with it."""
    body: dict[str, Any] = orjson.loads((files("relay") / "samples" / "documented-sample.json").read_bytes())
    return body


def _workspace(clock: Clock) -> FakeSlack:
    slack = FakeSlack(clock=clock.now, sleep=clock.sleep)
    for channel, name in _CHANNELS:
        slack.add_channel(channel, name)
    for person in PEOPLE:
        slack.add_user(person.slack, person.name, email=person.email, channels=list(slack.channels))
    for group, handle in _GROUPS:
        slack.add_usergroup(group, handle, users=[person.slack for person in PEOPLE if person.handle == handle])
    return slack


def _organisation(clock: Clock) -> FakeBigPanda:
    panda = FakeBigPanda(clock=clock.now, sleep=clock.sleep)
    for person in PEOPLE:
        panda.add_user(FakeBigPandaUser(id=person.bigpanda, name=person.name, email=person.email))
    return panda


def _furnish(folder: Path) -> None:
    """Copies, so that whoever tries relay out can edit them."""
    (folder / "routes.yaml").write_bytes((files("relay.demo") / "routes.yaml").read_bytes())
    shutil.copytree(packaged_folder(), folder / "templates")


def _settings(folder: Path, slack: str, panda: str) -> Settings:
    return Settings.from_env(
        {
            "RELAY_LISTEN": "127.0.0.1:0",
            "RELAY_ROUTES": str(folder / "routes.yaml"),
            "RELAY_TEMPLATES": str(folder / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{folder / 'relay.db'}",
            "RELAY_WEBHOOK_KEYS": WEBHOOK_KEY,
            "RELAY_ADMIN_KEY": ADMIN_KEY,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_API_URL": slack,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "BIGPANDA_API_URL": panda,
            "BIGPANDA_API_KEY": "BPUsandbox",
            "BIGPANDA_APP_KEY": "app-sandbox",
        }
    ).for_serving()


async def _listening(relay: Relay, running: asyncio.Task[None]) -> str:
    """Where relay listens, once it does."""
    starting: list[asyncio.Future[Any]] = [relay.address, running]
    await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    host, port = relay.address.result()
    return f"http://{host}:{port}"


def _backstage(url: str, panda: FakeBigPanda, now: int) -> RelayClient:
    """What the page asks relay by. Relay gets a pasted share as it is, and then BigPanda has its incident, too."""
    sample = _of_ones_own(now)
    return RelayClient(
        url=url, webhook_key=WEBHOOK_KEY, admin_key=ADMIN_KEY, sample=sample, on_accepted=panda.learn_incident
    )


def _incident_of(message: FakeMessage) -> str | None:
    """The incident whose card a message is."""
    told = message.metadata or {}
    return told["event_payload"]["incident"] if told.get("event_type") == "relay_card" else None


def _of_ones_own(now: int) -> str:
    """The documented sample as an incident of the reader's own, which began just now."""
    body = documented_sample()
    body["incident"] |= {"id": OWN_INCIDENT, "startedOn": now, "changedOn": now, "updatedOn": now}
    body["event_types"] = [{"event": "incident#new", "time": now}]
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
