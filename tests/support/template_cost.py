"""What templates cost: each is compiled, checked and rendered in a process that the kernel ends in time.

with measuring() as measure:
    costs = measure(sources)                 # of `card.j2`; many in one process, so that most cost no fork
    costs = measure(sources, check=False)    # only rendered

python -m tests.support.template_cost        # what `measuring` starts: reads a JSON line, writes one
"""

import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import IO, Any, Final, TypeAlias

import orjson

from relay.rendering.card import render_card
from relay.rendering.library import TemplateLibrary
from relay.rendering.request import RenderRequest

MOST_SECONDS: Final = 10.0
"""Processor time after which a process is ended."""

TOGETHER: Final = 100
"""How many sources are measured in one process, at most."""

GROWN: Final = 32 << 20
"""Bytes of memory from which a process measures no other source: its memory would count for both."""


@dataclass(frozen=True, slots=True)
class TemplateCost:
    """Seconds of processor time, and bytes of memory beyond what relay itself needs (or `GROWN`, if that is more).

    `signal` ended it, if it is not 0; `builtin`: the built-in card replaced the template; `faults` are a check's.
    """

    seconds: float
    memory: int
    signal: int = 0
    builtin: bool = False
    failures: Sequence[str] = ()
    faults: Sequence[str] = ()

    def __str__(self) -> str:
        """Say it in one line."""
        ended = f", ended by signal {self.signal}" if self.signal else ""
        return f"{self.seconds:.1f} s, {self.memory >> 20} MB{ended}"


Measure: TypeAlias = Callable[..., list[TemplateCost]]
"""Takes sources, and whether to `check` them too."""


@contextmanager
def measuring() -> Iterator[Measure]:
    """Start the process that forks for each measurement, so that relay is imported once."""
    command = [sys.executable, "-m", "tests.support.template_cost"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        to, back = process.stdin, process.stdout

        def measure(sources: Sequence[str], *, check: bool = True) -> list[TemplateCost]:
            to.write(orjson.dumps({"sources": list(sources), "check": check}) + b"\n")
            to.flush()
            return [TemplateCost(**each) for each in orjson.loads(back.readline())]

        yield measure


def _measure(sources: Sequence[str], request: RenderRequest, *, check: bool) -> list[dict[str, Any]]:
    """Measure the sources one after another; a process that was ended, or has grown, is followed by another one."""
    costs: list[dict[str, Any]] = []
    while rest := sources[len(costs) : len(costs) + TOGETHER]:
        costs += _in_fork(partial(_measure_here, rest, request, check=check))
    return costs


def _measure_here(sources: Sequence[str], request: RenderRequest, pipe: IO[bytes], *, check: bool) -> None:
    """Write what each source costs, until this process has grown."""
    began = _memory()
    for source in sources:
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # SIGPROF ends a process that does not handle it
        before = time.process_time()
        result = _render(source, request, check=check)
        grown = _memory() - began
        pipe.write(orjson.dumps(result | {"seconds": time.process_time() - before, "memory": grown}) + b"\n")
        pipe.flush()
        if grown > GROWN:
            return


def _render(source: str, request: RenderRequest, *, check: bool) -> dict[str, Any]:
    library = TemplateLibrary({"incident/card.j2": source})
    faults = [str(fault) for fault in library.faults()][:5] if check else []
    rendered = render_card(library, "incident", request)
    failures = [str(failure) for failure in rendered.failures][-5:]
    return {"builtin": rendered.builtin, "failures": failures, "faults": faults}


def _in_fork(work: Callable[[IO[bytes]], None]) -> list[dict[str, Any]]:
    """Fork, do the work there, and return what it wrote; what a signal ended comes last, and has its number."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        try:
            with os.fdopen(writer, "wb") as pipe:
                work(pipe)
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        costs = [orjson.loads(line) for line in pipe if line.endswith(b"\n")]
    _, status, used = os.wait4(child, 0)
    if os.WIFSIGNALED(status):
        seconds = used.ru_utime + used.ru_stime - sum(each["seconds"] for each in costs)
        memory = max(0, used.ru_maxrss * 1024 - _memory())
        costs.append({"seconds": seconds, "memory": memory, "signal": os.WTERMSIG(status)})
    elif status:
        raise ChildProcessError("a template has raised what nothing catches")
    return costs


def _memory() -> int:
    """Bytes of memory that this process has needed at once."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Measure the sources of each line on standard input, until it ends."""
    from tests.support.rendering_samples import packaged, render_request  # noqa: PLC0415  only here

    request = render_request()
    render_card(packaged(), "incident", request)  # so that everything is imported
    for line in sys.stdin.buffer:
        asked = orjson.loads(line)
        sys.stdout.buffer.write(orjson.dumps(_measure(asked["sources"], request, check=asked["check"])) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
