"""What a hostile input costs a running relay: the longest time that its event loop did not answer, and its memory.

Time in which the machine ran neither relay nor the test, since it was busy, does not count.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.busy_machine import Stopwatch
from tests.support.relay_process import Process


@dataclass
class LoadProbe:
    """Seconds until the slowest `/healthz` was answered, how often it was asked, and whose memory counts."""

    pid: int
    slowest: float = 0.0
    asked: int = 0

    @property
    def peak_memory(self) -> int:
        """Return the most memory that the process ever held, in bytes (`VmHWM` in proc_pid_status(5))."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))

    def __str__(self) -> str:
        """Say it in one line, for a report."""
        return f"longest block {self.slowest * 1000:.0f} ms ({self.asked} probes), peak {self.peak_memory >> 20} MB"


@asynccontextmanager
async def load_probe(relay: Process, every: float = 0.01) -> AsyncIterator[LoadProbe]:
    """Ask `/healthz` every few milliseconds until the block ends; an answer waits for whatever blocks the loop."""
    probe = LoadProbe(relay.process.pid)

    async def ask() -> None:
        while True:
            stopwatch = Stopwatch(relay.process.pid)
            async with relay.session.get(f"{relay.url}/healthz") as answer:
                await answer.read()
            probe.slowest, probe.asked = max(probe.slowest, stopwatch.seconds), probe.asked + 1
            await asyncio.sleep(every)

    asking = asyncio.create_task(ask())
    try:
        yield probe
    finally:
        asking.cancel()
