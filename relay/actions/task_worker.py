"""Gives one errand after the other its turn, in the relay that delivers; and looks for incidents that fell silent.

Errands of one incident go one by one, in the order in which they fall due; those of others beside them.
"""

import asyncio
import math

import structlog

from relay.actions.tag_definitions import TagDefinitions
from relay.actions.task_runner import STORE_RETRY_PAUSE, CheckLease, TaskRunner
from relay.cards import staleness
from relay.cards.model import AttemptState
from relay.cards.tasks import TaskContext, close_task
from relay.model.errors import LeaseLost, StoreError
from relay.runtime.clock import Clock, WakeEvent
from relay.store.restore import SEARCH_FIRST_FOR
from relay.store.store import Store
from relay.store.types import IncidentContext, Lease

log = structlog.get_logger("relay.errands")

MAX_CONCURRENT_TASKS = 8
"""Errands under way at the most, each about another incident."""

SILENCE_CHECK_EVERY = 60.0
"""Seconds between two looks for incidents that fell silent, where none was about to."""


class TaskWorker:
    """The way out to BigPanda.

    Without a runner (there is no key) only the silence of incidents is looked after, and what was asked for while there
    was one is given up: it would wait for ever, and its incident could never be slimmed.
    """

    def __init__(self, store: Store, runner: TaskRunner | None, lexicon: TagDefinitions, clock: Clock) -> None:
        """Take who carries errands through."""
        self.bell = WakeEvent()
        self._store = store
        self._runner = runner
        self._lexicon = lexicon
        self._clock = clock
        self._busy: set[str] = set()
        self._refreshing = False
        self._silent_at = 0.0

    @property
    def problem(self) -> str:
        """Why BigPanda takes nothing from relay, where that is for somebody to mend; empty while it does."""
        return self._runner.bigpanda.problem if self._runner else ""

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, and nothing can be before time passes or the bell rings."""
        under_way = len(self._busy) + self._refreshing
        return self.bell.is_idle and under_way <= (self._runner.waiting if self._runner else 0)

    async def run(self, lease: Lease | None, over: asyncio.Event, check: CheckLease) -> None:
        """Work until told to stop; then finish what is under way. `check` raises where the lease has run out.

        Raises:
            LeaseLost: another relay delivers now.
            StoreError: the store failed; nothing is lost by beginning again.
        """
        await self._store.recover_tasks(self._clock.now(), lease)
        copy = await self._store.restore_window(self._clock.now())
        if self._runner:
            # What stands there when a copy is served for the first time is the copy's, however long copying took.
            self._runner.copied_at = None if copy is None else copy[1] - SEARCH_FIRST_FOR
        else:
            await self._give_up(lease)
        async with asyncio.TaskGroup() as tasks:
            while not over.is_set():
                until = await self._turn(lease, tasks, check)
                if until is None or until > self._clock.now():
                    await self._clock.wait_idle(self.bell, until)

    async def _give_up(self, lease: Lease | None) -> None:
        while isinstance(found := await self._store.next_due_task(math.inf), TaskContext):
            errand = found.task
            log.warning("errand_given_up", kind=str(errand.kind), incident=errand.incident, key=errand.key)
            await self._store.update_task(
                errand.key, lambda known: close_task(known, AttemptState.DROPPED, "no_key"), lease=lease
            )

    async def _turn(self, lease: Lease | None, tasks: asyncio.TaskGroup, check: CheckLease) -> float | None:
        """Begin with one errand; returns when to look again (None: when the bell rings)."""
        if len(self._busy) >= MAX_CONCURRENT_TASKS:
            return None
        now = self._clock.now()
        defined = self._define(now, tasks)
        try:
            silent = await self._look_for_silence(now, lease)
            found = await self._store.next_due_task(now, skip=frozenset(self._busy)) if self._runner else None
        except LeaseLost:
            raise
        except StoreError as error:  # raised from here it would cut off what is under way
            log.error("errand_not_picked", detail=str(error))  # noqa: TRY400  the sentence says it
            return now + STORE_RETRY_PAUSE
        except Exception:
            log.exception("errand_not_picked")
            return now + SILENCE_CHECK_EVERY
        if isinstance(found, TaskContext) and self._runner:
            incident, work = found.task.incident, self._run(self._runner, found, lease, check)
            task = tasks.create_task(work, name=f"errand {found.task.key}")
            # Undone when the task is over, whatever becomes of it: one that is cancelled before it begins runs nothing.
            task.add_done_callback(lambda _: self._over(incident))
            self._busy.add(incident)
            return now
        moments = (found if isinstance(found, float) else None, silent, defined)
        return min((moment for moment in moments if moment is not None), default=None)

    def _define(self, now: float, tasks: asyncio.TaskGroup) -> float | None:
        """Have tags defined beside the errands, when it is time for it; returns when it will be (None: not known)."""
        due = self._lexicon.refresh_at
        if due is None or self._refreshing:
            return None
        if due > now:
            return due
        tasks.create_task(self._refresh(), name="definitions").add_done_callback(lambda _: self._refreshed())
        self._refreshing = True
        return None

    def _refreshed(self) -> None:
        self._refreshing = False
        self.bell.set()

    async def _refresh(self) -> None:
        """Nobody waits for it, and whatever goes wrong with it stops nothing else."""
        try:
            await self._lexicon.refresh()
        except StoreError as error:
            log.error("definitions_not_kept", detail=str(error))  # noqa: TRY400  the sentence says it
        except Exception:
            log.exception("definitions_broke")

    async def _look_for_silence(self, now: float, lease: Lease | None) -> float:
        """Deal with one incident that has been silent for too long; returns when to look again."""
        if now < self._silent_at:
            return self._silent_at
        asks, answers = self._runner is not None, not self.problem

        def decide(context: IncidentContext) -> staleness.StalenessUpdate:
            return staleness.handle_silence(
                context.incident_state, context.cards, now, can_query=asks, api_available=answers
            )

        self._silent_at = now + SILENCE_CHECK_EVERY  # should one of them be broken, errands go on
        found = await self._store.update_silent_incident(now, decide, lease=lease)
        if isinstance(found, str):
            log.info("fell_silent", incident=found, asked=asks and answers)
            return now
        self._silent_at = now + SILENCE_CHECK_EVERY if found is None else min(found, now + SILENCE_CHECK_EVERY)
        return self._silent_at

    async def _run(self, runner: TaskRunner, matter: TaskContext, lease: Lease | None, check: CheckLease) -> None:
        try:
            await runner.run(matter, lease, check)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  one errand's trouble must not cut off others, or what goes to Slack
            await runner.record_crash(matter, error, lease)

    def _over(self, incident: str) -> None:
        self._busy.discard(incident)
        self.bell.set()
