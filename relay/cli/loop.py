"""The event loop that commands run in."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, under uvloop where it is installed (it is not made for Windows)."""
    with asyncio.Runner(loop_factory=_faster_loop()) as runner:
        runner.run(work)


def _faster_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  it may not be there
    except ImportError:
        return None
    return uvloop.new_event_loop
