"""Old data is deleted every hour, by one relay, and not after each restart."""

import asyncio
from contextlib import asynccontextmanager

import structlog.testing

from relay.model.errors import StoreUnusable
from relay.store.retention_job import FIRST_RUN_AFTER, RUN_EVERY, run_retention
from relay.store.types import RetentionResult
from tests.support.clocks import ManualClock


class FakeStore:
    """A store that notes each run of retention."""

    def __init__(self) -> None:
        self.runs = []
        self.fails = False

    async def apply_retention(self, now, days, _stub):
        self.runs.append((now, days))
        if self.fails:
            raise StoreUnusable("The disk is full.")
        return RetentionResult(shares=1)


@asynccontextmanager
async def running(clock, is_leader=lambda: True):
    store = FakeStore()
    task = asyncio.create_task(run_retention(store, 30, clock, is_leader))
    await settle()
    yield store
    task.cancel()
    await asyncio.wait([task])


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def advance(clock, seconds):
    clock.advance(seconds)
    await settle()


async def test_nothing_is_deleted_at_the_start_and_then_it_runs_once_an_hour():
    clock = ManualClock(0)
    async with running(clock) as store:
        await advance(clock, FIRST_RUN_AFTER - 1)
        assert store.runs == []
        await advance(clock, 1)
        for _ in range(2):
            await advance(clock, RUN_EVERY - 1)
            await advance(clock, 1)
        assert store.runs == [
            (FIRST_RUN_AFTER, 30),
            (FIRST_RUN_AFTER + RUN_EVERY, 30),
            (FIRST_RUN_AFTER + 2 * RUN_EVERY, 30),
        ]


async def test_a_clock_that_jumps_years_ahead_causes_one_run_only():
    clock = ManualClock(0)
    async with running(clock) as store:
        await advance(clock, 10 * 365 * 86_400)
        await advance(clock, 1)
        assert len(store.runs) == 1


async def test_only_the_leader_applies_retention():
    clock, leading = ManualClock(0), []
    async with running(clock, lambda: bool(leading)) as store:
        await advance(clock, FIRST_RUN_AFTER)
        assert store.runs == []
        leading.append(True)
        await advance(clock, RUN_EVERY)
        assert len(store.runs) == 1


async def test_a_failure_is_logged_and_the_next_run_comes_an_hour_later():
    clock = ManualClock(0)
    async with running(clock) as store:
        store.fails = True
        with structlog.testing.capture_logs() as logged:
            await advance(clock, FIRST_RUN_AFTER)
        assert [line["event"] for line in logged] == ["retention_failed"]
        await advance(clock, RUN_EVERY)
        assert len(store.runs) == 2
