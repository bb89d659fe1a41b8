"""Time that stands still until a test moves it."""

import asyncio

from relay.clock import Clock


class ManualClock(Clock):
    """Whoever waits for a moment waits until the test has moved time there; bells ring as ever."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._timers: list[tuple[float, asyncio.Event]] = []
        self._waiting: list[tuple[asyncio.Event, asyncio.Event]] = []
        self.sleepers = 0
        self.waits = 0

    @property
    def waiting(self) -> int:
        """How many wait: neither has their bell rung, nor has their moment come."""
        return sum(not bell.is_set() and not alarm.is_set() for bell, alarm in self._waiting)

    def now(self) -> float:
        return self._now

    def steady(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds
        for timer in [timer for timer in self._timers if timer[0] <= self._now]:
            self._timers.remove(timer)
            timer[1].set()

    def next_timer(self) -> float | None:
        """The earliest moment that somebody waits for."""
        return min((moment for moment, _ in self._timers), default=None)

    async def sleep(self, seconds: float) -> None:
        self.sleepers += 1
        try:
            await self.wait(asyncio.Event(), self._now + seconds)
        finally:
            self.sleepers -= 1

    async def wait(self, bell: asyncio.Event, until: float | None) -> None:
        self.waits += 1
        if until is not None and until <= self._now:
            await asyncio.sleep(0)
            bell.clear()
            return
        alarm = asyncio.Event()
        timer = (until, alarm)
        if until is not None:
            self._timers.append(timer)
        self._waiting.append(pair := (bell, alarm))
        waits = [asyncio.create_task(bell.wait()), asyncio.create_task(alarm.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            self._waiting.remove(pair)
            if timer in self._timers:
                self._timers.remove(timer)
            bell.clear()
