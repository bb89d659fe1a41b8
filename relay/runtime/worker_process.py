"""A process that runs functions for this one, one at a time, and is ended when one takes too much.

It is for work whose cost an input from outside decides. Such work must not hold Python's interpreter lock, because
nothing in Python can interrupt one long step of Python's own code. Nor may it make this process grow. The kernel
limits the worker's processor time and memory. Settings of relay, Slack and BigPanda are not in its environment.

`serve` is the worker's program. Each request and each answer is a pickle behind its length (four bytes, big endian).
"""

import asyncio
import ctypes
import os
import pickle
import resource
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from relay.runtime.secrets import SETTING_PREFIXES

T = TypeVar("T")
P = ParamSpec("P")

MAX_MEMORY: Final = 1024**3
"""Bytes of data that a worker may have; beyond, its call fails."""

GROWN: Final = 192 * 1024**2
"""Bytes of memory after which a worker is replaced once it has answered: Python returns little of it."""

_LENGTH_BYTES: Final = 4
_CHUNK: Final = 1024**2
_FIRST_TO_BE_KILLED: Final = "1000"  # https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html
_PR_SET_PDEATHSIG: Final = 1  # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html

_kept = 0
"""In a worker: bytes of memory that do not count as growth."""


class WorkerFailed(Exception):
    """The call took too much time or memory, or its process died, also when it was tried again."""


class WorkerProcess:
    """Runs functions in a process that starts with the first call. Calls wait for one another."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._turn = asyncio.Lock()

    async def call(self, seconds: float, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of a module, with arguments and a result that can be pickled.

        It may take `seconds` of processor time. On a machine that is too busy for that it ends after twice as many
        seconds and 15 more. If the process dies for another reason, the call is tried once more.

        Raises:
            WorkerFailed: it took more time or memory, or the process died; the next call starts another one.
            OSError: the process cannot be started.
            Exception: what the function raised.
        """
        async with self._turn:
            for _ in range(2):
                process = self._process = self._process or await _start()
                answer = await self._exchange(process, seconds, (seconds, function, args, kwargs))
                if answer is not None:
                    break
            else:
                raise WorkerFailed("its process died")
        has_failed, result = answer
        if has_failed:
            raise result
        value: T = result
        return value

    async def close(self) -> None:
        """End the process, also in the middle of a call: that call fails with `WorkerFailed`."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _exchange(self, process: Process, seconds: float, call: tuple[Any, ...]) -> tuple[bool, Any] | None:
        """Return whether the call failed, and its result; None if the process died for another reason."""
        longest, keep = 2 * seconds + 15, False
        try:
            async with asyncio.timeout(longest):
                answer = await _call_worker(process, pickle.dumps(call))
                code = None if answer else await process.wait()
            if self._process is not process:
                raise WorkerFailed("its process was closed")
            if code == -signal.SIGPROF:
                raise WorkerFailed(f"it took more than {seconds:g} s of processor time")
            keep = answer is not None and not answer[2]
        except TimeoutError as error:
            raise WorkerFailed(f"it took more than {longest:g} s") from error
        finally:
            if not keep and self._process is process:
                await self.close()  # an answer that nobody reads must not be the next one's
        return answer and answer[:2]


async def _start() -> Process:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(SETTING_PREFIXES)}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"from {__name__} import serve; serve()"),
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,  # a library may print there before it aborts; relay's log has its own format
        env=environment,
        limit=_CHUNK,
    )


async def _call_worker(process: Process, request: bytes) -> tuple[bool, Any, bool] | None:
    """Return an answer of `serve`; None if the process ends before it."""
    requests, answers = process.stdin, process.stdout
    if requests is None or answers is None:
        return None
    try:
        requests.write(len(request).to_bytes(_LENGTH_BYTES, "big"))
        requests.write(request)
        await requests.drain()
        length = int.from_bytes(await answers.readexactly(_LENGTH_BYTES), "big")
        content = await answers.readexactly(length)
    except (ConnectionError, EOFError):
        return None
    answer: tuple[bool, Any, bool] = pickle.loads(content)  # noqa: S301  relay's own process
    return answer


def keep_memory() -> None:
    """In a worker: the present contents of the memory are wanted, and do not count as growth."""
    global _kept  # noqa: PLW0603  one process, one worker
    _kept = _memory()


def serve() -> None:
    """Answer calls until the input ends, as it does when relay ends."""
    _limit()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may be between two answers
    with suppress(BrokenPipeError):
        while head := sys.stdin.buffer.read(_LENGTH_BYTES):
            answer = _run_call(sys.stdin.buffer.read(int.from_bytes(head, "big")))
            answers.write(len(answer).to_bytes(_LENGTH_BYTES, "big"))
            answers.write(answer)
            answers.flush()
            del answer


def _run_call(request: bytes) -> bytes:
    """Return whether the call failed, its result, and whether this process is to be replaced."""
    try:
        seconds, function, args, kwargs = pickle.loads(request)  # noqa: S301  relay itself has written it
        del request  # it may be large, and so may the function's own memory be
        signal.setitimer(signal.ITIMER_PROF, seconds)  # the kernel ends the process with SIGPROF
        try:
            result = function(*args, **kwargs)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        return pickle.dumps((False, result, _has_grown()))
    except MemoryError:  # not this one: it holds what filled the memory
        return pickle.dumps((True, WorkerFailed("it took too much memory"), True))
    except Exception as error:  # noqa: BLE001  the caller gets it
        return pickle.dumps((True, error, _has_grown()))


def _has_grown() -> bool:
    return _memory() - _kept > GROWN


def _memory() -> int:
    """Bytes in memory; 0 where the system does not say (https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _limit() -> None:
    """Limit this process, so that it ends with relay, and the machine never ends relay because of it.

    Not every system has each of these limits.
    """
    for stop in (signal.SIGINT, signal.SIGTERM):  # relay gets them too, and may still have calls to finish
        signal.signal(stop, signal.SIG_IGN)
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY, MAX_MEMORY))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_BE_KILLED)
