"""Runs due tasks in the relay that is the leader, and finds silent incidents.

The tasks of one incident run one after the other, in the order in which they are due; those of others in parallel.
"""

import asyncio
import math
from collections.abc import Collection, Coroutine
from functools import partial
from typing import Any

import structlog

from relay.actions.tag_definitions import TagDefinitions
from relay.actions.task_runner import TaskRunner
from relay.cards import staleness
from relay.cards.eligibility import EVERY_WORK, Work
from relay.cards.model import AttemptState
from relay.cards.tasks import TaskContext, close_task
from relay.delivery.supervision import STORE_RETRY_PAUSE, supervise
from relay.model.errors import LeaseLost, StoreError
from relay.runtime.clock import Clock, WakeEvent
from relay.runtime.logging import REPORT_IT, LastingProblem
from relay.store.restore import SEARCH_FIRST_FOR
from relay.store.store import Store
from relay.store.types import IncidentContext, Lease

log = structlog.get_logger("relay.tasks")

MAX_CONCURRENT_TASKS = 8
"""The most tasks in progress, each of another incident."""

MAX_CONCURRENT_IN_BATCHES = 4
"""The most of them that belong to batches, so that a single click need not wait for one to end."""

SILENCE_CHECK_EVERY = 60.0
"""Seconds between two checks for incidents without news, where none was about to become one."""

_DEFINITIONS = ""
"""Stands for the refresh of tag definitions among the incidents whose tasks are in progress."""


