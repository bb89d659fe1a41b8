"""Work in the background: several pieces at a time, and one that fails stops no other."""

import asyncio
from collections.abc import Callable, Coroutine
from collections.abc import Set as AbstractSet
from typing import Any


class BackgroundWork:
    """Work that is only kept in memory: if it has not begun when relay stops, it is lost."""

    def __init__(self, name: str, log_failure: Callable[[Exception], None]) -> None:
        """`name` is that of the tasks; `log_failure` is called where one ends with an unexpected error."""
        self._name = name
        self._log_failure = log_failure
        self._waiting: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._running: set[asyncio.Task[Any] | None] = set()

    def add(self, work: Coroutine[Any, Any, None]) -> None:
        """Let this work begin soon."""
        self._waiting.put_nowait(work)

    def is_idle(self, pausing: AbstractSet[asyncio.Task[Any] | None]) -> bool:
        """Whether nothing is in progress but these tasks, which wait for time to pass."""
        return self._waiting.empty() and self._running <= pausing

    async def run(self) -> None:
        """Do the work, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    task = tasks.create_task(self._do(await self._waiting.get()), name=self._name)
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
        finally:
            while not self._waiting.empty():
                self._waiting.get_nowait().close()

    async def _do(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  the owner logs it
            self._log_failure(error)
