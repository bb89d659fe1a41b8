"""Word that something in the workspace has changed, for whoever is watching it."""

import asyncio
from contextlib import suppress


class ChangeSignal:
    """Counts what changes; a watcher that remembers the count misses nothing."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.count = 0
        self._next = asyncio.Event()

    def notify(self) -> None:
        """Something has changed."""
        self.count += 1
        self._next.set()
        self._next = asyncio.Event()

    async def wait_for_change(self, count: int, seconds: float) -> bool:
        """Wait until more has changed than `count` says, at the longest so long; whether it has."""
        if self.count == count:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._next.wait()
        return self.count != count
