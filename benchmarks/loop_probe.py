"""Runs relay, and writes down what the longest step of its event loop takes: `loop_probe.py FILE serve`.

A timer beats in the loop. Between two beats lies the longest step: its time on the clock, and the processor time that
the loop's thread used meanwhile. Other programs on a busy machine make the first longer, but hardly the second.
SIGUSR2 writes the two into FILE, in seconds, and starts again.
"""

import asyncio
import json
import runpy
import signal
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

EVERY = 0.002
"""Seconds between two beats."""


class LoopProbe:
    """The longest step of a loop since it was last written down."""

    def __init__(self, file: Path) -> None:
        """Take the file to write to."""
        self._file = file
        self._clock = self._processor = self._begun_at = self._used = 0.0

    async def watch(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run `work`, and watch the loop meanwhile."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR2, self._write)
        self._begun_at, self._used = time.perf_counter(), time.thread_time()
        loop.call_later(EVERY, self._beat, loop)
        return await work

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        now, used = time.perf_counter(), time.thread_time()
        self._clock = max(self._clock, now - self._begun_at - EVERY)
        self._processor = max(self._processor, used - self._used)
        self._begun_at, self._used = now, used
        loop.call_later(EVERY, self._beat, loop)

    def _write(self) -> None:
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps([self._clock, self._processor]))
        partial.replace(self._file)
        self._clock = self._processor = 0.0


def main() -> None:
    """Patch the runner of asyncio, which starts every loop of relay, and run relay's command line."""
    probe, run = LoopProbe(Path(sys.argv[1])), asyncio.Runner.run

    def watched(runner: asyncio.Runner, work: Coroutine[Any, Any, Any], **more: Any) -> Any:
        return run(runner, probe.watch(work), **more)

    asyncio.Runner.run = watched  # type: ignore[assignment, method-assign]  # it returns what `work` returns
    sys.argv = ["relay", *sys.argv[2:]]
    del sys.path[0]  # the folder of this file; relay comes from PYTHONPATH, or is installed
    runpy.run_module("relay", run_name="__main__", alter_sys=False)


if __name__ == "__main__":
    main()
