"""Time, as the shell sees it: given to whoever needs it, so that tests own it."""

import asyncio
import time
from contextlib import suppress

_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class WakeEvent(asyncio.Event):
    """What somebody waits for who has nothing to do; `watched` says that they do."""

    has_waiter = False

    @property
    def is_idle(self) -> bool:
        """Whether whoever watches it has nothing to do, and will have nothing before time passes."""
        return self.has_waiter and not self.is_set()


class Clock:
    """The real clock. Times are Unix seconds."""

    def now(self) -> float:
        """The present."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that only grow, at their own pace: for spans that a corrected clock must not stretch.

        The time that the machine was asleep counts, where the system can tell.
        """
        return time.clock_gettime(_STEADY)

    async def sleep(self, seconds: float) -> None:
        """Wait so long."""
        await asyncio.sleep(seconds)

    async def wait(self, bell: asyncio.Event, until: float | None) -> None:
        """Wait for the bell, at the longest until that moment (None: for the bell alone), and silence it.

        Whoever is cancelled as the bell rings is cancelled. `asyncio.wait_for` would go on as if nothing had been said
        (https://github.com/python/cpython/issues/86296, mended in Python 3.12).
        """
        delay = None if until is None else max(0.0, until - self.now())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await bell.wait()
        finally:
            bell.clear()

    async def wait_idle(self, bell: WakeEvent, until: float | None) -> None:
        """Wait for a bell that tells whether anybody waits for it."""
        bell.has_waiter = True
        try:
            await self.wait(bell, until)
        finally:
            bell.has_waiter = False
