"""A simulated clock: time moves on as soon as everything is idle."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Final

from relay.runtime.clock import Clock

_POLL: Final = 0.001
"""Seconds of real time between two checks whether everything is idle."""

_CHECKS: Final = 6
"""How many checks in a row must find everything idle, each after a turn of the event loop. A task that was woken has
run on by the third."""

MIN_STEP: Final = 30.0
"""The shortest step of time in seconds; a task that polls every two seconds does not slow the simulation down."""


@dataclass(slots=True, eq=False, kw_only=True)
class _Waiter:
    """A task that waits for an event or for a moment; `wait` ends when `deadline`, of asyncio, does."""

    event: asyncio.Event
    until: float
    is_due: bool = False
    deadline: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))

    @property
    def woken(self) -> bool:
        """Whether the task can continue."""
        return self.event.is_set() or self.is_due

    async def wait(self) -> None:
        """Wait for the event or for `wake`; other tasks have their turn in any case."""
        if self.woken:
            self.is_due = True  # no matter who clears the event
            await asyncio.sleep(0)
            return
        with suppress(TimeoutError):
            async with self.deadline:
                await self.event.wait()

    def wake(self) -> None:
        """The moment has come."""
        if not self.is_due:
            self.is_due = True
            self.deadline.reschedule(asyncio.get_running_loop().time())


class SimulatedClock(Clock):
    """Stands still until it is moved, and then wakes the tasks whose moment has come. Unix seconds."""

    def __init__(self, now: float, monotonic: float | None = None) -> None:
        self._now = now
        self._monotonic = now if monotonic is None else monotonic
        self._waiting: list[_Waiter] = []

    def now(self) -> float:
        """The present, in simulated time."""
        return self._now

    def monotonic(self) -> float:
        """Seconds of simulated time that have passed; a step back does not count."""
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        """Wait so long, in simulated time."""
        await self.wait(asyncio.Event(), self._now + seconds)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Wait for the event, or until time has been moved to that moment."""
        moment = inf if until is None else until
        waiter = _Waiter(event=event, until=moment, is_due=moment <= self._now)
        self._waiting.append(waiter)
        try:
            await waiter.wait()
        finally:
            self._waiting.remove(waiter)
            event.clear()

    def next_timer(self) -> float | None:
        """The next moment that a task waits for."""
        return min((each.until for each in self._waiting if self._now < each.until < inf), default=None)

    def set_time(self, moment: float) -> None:
        """Set the clock. Where it is set back, tasks wait as long as they would have."""
        back = max(0.0, self._now - moment)
        for each in self._waiting:
            each.until -= back
        self._monotonic += max(0.0, moment - self._now)
        self._now = moment
        for each in self._waiting:
            if each.until <= moment:
                each.wake()

    async def run_for(self, seconds: float, is_idle: Callable[[], bool], *, min_step: float = MIN_STEP) -> None:
        """Let so much time pass, in steps of at least `min_step`; everything that falls due on the way happens."""
        until = self._now + seconds
        await wait_until_idle(is_idle)
        while self._now < until:
            self.set_time(min(until, max(self.next_timer() or until, self._now + min_step)))
            await wait_until_idle(is_idle)


async def wait_until_idle(is_idle: Callable[[], bool]) -> None:
    """Wait until everything stays idle."""
    idle_checks = 0
    while idle_checks < _CHECKS:
        await asyncio.sleep(0 if idle_checks else _POLL)
        idle_checks = idle_checks + 1 if is_idle() else 0
