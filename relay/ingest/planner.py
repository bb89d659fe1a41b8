"""Plans the shares that are in the inbox: those that arrived too quickly, and those that a former process left.

`planning_queue` says in which order. Shares from the database (after a restart, or when a failed one is due again) are
planned after those that have just arrived. Large shares are parsed in another process, and do not hold up the others.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from math import inf
from operator import attrgetter
from typing import TypeVar

import structlog

from relay.bigpanda.webhook.share import ReceivedShare
from relay.ingest.parsing import SMALL_BODY, ShareParser
from relay.ingest.planning_queue import QUIET, SLICE, PlanningQueue, WaitingShare
from relay.ingest.share_log import log_share
from relay.metrics import PLANNING_FAILED, Metrics
from relay.model.errors import StoreError
from relay.model.struct import replace
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT, LastingProblem, written_together
from relay.store.inbox import CLAIM_SECONDS, MAX_STARTS, SET_ASIDE
from relay.store.planning import Decide
from relay.store.store import Store
from relay.store.types import AcceptedShare, UnplannedShare

MAX_WAITING = 20_000
"""Shares that may wait for planning. Beyond it, accepting waits."""

PLANNING_SECONDS = 1.0
"""Seconds after which a transaction plans no more shares: meanwhile nothing else is written."""

LOOK_EVERY = 5.0
"""Seconds after which relay looks again: for what another relay has left there, or if it has enough in hand already."""

MOST_FOUND = 1_000
"""Shares of the inbox that relay takes in hand at a time."""

RETRY_AFTER = 1.0
"""Seconds until the next try, if the database fails."""

T = TypeVar("T")

log = structlog.get_logger("relay.ingest")


async def _nothing() -> None:
    """Do nothing."""


class InboxPlanner:
    """Plans what is in the inbox. `basis` names the version and configuration by which it does.

    `on_change` is called when it begins, and when the basis has changed; after a StoreError it is called again.
    """

    def __init__(  # noqa: PLR0913  each has a name
        self,
        store: Store,
        parser: ShareParser,
        decide: Decide,
        clock: Clock,
        wake_delivery: Callable[[], None],
        *,
        metrics: Metrics,
        basis: Callable[[], str],
        on_failure: Callable[[], None] = lambda: None,
        on_change: Callable[[], Awaitable[None]] = _nothing,
    ) -> None:
        self._store = store
        self._parser = parser
        self._decide = decide
        self._clock = clock
        self._wake_delivery = wake_delivery
        self._metrics = metrics
        self._basis = basis
        self._on_failure, self._on_change = on_failure, on_change
        self._small, self._large = PlanningQueue(SLICE), PlanningQueue(1)
        self._problem = LastingProblem(log)
        self._in_hand: set[int] = set()
        self._has_room, self._check_again = asyncio.Event(), asyncio.Event()

    @property
    def flooded(self) -> bool:
        """Whether shares that have just arrived wait already, so that later ones have to wait behind them."""
        return bool(self._small.received)

    @property
    def idle(self) -> bool:
        """Whether no share is in hand."""
        return not self._in_hand

    def add(self, share: UnplannedShare, *, sender: int = 0, found: bool = False) -> None:
        """Take a share of the inbox in hand; shares of each `sender` (the number of a key) are planned in turn."""
        if share.id not in self._in_hand:
            self._in_hand.add(share.id)
            queue = self._small if share.size <= SMALL_BODY else self._large
            queue.add(WaitingShare(share, asyncio.get_running_loop().time(), sender, found=found, counted=not found))

    def check_inbox(self) -> None:
        """Look into the inbox: the configuration may have changed, or when shares are due."""
        self._check_again.set()

    async def wait_for_room(self) -> None:
        """Return once there are not too many shares in hand."""
        while len(self._in_hand) >= MAX_WAITING:
            self._has_room.clear()
            await self._has_room.wait()

    async def run(self) -> None:
        """Plan until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_inbox(), name="look into the inbox")
            tasks.create_task(self._plan_queue(self._small), name="plan shares")
            tasks.create_task(self._plan_queue(self._large), name="plan large shares")

    def report(self, accepted: AcceptedShare, headers: Mapping[str, str], received: float) -> None:
        """Log and count a share that was planned, or that failed. A message is logged when it is sent."""
        log_share(accepted)
        if accepted.error:
            self._on_failure()
            self._metrics.record_share(PLANNING_FAILED, headers)
            return
        self._metrics.record_share(str(accepted.outcome), headers, received)
        self._metrics.record_times_taken(accepted.times_taken, accepted.severity)
        shadow = accepted.decision.get("shadow", {}).get("cards", ())
        self._metrics.record_shadow(card["routes"][0] for card in shadow if card["new"])

    async def _watch_inbox(self) -> None:
        """Take in hand what is due, at the start, and whenever something may be due."""
        if not self._store.shared:  # no other process has the shares that a former process had in hand
            await self._until_done(lambda: self._store.resume_inbox(self._clock.now()))
        basis: str | None = None
        while True:
            if basis != self._basis():
                basis = now_basis = self._basis()
                await self._until_done(lambda: self._store.retry_failed(self._clock.now(), now_basis))  # noqa: B023  awaited
                await self._until_done(self._on_change)
            next_due = await self._until_done(self._take_due)
            # Another relay may leave shares there, and due shares wait until fewer are in hand.
            if self._store.shared or len(self._in_hand) >= MOST_FOUND:
                next_due = min(next_due or inf, self._clock.now() + LOOK_EVERY)
            await self._clock.wait(self._check_again, next_due)

    async def _take_due(self) -> float | None:
        """Claim the shares that are due; return when more are due (Unix seconds)."""
        now = self._clock.now()
        if len(self._in_hand) < MOST_FOUND:
            due = await self._store.due_shares(now, MOST_FOUND)
            if any(each.starts >= MAX_STARTS for each in due):
                for share in await self._store.set_aside(now, self._basis()):
                    log.error("share_set_aside", share=share, detail=SET_ASIDE)
            for each in sorted(due, key=attrgetter("starts")):  # a share that ends the process comes after all others
                if each.starts < MAX_STARTS:
                    self.add(each, found=True)
        return await self._store.next_plan_due(now)

    async def _until_done(self, work: Callable[[], Awaitable[T]]) -> T:
        """Repeat until the database does it."""
        while True:
            try:
                return await work()
            except StoreError as error:
                self._problem.report("warning", "inbox_unread", detail=str(error))
                await asyncio.sleep(RETRY_AFTER)

    async def _plan_queue(self, queue: PlanningQueue) -> None:
        while True:
            await queue.arrived.wait()
            await queue.wait_for_quiet()
            if chosen := queue.next_slice():
                await self._plan(queue, chosen)
            else:
                queue.arrived.clear()

    async def _plan(self, queue: PlanningQueue, chosen: Sequence[WaitingShare]) -> None:
        ids = [each.share.id for each in chosen]
        try:
            if starting := [each.share.id for each in chosen if not each.counted]:
                await self._store.start_planning(starting, self._clock.now())
                chosen = [replace(each, counted=True) for each in chosen]  # however often this process tries it
            async with self._keeping_claims(ids):
                received = await self._store.inbox_shares(ids)
                accepted = await self._parse_and_plan(received)
        except (StoreError, OSError) as error:
            self._problem.report("warning", "planning_delayed", shares=len(chosen), detail=str(error))
            queue.put_back(chosen)
            self._wake_delivery()  # they may be planned anyway
            await asyncio.sleep(RETRY_AFTER)
            return
        self._problem.over()
        with written_together():
            for each in accepted:
                share = received[each.share_id]
                self.report(each, share.headers, share.received)
        tried = {each.share_id for each in accepted}
        rest = [each for each in chosen if each.share.id in received and each.share.id not in tried]
        for waiting in rest:  # there was no time, or an earlier share of the incident comes first
            queue.add(replace(waiting, found=True))
        if not accepted and rest:
            await asyncio.sleep(QUIET)
        self._in_hand -= set(ids) - {each.share.id for each in rest}
        self._has_room.set()
        if chosen[0].found or any(each.error for each in accepted):  # more may be in the inbox
            self._check_again.set()

    @asynccontextmanager
    async def _keeping_claims(self, ids: Sequence[int]) -> AsyncIterator[None]:
        """Meanwhile no other relay takes these shares over: to parse a large one may take longer than a claim lasts."""
        if not self._store.shared:
            yield
            return

        async def renew() -> None:
            while True:
                await self._clock.sleep(CLAIM_SECONDS / 3)
                with suppress(StoreError):
                    await self._store.renew_claims(ids, self._clock.now())

        renewing = asyncio.create_task(renew(), name="renew claims")
        try:
            yield
        finally:
            renewing.cancel()

    async def _parse_and_plan(self, received: Mapping[int, ReceivedShare]) -> list[AcceptedShare]:
        parsed = await self._parser.parse_all(received)
        shares = {key: each for key, each in parsed.items() if not isinstance(each, Exception)}
        errors = {key: each for key, each in parsed.items() if isinstance(each, Exception)}
        now, basis = self._clock.now(), self._basis()
        try:
            return await self._store.plan_shares(
                shares, self._decide, now, basis=basis, within=PLANNING_SECONDS, errors=errors
            )
        except StoreError:
            raise
        except Exception as error:
            log.exception("planning_crashed", shares=len(shares), detail=f"relay cannot plan these shares. {REPORT_IT}")
            return await self._store.plan_shares(
                {}, self._decide, now, basis=basis, errors=dict.fromkeys(received, error)
            )
