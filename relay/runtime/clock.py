"""The clock, given to every component that needs the time, so that tests can control it."""

import asyncio
import time
from contextlib import suppress
from math import inf

_MONOTONIC: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class WakeEvent(asyncio.Event):
    """The event that wakes a component. `has_waiter`: the component has nothing to do and waits for it."""

    has_waiter = False

    @property
    def is_idle(self) -> bool:
        """Whether the component waits, and nothing has woken it."""
        return self.has_waiter and not self.is_set()


LONGEST_WAIT = 5.0
"""Seconds after which a wait for a moment looks at the clock again: it may have been set, or the machine was asleep."""

_RESOLUTION = 1e-6
"""Seconds, more than what Unix times lose where they are added."""

SAME_TIME = 0.25
"""Seconds by which two clocks that agree may seem to differ."""


class Clock:
    """The real clock. Times are Unix seconds.

    It is the machine's clock, until it follows another one: then it is that clock's reading, and the time since.
    """

    _followed: tuple[float, float] | None = None

    def now(self) -> float:
        """Return the present time."""
        if self._followed is None:
            return time.time()
        reading, read_at = self._followed
        return reading + self.monotonic() - read_at

    def follow(self, offset: float) -> None:
        """From now on, be so many seconds ahead of the machine's clock, and stay unmoved when that one is set."""
        reading = time.time() + offset
        if self._followed is None or abs(reading - self.now()) > SAME_TIME:
            self._followed = (reading, self.monotonic())

    def monotonic(self) -> float:
        """Return seconds that only grow: for spans that a corrected clock must not change.

        Time during which the machine was suspended counts, where the system can measure it.
        """
        return time.clock_gettime(_MONOTONIC)

    def time_at(self, monotonic: float) -> float:
        """Return the time at which `monotonic()` will have grown to that, unless the clock is set meanwhile.

        It is never too early: who looked at that time and had to wait again would wait for nothing, without end.
        """
        return self.now() + (monotonic - self.monotonic()) + _RESOLUTION

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Wait for the event, at the longest until a time (None: without end), and clear the event.

        A clock that is set forward ends the wait, and one that is set back does not prolong it.

        A cancellation at the moment of the event cancels. `asyncio.wait_for` would continue instead
        (https://github.com/python/cpython/issues/86296, fixed in Python 3.12).
        """
        ends_at = inf if until is None else self.monotonic() + until - self.now()
        try:
            while True:
                left = max(0.0, self._left(until, ends_at))
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if until is None else min(left, LONGEST_WAIT)):
                        await event.wait()
                if event.is_set() or self._left(until, ends_at) <= 0:
                    return
        finally:
            event.clear()

    def _left(self, until: float | None, ends_at: float) -> float:
        """Return the seconds until that time, by the clock or by the time that has passed: the smaller one."""
        return inf if until is None else min(until - self.now(), ends_at - self.monotonic())

    async def wait_idle(self, event: WakeEvent, until: float | None) -> None:
        """Wait, and show on the event that its component is idle."""
        event.has_waiter = True
        try:
            await self.wait(event, until)
        finally:
            event.has_waiter = False
