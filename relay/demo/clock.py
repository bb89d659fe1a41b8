"""A clock for telling a long story quickly: nobody waits, time is moved on as soon as everybody rests."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from relay.clock import Clock

GLANCE: Final = 0.002
"""Seconds of real time between two looks at whether everybody rests."""

LOOKS: Final = 3
"""So many looks in a row must find everybody at rest: between two threads nobody seems to work."""

STRIDE: Final = 30.0
"""Seconds that time moves on at the least: whoever looks at something every two seconds need not be waited for."""


class LeapingClock(Clock):
    """Stands still until it is moved; then whoever waited for a moment that has come goes on. Unix seconds."""

    def __init__(self, now: float) -> None:
        """Begin at that moment."""
        self._now = now
        self._alarms: list[tuple[float, asyncio.Event]] = []

    def now(self) -> float:
        """The present, in the story."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait so long, in the story."""
        await self.wait(asyncio.Event(), self._now + seconds)

    async def wait(self, bell: asyncio.Event, until: float | None) -> None:
        """Wait for the bell, or until time has been moved to that moment."""
        alarm = (until, asyncio.Event()) if until is not None and until > self._now else None
        if alarm is None and until is not None:
            await asyncio.sleep(0)
            bell.clear()
            return
        bells = [bell.wait(), *([alarm[1].wait()] if alarm else [])]
        if alarm:
            self._alarms.append(alarm)
        waits = [asyncio.ensure_future(each) for each in bells]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            if alarm:
                with suppress(ValueError):
                    self._alarms.remove(alarm)
            bell.clear()

    async def leap(self, seconds: float, resting: Callable[[], bool], *, stride: float = STRIDE) -> None:
        """Let so much time pass, in strides of that length at the least; on the way everything happens that is due."""
        until = self._now + seconds
        await settled(resting)
        while self._now < until:
            self._move(min(until, max(self._next_alarm(until), self._now + stride)))
            await settled(resting)

    def _next_alarm(self, otherwise: float) -> float:
        return min((moment for moment, _ in self._alarms), default=otherwise)

    def _move(self, moment: float) -> None:
        self._now = moment
        for alarm in [alarm for alarm in self._alarms if alarm[0] <= moment]:
            alarm[1].set()


async def settled(resting: Callable[[], bool]) -> None:
    """Wait until everybody rests."""
    quiet = 0
    while quiet < LOOKS:
        await asyncio.sleep(GLANCE)
        quiet = quiet + 1 if resting() else 0
