"""The clock, given to every component that needs the time, so that tests can control it."""

import asyncio
import time
from contextlib import suppress

_MONOTONIC: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class WakeEvent(asyncio.Event):
    """The event that wakes a component. `has_waiter`: the component has nothing to do and waits for it."""

    has_waiter = False

    @property
    def is_idle(self) -> bool:
        """Whether the component waits, and nothing has woken it."""
        return self.has_waiter and not self.is_set()


class Clock:
    """The real clock. Times are Unix seconds."""

    def now(self) -> float:
        """Return the present time."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that only grow: for spans that a corrected clock must not change.

        Time during which the machine was suspended counts, where the system can measure it.
        """
        return time.clock_gettime(_MONOTONIC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Wait for the event, at the longest until a time (None: without end), and clear the event.

        A cancellation at the moment of the event cancels. `asyncio.wait_for` would go on instead
        (https://github.com/python/cpython/issues/86296, fixed in Python 3.12).
        """
        delay = None if until is None else max(0.0, until - self.now())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await event.wait()
        finally:
            event.clear()

    async def wait_idle(self, event: WakeEvent, until: float | None) -> None:
        """Wait, and show on the event that its component is idle."""
        event.has_waiter = True
        try:
            await self.wait(event, until)
        finally:
            event.has_waiter = False
