"""A clock for telling a long story quickly: nobody waits, time is moved on as soon as everybody rests."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from relay.runtime.clock import Clock

GLANCE: Final = 0.001
"""Seconds of real time between two looks at whether everybody rests."""

LOOKS: Final = 6
"""So many looks in a row must find everybody at rest, each after the event loop has gone round: by the third, whoever
was woken has gone on."""

MIN_STEP: Final = 30.0
"""Seconds that time moves on at the least: whoever looks at something every two seconds need not be waited for."""


@dataclass(slots=True, eq=False, kw_only=True)
class Waiter:
    """Somebody waits for a bell, and until a moment (of which the alarm tells that it has come)."""

    bell: asyncio.Event
    until: float
    alarm: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def woken(self) -> bool:
        """Whether it may go on."""
        return self.bell.is_set() or self.alarm.is_set()


class SimulatedClock(Clock):
    """Stands still until it is moved; then whoever waited for a moment that has come goes on. Unix seconds."""

    def __init__(self, now: float) -> None:
        """Begin at that moment."""
        self._now = self._steady = now
        self._waiting: list[Waiter] = []

    def now(self) -> float:
        """The present, in the story."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that pass in the story; to be moved back is none that passes."""
        return self._steady

    async def sleep(self, seconds: float) -> None:
        """Wait so long, in the story."""
        await self.wait(asyncio.Event(), self._now + seconds)

    async def wait(self, bell: asyncio.Event, until: float | None) -> None:
        """Wait for the bell, or until time has been moved to that moment."""
        waiter = Waiter(bell=bell, until=inf if until is None else until)
        if waiter.until <= self._now:
            waiter.alarm.set()
        self._waiting.append(waiter)
        waits = [asyncio.ensure_future(each.wait()) for each in (bell, waiter.alarm)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            self._waiting.remove(waiter)
            bell.clear()

    def next_timer(self) -> float | None:
        """The earliest moment that somebody waits for, of those to come."""
        return min((each.until for each in self._waiting if self._now < each.until < inf), default=None)

    def set_time(self, moment: float) -> None:
        """It is that moment now. Where that is earlier, whoever waits does so for as long as ever."""
        back = max(0.0, self._now - moment)
        for each in self._waiting:
            each.until -= back
        self._steady += max(0.0, moment - self._now)
        self._now = moment
        for each in self._waiting:
            if each.until <= moment:
                each.alarm.set()

    async def advance(self, seconds: float, resting: Callable[[], bool], *, stride: float = MIN_STEP) -> None:
        """Let so much time pass, in strides of that length at the least; on the way everything happens that is due."""
        until = self._now + seconds
        await wait_until_idle(resting)
        while self._now < until:
            self.set_time(min(until, max(self.next_timer() or until, self._now + stride)))
            await wait_until_idle(resting)


async def wait_until_idle(resting: Callable[[], bool]) -> None:
    """Wait until everybody rests."""
    quiet = 0
    while quiet < LOOKS:
        await asyncio.sleep(0 if quiet else GLANCE)
        quiet = quiet + 1 if resting() else 0
