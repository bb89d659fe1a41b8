"""Logs: one line per event, and no secret in any."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from relay.runtime import logging as log

SECRET = "xoxb-hush/hush"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    root, ours = logging.getLogger(), logging.getLogger("relay")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def set_up(stream: io.StringIO, **options) -> structlog.stdlib.BoundLogger:
    log.configure(**({"log_format": "json", "level": "info", "secrets": [SECRET], "stream": stream} | options))
    return structlog.get_logger("relay.test")


def events(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_time_in_utc(stream):
    set_up(stream).info("share_kept", incident="i1", routes=("a", "b"))
    (event,) = events(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event.pop("timestamp"))
    assert event == {
        "event": "share_kept",
        "incident": "i1",
        "routes": ["a", "b"],
        "level": "info",
        "logger": "relay.test",
    }


def test_a_terminal_gets_readable_lines_and_anything_else_gets_json():
    for log_format, stream, readable in [
        ("auto", Terminal(), True),
        ("auto", io.StringIO(), False),
        ("json", Terminal(), False),
        ("console", io.StringIO(), True),
    ]:
        set_up(stream, log_format=log_format).info("hello")
        assert stream.getvalue().startswith("{") is not readable


def test_colours_are_for_terminals_alone(stream):
    terminal = Terminal()
    for target in (terminal, stream):
        set_up(target, log_format="console").warning("hello")
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_relay_speaks_from_its_level_and_libraries_from_warnings_upwards(stream):
    ours = set_up(stream, level="info")
    for logger in (ours, *map(logging.getLogger, ("aiohttp.server", "slack_sdk", "sqlalchemy.engine", "alembic"))):
        for level in ("debug", "info", "warning"):
            getattr(logger, level)("said")
    assert [(event["logger"], event["level"]) for event in events(stream)] == [
        ("relay.test", "info"),
        ("relay.test", "warning"),
        ("aiohttp.server", "warning"),
        ("slack_sdk", "warning"),
        ("sqlalchemy.engine", "warning"),
        ("alembic", "warning"),
    ]


def test_debug_is_relay_s_own_and_error_is_everybody_s(stream):
    set_up(stream, level="debug").debug("said")
    logging.getLogger("slack_sdk").debug("not said")
    set_up(stream, level="error").warning("not said")
    logging.getLogger("slack_sdk").warning("not said")
    assert [event["event"] for event in events(stream)] == ["said"]


def test_setting_up_again_replaces_the_first(stream):
    older = io.StringIO()
    logger = set_up(older)
    set_up(stream)
    logger.info("hello")
    assert (older.getvalue(), len(events(stream))) == ("", 1)


def test_a_warning_of_python_is_an_event_too(stream):
    set_up(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # what pytest put there is not what is tested
        logging.captureWarnings(capture=True)
        warnings.warn("this will go", stacklevel=1)
    (event,) = events(stream)
    assert (event["logger"], event["level"]) == ("py.warnings", "warning")


def fail() -> None:
    local = SECRET[:4] + "-a-local-value"
    raise ValueError(f"{SECRET} is wrong" if local else "")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_error_is_told_with_its_traceback_without_local_variables_and_without_secrets(stream, log_format):
    logger = set_up(stream, log_format=log_format)
    try:
        fail()
    except ValueError:
        logger.exception("it_failed")
    told = stream.getvalue()
    assert "Traceback (most recent call last)" in told
    assert f"ValueError: {log.REDACTED} is wrong" in told
    assert "a-local-value" not in told.replace('"-a-local-value"', "")  # the source line may stand there
    assert "xoxb-a-local-value" not in told
    if log_format == "json":
        assert len(events(stream)) == 1


def test_a_library_s_error_is_masked_too(stream):
    set_up(stream)
    try:
        fail()
    except ValueError:
        logging.getLogger("slack_sdk").exception("Failed with %s", SECRET)
    (event,) = events(stream)
    assert event["event"] == f"Failed with {log.REDACTED}"
    assert "is wrong" in event["exception"]


class Holder:
    """Something whose repr tells too much."""

    def __repr__(self) -> str:
        return f"<Holder {SECRET}>"


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"Bearer {SECRET}!",
        [SECRET],
        (1, {"deep": [{"deeper": SECRET}]}),
        {SECRET: 1},
        {SECRET},
        SECRET.encode(),
        ValueError(SECRET),
        Holder(),
        [Holder()],
        f"https://proxy/?token={quote(SECRET, safe='')}",
    ],
)
def test_a_secret_is_hidden_wherever_it_turns_up(stream, log_format, value):
    set_up(stream, log_format=log_format).info("hello", value=value)
    told = stream.getvalue()
    assert log.REDACTED in told
    assert "hush" not in told


def test_a_secret_is_hidden_in_the_event_and_in_a_name(stream):
    set_up(stream).info(f"key {SECRET}", **{SECRET: 1})
    logging.getLogger("aiohttp").warning("%s", {"token": SECRET})
    assert "hush" not in stream.getvalue()


def test_the_longer_of_two_secrets_is_hidden_whole(stream):
    set_up(stream, secrets=["key", "key-and-more"]).info("hello", value="key-and-more")
    assert events(stream)[0]["value"] == log.REDACTED


def test_without_secrets_nothing_is_hidden(stream):
    set_up(stream, secrets=["", ""]).info("hello", value="anything")
    assert events(stream)[0]["value"] == "anything"


@given(secret=st.text(min_size=1, max_size=12), before=st.text(max_size=5), after=st.text(max_size=5))
def test_no_secret_gets_past_the_mask_as_text_bytes_or_repr(secret, before, after):
    text = before + secret + after
    event = {"a": text, "b": {"c": [text]}, "d": {text}, "e": ValueError(text), text: 1}
    masked = log.redact([secret])(None, "info", event)
    shown = json.dumps(masked, ensure_ascii=False).replace(json.dumps(log.REDACTED)[1:-1], "")
    leftovers = {before, after, "a", "b", "c", "d", "e", "ValueError('')"}
    if len(secret) > 3 and not any(secret in part for part in (*leftovers, log.REDACTED, str(list("abcde")))):
        assert secret not in "".join(_strings(masked)).replace(log.REDACTED, "\0")
    assert log.REDACTED in shown or log.REDACTED in str(masked)


def _strings(value) -> list[str]:
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *_strings(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_break_from_outside_does_not_make_a_second_event(stream, log_format):
    logger = set_up(stream, log_format=log_format)
    nasty = "one\n2026-01-01 [info] two\r\x1b[31m\u2028three"
    logger.info(nasty, value=nasty, values=[nasty])
    logging.getLogger("aiohttp").warning(nasty)
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


class Unwritable(io.StringIO):
    """A pipe that nobody reads any more."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError


def test_what_cannot_be_written_costs_nothing_but_the_line():
    set_up(Unwritable()).error("said")
