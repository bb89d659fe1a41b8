"""The whole house: reads files, opens things, wires them, and stops them in the reverse order."""

import asyncio
import signal
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from aiohttp import ClientSession

from relay import __version__
from relay.actions import ActionServices, build_actions
from relay.bigpanda.client import BigPandaClient
from relay.config.configuration import Configuration
from relay.config.settings import Settings
from relay.delivery import DeliveryService
from relay.http.session import make_session
from relay.ingest.service import IngestService
from relay.metrics import Metrics
from relay.model.errors import StoreError
from relay.ratelimit.budgets import Budgets
from relay.reload import Notifier, Reloader
from relay.runtime.clock import Clock
from relay.server.backend import Readiness, ShareReceipt
from relay.server.endpoints import create_app
from relay.server.lifecycle import listen
from relay.slack.client import SlackClient
from relay.slack.methods import slack_budgets
from relay.slack.socket_mode import SocketMode
from relay.store.health_probe import TIMEOUT, HealthProbe
from relay.store.retention_job import run_retention
from relay.store.store import Store
from relay.store.types import Backlog
from relay.tools.incident import as_json

T = TypeVar("T")

log = structlog.get_logger("relay")

DRAIN_SECONDS = 3.0
"""Seconds in which requests that are inside are finished, once relay is told to stop."""

LAST_CALLS_SECONDS = 6.0
"""Seconds from then on in which calls to Slack that are under way are finished; what is cut off then is in doubt."""

