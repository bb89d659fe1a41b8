"""Starts everything that the demo consists of, and stops it again; nothing is left behind."""

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

from relay.app import Relay
from relay.config.settings import Settings
from relay.config.template_files import packaged_folder
from relay.demo.clock import wait_until_idle
from relay.demo.story import BILLING_CHANNEL, DATABASE_CHANNEL, NOC_CHANNEL, PEOPLE, UserStep
from relay.http.session import make_session
from relay.model.errors import RelayError
from relay.runtime.clock import Clock
from relay.samples import read_sample
from relay.sandbox.bigpanda.server import FakeBigPanda, serve_bigpanda
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from relay.sandbox.page.page import Page
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.interactivity import RequestUrl
from relay.sandbox.slack.payloads import NoSuchElement
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.store.store import Store

WEBHOOK_KEY: Final = "demo-webhook-key"
ADMIN_KEY: Final = "demo-admin-key"
OPERATOR_KEY: Final = "demo-operator-key"
SIGNING_SECRET: Final = "demo-signing-secret"  # noqa: S105  the same
"""Keys of a relay that runs for one demo, on this machine's loopback."""

OWN_INCIDENT: Final = "a-share-of-your-own"
"""The id of the incident that the page offers to paste."""

_CHANNELS: Final = (("C0NOC00001", NOC_CHANNEL), ("C0BILLING01", BILLING_CHANNEL), ("C0DBONCALL1", DATABASE_CHANNEL))
_GROUPS: Final = (("S0BILLING01", BILLING_CHANNEL), ("S0DBONCALL1", DATABASE_CHANNEL))


class CannotListen(RelayError):
    """The page cannot listen at the requested address."""


class ShareRejected(RelayError):
    """Relay rejected a share of the story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoEnvironment:
    """Everything, running. `page` shows it at `address`, the board for operators is at `board`.

    `folder` holds the active routes and templates.
    """

    slack: FakeSlack
    bigpanda: FakeBigPanda
    page: Page
    relay: Relay
    clock: Clock
    folder: Path
    address: str
    board: str
    running: asyncio.Task[None]

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress, and nothing will be before time passes or somebody acts."""
        return self.relay.idle and self.bigpanda.idle

    async def share(self, body: dict[str, Any]) -> None:
        """Apply the body of a share to BigPanda, which shares it with relay.

        Raises ShareRejected: relay did not answer 202.
        """
        sent = len(self.bigpanda.sent_shares)
        incident = await self.bigpanda.apply_and_send(body)
        for share in self.bigpanda.sent_shares[sent:]:
            if share.incident == incident.id and share.status != HTTPStatus.ACCEPTED:
                raise ShareRejected(f"relay answered a share of the story with {share.status or 'nothing'}")

    async def perform(self, step: UserStep) -> None:
        """Perform what a user does in Slack.

        Raises:
            NoSuchElement: there is no such card, or no such button on it.
            InvalidInput: Slack's window would not submit the modal.
        """
        place = self.slack.channel(step.channel)
        cards = [message for message in place.messages if _incident_of(message) == step.incident]
        if not cards:
            raise NoSuchElement(f"no card of {step.incident} in #{place.name}")
        card = cards[-1]
        if not step.action:
            await self.slack.post_as(step.user, card.channel, step.text, card.ts)
            return
        await self.slack.click(step.user, card.channel, card.ts, step.action)
        if step.values:
            await wait_until_idle(lambda: self.idle)
            views = self.slack.open_views(step.user)
            if not views:
                raise NoSuchElement(f"the click on {step.action} opened no modal")
            await self.slack.submit(step.user, views[-1], step.values)

    def is_resolved(self, incident: str) -> bool:
        """Whether the incident is resolved in BigPanda."""
        return incident in self.bigpanda.incidents and self.bigpanda.incident(incident).resolved


