"""Connects the parts of relay, starts them, and stops them in the reverse order."""

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import Any

import structlog
from aiohttp import ClientSession

from relay import __version__
from relay.actions.batches import Batches
from relay.actions.interaction_handler import InteractionHandler
from relay.actions.mute_dialog import MuteDialog
from relay.actions.mutes import SlackMutes
from relay.actions.people import People
from relay.actions.permission import Permissions
from relay.actions.preflight import Preflight
from relay.actions.tag_definitions import TagDefinitions
from relay.actions.task_runner import TaskRunner
from relay.actions.task_worker import TaskWorker
from relay.backend import RelayBackend
from relay.bigpanda.gateway import BigPandaGateway
from relay.config.configuration import Configuration
from relay.config.settings import Settings
from relay.delivery.heartbeat import Heartbeat
from relay.delivery.leader import Leader, LeaderJob
from relay.delivery.service import DeliveryService
from relay.http.session import make_session
from relay.ingest.service import IngestService
from relay.metrics import Metrics
from relay.model.buttons import Clicks
from relay.model.counting import counted
from relay.reload.messages import NoticeTopic
from relay.reload.notifier import Notifier
from relay.reload.reloader import Reloader
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.runtime.service_manager import ServiceManager
from relay.server.endpoints import Audience, BoardRoutes, create_app
from relay.server.file_limit import connection_limits, raise_file_limit
from relay.server.lifecycle import listen
from relay.slack.gateway import SlackGateway
from relay.slack.socket_mode import SocketMode
from relay.store.file_system import KEEP_IT
from relay.store.monitor import StoreMonitor
from relay.store.retention_job import run_retention
from relay.store.store import Store

log = structlog.get_logger("relay")

DRAIN_SECONDS = 3.0
"""Seconds in which requests in progress are finished, once relay is asked to stop."""

LAST_CALLS_SECONDS = 6.0
"""Seconds from then on in which calls to Slack in progress are finished; a call that is cut off then is in doubt."""

CLOSE_SECONDS = 8.0
"""Seconds from then on in which the database is closed.

Orchestrators kill a process after ten seconds: the rest is for the log, and for ending the process.
"""

_CUT_OFF = "None is needed: what was answered 202 is stored, and what was cut off is sent or searched for again."


async def serve(settings: Settings, manager: ServiceManager | None = None) -> None:
    """Run until SIGTERM or SIGINT, and keep the service manager informed, if there is one.

    Raises RelayError: it cannot start; the message says why and what to do.
    """
    raise_file_limit()
    store = await Store.open(settings.database_url.get_secret_value(), network=settings.network_allowed)
    if problem := store.volatile_problem:
        log.warning("database_volatile", detail=problem, remedy=KEEP_IT)
    relay = None
    try:
        async with make_session() as session:
            relay = Relay(settings, store, session, Clock(), manager)
            await relay.run()
    except BaseException:
        if relay is None or not relay.address.done():
            store.discard_if_new()
        raise
    finally:
        if not await store.close(relay.seconds_left(CLOSE_SECONDS) if relay is not None else CLOSE_SECONDS):
            log.warning("database_not_closed", detail=f"{store.name} does not answer.", remedy=_CUT_OFF)
    log.info("stopped", detail="relay has stopped. Everything that it answered with 202 is stored.")