CLOSE_SECONDS = 8.0
"""Seconds from then on in which the database is closed.

Orchestrators kill what has not gone after ten seconds: those that are left are for the log, and for ending the process.
"""


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    Raises:
        RelayError: it cannot start; the message says why and what to do.
    """
    store = await Store.open(settings.database_url.get_secret_value())
    metrics, clock = Metrics(), Clock()
    relay = Relay(settings, store, clock, metrics)
    try:
        async with make_session() as session:
            token = settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else ""
            slack = SlackClient(session, token, base_url=settings.slack_api_url, observer=metrics.record_slack_call)
            socket = socket_mode(relay, settings, session, clock)
            await relay.run(slack, bigpanda_client(settings, session, metrics), socket)
    finally:
        if not await store.close(relay.seconds_left(CLOSE_SECONDS)):
            log.warning("database_not_closed", detail=f"{store.name} does not answer", remedy=_CUT_OFF)
    log.info("stopped")


_CUT_OFF = "none is needed: what was answered 202 is kept, and what was cut off is sent or looked for again"


def bigpanda_client(settings: Settings, session: ClientSession, metrics: Metrics) -> BigPandaClient | None:
    """The door to BigPanda's API, where there is a key to it.

    Raises:
        SettingsError: its address or its key is none.
    """
    if settings.bigpanda_api_key is None:
        return None
    key = settings.bigpanda_api_key.get_secret_value()
    return BigPandaClient(session, key, base_url=settings.bigpanda_api_url, observer=metrics.record_bigpanda_call)


def socket_mode(relay: "Relay", settings: Settings, session: ClientSession, clock: Clock) -> SocketMode | None:
    """The connection over which Slack tells what people do, where there is a token to open it by.

    Raises:
        SettingsError: the address of Slack's API is none.
    """
    if settings.slack_app_token is None:
        return None
    return SocketMode(
        session,
        settings.slack_app_token.get_secret_value(),
        on_interaction=relay.on_interaction,
        on_event=relay.on_event,
        base_url=settings.slack_api_url,
        clock=clock,
    )


class Relay:
    """One running relay: what the doors open to."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, metrics: Metrics) -> None:
        """Take what is open already."""
        self._settings = settings
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._reload = Reloader(store, settings.routes, settings.templates, clock)
        self._pulse = HealthProbe(store)
        self._stop = asyncio.Event()
        self._told_at: float | None = None
        self.address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        self._intake: IngestService
        self._sender: DeliveryService
        self._office: ActionServices
        self._socket: SocketMode | None = None

    async def run(
        self, slack: SlackClient, panda: BigPandaClient | None = None, socket: SocketMode | None = None
    ) -> None:
        """Serve until told to stop, then stop in order: no new shares, no new calls, and only then the store."""
        settings = self._settings
        self._socket = socket
        await self._reload.start()
        budgets = slack_budgets()
        self._office = build_actions(
            settings,
            self._store,
            slack,
            panda,
            budgets=budgets,
            clock=self._clock,
            live=self._live,
            accept=self.accept,
            ring=self._ring,
            metrics=self._metrics,
        )
        await self._office.tag_definitions.load()
        self._sender = DeliveryService(
            self._store,
            slack,
            self._live,
            self._clock,
            budgets,
            metrics=self._metrics,
            beside=[self._office.tasks],
        )
        self._intake = IngestService(
            self._store,
            lambda: self._live().rulebook,
            self._clock,
            self._sender.wake,
            settings.webhook_header,
            metrics=self._metrics,
            wants_callback=settings.can_call_back,
        )
        doors = create_app(
            self,
            keys=[key.get_secret_value() for key in settings.webhook_keys],
            header=settings.webhook_header,
            admin_key=settings.admin_key.get_secret_value() if settings.admin_key else None,
            signing_secret=settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else None,
            clock=self._clock,
            on_problem=self._metrics.record_http_problem,
        )
        quiet = asyncio.Event()
        with self._signals():
            async with asyncio.TaskGroup() as tasks:
                committing = tasks.create_task(self._intake.run(), name="intake")
                sending = tasks.create_task(self._sender.run(quiet), name="sender")
                delivers = lambda: self._sender.health.delivering  # noqa: E731  of several relays it is one
                keeping = tasks.create_task(
                    run_retention(self._store, settings.retention_days, self._clock, delivers), name="upkeep"
                )
                desk = tasks.create_task(self._office.interactions.run(), name="desk")
                following = tasks.create_task(self._office.tag_definitions.poll(), name="lexicon")
                teller = self._teller(slack, budgets)
                reloading = tasks.create_task(self._reload.run(self._sender.wake, teller), name="reload")
                sockets = [tasks.create_task(socket.run(self._stop), name="socket mode")] if socket else []
                address = settings.listen
                try:
                    async with listen(doors, address.host, address.port, drain_seconds=DRAIN_SECONDS) as (host, port):
                        log.info("serving", version=__version__, host=host, port=port, configuration=self._live().hash)
                        self.address.set_result((host, port))
                        await self._stop.wait()
                        log.info("stopping")
                finally:
                    # Also where another room breaks this off: the group then cancels the sender, which may be breaking
                    # off a turn in that moment, and a group that does so does not hear that (before Python 3.13).
                    quiet.set()
                    self._sender.stop()
                if sockets:  # it closes itself while requests are finished, and what came over it is kept by now
                    await asyncio.wait(sockets, timeout=self.seconds_left(LAST_CALLS_SECONDS))
                for connected in sockets:
                    connected.cancel()
                reloading.cancel()
                following.cancel()
                desk.cancel()
                keeping.cancel()
                committing.cancel()
                await asyncio.wait([sending], timeout=self.seconds_left(LAST_CALLS_SECONDS))
                sending.cancel()

    def stop(self) -> None:
        """Leave, as on SIGTERM: `run` then ends by itself."""
        if self._told_at is None:
            self._told_at = asyncio.get_running_loop().time()
        self._stop.set()

    def seconds_left(self, seconds: float) -> float:
        """What is left of so many seconds, counted from when relay was told to stop (all, where it was not told)."""
        now = asyncio.get_running_loop().time()
        return max(0.0, (now if self._told_at is None else self._told_at) + seconds - now)

    @property
    def idle(self) -> bool:
        """Whether delivery has nothing under way, and nothing to do before time passes or a share comes in."""
        return self._sender.idle and self._office.interactions.idle

    async def accept(self, body: bytes, headers: Mapping[str, str]) -> ShareReceipt:
        """Keep a share."""
        kept = await self._intake.accept(body, headers)
        return ShareReceipt(share=kept.share_id, incident=kept.incident, routes=kept.routes)

    async def readiness(self) -> Readiness:
        """Whether a share can be kept; what else is wrong is told without turning red."""
        health = self._sender.health
        detail: dict[str, Any] = {
            "configuration": self._reload.state.hash,
            "slack": health.slack,
            "delivering": health.delivering,
        }
        if self._socket is not None:
            detail["socket_mode"] = "connected" if self._socket.connected else "not connected"
        if health.remedy:
            detail["remedy"] = health.remedy
        if trouble := self._office.tasks.problem:
            detail["bigpanda"] = trouble
        if faults := self._reload.state.faults:
            detail["configuration_faults"] = [str(fault) for fault in faults]
        complaint, waiting = await asyncio.gather(self._pulse.problem(), self._waiting())
        detail |= waiting
        if complaint:
            detail["store"] = complaint
        return Readiness(ok="store" not in detail, detail=detail)

    async def incident(self, incident: str) -> dict[str, Any] | None:
        """All that relay knows and did about an incident."""
        dossier = await self._store.incident_history(incident)
        if dossier is None:
            return None
        return as_json(dossier, self._sender.message_link)

    async def on_interaction(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Keep what somebody pressed or sent in Slack; what Slack is to be answered."""
        return await self._office.interactions.handle_interaction(payload)

    async def on_event(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Keep what somebody wrote into a thread, where it becomes a comment."""
        return await self._office.interactions.handle_event(payload)

    async def _waiting(self) -> dict[str, Any]:
        """What is not as it should be: channels that take nothing, what nobody knows of, what Slack will not have.

        Where the database does not tell, `store` says why.
        """
        now = self._clock.now()
        try:
            channels = await self._in_time(self._store.stalled_channels(now))
            backlog = await self._in_time(self._store.backlog(now))
        except StoreError as error:
            return {"store": str(error)}
        return {
            "stalled": {channel.ref: channel.reason or str(channel.state) for channel in channels},
            "in_doubt": backlog.in_doubt,
            "letters": backlog.dead_letters,
            "quarantined": backlog.quarantined_bodies,
            "errands": backlog.due_tasks,
        }

    async def metrics(self) -> tuple[bytes, str]:
        """What Prometheus comes for; with the database silent, all that does not need it."""
        state = self._reload.state
        self._metrics.record_configuration(state.hash, state.last_success_at, successful=state.successful)
        if self._socket is not None:
            self._metrics.record_socket_mode(connected=self._socket.connected)
        complaint, backlog = await asyncio.gather(self._pulse.problem(), self._backlog())
        return self._metrics.exposition(backlog, writable=not complaint, delivering=self._sender.health.delivering)

    async def _backlog(self) -> Backlog | None:
        try:
            return await self._in_time(self._store.backlog(self._clock.now()))
        except StoreError as error:
            log.warning("backlog_unknown", detail=str(error))
            return None

    async def _in_time(self, asked: Awaitable[T]) -> T:
        """What the database is asked by somebody who does not wait for ever.

        Raises:
            StoreError: it failed, or did not answer in time.
        """
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asked
        except TimeoutError:
            raise self._store.unresponsive(TIMEOUT) from None

    def _ring(self) -> None:
        self._sender.wake()

    def _live(self) -> Configuration:
        return self._office.tag_definitions.apply(self._reload.live)

    def _teller(self, slack: SlackClient, budgets: Budgets) -> Notifier:
        return Notifier(
            self._store,
            slack,
            budgets=budgets,
            live=self._live,
            delivering=lambda: self._sender.health.delivering,
            clock=self._clock,
        )

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload.request)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
