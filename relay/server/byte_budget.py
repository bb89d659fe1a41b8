"""A budget of bytes: bodies reserve their part of it, in the order in which they ask, and wait while it is spent."""

import asyncio

from relay.server.problem import unavailable

MAX_WAITING = 32
"""The most bodies that wait for one budget: each holds a connection, and the little that has arrived of it."""

WAIT_SECONDS = 20.0
"""Seconds that a body waits for its part of the budget. Then relay answers 503, and its sender must try again."""


class ByteBudget:
    """At most `total` bytes at a time. A large reservation is not overtaken by smaller ones."""

    def __init__(self, total: int, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._free = total
        self._wait_seconds = wait_seconds
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._released = asyncio.Event()

    async def reserve(self, size: int) -> None:
        """Wait until `size` bytes are free, and take them. Raises Problem (503) if too many wait, or for too long."""
        if self._waiting >= MAX_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds), self._turn:
                while size > self._free:
                    self._released.clear()
                    await self._released.wait()
                self._free -= size
        except TimeoutError:
            raise _busy() from None
        finally:
            self._waiting -= 1

    def release(self, size: int) -> None:
        """Give `size` reserved bytes back."""
        self._free += size
        self._released.set()


class Reservation:
    """The part of a budget that one body has: none, until `take`."""

    def __init__(self, budget: ByteBudget) -> None:
        self.size = 0
        self._budget = budget

    async def take(self, size: int) -> None:
        """Reserve `size` bytes, once: a body that waited for more while it holds some could block another for ever."""
        await self._budget.reserve(size)
        self.size = size

    def shrink(self, size: int) -> None:
        """Keep `size` bytes at most, and give the rest back."""
        if size < self.size:
            self._budget.release(self.size - size)
            self.size = size


def _busy() -> Exception:
    return unavailable("busy", "relay is busy with other bodies of this sender; please send it again.", close=True)
