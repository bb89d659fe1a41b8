"""The functions behind the HTTP endpoints and Socket Mode: shares, interactions, and the state of relay."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
import structlog

from relay.actions.interaction_handler import InteractionHandler
from relay.actions.task_worker import TaskWorker
from relay.cards.draw import PermalinkBuilder
from relay.cards.reminding import why_none_run
from relay.delivery.service import DeliveryService
from relay.ingest.service import IngestService
from relay.metrics import Metrics
from relay.model.errors import StoreError
from relay.model.zones import TZDATA_REMEDY, tzdata_is_old, tzdata_version
from relay.ratelimit.throttle import Throttle
from relay.reload.reloader import Reloader
from relay.routes.rulebook import Rulebook
from relay.runtime.clock import Clock
from relay.runtime.logging import LastingProblem, utc
from relay.runtime.shared_call import SharedCall
from relay.server.backend import Readiness, ShareReceipt
from relay.slack.circuit_breaker import CircuitBreaker
from relay.slack.interactions import Click, Command, Shortcut, parse_interaction
from relay.slack.socket_mode import SocketMode
from relay.slack.workspace import MISMATCHES
from relay.store.health_probe import TIMEOUT, HealthProbe
from relay.store.monitor import StoreMonitor
from relay.store.store import Store
from relay.store.types import Backlog, IncidentHistory, ShareBody

if TYPE_CHECKING:
    from relay.commands.service import CommandService

T = TypeVar("T")

MAX_CHANNELS = 100
"""The most channels that `/readyz` lists; alerts may name any number."""

log = structlog.get_logger("relay")


@dataclass(kw_only=True)
class RelayBackend:
    """Implements `relay.server.backend.Backend`.

    `commands` is set where Slack can reach relay, `socket` where Socket Mode is used.
    """

    store: Store
    monitor: StoreMonitor
    ingest: IngestService
    delivery: DeliveryService
    interactions: InteractionHandler
    tasks: TaskWorker
    reloader: Reloader
    breaker: CircuitBreaker
    throttles: Sequence[Throttle]
    recorder: Metrics
    clock: Clock
    commands: "CommandService | None" = None
    socket: SocketMode | None = None

    def __post_init__(self) -> None:
        self._probe = HealthProbe(self.store, TIMEOUT)
        self._unknown = LastingProblem(log)
        self._readiness = SharedCall(self._check)  # these two need no key, and read the database
        self._exposition = SharedCall(self._collect)

    async def accept(self, body: bytes, headers: Mapping[str, str], sender: int = 0) -> ShareReceipt:
        """Store a share."""
        accepted = await self.ingest.accept(body, headers, sender)
        return ShareReceipt(
            share=accepted.share_id, incident=accepted.incident, routes=accepted.routes if accepted.planned else None
        )

    async def on_interaction(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Store what a person pressed or sent in Slack; return the answer for Slack."""
        if self.commands is not None:
            match parse_interaction(payload):
                case Command() as command:
                    await self.commands.handle_confirmed(command)
                    return None
                case Shortcut() as shortcut:
                    self.commands.handle_shortcut(shortcut)
                    return None
                case Click(action="why") as click:
                    self.commands.handle_click(click)
                    return None
        return await self.interactions.handle_interaction(payload)

    async def on_command(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Do what a person typed after the slash command; return the answer for Slack."""
        return None if self.commands is None else await self.commands.handle_command(payload)

    async def on_event(self, payload: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Store what a person wrote into a thread."""
        return await self.interactions.handle_event(payload)

    async def incident(self, incident: str) -> bytes | None:
        """Return everything that relay knows about an incident, as JSON."""
        history = await self.store.incident_history(incident)
        if history is None:
            return None
        return await asyncio.to_thread(_incident_as_json, history, self.delivery.message_link)

    async def shares(self, incident: str) -> bytes | None:
        """Return the newest shares of an incident with their explanations, as JSON."""
        shares = await self.store.newest_shares(incident)
        rulebook = self.reloader.live.rulebook
        return await asyncio.to_thread(_shares_as_json, rulebook, shares) if shares else None

    async def incidents(self, parameters: Iterable[tuple[str, str]]) -> bytes:
        """Return a page of incidents, as JSON."""
        tool = await asyncio.to_thread(_incident_list)
        query, rulebook = tool.IncidentQuery.from_parameters(parameters), self.reloader.live.rulebook
        page = await tool.find_incidents(self.store, query, rulebook)
        now, link = self.clock.now(), self.delivery.message_link
        return await asyncio.to_thread(lambda: orjson.dumps(tool.as_json(page, link, rulebook.tag_labels, now)))

    async def database_problem(self) -> str:
        """Return why no share can be stored now; empty if one can."""
        return await self._probe.problem()

    async def readiness(self) -> Readiness:
        """Check whether a share can be stored, once for all who ask at the same time."""
        return await self._readiness()

    async def metrics(self) -> tuple[bytes, str]:
        """Return the metrics, collected once for all who ask at the same time."""
        return await self._exposition()

    async def _check(self) -> Readiness:
        """Check whether a share can be stored; what else is wrong is shown, and does not make relay unready."""
        state = self.reloader.state
        detail: dict[str, Any] = {
            "configuration": state.hash,
            "slack": self.breaker.status,
            "delivering": self.delivery.delivering,
            "tzdata": tzdata_version(),
        }
        if self.socket is not None:
            detail["socket_mode"] = "connected" if self.socket.connected else "not connected"
        if pauses := self._pauses():
            detail["rate_limited"] = {method: round(seconds) for method, seconds in pauses.items()}
        problems = {
            "slack_remedy": self.breaker.remedy,
            "bigpanda": self.tasks.problem,
            "clock": self.monitor.skew_problem,
            "notifications": self.store.notify_problem,
            "tzdata_remedy": TZDATA_REMEDY if tzdata_is_old(self.clock.now()) else "",
        }
        detail |= {name: problem for name, problem in problems.items() if problem}
        if state.faults:
            detail["configuration_faults"] = [str(fault) for fault in state.faults]
        store_problem, waiting = await asyncio.gather(self._probe.problem(), self._waiting())
        detail |= waiting
        if store_problem:
            detail["database"] = store_problem
        return Readiness(ok="database" not in detail, detail=detail)

    async def _collect(self) -> tuple[bytes, str]:
        """Return the metrics; while the database does not answer, those that do not need it."""
        state = self.reloader.state
        self.recorder.record_pauses(self._pauses())
        if self.breaker.reason in MISMATCHES:
            self.recorder.record_unusable_token()
        self.recorder.record_configuration(state.hash, state.last_success_at, successful=state.successful)
        self.recorder.record_clock_skew(self.monitor.skew)
        self.recorder.record_notifications(received=not self.store.notify_problem)
        if self.socket is not None:
            self.recorder.record_socket_mode(connected=self.socket.connected)
        store_problem, backlog = await asyncio.gather(self._probe.problem(), self._backlog())
        return self.recorder.exposition(
            backlog,
            writable=not store_problem,
            delivering=self.delivery.delivering,
            slack_paused=self.breaker.is_open,
        )

    def _pauses(self) -> dict[str, float]:
        """Return the methods of Slack and BigPanda that a rate limit error has paused, and for how many seconds."""
        return {method: seconds for throttle in self.throttles for method, seconds in throttle.pauses().items()}

    async def _waiting(self) -> dict[str, Any]:
        """Return what is not as it should be; `database` where that does not answer."""
        now = self.clock.now()
        try:
            channels = await self._in_time(self.store.stalled_channels(now))
            backlog = await self._in_time(self.store.backlog(now))
            sharing = await self._in_time(self.store.integrations_with_owners())
        except StoreError as error:
            return {"database": str(error)}
        omitted = len(channels[MAX_CHANNELS:])
        held = backlog.held(slack_paused=self.breaker.is_open)
        reminders = why_none_run(self.reloader.live.rulebook, sharing, can_ask=self.tasks.can_ask)
        return {
            "last_share_at": utc(backlog.last_share_at) if backlog.last_share_at else "never",
            "held_cards": held,
            "stalled_channels": {each.ref: each.waits_for for each in channels[:MAX_CHANNELS]},
            **({"stalled_channels_omitted": omitted} if omitted else {}),
            **({"reminders": reminders} if reminders else {}),
            "in_doubt": backlog.in_doubt,
            "dead_letters": backlog.dead_letters,
            "quarantined": backlog.quarantined_bodies,
            "not_planned": backlog.unplanned_shares,
            "planning_failed": backlog.failed_shares,
            "bigpanda_tasks": backlog.due_tasks,
        }

    async def _backlog(self) -> Backlog | None:
        try:
            known = await self._in_time(self.store.backlog(self.clock.now()))
        except StoreError as error:
            self._unknown.report("warning", "backlog_unknown", detail=str(error))
            return None
        self._unknown.over()
        return known

    async def _in_time(self, answer: Awaitable[T]) -> T:
        """Wait for the database, for a limited time. Raises StoreError: it failed, or did not answer in time."""
        try:
            async with asyncio.timeout(TIMEOUT):
                return await answer
        except TimeoutError:
            raise self.store.unresponsive(TIMEOUT) from None


# The tools of the commands are loaded by the first who asks over HTTP: most relays are never asked.


def _incident_as_json(history: IncidentHistory, link: PermalinkBuilder) -> bytes:
    from relay.tools.incident import as_json  # noqa: PLC0415  see above

    return orjson.dumps(as_json(history, link))


def _shares_as_json(rulebook: Rulebook, shares: Sequence[ShareBody]) -> bytes:
    from relay.tools.explain import explained_shares  # noqa: PLC0415  see above

    return orjson.dumps(explained_shares(rulebook, shares))


def _incident_list() -> Any:
    from relay.tools import incidents  # noqa: PLC0415  see above

    return incidents