class Relay:
    """One running relay. `address` is where it listens, once it does."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        session: ClientSession,
        clock: Clock,
        manager: ServiceManager | None = None,
    ) -> None:
        """Connect the parts, inside the running loop; nothing is started yet.

        Raises SettingsError: the address of an API, or a key, cannot be used.
        """
        metrics = Metrics()
        self._settings = settings
        self._clock = clock
        self._manager = manager or ServiceManager()
        self._stop = asyncio.Event()
        self._stopped_at: float | None = None
        self.address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
        self._slack = SlackGateway(
            session,
            settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else "",
            clock,
            base_url=settings.slack_api_url,
            observer=metrics.record_slack_call,
            team_id=settings.slack_team_id,
        )
        bigpanda = _bigpanda_gateway(settings, session, clock, metrics)
        self._reloader = Reloader(
            store, settings.routes, settings.templates, clock, clicks=settings.clicks, board=settings.board_address
        )
        self._ingest = IngestService(
            store,
            self._rulebook,
            clock,
            self._wake_leader,
            settings.webhook_header,
            metrics=metrics,
            wants_callback=settings.can_call_back,
            basis=lambda: f"{__version__} {self._reloader.live.hash}",
            on_failure=self._check_shares,
        )
        people = People(self._slack, bigpanda, self._rulebook, clock)
        permissions = Permissions(people, self._rulebook)
        self._tag_definitions = TagDefinitions(store, bigpanda, clock, self._reloader.set_tag_definitions)
        runner = None
        if bigpanda is not None:
            preflight = Preflight(bigpanda, people, permissions, self._rulebook, app_key=settings.app_key, clock=clock)
            runner = TaskRunner(
                store,
                preflight,
                self._slack,
                bigpanda,
                clock=clock,
                accept=self._ingest.accept,
                metrics=metrics,
                link=self._message_link,
            )
        self._tasks = TaskWorker(store, runner, self._tag_definitions, clock)
        wake, enabled = self._tasks.wake, settings.clicks is Clicks.CARRIED_OUT
        self._mutes = SlackMutes(store, people, permissions, self._rulebook, clock)
        dialog = MuteDialog(store, people, self._mutes, self._rulebook, clock)
        batches = Batches(store, self._slack, permissions, people, clock, metrics=metrics)
        self._interactions = InteractionHandler(
            store, self._slack, permissions, dialog, clock, wake, batches=batches, metrics=metrics, enabled=enabled
        )
        self._delivery = DeliveryService(
            store,
            self._slack,
            self._live,
            clock,
            metrics=metrics,
            instance=settings.name,
            on_change=wake,
            on_channel_changed=self._check_channels,
            can_ask=lambda: self._tasks.can_ask,
        )
        jobs: list[LeaderJob] = [self._delivery, self._tasks]
        if settings.heartbeat_url is not None:
            jobs.append(Heartbeat(settings.heartbeat_url.get_secret_value(), session, clock, self._outage))
        self._leader = Leader(store, clock, jobs)
        store.database.on_work = self._leader.wake
        self._notifier = Notifier(
            store,
            self._slack,
            live=self._live,
            delivering=self._is_delivering,
            clock=clock,
            instance=settings.name,
        )
        self._run_retention = partial(run_retention, store, settings.retention_days, clock, self._is_delivering)
        self._monitor = StoreMonitor(
            store,
            clock,
            is_leader=self._is_delivering,
            on_problem=partial(self._notifier.report, NoticeTopic.DATABASE),
            on_change=self._look_for_due_work,
        )
        self.backend = RelayBackend(
            store=store,
            monitor=self._monitor,
            ingest=self._ingest,
            delivery=self._delivery,
            interactions=self._interactions,
            tasks=self._tasks,
            reloader=self._reloader,
            breaker=self._slack.breaker,
            throttles=[gateway.throttle for gateway in (self._slack, bigpanda) if gateway is not None],
            recorder=metrics,
            clock=clock,
        )
        self._commands = None
        if settings.clicks is not Clicks.UNSEEN:  # only then their modules take memory
            from relay.commands.service import CommandService  # noqa: PLC0415  see above

            self._commands = CommandService(
                store,
                self._slack,
                people,
                self._mutes,
                self._live,
                link=self._message_link,
                clock=clock,
                metrics=metrics,
            )
        self.backend.commands = self._commands
        self._socket = _socket_mode(settings, session, clock, metrics, self.backend)
        self.backend.socket = self._socket
        create = partial(
            create_app,
            self.backend,
            keys=[key.get_secret_value() for key in settings.webhook_keys],
            header=settings.webhook_header,
            admin_key=settings.admin_key.get_secret_value() if settings.admin_key else None,
            signing_secret=settings.slack_signing_secret.get_secret_value() if settings.slack_signing_secret else None,
            clock=clock,
            on_problem=metrics.record_http_problem,
            limits=connection_limits(),
            secrets=settings.secret_values(),
        )
        board = self._board(settings, store, clock)
        if settings.admin_listen is None:
            self._app, self._admin_app = create(board=board), None
        else:
            self._app = create(audience=Audience.SENDERS)
            self._admin_app = create(audience=Audience.OPERATORS, board=board)

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress, and nothing begins before time passes or something comes in."""
        answered = self._commands is None or self._commands.idle
        return answered and self._ingest.idle and self._delivery.idle and self._tasks.idle and self._interactions.idle

    async def run(self) -> None:
        """Serve until `stop` is called. Then stop in order: no new shares, no new calls, and only then the store.

        Raises RelayError: it cannot start.
        """
        await self._monitor.start()  # before anything gets a time: all relays on one database use one clock
        await self._reloader.start()
        await self._tag_definitions.load()
        stop_leading = asyncio.Event()
        with self._signals():
            async with asyncio.TaskGroup() as tasks:
                leading = tasks.create_task(self._leader.run(stop_leading), name="leader")
                background = [tasks.create_task(work, name=name) for name, work in self._background_work().items()]
                sockets = []
                if self._socket is not None:
                    sockets = [tasks.create_task(self._socket.run(self._stop), name="socket mode")]
                try:
                    await self._listen_until_stopped()
                finally:
                    # Also where a failure elsewhere cancels this: the group then cancels the leader too. If the
                    # leader's own group is failing at that moment, it misses the cancellation (before Python 3.13).
                    stop_leading.set()
                    self._leader.stop()
                if sockets:  # it closes itself while requests are finished; what came over it is stored by then
                    await asyncio.wait(sockets, timeout=self.seconds_left(LAST_CALLS_SECONDS))
                for task in (*sockets, *background):
                    task.cancel()
                await asyncio.wait([leading], timeout=self.seconds_left(LAST_CALLS_SECONDS))
                leading.cancel()

    def stop(self) -> None:
        """Stop, as on SIGTERM: `run` then ends by itself."""
        if self._stopped_at is None:
            self._stopped_at = asyncio.get_running_loop().time()
        self._stop.set()

    def seconds_left(self, seconds: float) -> float:
        """Return how many of these seconds are left since relay was asked to stop; if it was not asked, all of them."""
        now = asyncio.get_running_loop().time()
        return max(0.0, (now if self._stopped_at is None else self._stopped_at) + seconds - now)

    def _background_work(self) -> dict[str, Coroutine[Any, Any, None]]:
        watchdog = {}
        if self._manager.watchdog_seconds is not None:
            watchdog["watchdog"] = self._manager.feed_watchdog(self._clock)
        commands = {} if self._commands is None else {"commands": self._commands.run()}
        return {
            **watchdog,
            **commands,
            "ingest": self._ingest.run(),
            "store monitor": self._monitor.run(),
            "retention": self._run_retention(),
            "interactions": self._interactions.run(),
            "tag definitions": self._tag_definitions.poll(),
            "reloader": self._reloader.run(self._look_for_due_work, self._notifier, self._report_ready),
        }

    async def _outage(self) -> str:
        """Why incidents do not reach people now; empty if they do."""
        if self._slack.breaker.is_open:
            return f"Relay makes no calls to Slack: {self._slack.breaker.status}."
        return await self.backend.database_problem()

    def _board(self, settings: Settings, store: Store, clock: Clock) -> BoardRoutes | None:
        """Make the pages for operators; None without a key. Only then their modules take memory."""
        if settings.admin_key is None and settings.operator_key is None:
            return None
        from relay.server.board.pages import BoardPages  # noqa: PLC0415  see above
        from relay.server.board.sessions import Role  # noqa: PLC0415
        from relay.tools.board.source import BoardSource, SlackStatus  # noqa: PLC0415

        def slack() -> SlackStatus:
            breaker = self._slack.breaker
            return SlackStatus(status=breaker.status, remedy=breaker.remedy, pauses=self._slack.throttle.pauses())

        source = BoardSource(
            store=store,
            clock=clock,
            live=self._live,
            faults=lambda: self._reloader.state.faults,
            slack=slack,
            link=self._message_link,
            decide=self._ingest.decide,
            wake=self._look_for_due_work,
        )
        keys = {Role.READER: settings.admin_key, Role.OPERATOR: settings.operator_key}
        return BoardPages(
            source, {role: key.get_secret_value() for role, key in keys.items() if key}, settings.public_url
        )

    async def _listen_until_stopped(self) -> None:
        async with AsyncExitStack() as stack:
            if self._admin_app is not None and (admin := self._settings.admin_listen) is not None:
                where = await stack.enter_async_context(
                    listen(self._admin_app, admin, "RELAY_ADMIN_LISTEN", drain_seconds=DRAIN_SECONDS)
                )
                detail = f"The endpoints for operators are on {where[0]} port {where[1]}."
                log.info("serving_operators", host=where[0], port=where[1], detail=detail)
            await self._serve_until_stopped()

    async def _serve_until_stopped(self) -> None:
        address = self._settings.listen
        async with listen(
            self._app, address, "RELAY_LISTEN", drain_seconds=DRAIN_SECONDS, sockets=self._manager.sockets
        ) as (host, port):
            detail = f"relay {__version__} accepts shares on {host} port {port}."
            fields = {"version": __version__, "host": host, "port": port, "configuration": self._reloader.live.hash}
            log.info("serving", **fields, detail=detail)
            self.address.set_result((host, port))
            self._report_ready()
            await self._stop.wait()
            self._manager.stopping()
            log.info("stopping", detail="relay was asked to stop, and finishes its open work.")

    def _report_ready(self) -> None:
        """Tell the service manager that relay accepts shares, and whether the configuration on disk is live."""
        if not self.address.done():  # a reload that was requested before
            return
        host, port = self.address.result()
        faults = counted(len(self._reloader.state.faults), "fault")
        problem = f"; the files have {faults}: see `relay check`" if self._reloader.state.faults else ""
        self._manager.ready(f"accepts shares on {host} port {port}, with configuration {self._live().hash}{problem}")

    def _reload(self) -> None:
        self._manager.reloading()
        self._reloader.request()

    def _live(self) -> Configuration:
        return self._reloader.live

    def _rulebook(self) -> Rulebook:
        return self._reloader.live.rulebook

    def _check_channels(self) -> None:
        self._notifier.check_channels()

    def _check_shares(self) -> None:
        self._notifier.check_shares()

    def _wake_leader(self) -> None:
        self._leader.wake()

    def _look_for_due_work(self) -> None:
        self._leader.wake(everything=True)
        self._ingest.check_inbox()

    def _message_link(self, channel: str, ts: str) -> str:
        return self._delivery.message_link(channel, ts)

    def _is_delivering(self) -> bool:
        return self._delivery.delivering

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)


def _bigpanda_gateway(
    settings: Settings, session: ClientSession, clock: Clock, metrics: Metrics
) -> BigPandaGateway | None:
    if settings.bigpanda_api_key is None:
        return None
    return BigPandaGateway(
        session,
        settings.bigpanda_api_key.get_secret_value(),
        clock,
        base_url=settings.bigpanda_api_url,
        observer=metrics.record_bigpanda_call,
    )


def _socket_mode(
    settings: Settings, session: ClientSession, clock: Clock, metrics: Metrics, backend: RelayBackend
) -> SocketMode | None:
    if settings.slack_app_token is None:
        return None
    return SocketMode(
        session,
        settings.slack_app_token.get_secret_value(),
        on_interaction=backend.on_interaction,
        on_event=backend.on_event,
        on_command=backend.on_command,
        base_url=settings.slack_api_url,
        clock=clock,
        observer=metrics.record_slack_call,
    )