@asynccontextmanager
async def start_demo(clock: Clock, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[DemoEnvironment]:
    """Start everything; the page listens on `host` and `port`, or the next free one (0 takes any free one).

    Raises:
        CannotListen: the page cannot listen there.
        RelayError: relay cannot start.
    """
    slack, bigpanda = _workspace(clock), FakeBigPanda(clock=clock.now, sleep=clock.sleep)
    for person in PEOPLE:
        bigpanda.add_user(FakeBigPandaUser(id=person.bigpanda, name=person.name, email=person.email))
    page = Page(slack, host=host)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-demo-")))
        # a copy, so that users can edit them
        (folder / "routes.yaml").write_bytes((files("relay.demo") / "routes.yaml").read_bytes())
        shutil.copytree(packaged_folder(), folder / "templates")
        try:
            slack_url = await stack.enter_async_context(
                serve_slack(slack, host, port, next_free=True, add_routes=page.add_routes)
            )
        except OSError as error:
            raise CannotListen(f"the page cannot listen on {host} port {port}: {error.strerror or error}") from error
        bigpanda_url = await stack.enter_async_context(serve_bigpanda(bigpanda))
        session = await stack.enter_async_context(make_session())
        settings = _settings(folder, slack_url, bigpanda_url)
        store = await Store.open(settings.database_url.get_secret_value())
        stack.push_async_callback(store.close)
        relay = Relay(settings, store, session, clock)
        running = asyncio.create_task(relay.run(), name="relay")
        url = await _relay_url(relay, running)
        slack.interactivity = RequestUrl(url, SIGNING_SECRET, clock=clock.now)
        bigpanda.add_integration(f"{url}/shares", {"X-Relay-Key": WEBHOOK_KEY})
        page.relay = RelayClient(
            url=url,
            webhook_key=WEBHOOK_KEY,
            admin_key=ADMIN_KEY,
            sample=_own_sample(int(clock.now())),
        )
        page.board = f"{url}/board"
        bigpanda.find_share = page.relay.newest_share
        try:
            yield DemoEnvironment(
                slack=slack,
                bigpanda=bigpanda,
                page=page,
                relay=relay,
                clock=clock,
                folder=folder,
                address=slack_url.removesuffix("api/"),
                board=f"{url}/board",
                running=running,
            )
        finally:
            relay.stop()
            await running


def documented_sample() -> dict[str, Any]:
    """The share that BigPanda documents, as it is packaged with relay."""
    body: dict[str, Any] = orjson.loads(read_sample("documented"))
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


def _settings(folder: Path, slack_url: str, bigpanda_url: str) -> Settings:
    return Settings.from_env(
        {
            "RELAY_LISTEN": "127.0.0.1:0",
            "RELAY_ROUTES": str(folder / "routes.yaml"),
            "RELAY_TEMPLATES": str(folder / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{folder / 'relay.db'}",
            "RELAY_WEBHOOK_KEYS": WEBHOOK_KEY,
            "RELAY_ADMIN_KEY": ADMIN_KEY,
            "RELAY_OPERATOR_KEY": OPERATOR_KEY,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_API_URL": slack_url,
            "SLACK_SIGNING_SECRET": SIGNING_SECRET,
            "BIGPANDA_API_URL": bigpanda_url,
            "BIGPANDA_API_KEY": "BPUsandbox",
            "BIGPANDA_APP_KEY": "app-sandbox",
        }
    ).for_serving()


async def _relay_url(relay: Relay, running: asyncio.Task[None]) -> str:
    starting: list[asyncio.Future[Any]] = [relay.address, running]
    await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    host, port = relay.address.result()
    return f"http://{host}:{port}"


def _incident_of(message: FakeMessage) -> str | None:
    metadata = message.metadata or {}
    return metadata["event_payload"]["incident"] if metadata.get("event_type") == "relay_card" else None


def _own_sample(now: int) -> str:
    """The documented sample as a new incident of the reader, which starts now."""
    body = documented_sample()
    body["incident"] |= {"id": OWN_INCIDENT, "startedOn": now, "changedOn": now, "updatedOn": now}
    body["event_types"] = [{"event": "incident#new", "time": now}]
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
