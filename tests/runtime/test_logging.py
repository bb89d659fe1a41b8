"""The log: one line for each event, and no secret in it."""

import io
import json
import logging
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from relay.runtime.logging import LastingProblem, configure, redact, utc, written_together
from relay.runtime.secrets import REDACTED

SECRET = "xoxb-hush/hush"
PLAIN = "xoxb-hush"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
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


def make_logger(stream: io.StringIO, **options) -> structlog.stdlib.BoundLogger:
    configure(**({"log_format": "json", "level": "info", "secrets": [SECRET], "stream": stream} | options))
    return structlog.get_logger("relay.test")


def events(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_time_in_utc(stream):
    make_logger(stream).info("share_stored", incident="i1", routes=("a", "b"))
    (event,) = events(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event.pop("timestamp"))
    assert event == {
        "event": "share_stored",
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
        make_logger(stream, log_format=log_format).info("hello")
        assert stream.getvalue().startswith("{") is not readable


def test_only_a_terminal_gets_colours(stream):
    terminal = Terminal()
    for target in (terminal, stream):
        make_logger(target, log_format="console").warning("hello")
    assert "\x1b[" in terminal.getvalue()
    assert "\x1b[" not in stream.getvalue()


def test_relay_logs_from_its_level_and_libraries_from_warnings_upwards(stream):
    ours = make_logger(stream, level="info")
    for logger in (ours, *map(logging.getLogger, ("aiohttp.server", "slack_sdk", "sqlalchemy.engine", "alembic"))):
        for level in ("debug", "info", "warning"):
            getattr(logger, level)("logged")
    assert [(event["logger"], event["level"]) for event in events(stream)] == [
        ("relay.test", "info"),
        ("relay.test", "warning"),
        ("aiohttp.server", "warning"),
        ("slack_sdk", "warning"),
        ("sqlalchemy.engine", "warning"),
        ("alembic", "warning"),
    ]


def test_level_debug_is_for_relay_only_and_level_error_for_all(stream):
    make_logger(stream, level="debug").debug("logged")
    logging.getLogger("slack_sdk").debug("not_logged")
    make_logger(stream, level="error").warning("not_logged")
    logging.getLogger("slack_sdk").warning("not_logged")
    assert [event["event"] for event in events(stream)] == ["logged"]


def test_a_second_configuration_replaces_the_first(stream):
    older = io.StringIO()
    logger = make_logger(older)
    make_logger(stream)
    logger.info("hello")
    assert (older.getvalue(), len(events(stream))) == ("", 1)


def test_a_python_warning_is_an_event_too(stream):
    make_logger(stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)  # pytest replaced it
        logging.captureWarnings(capture=True)
        warnings.warn("deprecated", stacklevel=1)
    (event,) = events(stream)
    assert (event["logger"], event["level"]) == ("py.warnings", "warning")


def fail() -> None:
    local = SECRET[:4] + "-a-local-value"
    raise ValueError(f"{SECRET} is wrong" if local else "")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_an_error_has_its_traceback_without_local_variables_and_without_secrets(stream, log_format):
    logger = make_logger(stream, log_format=log_format)
    try:
        fail()
    except ValueError:
        logger.exception("it_failed")
    output = stream.getvalue()
    assert "Traceback (most recent call last)" in output
    assert f"ValueError: {REDACTED} is wrong" in output
    assert "a-local-value" not in output.replace('"-a-local-value"', "")  # the traceback shows the source line
    assert "xoxb-a-local-value" not in output
    if log_format == "json":
        assert len(events(stream)) == 1


def test_a_library_s_error_is_redacted_too(stream):
    make_logger(stream)
    try:
        fail()
    except ValueError:
        logging.getLogger("slack_sdk").exception("Failed with %s", SECRET)
    (event,) = events(stream)
    assert event["event"] == f"Failed with {REDACTED}"
    assert "is wrong" in event["exception"]


class Holder:
    """An object whose repr shows a secret."""

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
def test_a_secret_is_redacted_wherever_it_occurs(stream, log_format, value):
    make_logger(stream, log_format=log_format).info("hello", value=value)
    output = stream.getvalue()
    assert REDACTED in output
    assert "hush" not in output


def test_a_secret_is_redacted_in_the_event_and_in_a_name(stream):
    make_logger(stream).info(f"key {SECRET}", **{SECRET: 1})
    logging.getLogger("aiohttp").warning("%s", {"token": SECRET})
    assert "hush" not in stream.getvalue()


def test_a_secret_that_contains_another_is_redacted_completely(stream):
    make_logger(stream, secrets=["key", "key-and-more"]).info("hello", value="key-and-more")
    assert events(stream)[0]["value"] == REDACTED


def test_without_secrets_nothing_is_redacted(stream):
    make_logger(stream, secrets=["", ""]).info("hello", value="anything")
    assert events(stream)[0]["value"] == "anything"


@given(secret=st.text(min_size=1, max_size=12), before=st.text(max_size=5), after=st.text(max_size=5))
def test_no_secret_passes_as_text_bytes_or_repr(secret, before, after):
    text = before + secret + after
    event = {"a": text, "b": {"c": [text]}, "d": {text}, "e": ValueError(text), text: 1}
    redacted = redact([secret])(None, "info", event)
    shown = json.dumps(redacted, ensure_ascii=False).replace(json.dumps(REDACTED)[1:-1], "")
    leftovers = {before, after, "a", "b", "c", "d", "e", "ValueError('')"}
    if len(secret) > 3 and not any(secret in part for part in (*leftovers, REDACTED, str(list("abcde")))):
        assert secret not in "".join(_strings(redacted)).replace(REDACTED, "\0")
    assert REDACTED in shown or REDACTED in str(redacted)


def _strings(value) -> list[str]:
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *_strings(inner))]
    if isinstance(value, list):
        return [text for inner in value for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_line_break_from_outside_does_not_make_a_second_event(stream, log_format):
    logger = make_logger(stream, log_format=log_format)
    nasty = "one\n2026-01-01 [info] two\r\x1b[31m\u2028three"
    logger.info(nasty, value=nasty, values=[nasty])
    logging.getLogger("aiohttp").warning(nasty)
    assert len(stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


class Unwritable(io.StringIO):
    """A pipe without a reader."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError


def test_a_line_that_cannot_be_written_raises_nothing():
    make_logger(Unwritable()).error("logged")


def test_a_problem_that_lasts_is_logged_once_and_every_ten_minutes_and_when_it_changes():
    told = [(0, "locked"), (1, "locked"), (599, "locked"), (600, "locked"), (601, "full"), (602, "full"), (603, "full")]
    moments = iter(moment for moment, _ in told)
    with structlog.testing.capture_logs() as lines:
        problem = LastingProblem(structlog.get_logger(), lambda: next(moments))
        for moment, detail in told:
            if moment == told[-1][0]:
                problem.over()
            problem.report("error", "pick_failed", detail=detail)
    assert [(line["detail"], line["log_level"]) for line in lines] == [
        ("locked", "error"),
        ("locked", "debug"),
        ("locked", "debug"),
        ("locked", "error"),
        ("full", "error"),
        ("full", "debug"),
        ("full", "error"),
    ]


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-9, 9)
        | st.text(max_size=3).map(f"{{}}{PLAIN}".format)
        | st.text()
        | st.sampled_from([PLAIN.encode(), RuntimeError(PLAIN), {PLAIN}, 1.5, Terminal, date(2026, 1, 2)]),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.text(max_size=3) | st.just(PLAIN) | st.integers(1, 2), inner)
        ),
        max_leaves=5,
    )
)
def test_a_secret_with_one_spelling_is_redacted_as_any_other_is(value):
    lines = []
    for secrets in ([PLAIN], [PLAIN, SECRET]):
        stream = io.StringIO()
        make_logger(stream, secrets=secrets).info("event", value=value)
        assert PLAIN not in stream.getvalue()
        lines.append({**events(stream)[0], "timestamp": ""})
    assert lines[0] == lines[1]


def test_lines_are_written_together_at_the_end_and_those_of_another_thread_at_once(stream):
    log = make_logger(stream)
    with suppress(ZeroDivisionError), written_together():
        log.info("first")
        log.info("second")
        assert stream.getvalue() == ""
        thread = threading.Thread(target=log.info, args=("other",))
        thread.start()
        thread.join()
        assert [event["event"] for event in events(stream)] == ["other"]
        raise ZeroDivisionError
    log.info("third")
    assert [event["event"] for event in events(stream)] == ["other", "first", "second", "third"]


def test_a_moment_is_written_in_utc():
    assert utc(1_700_000_000.4) == "2023-11-14T22:13:20Z"
