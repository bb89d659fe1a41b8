"""Runs a command's coroutine, and ends the process even if a thread hangs.

A thread may wait for something that never comes: a name server that does not answer, a database that is frozen or
locked. Python waits for its threads before it exits, and so does libuv, under uvloop, for those that look up names.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

from relay.cli.environment import read_settings

if TYPE_CHECKING:
    from relay.store.store import Store

T = TypeVar("T")

CLOSE_SECONDS = 0.5
"""Seconds in which the threads of a closed event loop must end."""

_closing: list[Thread] = []


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and return its result; use uvloop if it is installed (it does not exist for Windows)."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with suppress(ImportError):
        import uvloop

        loop_factory = uvloop.new_event_loop
    runner = asyncio.Runner(loop_factory=loop_factory)
    try:
        return runner.run(work)
    finally:
        closing = Thread(target=runner.close, name="relay-closing", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        _closing[:] = [thread for thread in (*_closing, closing) if thread.is_alive()]


def run_on_live_store(work: "Callable[[Store], Awaitable[T]]") -> T:
    """Open the database of the environment's settings, beside a running relay; run `work` on it; return its result."""
    from relay.tools.live_store import open_live_store

    async def run_work() -> T:
        async with open_live_store(read_settings()) as store:
            return await work(store)

    return run(run_work())


def exit_if_hanging(error: BaseException) -> None:
    """End the process as `error` would, if a thread hangs that Python would wait for; otherwise do nothing."""
    if not any(thread.is_alive() for thread in _closing):
        return
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        code = error.code
    else:
        code = 1
        sys.excepthook(type(error), error, error.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
