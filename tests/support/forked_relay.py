"""`relay` in a process of its own, forked from one that has imported it: that is most of what a start costs.

The process has its own environment, folder, standard streams and signals, like one that a shell starts.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

IMPORTED = [
    *("relay.cli", "relay.app", "relay.store.migration", "psycopg"),
    *("tests.support.compiled_templates", "tests.support.forked_relay"),
]


class ForkedRelay:
    """What tests use of an `asyncio.subprocess.Process`. `stderr` is a pipe."""

    def __init__(self, process: BaseProcess, stderr: asyncio.StreamReader) -> None:
        self._process, self.stderr = process, stderr
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.sentinel, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode if self._ended.is_set() else None

    async def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        await self._ended.wait()
        assert self._process.exitcode is not None
        return self._process.exitcode

    async def communicate(self) -> tuple[None, bytes]:
        """Return what it writes until it ends."""
        written = await self.stderr.read()
        await self.wait()
        return None, written

    def send_signal(self, number: int) -> None:
        if not self._ended.is_set():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class _Descriptor:
    """A file descriptor that is another number in the process that it is sent to."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _detached, (DupFd(self.number),)


def _detached(descriptor: Any) -> int:
    number: int = descriptor.detach()
    return number


@dataclass(frozen=True)
class _Start:
    arguments: tuple[str, ...]
    environment: dict[str, str]
    folder: Path
    stdout: bool
    prepare: Callable[[], object] | None


async def fork(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    stdout: bool = False,
    prepare: Callable[[], object] | None = None,
) -> ForkedRelay:
    """Start `relay` with these arguments and exactly this environment, in that folder.

    Standard output goes where standard error goes, or nowhere. The new process calls `prepare` first, a function of a
    module.
    """
    start = _Start(tuple(arguments), dict(environment), folder, stdout, prepare)
    reads, writes = os.pipe()
    try:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        process = context.Process(target=_run, args=(start, _Descriptor(writes)))
        await asyncio.to_thread(process.start)  # the first one waits until relay is imported
    finally:
        os.close(writes)
    stderr = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stderr), os.fdopen(reads, "rb")
    )
    return ForkedRelay(process, stderr)


def _run(start: _Start, stream: Any) -> None:
    """Become `relay`, in the new process."""
    from relay.cli import main  # noqa: PLC0415  it changes how structlog is imported

    os.dup2(stream, sys.stderr.fileno())
    os.dup2(stream if start.stdout else os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    os.close(stream)
    os.environ.clear()
    os.environ.update(start.environment)
    os.chdir(start.folder)
    if start.prepare is not None:
        start.prepare()
    sys.argv = ["relay", *start.arguments]
    main()
