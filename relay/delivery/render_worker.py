"""The process that renders the operator's templates: reads requests from standard input, writes answers to its output.

Each request and each answer is a pickle behind its length (four bytes, big endian). The kernel ends the process when a
rendering takes too long: nothing in Python can interrupt one long step of Python's own code.
"""

import os
import pickle
import resource
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple

from relay.cards.draw import render_step
from relay.cards.model import CardContext
from relay.cards.send import SlackStep
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.buttons import Clicks
from relay.rendering.request import RenderedMessage

RENDER_SECONDS: Final = 1.0
"""Processor time of one rendering; a usual one takes two milliseconds."""

LOAD_SECONDS: Final = 30.0
"""Processor time in which a configuration is compiled."""

_MOST_MEMORY: Final = 512 << 20
"""Bytes; beyond them Python raises `MemoryError`, which fails the template."""

LENGTH_BYTES: Final = 4


class WorkerRequest(NamedTuple):
    """A step to render; `settings` come with the first request of a configuration.

    `settings` are its routes, its templates, BigPanda's definitions of tags, and which buttons work. `links`
    are the addresses of messages by channel id and ts. `now` is in Unix seconds.
    """

    settings: tuple[str, Mapping[str, str], Mapping[str, Any], Clicks] | None
    context: CardContext
    step: SlackStep
    links: Mapping[tuple[str, str], str]
    now: float


WorkerAnswer = RenderedMessage | str
"""The message, or why there is none."""


def run() -> None:
    """Answer requests until the input ends, as it does when relay ends."""
    for each in (signal.SIGINT, signal.SIGTERM):  # relay gets them too, and may still have calls to finish
        signal.signal(each, signal.SIG_IGN)
    with suppress(OSError, ValueError):  # not every system can limit it
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY, _MOST_MEMORY))
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nothing else may stand between two answers
    configuration: Configuration | None = None
    while head := sys.stdin.buffer.read(LENGTH_BYTES):
        content = sys.stdin.buffer.read(int.from_bytes(head, "big"))
        answer: WorkerAnswer
        try:
            request = WorkerRequest(*pickle.loads(content))  # noqa: S301  relay itself has written it
            if request.settings is not None:
                configuration = None
                with _processor_limit(LOAD_SECONDS):
                    configuration = _load(*request.settings)
            with _processor_limit(RENDER_SECONDS):
                answer = _render(configuration, request) if configuration else "no configuration is loaded"
        except MemoryError:
            raise  # who knows what else needs memory: relay starts another process
        except Exception as error:  # noqa: BLE001  relay logs it
            answer = f"{type(error).__name__}: {error}"
        packed = pickle.dumps(answer)
        answers.write(len(packed).to_bytes(LENGTH_BYTES, "big") + packed)
        answers.flush()


@contextmanager
def _processor_limit(seconds: float) -> Iterator[None]:
    """Let the kernel end the process with SIGPROF after so much processor time, however busy the machine is."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _load(
    routes: str,
    templates: Mapping[str, str],
    definitions: Mapping[str, Any],
    clicks: Clicks,
) -> Configuration:
    files = ConfigurationFiles(routes_file="routes.yaml", routes_text=routes, templates=templates)
    return build_configuration(files).with_tag_definitions(definitions, clicks=clicks)


def _render(configuration: Configuration, request: WorkerRequest) -> RenderedMessage:
    def link(channel: str, ts: str) -> str:
        return request.links.get((channel, ts), "")

    return render_step(configuration, request.context, request.step, link, request.now)


if __name__ == "__main__":
    run()
