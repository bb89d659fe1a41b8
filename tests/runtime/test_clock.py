"""The real clock: whoever waits goes on by the bell or by the moment, and ends when told to end."""

import asyncio

import pytest

from relay.runtime.clock import Clock

HOUR = 3600.0


async def ends(task, rounds, went_on):
    """Cancelled after so many rounds of the loop it ends, unless it went on before."""
    for _ in range(rounds):
        await asyncio.sleep(0)
    already = bool(went_on)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled() is not already


@pytest.mark.parametrize("rounds", range(5))
@pytest.mark.parametrize("seconds", [HOUR, None])
async def test_whoever_is_cancelled_while_the_bell_rings_ends(rounds, seconds):
    """Relay's rooms ring each other as they end: one that heard only the bell would hold the others up for ever."""
    clock, bell, went_on = Clock(), asyncio.Event(), []

    async def room():
        await clock.wait(bell, None if seconds is None else clock.now() + seconds)
        went_on.append(True)

    task = asyncio.create_task(room())
    await asyncio.sleep(0.01)
    bell.set()
    await ends(task, rounds, went_on)


@pytest.mark.parametrize("rounds", range(5))
async def test_whoever_is_cancelled_as_their_moment_comes_ends(rounds):
    clock, went_on = Clock(), []

    async def room():
        await clock.wait(asyncio.Event(), clock.now())
        went_on.append(True)

    task = asyncio.create_task(room())
    await ends(task, rounds, went_on)


@pytest.mark.parametrize("ago", [0.0, HOUR])
async def test_a_moment_that_is_over_is_not_waited_for(ago):
    clock, bell = Clock(), asyncio.Event()
    await clock.wait(bell, clock.now() - ago)
    bell.set()
    await clock.wait(bell, clock.now() + HOUR)
    assert not bell.is_set()
