"""Standard error without waiting: a log shipper that hangs, or a terminal that is held, holds up nobody but itself.

Where there is room, a line is written at once by whoever says it, and is out even if the process is killed the next
instant. Where there is none, lines wait for a thread that waits for the reader; where too many wait, they are counted.
"""

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Condition, Thread

ATOMIC_WRITE_BYTES = 4096
"""Bytes that never block where `select` sees room: a pipe takes so many, or says that it is full (PIPE_BUF)."""

MAX_WAITING_CHARACTERS = 4_000_000
"""Characters that wait at the most: some ten thousand lines."""

DRAIN_SECONDS = 1.0
"""Seconds that a reader has, at the end, for what still waits for it."""


class NonblockingStream(io.TextIOBase):
    """A text stream onto a file descriptor, whose `write` never waits and never fails."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, descriptor: int, report_lost: Callable[[int], None]) -> None:
        """`tell` hears how many lines were lost, once the reader reads on; what it writes stands where they would."""
        self._descriptor = descriptor
        self._tell = report_lost
        self._changed = Condition()
        self._waiting: list[str] = []
        self._size = self._lost = 0
        self._busy = False
        Thread(target=self._hand_over, name="relay-stderr", daemon=True).start()

    def fileno(self) -> int:
        """The descriptor below."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def write(self, text: str, /) -> int:
        """Write it now, or hand it to whoever waits for the reader, or count it as lost."""
        with self._changed:
            if self._busy or self._waiting:
                self._keep(text)
            elif (
                len(data := self._encoded(text)) <= ATOMIC_WRITE_BYTES
                and select.select([], [self._descriptor], [], 0)[1]
            ):
                self._put(data)
            else:
                self._keep(text)
                self._changed.notify_all()
        return len(text)

    def drain(self, within: float) -> bool:
        """Wait until nothing waits any more, at the most so many seconds; whether it came to that."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._busy or self._waiting), within)

    def _keep(self, text: str) -> None:
        if self._size >= MAX_WAITING_CHARACTERS:
            self._lost += text.count("\n")
            return
        self._waiting.append(text)
        self._size += len(text)

    def _hand_over(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._busy = True
                data = self._encoded("".join(self._waiting))
                lost, self._lost, self._size = self._lost, 0, 0
                self._waiting.clear()
                if lost:  # before anybody else says something: they were lost after these, and before what comes now
                    self._tell(lost)
            self._put(data)

    def _encoded(self, text: str) -> bytes:
        return text.encode(self.encoding, self.errors)

    def _put(self, data: bytes) -> None:
        """Write all of it; what cannot be written (nobody reads any more, the disk is full) costs nothing else."""
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


@contextmanager
def nonblocking_stderr(report_lost: Callable[[int], None]) -> Iterator[None]:
    """Let nobody within wait for whoever reads stderr; at the end, what still waits is given `LAST_WORDS`.

    A reader that has not read on by then is not waited for by what is said later either.
    """
    before = sys.stderr
    try:
        descriptor = before.fileno()
    except OSError:  # it is no file, but some program's own
        yield
        return
    before.flush()
    sys.stderr = stream = NonblockingStream(descriptor, report_lost)
    try:
        yield
    finally:
        if stream.drain(DRAIN_SECONDS):
            sys.stderr = before
