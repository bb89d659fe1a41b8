"""Logs: one line per event, readable on a terminal and JSON elsewhere, and no secret in either.

Modules say `log = structlog.get_logger(__name__)` and `log.info("what_happened", incident=...)`. What libraries log
through the standard library comes out the same way, from warnings upwards. On a terminal an error's traceback follows
on lines of its own; in JSON it is one more value.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TextIO
from urllib.parse import quote

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

Format = Literal["auto", "console", "json"]
HIDDEN = "[hidden]"
"""What stands in a log where a secret was."""

_CONTROLS = {code: repr(chr(code))[1:-1] for code in (*range(32), *range(127, 160), 0x2028, 0x2029)}


def set_up(*, form: Format, level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Send every event of relay from `level` upwards, and of libraries from warnings upwards, to `stream` (stderr).

    `auto` is `console` where the stream is a terminal, else `json`. Each of `secrets` is hidden wherever it turns up: a
    last defence, for what a library may put into an error's text.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    readable = form == "console" or (form == "auto" and terminal)
    shared = _shared_processors(secrets)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.ExtraAdder()],
            processors=[*shared, *(_console(colours=terminal) if readable else _json())],
        )
    )
    _route_standard_library(handler, level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a logger that was used before this set-up follows it too
    )


def mask(secrets: Iterable[str]) -> Processor:
    """Make a processor that hides each secret, in whichever spelling, in every key and value of an event."""
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    if not spellings:
        return lambda _logger, _method, event: event
    longest_first = sorted(spellings, key=len, reverse=True)
    pattern = re.compile("|".join(re.escape(spelling) for spelling in longest_first))

    def hide(text: str) -> str:
        return pattern.sub(HIDDEN, text)

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


def _shared_processors(secrets: Iterable[str]) -> list[Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # before the mask, so that it sees the text; without local variables
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        mask(secrets),
    ]


def _json() -> list[Processor]:
    return [structlog.processors.JSONRenderer()]


def _console(*, colours: bool) -> list[Processor]:
    plain = structlog.dev.plain_traceback  # the others print local variables
    return [_keep_on_one_line, structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=plain)]


def _keep_on_one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape line breaks and terminal codes, which come from outside: one event must not look like two."""
    return {
        key: value.translate(_CONTROLS) if isinstance(value, str) and key not in {"exception", "stack"} else value
        for key, value in event.items()
    }


def _route_standard_library(handler: logging.Handler, level: str) -> None:
    """Make `handler` the only one; let libraries speak from warnings upwards, and relay from `level` upwards."""
    wanted = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(logging.WARNING, wanted))
    logging.getLogger("relay").setLevel(wanted)
    logging.captureWarnings(capture=True)
