"""Runs a command's coroutine, and ends the process even if a thread hangs.

A thread may wait for something that never comes: a name server that does not answer, a database that is frozen or
locked. Python waits for its threads before it exits, and so does libuv, under uvloop, for those that look up names.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")

CLOSE_SECONDS = 0.5
"""Seconds in which the threads of a closed event loop must end."""

_closing: list[Thread] = []


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run `work` and return its result; use uvloop if it is installed (it does not exist for Windows)."""
    runner = asyncio.Runner(loop_factory=_loop_factory())
    try:
        return runner.run(work)
    finally:
        closing = Thread(target=runner.close, name="relay-closing", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        _closing[:] = [thread for thread in (*_closing, closing) if thread.is_alive()]


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


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
