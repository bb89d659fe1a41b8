"""A standard error that never blocks: a log shipper that hangs, or a paused terminal, does not stop relay.

While there is space, `write` writes the line at once, so it is out even if the process is killed the next instant.
Without space, lines wait for a thread that writes them. Where too many wait, further ones are lost and counted.
"""

import io
import os
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Condition, Thread

ATOMIC_WRITE_BYTES = 4096
"""A write of so many bytes never blocks where `select` reports space: a pipe accepts it or reports that it is full
(PIPE_BUF)."""

MAX_WAITING_BYTES = 4_000_000
"""About ten thousand lines."""

DRAIN_SECONDS = 1.0
"""How long a reader has at the end for the lines that still wait."""

_STDERR = 2


class NonblockingStream(io.TextIOBase):
    """A text stream to a file descriptor, whose `write` never waits and never fails."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, descriptor: int, report_lost: Callable[[int], None]) -> None:
        """`report_lost` gets the number of lost lines as soon as the reader reads again. It may write a line here."""
        self._descriptor = descriptor
        self._report_lost = report_lost
        self._changed = Condition()
        self._waiting = bytearray()
        self._lost = 0
        self._busy = False
        Thread(target=self._write_waiting, name="relay-stderr", daemon=True).start()

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, text: str, /) -> int:
        """Write now, or queue the text (or the rest of it) for the thread, or count it as lost."""
        data = text.encode(self.encoding, self.errors)
        with self._changed:
            if not (self._busy or self._waiting):
                data = self._write_what_fits(data)
            if data and len(self._waiting) >= MAX_WAITING_BYTES:
                self._lost += text.count("\n")
            elif data:
                self._waiting += data
                self._changed.notify_all()
        return len(text)

    def drain(self, within: float) -> bool:
        """Wait until nothing waits, at most so many seconds. Return whether nothing waits."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._busy or self._waiting), within)

    def _write_waiting(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._busy = True
                data, self._waiting = self._waiting, bytearray()
                lost, self._lost = self._lost, 0
                if lost:  # queued first: the lost lines came after those in `data`, and before all later ones
                    self._report_lost(lost)
            self._write_all(data)

    def _write_what_fits(self, data: bytes) -> bytes:
        """Write as much as there is space for; return the rest."""
        while data and select.select([], [self._descriptor], [], 0)[1]:
            self._write_all(data[:ATOMIC_WRITE_BYTES])
            data = data[ATOMIC_WRITE_BYTES:]
        return data

    def _write_all(self, data: bytes | bytearray) -> None:
        """Write all of it. What cannot be written (no reader, a full disk) is dropped."""
        with suppress(OSError):
            while data:
                data = data[os.write(self._descriptor, data) :]


def open_standard_streams() -> None:
    """Open /dev/null for each standard stream that the caller has closed.

    Otherwise the next file that is opened becomes standard error, and log lines are written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)  # noqa: FBT003  its only argument
    os.close(descriptor)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115  it stays open as long as relay runs


@contextmanager
def nonblocking_stderr(report_lost: Callable[[int], None]) -> Iterator[None]:
    """Make `sys.stderr` nonblocking inside. At the end, wait up to `DRAIN_SECONDS` for the reader.

    If the reader has not read everything by then, `sys.stderr` stays nonblocking.
    """
    before = sys.stderr
    try:
        descriptor = before.fileno()
    except OSError:  # not a file, but an object of some program
        yield
        return
    before.flush()
    sys.stderr = stream = NonblockingStream(descriptor, report_lost)
    try:
        yield
    finally:
        if stream.drain(DRAIN_SECONDS):
            sys.stderr = before
