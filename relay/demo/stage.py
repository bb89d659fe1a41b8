"""Starts everything that the demo is made of, and stops it again: nothing is left behind but what was printed."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from relay.app import Relay
from relay.clock import Clock
from relay.errors import RelayError
from relay.metrics import Metrics
from relay.sandbox import Slack as StandIn
from relay.sandbox import serving
from relay.sandbox.page import Backstage, Page
from relay.settings import Settings
from relay.slack import Slack
from relay.store import Store
from relay.templates_on_disk import packaged_folder
from relay.wire import make_session

WEBHOOK_KEY: Final = "demo-webhook-key"
ADMIN_KEY: Final = "demo-admin-key"
"""They open a relay that lives for one demo, on this machine's own loop."""

OWN: Final = "a-share-of-your-own"
"""The id of the incident that the page offers to paste."""

_CHANNELS: Final = (("C0NOC00001", "noc"), ("C0BILLING01", "billing-oncall"), ("C0DBONCALL1", "db-oncall"))
_GROUPS: Final = (("S0BILLING01", "billing-oncall"), ("S0DBONCALL1", "db-oncall"))


class CannotListen(RelayError):
    """The page cannot listen where it was told to."""


class NotTaken(RelayError):
    """Relay did not take a share of the story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything, running. `page` shows it at `address`; `folder` holds the routes and templates that are live."""

    slack: StandIn
    page: Page
    relay: Relay
    clock: Clock
    folder: Path
    address: str
    session: aiohttp.ClientSession
    running: asyncio.Task[None]

    async def share(self, body: dict[str, Any]) -> None:
        """Let BigPanda share that, through relay's front door.

        Raises:
            NotTaken: relay did not answer 202.
        """
        host, port = await self.relay.address
        headers = {"X-Relay-Key": WEBHOOK_KEY, "Content-Type": "application/json"}
        async with self.session.post(
            f"http://{host}:{port}/shares", data=orjson.dumps(body), headers=headers
        ) as answer:
            if not answer.ok:
                raise NotTaken(f"relay answered a share of the story with {answer.status}: {await answer.text()}")


@asynccontextmanager
async def on_stage(clock: Clock, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Stage]:
    """Start all of it; the page listens on `host` and `port` (0 takes any free one).

    Raises:
        CannotListen: the page cannot listen there.
        RelayError: relay cannot start.
    """
    slack = _workspace(clock)
    page = Page(slack, host=host)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-demo-")))
        _furnish(folder)
        base = await _served(stack, slack, page, host, port)
        session = await stack.enter_async_context(make_session())
        settings = _settings(folder, base)
        store = await Store.open(settings.database_url.get_secret_value())
        stack.push_async_callback(store.close)
        relay = Relay(settings, store, clock, Metrics())
        running = asyncio.create_task(relay.run(Slack(session, slack.token, base_url=base)), name="relay")
        page.backstage = await _backstage(relay, running, int(clock.now()))
        try:
            yield Stage(
                slack=slack,
                page=page,
                relay=relay,
                clock=clock,
                folder=folder,
                address=base.removesuffix("api/"),
                session=session,
                running=running,
            )
        finally:
            relay.stop()
            await running


async def _served(stack: AsyncExitStack, slack: StandIn, page: Page, host: str, port: int) -> str:
    """The base address of the stand-in, which is served until the stack unwinds."""
    try:
        return await stack.enter_async_context(serving(slack, host, port, furnish=page.furnish))
    except OSError as error:
        raise CannotListen(f"the page cannot listen on {host} port {port}: {error.strerror or error}") from error


def sample() -> dict[str, Any]:
    """The share that BigPanda documents, as relay is packaged with it."""
    body: dict[str, Any] = orjson.loads((files("relay") / "samples" / "documented-sample.json").read_bytes())
    return body


def _workspace(clock: Clock) -> StandIn:
    slack = StandIn(clock=clock.now, sleep=clock.sleep)
    for channel, name in _CHANNELS:
        slack.add_channel(channel, name)
    for group, handle in _GROUPS:
        slack.add_usergroup(group, handle)
    return slack


def _furnish(folder: Path) -> None:
    """Copies, so that whoever tries relay out can edit them."""
    (folder / "routes.yaml").write_bytes((files("relay.demo") / "routes.yaml").read_bytes())
    shutil.copytree(packaged_folder(), folder / "templates")


def _settings(folder: Path, base: str) -> Settings:
    return Settings.from_env(
        {
            "RELAY_LISTEN": "127.0.0.1:0",
            "RELAY_ROUTES": str(folder / "routes.yaml"),
            "RELAY_TEMPLATES": str(folder / "templates"),
            "RELAY_DATABASE_URL": f"sqlite:///{folder / 'relay.db'}",
            "RELAY_WEBHOOK_KEYS": WEBHOOK_KEY,
            "RELAY_ADMIN_KEY": ADMIN_KEY,
            "SLACK_BOT_TOKEN": "xoxb-sandbox",
            "SLACK_API_URL": base,
        }
    ).for_serving()


async def _backstage(relay: Relay, running: asyncio.Task[None], now: int) -> Backstage:
    """What the page asks relay by, once relay listens."""
    starting: list[asyncio.Future[Any]] = [relay.address, running]
    await asyncio.wait(starting, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    host, port = relay.address.result()
    return Backstage(
        url=f"http://{host}:{port}", webhook_key=WEBHOOK_KEY, admin_key=ADMIN_KEY, sample=_of_ones_own(now)
    )


def _of_ones_own(now: int) -> str:
    """The documented sample as an incident of the reader's own, which began just now."""
    body = sample()
    body["incident"] |= {"id": OWN, "startedOn": now, "changedOn": now, "updatedOn": now}
    body["event_types"] = [{"event": "incident#new", "time": now}]
    return orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
