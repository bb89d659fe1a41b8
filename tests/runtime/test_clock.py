"""The real clock: a wait ends at the event or at its time, and a cancellation always cancels."""

import asyncio

import pytest

from relay.runtime.clock import Clock

HOUR = 3600.0


async def assert_cancelled(task, rounds, finished):
    """Cancel the task after so many rounds of the loop; it ends as cancelled unless it finished before."""
    for _ in range(rounds):
        await asyncio.sleep(0)
    already = bool(finished)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() is not already


@pytest.mark.parametrize("rounds", range(5))
@pytest.mark.parametrize("seconds", [HOUR, None])
async def test_a_wait_that_is_cancelled_at_the_moment_of_its_event_is_cancelled(rounds, seconds):
    """Components wake each other as they end: one that only noticed the event would delay the others for ever."""
    clock, event, finished = Clock(), asyncio.Event(), []

    async def component():
        await clock.wait(event, None if seconds is None else clock.now() + seconds)
        finished.append(True)

    task = asyncio.create_task(component())
    await asyncio.sleep(0.01)
    event.set()
    await assert_cancelled(task, rounds, finished)


@pytest.mark.parametrize("rounds", range(5))
async def test_a_wait_that_is_cancelled_at_its_time_is_cancelled(rounds):
    clock, finished = Clock(), []

    async def component():
        await clock.wait(asyncio.Event(), clock.now())
        finished.append(True)

    task = asyncio.create_task(component())
    await assert_cancelled(task, rounds, finished)


@pytest.mark.parametrize("ago", [0.0, HOUR])
async def test_a_wait_until_a_past_time_ends_at_once(ago):
    clock, event = Clock(), asyncio.Event()
    await clock.wait(event, clock.now() - ago)
    event.set()
    await clock.wait(event, clock.now() + HOUR)
    assert not event.is_set()
