"""The log: one line for each event, readable on a terminal, JSON elsewhere, and without secrets.

A module has `log = structlog.get_logger(__name__)` and calls `log.info("share_accepted", incident=...)`. What libraries
log through the standard library looks the same, from warnings upwards. On a terminal, an error's traceback follows on
its own lines; in JSON it is one more value.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from relay.runtime.secrets import Hide, has_one_spelling, hiding, secret_pattern
from relay.runtime.terminal import for_terminal, on_one_line

Format = Literal["auto", "console", "json"]
log = structlog.get_logger("relay.log")

REPORT_IT: Final = "This is a bug in relay: please report it, with the traceback."


def configure(*, log_format: Format, level: str, secrets: Iterable[str] = (), stream: TextIO | None = None) -> None:
    """Write relay's events from `level` upwards, and libraries' from warnings upwards, to `stream` (default: stderr).

    The format `auto` is `console` on a terminal, else `json`. No secret is shown, wherever it occurs.
    """
    stream, secrets = stream or sys.stderr, list(filter(None, secrets))
    terminal = stream.isatty()
    readable = log_format == "console" or (log_format == "auto" and terminal)
    if readable:
        plain = structlog.dev.plain_traceback  # the other formatters print local variables
        last: list[Processor] = [
            redact(secrets),
            _keep_on_one_line,
            structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=plain),
        ]
    else:
        last = [_json_renderer(secrets)]
    rendering: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # before the secrets are replaced; without local variables
        *last,
    ]
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, *_ORIGIN, *rendering],
        logger_factory=lambda name="relay": _StreamLogger(name, stream),
        wrapper_class=structlog.make_filtering_bound_logger(least),
        cache_logger_on_first_use=False,  # loggers that exist already follow this configuration too
    )
    _route_standard_library(rendering, stream, max(logging.WARNING, least))


def report_lost_lines(lines: int) -> None:
    """Log how many lines were lost here, because the reader of the log was too slow."""
    detail = f"What reads relay's log was too slow: {lines} lines are missing here."
    log.warning("log_lines_lost", lines=lines, detail=detail, remedy="Check what reads relay's log.")


REMIND_EVERY = 600.0
"""Seconds after which a problem that lasts is logged again at its own level."""


class LastingProblem:
    """Logs a problem of which relay learns again and again, such as a database that does not answer.

    It is logged once, when it changes, and every ten minutes; in between at level `debug`.
    """

    def __init__(self, logger: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Write to this logger; `monotonic` returns seconds."""
        self._log = logger
        self._monotonic = monotonic
        self._logged: tuple[str, str, float] | None = None

    def report(self, level: Literal["warning", "error"], event: str, *, detail: str, **fields: Any) -> None:
        """Log the problem, if that is not known."""
        now = self._monotonic()
        known = self._logged is not None and self._logged[:2] == (event, detail)
        if known and self._logged is not None and now - self._logged[2] < REMIND_EVERY:
            level_now = "debug"
        else:
            level_now, self._logged = level, (event, detail, now)
        getattr(self._log, level_now)(event, detail=detail, **fields)

    def over(self) -> None:
        """Note that there is no problem: the next one is logged at once."""
        self._logged = None


def utc(seconds: float) -> str:
    """Write a moment (Unix seconds) as ISO 8601 in UTC, as the log's own times are."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class _Held(threading.local):
    """The lines that `written_together` holds back in this thread, by their streams; None outside."""

    lines: dict[TextIO, list[str]] | None = None


_held = _Held()


@contextmanager
def written_together() -> Iterator[None]:
    """Write at once what this thread logs inside, when it ends. Inside, nothing may be awaited."""
    before = _held.lines
    lines: dict[TextIO, list[str]] = {}
    _held.lines = lines
    try:
        yield
    finally:
        _held.lines = before
        for stream, each in lines.items():
            _write(stream, "".join(each))


def _write(stream: TextIO, text: str) -> None:
    with suppress(OSError, ValueError):
        stream.write(text)
        stream.flush()


class _StreamLogger:
    """Write relay's own events to the stream, without the standard library, which takes five times as long.

    A failure to write (a pipe without a reader, a full disk) must not stop the work that is logged.
    """

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def write(self, line: str) -> None:
        if _held.lines is None:
            _write(self._stream, line + "\n")
        else:
            _held.lines.setdefault(self._stream, []).append(line + "\n")

    debug = info = warning = error = critical = write


def redact(secrets: Iterable[str]) -> Processor:
    """Make a processor that replaces each secret in all keys and values."""
    secrets = [secret for secret in secrets if secret]
    if not secrets:
        return lambda _logger, _method, event: event
    hide = hiding(secrets)
    return lambda _logger, _method, event: {hide(key): _redacted(value, hide) for key, value in event.items()}


def _redacted(value: Any, hide: Hide) -> Any:
    """Replace secrets in a value. An object becomes its repr here: later, its text would escape this processor."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return hide(value)
        case Mapping():
            return {hide(str(key)): _redacted(inner, hide) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_redacted(inner, hide) for inner in value]
        case _:
            return hide(repr(value))


_ORIGIN: tuple[Processor, ...] = (structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name)


def _json_renderer(secrets: Sequence[str]) -> Processor:
    """Make a processor that writes an event as JSON, without the secrets.

    Nearly all lines have none. One search of the whole line says so, where a secret looks the same in every spelling.
    """
    hide_in_values: Callable[..., Any] = redact(secrets)
    pattern = secret_pattern(secrets)
    if not all(map(has_one_spelling, secrets)):
        return lambda logger, method, event: _as_json(hide_in_values(logger, method, event))

    def render(logger: WrappedLogger, method: str, event: EventDict) -> str:
        line = _as_plain_json(event)
        if line is not None and not (pattern and pattern.search(line)):
            return line
        return _as_json(hide_in_values(logger, method, event))

    return render


def _as_json(event: EventDict) -> str:
    """Write JSON; a line separator, for example, is escaped."""
    return _as_plain_json(event) or json.dumps(event, default=repr).replace("\x7f", r"\u007f")


def _as_plain_json(event: EventDict) -> str | None:
    """Write JSON fast; None if the result is not ASCII, or where a value is no JSON."""
    try:
        line = orjson.dumps(event, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME).decode()
    except TypeError:
        return None
    return line.replace("\x7f", r"\u007f") if line.isascii() else None


def _keep_on_one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape line breaks and terminal codes, which come from outside: one event must not look like two."""
    return {
        key: _MULTILINE.get(key, on_one_line)(value) if isinstance(value, str) else value
        for key, value in event.items()
    }


_MULTILINE: Mapping[str, Callable[[str], str]] = {"exception": for_terminal, "stack": for_terminal}


def _route_standard_library(rendering: Sequence[Processor], stream: TextIO, least: int) -> None:
    """Write what libraries log, from `least` upwards, only as relay's own events."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_ORIGIN, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendering],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(least)
    logging.captureWarnings(capture=True)
