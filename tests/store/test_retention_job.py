"""What is old goes by the hour, by one relay, and never because somebody started relay again."""

import asyncio
from contextlib import asynccontextmanager

import structlog.testing

from relay.model.errors import StoreUnusable
from relay.store import RetentionResult
from relay.store.retention_job import EVERY, FIRST, run_retention
from tests.support.clocks import ManualClock


class Asked:
    """A store that notes when it was asked to retire what is older than so many days."""

    def __init__(self) -> None:
        self.runs = []
        self.fails = False

    async def apply_retention(self, now, days, _stub):
        self.runs.append((now, days))
        if self.fails:
            raise StoreUnusable("The disk is full.")
        return RetentionResult(shares=1)


@asynccontextmanager
async def keeping(clock, ours=lambda: True):
    store = Asked()
    task = asyncio.create_task(run_retention(store, 30, clock, ours))
    await settled()
    yield store
    task.cancel()
    await asyncio.wait([task])


async def settled():
    for _ in range(20):
        await asyncio.sleep(0)


async def pass_by(clock, seconds):
    clock.advance(seconds)
    await settled()


async def test_nothing_goes_at_the_start_and_then_once_an_hour():
    clock = ManualClock(0)
    async with keeping(clock) as store:
        await pass_by(clock, FIRST - 1)
        assert store.runs == []
        await pass_by(clock, 1)
        for _ in range(2):
            await pass_by(clock, EVERY - 1)
            await pass_by(clock, 1)
        assert store.runs == [(FIRST, 30), (FIRST + EVERY, 30), (FIRST + 2 * EVERY, 30)]


async def test_a_clock_that_jumps_years_ahead_brings_one_run_and_not_one_for_each_hour():
    clock = ManualClock(0)
    async with keeping(clock) as store:
        await pass_by(clock, 10 * 365 * 86_400)
        await pass_by(clock, 1)
        assert len(store.runs) == 1


async def test_of_several_relays_the_one_that_delivers_does_it():
    clock, delivering = ManualClock(0), []
    async with keeping(clock, lambda: bool(delivering)) as store:
        await pass_by(clock, FIRST)
        assert store.runs == []
        delivering.append(True)
        await pass_by(clock, EVERY)
        assert len(store.runs) == 1


async def test_a_database_that_fails_is_told_and_asked_again_an_hour_later():
    clock = ManualClock(0)
    async with keeping(clock) as store:
        store.fails = True
        with structlog.testing.capture_logs() as logged:
            await pass_by(clock, FIRST)
        assert [line["event"] for line in logged] == ["retention_failed"]
        await pass_by(clock, EVERY)
        assert len(store.runs) == 2
