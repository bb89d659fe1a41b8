"""What templates cost: each is compiled, checked and rendered in a process of its own, which the kernel ends in time.

python -m tests.support.template_cost < SOURCES    # a JSON list of sources of `card.j2`; prints a JSON list of costs
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from relay.rendering.card import render_card
from relay.rendering.library import TemplateLibrary
from relay.rendering.request import RenderRequest

MOST_SECONDS: Final = 10.0
"""Processor time after which a process is ended."""


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


def template_costs(sources: Sequence[str]) -> list[TemplateCost]:
    """Measure each source, in a subprocess that imports relay once."""
    command = [sys.executable, "-m", "tests.support.template_cost"]
    done = subprocess.run(command, input=orjson.dumps(list(sources)), stdout=subprocess.PIPE, check=True)
    return [TemplateCost(**each) for each in orjson.loads(done.stdout)]


def _measure(source: str, request: RenderRequest) -> dict[str, Any]:
    """Fork, compile, check and render there, and read what it has used."""
    reader, writer = os.pipe()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if not child:
        os.close(reader)
        signal.setitimer(signal.ITIMER_PROF, MOST_SECONDS)  # SIGPROF ends a process that does not handle it
        library = TemplateLibrary({"incident/card.j2": source})
        faults = [str(fault) for fault in library.faults()][:5]
        rendered = render_card(library, "incident", request)
        failures = [str(failure) for failure in rendered.failures][-5:]
        os.write(writer, orjson.dumps({"builtin": rendered.builtin, "failures": failures, "faults": faults}))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    _, status, used = os.wait4(child, 0)
    result = orjson.loads(said) if said else {"builtin": False, "failures": [], "faults": []}
    memory = max(0, used.ru_maxrss - before) * 1024
    return {"seconds": used.ru_utime + used.ru_stime, "memory": memory, "signal": os.WTERMSIG(status), **result}


def main() -> None:
    """Measure the sources on standard input."""
    from tests.support.rendering_samples import packaged, render_request  # noqa: PLC0415  only here

    request = render_request()
    render_card(packaged(), "incident", request)  # so that everything is imported
    costs = [_measure(source, request) for source in orjson.loads(sys.stdin.buffer.read())]
    sys.stdout.buffer.write(orjson.dumps(costs))


if __name__ == "__main__":
    main()