class TaskWorker:
    """Runs tasks for BigPanda.

    Without access to BigPanda there is no runner. Then it gives up tasks that were stored earlier, because retention
    never deletes an incident with open tasks. It still looks for silent incidents.
    """

    def __init__(self, store: Store, runner: TaskRunner | None, tag_definitions: TagDefinitions, clock: Clock) -> None:
        self.wakeup = WakeEvent()
        self._store = store
        self._runner = runner
        self._tag_definitions = tag_definitions
        self._clock = clock
        self._running: dict[str, asyncio.Task[None]] = {}
        self._in_batches: set[str] = set()
        self._next_silence_check = 0.0
        self._unpicked = LastingProblem(log)

    @property
    def problem(self) -> str:
        """What an operator has to do before BigPanda accepts relay's key; empty while it accepts it."""
        return self._runner.bigpanda.problem if self._runner else ""

    @property
    def can_ask(self) -> bool:
        """Whether relay has access to BigPanda's API, and it works."""
        return self._runner is not None and not self.problem

    @property
    def idle(self) -> bool:
        """Whether nothing is in progress, and nothing begins before time passes or `wakeup` is set."""
        if self._runner is None:
            return self.wakeup.is_idle and not self._running
        waiting = self._runner.slack.throttle.waiting | self._runner.bigpanda.throttle.waiting
        return self.wakeup.is_idle and set(self._running.values()) <= waiting

    def wake(self, work: Collection[Work] = EVERY_WORK, *, everything: bool = False) -> None:
        """Look for due tasks now, if they are among the `work`."""
        if everything or Work.TASK in work:
            self.wakeup.set()

    async def run(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        """Run tasks until `stopping` is set; then finish those in progress.

        Raises LeaseLost: another relay is the leader now.
        """
        await supervise("bigpanda_tasks", partial(self._work, lease), self.wakeup, stopping, self._clock)

    async def _work(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        await self._store.recover_tasks(self._clock.now(), lease)
        window = await self._store.restore_window(self._clock.now())
        if self._runner:
            # Whatever is stored when a copy is served for the first time is the copy's, however long copying took.
            self._runner.lead(lease, None if window is None else window[1] - SEARCH_FIRST_FOR)
        else:
            await self._give_up_all(lease)
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                until = await self._turn(lease, tasks)
                if until is None or until > self._clock.now():
                    await self._clock.wait_idle(self.wakeup, until)

    async def _give_up_all(self, lease: Lease | None) -> None:
        while isinstance(due := await self._store.next_due_task(math.inf), TaskContext):
            task = due.task
            detail = "There is no access to BigPanda any more."
            log.warning("task_given_up", kind=str(task.kind), incident=task.incident, key=task.key, detail=detail)
            await self._store.update_task(
                task.key,
                lambda current: close_task(current, AttemptState.DROPPED, "no_key"),
                now=self._clock.now(),
                lease=lease,
            )

    async def _turn(self, lease: Lease | None, tasks: asyncio.TaskGroup) -> float | None:
        """Start one task. Return when to look again; None: when `wakeup` is set."""
        if len(self._running) >= MAX_CONCURRENT_TASKS:
            return None
        now = self._clock.now()
        refresh_at = self._refresh_definitions(now, tasks)
        try:
            silence_at = await self._check_silence(now, lease)
            due = await self._next_due(now) if self._runner else None
        except LeaseLost:
            raise
        except StoreError as error:  # raised from here, it would interrupt the tasks in progress
            self._unpicked.report("warning", "task_not_picked", detail=str(error))
            return now + STORE_RETRY_PAUSE
        except Exception:
            log.exception("task_not_picked", detail=f"Unexpected error while looking for due tasks. {REPORT_IT}")
            return now + SILENCE_CHECK_EVERY
        self._unpicked.over()
        if isinstance(due, TaskContext) and self._runner:
            if due.task.batch:
                self._in_batches.add(due.task.incident)
            self._spawn(due.task.incident, self._run(self._runner, due), tasks)
            return now
        moments = (due if isinstance(due, float) else None, silence_at, refresh_at)
        return min((moment for moment in moments if moment is not None), default=None)

    async def _next_due(self, now: float) -> TaskContext | float | None:
        batches = len(self._in_batches) < MAX_CONCURRENT_IN_BATCHES
        return await self._store.next_due_task(now, skip=frozenset(self._running), batches=batches)

    def _refresh_definitions(self, now: float, tasks: asyncio.TaskGroup) -> float | None:
        """Refresh the tag definitions in parallel, when it is time; return when it will be (None: not known)."""
        refresh_at = self._tag_definitions.refresh_at
        if refresh_at is None or _DEFINITIONS in self._running:
            return None
        if refresh_at > now:
            return refresh_at
        self._spawn(_DEFINITIONS, self._refresh(), tasks)
        return None

    async def _refresh(self) -> None:
        try:
            await self._tag_definitions.refresh()
        except StoreError as error:
            log.error("tag_definitions_not_saved", detail=str(error))  # noqa: TRY400  the message says it all
        except Exception:
            log.exception(
                "tag_definitions_failed", detail=f"Unexpected error while reading names for tags. {REPORT_IT}"
            )

    async def _check_silence(self, now: float, lease: Lease | None) -> float:
        """Handle one incident that has been silent for too long; return when to check again."""
        if self._clock.monotonic() < self._next_silence_check:
            return self._clock.time_at(self._next_silence_check)
        can_query, available = self._runner is not None, not self.problem

        def decide(context: IncidentContext) -> staleness.StalenessUpdate:
            return staleness.handle_silence(
                context.incident_state, context.cards, now, can_query=can_query, api_available=available
            )

        # Even if this check fails, tasks continue.
        self._next_silence_check = self._clock.monotonic() + SILENCE_CHECK_EVERY
        found = await self._store.update_silent_incident(now, decide, lease=lease)
        if isinstance(found, str):
            asked = can_query and available
            follows = "relay asks BigPanda" if asked else "relay cannot ask BigPanda, and the card says so"
            log.info(
                "incident_silent", incident=found, asked=asked, detail=f"No share came for `stale_after`; {follows}."
            )
            return now
        pause = SILENCE_CHECK_EVERY if found is None else min(found - now, SILENCE_CHECK_EVERY)
        self._next_silence_check = self._clock.monotonic() + pause
        return now + pause

    async def _run(self, runner: TaskRunner, context: TaskContext) -> None:
        try:
            await runner.run(context)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  a failing task must not interrupt the others
            await runner.record_crash(context, error)

    def _spawn(self, key: str, work: Coroutine[Any, Any, None], tasks: asyncio.TaskGroup) -> None:
        task = tasks.create_task(work, name=f"task of {key or 'tag definitions'}")
        # In a callback, since a task that is cancelled before it begins runs nothing.
        task.add_done_callback(lambda _: self._finish(key))
        self._running[key] = task

    def _finish(self, key: str) -> None:
        del self._running[key]
        self._in_batches.discard(key)
        self.wakeup.set()
