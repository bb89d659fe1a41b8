"""The event loop that commands run in, and the end of their process: nothing that hangs holds it up.

A thread may wait for what never comes: a name server that does not answer, a database that is frozen or locked. Python
waits for its threads before it ends, and so does libuv, under uvloop, for those that look up names.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from threading import Thread
from typing import Any

LEAVING = 0.5
"""Seconds in which the threads that work for an event loop end, once it is closed."""

_closing: list[Thread] = []


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, under uvloop where it is installed (it is not made for Windows)."""
    runner = asyncio.Runner(loop_factory=_faster_loop())
    try:
        runner.run(work)
    finally:
        closing = Thread(target=runner.close, name="relay-closing", daemon=True)
        closing.start()
        closing.join(LEAVING)
        _closing[:] = [each for each in (*_closing, closing) if each.is_alive()]


def leave(end: BaseException) -> None:
    """End the process as `end` would, if a thread hangs that Python would wait for; else do nothing."""
    if not any(each.is_alive() for each in _closing):
        return
    if isinstance(end, SystemExit) and isinstance(end.code, int):
        code = end.code
    else:
        code = 1
        sys.excepthook(type(end), end, end.__traceback__)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def _faster_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415  it may not be there
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
