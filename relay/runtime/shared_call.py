"""Work that runs once for all who ask for it at the same time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SharedCall(Generic[T]):
    """Call it to run `work`, or to wait for the run in progress: many who ask cost as much as one.

    A cancelled caller stops waiting; the work continues.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._running: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """Return what the work returns; raise what it raises."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._work())
            # Read the error even if nobody waits any more: asyncio would log it as never retrieved.
            self._running.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(self._running)
