"""What templates cost: each is compiled, checked and rendered in a process of its own, which the kernel ends in time.

python -m tests.support.template_cost < SOURCES         # a JSON list of sources of `card.j2`; prints their costs
python -m tests.support.template_cost once < SOURCES    # the same, rendered many in one process, and not checked
"""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relay.rendering.card import render_card
from relay.rendering.library import TemplateLibrary
from relay.rendering.request import RenderRequest

MOST_SECONDS: Final = 10.0
"""Processor time after which a process is ended."""

TOGETHER: Final = 100
"""How many sources are rendered in one process, if only `once`."""

_NOTHING: Final[dict[str, Any]] = {"builtin": False, "failures": [], "faults": []}


@dataclass(frozen=True, slots=True)
class TemplateCost:
    """Seconds of processor time, and bytes of memory beyond what relay itself needs.

    `signal` ended it, if it is not 0; `builtin`: the built-in card replaced the template; `faults` are a check's.
    """

    seconds: float
    memory: int
    signal: int
    builtin: bool
    failures: list[str]
    faults: list[str]

    def __str__(self) -> str:
        """Say it in one line."""
        ended = f", ended by signal {self.signal}" if self.signal else ""
        return f"{self.seconds:.1f} s, {self.memory >> 20} MB{ended}"


def template_costs(sources: Sequence[str], *, once: bool = False) -> list[TemplateCost]:
    """Measure each source, in a subprocess that imports relay once.

    `once` only renders them, many in one process, ten times as fast: a signal ends all of these.
    """
    command = [sys.executable, "-m", "tests.support.template_cost", *(["once"] if once else [])]
    done = subprocess.run(command, input=orjson.dumps(list(sources)), stdout=subprocess.PIPE, check=True)
    return [TemplateCost(**each) for each in orjson.loads(done.stdout)]


def _measure(source: str, request: RenderRequest) -> dict[str, Any]:
    """Compile, check and render in a process of its own, and read what it has used."""
    said, used = _in_fork(lambda: _render(source, request, check=True))
    return (said or _NOTHING) | used


def _measure_all(sources: Sequence[str], request: RenderRequest) -> list[dict[str, Any]]:
    """Compile and render in one process, and measure each."""

    def render_all() -> list[dict[str, Any]]:
        results = []
        for source in sources:
            signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)
            began = time.process_time()
            result = _render(source, request, check=False)
            results.append(result | {"seconds": time.process_time() - began, "memory": 0, "signal": 0})
        return results

    said, used = _in_fork(render_all)
    return said or [_NOTHING | used for _ in sources]


def _render(source: str, request: RenderRequest, *, check: bool) -> dict[str, Any]:
    library = TemplateLibrary({"incident/card.j2": source})
    faults = [str(fault) for fault in library.faults()][:5] if check else []
    rendered = render_card(library, "incident", request)
    failures = [str(failure) for failure in rendered.failures][-5:]
    return {"builtin": rendered.builtin, "failures": failures, "faults": faults}


def _in_fork(work: Callable[[], Any]) -> tuple[Any, dict[str, Any]]:
    """Fork, do the work there, and return its result (None if a signal ended it) and what it has used."""
    reader, writer = os.pipe()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if not child:
        os.close(reader)
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # SIGPROF ends a process that does not handle it
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(orjson.dumps(work()))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status, used = os.wait4(child, 0)
    memory = max(0, used.ru_maxrss - before) * 1024
    cost = {"seconds": used.ru_utime + used.ru_stime, "memory": memory, "signal": os.WTERMSIG(status)}
    return orjson.loads(said) if said else None, cost


def main() -> None:
    """Measure the sources on standard input."""
    from tests.support.rendering_samples import packaged, render_request  # noqa: PLC0415  only here

    request = render_request()
    render_card(packaged(), "incident", request)  # so that everything is imported
    sources = orjson.loads(sys.stdin.buffer.read())
    if "once" in sys.argv:
        costs = [
            cost
            for start in range(0, len(sources), TOGETHER)
            for cost in _measure_all(sources[start : start + TOGETHER], request)
        ]
    else:
        costs = [_measure(source, request) for source in sources]
    sys.stdout.buffer.write(orjson.dumps(costs))


if __name__ == "__main__":
    main()
