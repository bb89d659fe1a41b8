"""Leadership: of several relays on one PostgreSQL, one does the work that must not be done twice.

On PostgreSQL a lease says which one. Each transaction of that work checks the lease, and a relay that loses it stops
before its next call. On SQLite the lock on the file is enough, and `lease` is None.
"""

import asyncio
import os
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import count
from typing import Protocol
from uuid import uuid4

import structlog

from relay.cards.eligibility import EVERY_WORK, Work
from relay.delivery.supervision import supervise
from relay.http.session import check_before_send
from relay.model.errors import LeaseLost, StoreError, errors_of
from relay.runtime.clock import Clock, WakeEvent
from relay.runtime.logging import REPORT_IT
from relay.store.store import Store
from relay.store.types import Lease

log = structlog.get_logger("relay.leader")

LEASE_NAME = "delivery"
LEASE_TTL = 12.0
LEASE_RENEW_EVERY = 3.0
LEASE_ACQUIRE_EVERY = 1.0
"""Seconds: how long a lease holds, how often its holder renews it, and how often other relays try to acquire it."""

POLL_EVERY = 1.0
"""Seconds between two checks whether another program has written into the database."""
POLLS_PER_FULL_WAKE = 5
"""PostgreSQL counts no writes: relay looks for due cards and tasks at every poll, and for all else at every fifth."""

CRASH_PAUSE = 30.0
"""Seconds until the work begins again after an unexpected failure."""


class LeaseGuard:
    """How long this relay may call Slack and BigPanda without asking the database.

    A process that was stopped or cut off from the database does not notice that its lease has ended and that there is
    another leader. So relay checks the clock before each call. The time counts from before the request for the lease,
    so that it is never longer than the lease.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin without an end: where no lease is needed, none ends."""
        self._clock = clock
        self._until: float | None = None

    def extend(self, asked_at: float, seconds: float) -> None:
        """Set the end of a lease that was asked for at `asked_at` (by the monotonic clock)."""
        self._until = asked_at + seconds

    def check(self) -> None:
        """Make sure that no other relay may deliver yet.

        Raises LeaseLost: the lease has ended; whether another relay has it now, only the database knows.
        """
        if self._until is not None and self._clock.monotonic() >= self._until:
            late = self._clock.monotonic() - self._until
            raise LeaseLost(f"The lease ended {late:.1f} s ago, before it was renewed: nothing is sent under it.")


class LeaderJob(Protocol):
    """Work that only the leader does."""

    def wake(self, work: Collection[Work] = EVERY_WORK, *, everything: bool = False) -> None:
        """Look for due `work` now; `everything` may have changed, not only what a new share changes."""

    async def run(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, and finish what is in progress.

        Raises:
            LeaseLost: another relay is the leader now.
            StoreError: the store failed; nothing is lost by beginning again.
        """


class Leader:
    """Acquires the lease, renews it, and runs the jobs while it holds."""

    def __init__(self, store: Store, clock: Clock, jobs: Sequence[LeaderJob]) -> None:
        self._store = store
        self._clock = clock
        self._jobs = tuple(jobs)
        self._guard = LeaseGuard(clock)
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._stopped = asyncio.Event()

    def wake(self, work: Collection[Work] = EVERY_WORK, *, everything: bool = False) -> None:
        """Let all jobs look for due work of these kinds now."""
        for job in self._jobs:
            job.wake(work, everything=everything)

    def stop(self) -> None:
        """Wake everything that waits, so that it notices the stop."""
        self._stopped.set()
        self.wake(everything=True)

    async def run(self, stopping: asyncio.Event) -> None:
        """Lead whenever this relay can, until `stopping` is set; then finish what is in progress."""
        while not stopping.is_set():
            if not await self._turn(stopping) and not stopping.is_set():
                await self._clock.wait(self._stopped, self._clock.now() + LEASE_ACQUIRE_EVERY)

    async def _turn(self, stopping: asyncio.Event) -> bool:
        """Lead until `stopping` is set; return False if another relay leads, or where the work was interrupted.

        A failing database does not end relay: shares are answered 503 meanwhile, and afterwards what was interrupted is
        searched for as after a crash.
        """
        try:
            lease = await self._acquire()
            if self._store.shared and lease is None:
                return False
            await self._lead(lease, stopping)
            if lease is not None:
                await self._store.release_lease(lease)
        except* LeaseLost as lost:
            log.warning("lease_lost", holder=self._holder, detail="; ".join(map(str, errors_of(lost))))
        except* StoreError as failed:
            log.warning("delivery_interrupted", detail="; ".join(map(str, errors_of(failed))))
        except* Exception:
            detail = f"Unexpected error; relay still accepts shares, and delivers again within 30 seconds. {REPORT_IT}"
            log.exception("delivery_crashed", detail=detail)
            await self._clock.wait(self._stopped, self._clock.now() + CRASH_PAUSE)
        else:
            return True
        return False

    async def _acquire(self) -> Lease | None:
        """Acquire or renew the lease."""
        if not self._store.shared:
            return None
        asked_at = self._clock.monotonic()
        epoch = await self._store.acquire_lease(LEASE_NAME, self._holder, None, LEASE_TTL)
        if epoch is None:
            return None
        self._guard.extend(asked_at, LEASE_TTL)
        return Lease(LEASE_NAME, self._holder, epoch)

    async def _lead(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        log.debug("leading", holder=self._holder, detail="This relay has the right to deliver.")
        jobs_stop = asyncio.Event()
        # All calls of the jobs check the lease before their first byte: time may pass between a decision and its call.
        with check_before_send(self._guard.check):
            async with asyncio.TaskGroup() as tasks:
                for job in self._jobs:
                    tasks.create_task(job.run(lease, jobs_stop), name=type(job).__name__)
                watches = [
                    tasks.create_task(supervise(name, watch, WakeEvent(), jobs_stop, self._clock), name=name)
                    for name, watch in (("listener", self._listen), ("poller", self._poll))
                ]
                await self._hold(lease, stopping)
                jobs_stop.set()
                for watch in watches:
                    watch.cancel()
                self.wake(everything=True)

    async def _hold(self, lease: Lease | None, stopping: asyncio.Event) -> None:
        """Renew the lease until `stopping` is set. Raises LeaseLost: another relay has it."""
        while not stopping.is_set():
            await self._clock.wait(self._stopped, None if lease is None else self._clock.now() + LEASE_RENEW_EVERY)
            if lease is not None and not stopping.is_set() and await self._acquire() != lease:
                raise LeaseLost("another relay delivers now")

    async def _listen(self, stopping: asyncio.Event) -> None:
        """Notice at once what other relays write, where the database reports it."""
        await self._store.listen(lambda everything: self.wake(everything=everything))
        await stopping.wait()

    async def _poll(self, _stopping: asyncio.Event) -> None:
        """Notice what other programs write: shares that other relays accept, and what an operator retries.

        They live in real time, whatever clock this relay has.
        """
        for number in count():
            with suppress(StoreError):  # the jobs report it
                if await self._store.changed_elsewhere():
                    self.wake(everything=not self._store.shared or number % POLLS_PER_FULL_WAKE == 0)
            await asyncio.sleep(POLL_EVERY)
