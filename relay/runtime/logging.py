"""Logs: one line per event, readable on a terminal and JSON elsewhere, and no secret in either.

Modules say `log = structlog.get_logger(__name__)` and `log.info("what_happened", incident=...)`. What libraries log
through the standard library comes out the same way, from warnings upwards. On a terminal an error's traceback follows
on lines of its own; in JSON it is one more value.
"""

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, TextIO
from urllib.parse import quote

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "console", "json"]
REDACTED = "[hidden]"
"""What stands in a log where a secret was."""

log = structlog.get_logger("relay.log")

_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def configure(*, log_format: Format, level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every event of relay from `level` upwards, and of libraries from warnings upwards, to `stream` (stderr).

    `auto` is `console` where the stream is a terminal, else `json`. Each of `secrets` is hidden wherever it turns up: a
    last defence, for what a library may put into an error's text.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    readable = log_format == "console" or (log_format == "auto" and terminal)
    rendering = [*_told_by_all(secrets), *(_console(colours=terminal) if readable else _json())]
    wanted = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_WHO_SAYS_IT, *rendering],
        logger_factory=lambda name="relay": _Lines(name, stream),
        wrapper_class=structlog.make_filtering_bound_logger(wanted),
        cache_logger_on_first_use=False,  # a logger that was used before this set-up follows it too
    )
    _route_standard_library(rendering, stream, max(logging.WARNING, wanted))


def report_lost_lines(lines: int) -> None:
    """Say that so many lines were lost here, since nobody read them in time."""
    log.warning("log_lines_lost", lines=lines, remedy="see what reads relay's log: it stood still")


class _Lines:
    """Where relay's own events end: not in the standard library, which takes five times as long over each.

    What cannot be written (a pipe that nobody reads any more, a full disk) must not cost what was being told of.
    """

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = write


def redact(secrets: Iterable[str]) -> Processor:
    """Make a processor that hides each secret, in whichever spelling, in every key and value of an event."""
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    if not spellings:
        return lambda _logger, _method, event: event
    longest_first = sorted(spellings, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(spelling) for spelling in longest_first))

    def hide(text: str) -> str:
        return pattern.sub(REDACTED, text)

    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {hide(key): _masked(value, hide) for key, value in event.items()}

    return processor


def _spellings(secret: str) -> set[str]:
    """List how a secret may be written: as it is, inside a URL, inside a repr."""
    return {secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1]}


def _masked(value: Any, hide: Callable[[str], str]) -> Any:
    """Hide secrets in a value. What is no plain data becomes its repr here, since later it would escape the mask."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return hide(value)
        case Mapping():
            return {hide(str(key)): _masked(inner, hide) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(inner, hide) for inner in value]
        case _:
            return hide(repr(value))


_WHO_SAYS_IT: tuple[Processor, ...] = (structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name)


def _told_by_all(secrets: Iterable[str]) -> list[Processor]:
    return [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # before the mask, so that it sees the text; without local variables
        redact(secrets),
    ]


def _json() -> list[Processor]:
    return [structlog.processors.JSONRenderer(serializer=_as_json)]


def _as_json(event: EventDict, **_fallback: Any) -> str:
    """Quickly where that comes out as plain ASCII; what does not (a line separator, say) is escaped."""
    with suppress(TypeError):
        line = orjson.dumps(event).decode()
        if line.isascii():
            return line
    return json.dumps(event, default=repr)


def _console(*, colours: bool) -> list[Processor]:
    plain = structlog.dev.plain_traceback  # the others print local variables
    return [_keep_on_one_line, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]


def _keep_on_one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape line breaks and terminal codes, which come from outside: one event must not look like two."""
    return {
        key: value.translate(_CONTROLS) if isinstance(value, str) and key not in {"exception", "stack"} else value
        for key, value in event.items()
    }


def _route_standard_library(rendering: Sequence[Processor], stream: TextIO, least: int) -> None:
    """Let libraries speak from `least` upwards, in relay's own way and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_WHO_SAYS_IT, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    logging.captureWarnings(capture=True)
