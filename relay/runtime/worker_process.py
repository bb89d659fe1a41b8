"""A process that runs functions for this one, one at a time, and may be killed when one takes too long.

It is for work whose cost an input from outside decides: such work neither holds Python's interpreter lock, so that the
event loop stays free, nor grows this process. The worker's own memory is limited, and one that has grown is replaced.
It gets no secrets: settings of relay, Slack and BigPanda are not in its environment.

This module is also the worker's program: `python -m relay.runtime.worker_process`.
"""

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar, cast

T = TypeVar("T")
P = ParamSpec("P")

MAX_MEMORY = 1024**3
"""Bytes of address space that a worker may have; beyond, its call fails with MemoryError."""

GROWN = 192 * 1024**2
"""Bytes of memory after which a worker is replaced once it has answered: Python returns little of it."""

_SECRETS = ("RELAY_", "SLACK_", "BIGPANDA_")
_FIRST_TO_BE_KILLED = "1000"  # https://man7.org/linux/man-pages/man5/proc_pid_oom_score_adj.5.html


class WorkerFailed(Exception):
    """The worker was killed because of the time limit, or it died; `in_time` says which."""

    def __init__(self, *, in_time: bool) -> None:
        """Say whether it died within its time."""
        self.in_time = in_time
        super().__init__("the worker process died" if in_time else "the worker process took too long and was killed")


class WorkerProcess:
    """Runs functions in a process that starts with the first call. Use it from threads: calls wait for one another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, within: float, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of a module, with arguments and a result that can be pickled, for at most `within` seconds.

        Raises:
            WorkerFailed: it took longer, or the process died; the next call starts another one.
            MemoryError: it needed more than `MAX_MEMORY`.
            Exception: what the function raised.
        """
        with self._lock:
            process = self._running()
            late = threading.Event()
            watchdog = threading.Timer(within, _kill, (process, late))
            watchdog.start()
            try:
                failed, result, grown = _exchange(process, (function, args, kwargs))
            except (OSError, EOFError, pickle.UnpicklingError) as error:
                self._end()
                raise WorkerFailed(in_time=not late.is_set()) from error
            except BaseException:
                self._end()
                raise
            finally:
                watchdog.cancel()
            if grown:
                self._end()
            if failed:
                raise result
            answer: T = result
            return answer

    def close(self) -> None:
        """End the process, also in the middle of a call: that call fails with `WorkerFailed`."""
        if (process := self._process) is not None:
            process.kill()
        with self._lock:
            self._end()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(_SECRETS)}
        self._process = subprocess.Popen(  # noqa: S603  relay itself
            (sys.executable, "-m", __name__),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library may print there before it aborts; relay's log has its own format
            env=environment,
        )
        return self._process

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            self._process.wait()
            self._process = None


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _exchange(process: subprocess.Popen[bytes], call: tuple[Any, ...]) -> tuple[bool, Any, bool]:
    requests, answers = cast("BinaryIO", process.stdin), cast("BinaryIO", process.stdout)
    pickle.dump(call, requests)
    requests.flush()
    failed, result, grown = pickle.load(answers)  # noqa: S301  relay's own process
    return bool(failed), result, bool(grown)


def _serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer calls until the other side is gone. An answer says whether the call failed, and whether this has grown."""
    with suppress(EOFError, BrokenPipeError):
        while True:
            function, args, kwargs = pickle.load(requests)  # noqa: S301  relay's own process
            try:
                failed, result = False, function(*args, **kwargs)
            except MemoryError:
                failed, result = True, MemoryError()  # a new one: the other holds what filled the memory
            except Exception as error:  # noqa: BLE001  the caller gets it
                failed, result = True, error
            pickle.dump((failed, result, _memory() > GROWN), answers)
            answers.flush()
            del function, args, kwargs, result


def _memory() -> int:
    """Bytes in memory; 0 where the system does not say (https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def _limit() -> None:
    """Limit this process, so that the machine never ends relay's own process because of it."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are for relay itself, which closes the pipe when it ends
        signal.signal(stop, signal.SIG_IGN)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_BE_KILLED)


if __name__ == "__main__":  # pragma: no cover  in another process
    _limit()
    _serve(sys.stdin.buffer, sys.stdout.buffer)
