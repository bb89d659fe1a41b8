"""Real time without what a busy machine adds to it, for the few promises of relay that are in seconds."""

import os
import time
from contextlib import suppress
from pathlib import Path


class Stopwatch:
    """Measures from its creation on how long something takes in another process, while this one waits for it."""

    def __init__(self, pid: int) -> None:
        self._pids = (pid, os.getpid())
        self._waited = 0.0
        self._waited_before, self._began = self._waits(), time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds until now, without those in which the two processes could have run, and had no processor.

        At the end of the other process its own are known only until they were read last.
        """
        elapsed = time.monotonic() - self._began
        self._waited = max(self._waited, self._waits() - self._waited_before)
        return elapsed - self._waited

    def _waits(self) -> float:
        """Seconds in which threads of the processes have waited for a processor, all together.

        https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat; 0 where the system does not say.
        """
        nanoseconds = 0
        for pid in self._pids:
            for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
                with suppress(OSError):
                    nanoseconds += int(file.read_text().split()[1])
        return nanoseconds / 1e9
