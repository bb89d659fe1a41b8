"""The real clock: a wait ends at the event or at its time, and a cancellation always cancels."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.demo.clock import SimulatedClock
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


@given(
    st.floats(1.5e9, 3e9),
    st.floats(0, 1e7, allow_subnormal=False),
    st.floats(0, 1e6, allow_subnormal=False),
)
def test_a_wait_until_the_time_of_a_monotonic_moment_is_long_enough(now, monotonic, left):
    """By rounding, a sum may be too early: a caller that checks again then would wait again without end."""
    clock = SimulatedClock(now, monotonic)
    ends_at = monotonic + left
    clock.set_time(clock.time_at(ends_at))
    assert clock.monotonic() >= ends_at
    assert clock.monotonic() - ends_at < 1e-3


class SteppedClock(Clock):
    """The real clock, which a test sets."""

    ahead = 0.0

    def now(self):
        return super().now() + self.ahead


@pytest.mark.parametrize("step", [HOUR, -HOUR])
async def test_a_clock_that_is_set_does_not_prolong_a_wait(monkeypatch, step):
    monkeypatch.setattr("relay.runtime.clock.LONGEST_WAIT", 0.01)
    clock = SteppedClock()
    seconds = HOUR if step > 0 else 0.1
    waiting = asyncio.create_task(clock.wait(asyncio.Event(), clock.now() + seconds))
    await asyncio.sleep(0.02)
    clock.ahead = step
    async with asyncio.timeout(100):
        await waiting


def test_a_clock_that_follows_another_one_does_not_move_when_the_machines_clock_is_set(monkeypatch):
    clock = Clock()
    clock.follow(HOUR)
    before = clock.now()
    real = time.time
    assert before == pytest.approx(real() + HOUR, abs=10)
    monkeypatch.setattr(time, "time", lambda: real() - 10 * HOUR)
    assert clock.now() == pytest.approx(before, abs=10)
    clock.follow(11 * HOUR)  # the same moment, as seen from the machine's new time
    assert clock.now() == pytest.approx(before, abs=10)
    clock.follow(HOUR)
    assert clock.now() == pytest.approx(real() - 9 * HOUR, abs=10)
