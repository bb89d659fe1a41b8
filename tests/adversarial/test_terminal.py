"""No text from outside controls the terminal on which a command's output or the log is read."""

import ast
import io
import json
import logging
import re
from pathlib import Path

import pytest
import structlog
from rich.console import Console
from rich.table import Table
from rich.text import Text
from typer.testing import CliRunner

import relay.cli
from relay.cli import app, output
from relay.runtime import logging as relay_logging
from relay.runtime.terminal import UNSAFE, for_terminal, json_for_terminal, on_one_line
from tests.support.source_code import modules_with

STRANGE = {
    "CSI": "\x1b[2J\x1b[31m",
    "C1 CSI": "\x9b2J\x9b31m",
    "OSC": "\x1b]8;;https://evil\x07click\x1b]8;;\x07",
    "C1 OSC": "\x9d0;title\x9c",
    "NUL, bell, backspace": "\x00\x07\x08\x08",
    "carriage return": "all is well\rcritical",
    "right to left": "\u202egnp.exe\u202c \u2066x\u2069 \u200f",
    "line breaks": "one\u2028two\u2029three\x85four",
    "half a surrogate pair": "\ud83d \udc4d",
    "DEL": "\x7f",
}
TEXTS = pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE.keys())
"""Colours and links that relay itself writes begin so; nothing else may."""


def is_safe(shown: str) -> bool:
    return UNSAFE.isdisjoint(map(ord, shown))


@TEXTS
def test_control_characters_become_escapes_on_a_terminal(text):
    assert not is_safe(text)
    assert is_safe(for_terminal(f"a\tb\n{text}"))
    assert for_terminal(f"a\tb\n{text}").startswith("a\tb\n")
    assert "\n" not in on_one_line(f"a\n{text}")


def test_ordinary_text_does_not_change():
    for text in ("critical: db-1 ↑ 97 %", "größer\n\tals", "ציון", "مرحبا", "👩‍💻 ✅", ""):
        assert for_terminal(text) == text


@TEXTS
def test_a_json_document_stays_equal_and_is_safe(text):
    value = {text: [text, {"nested": text}]}
    shown = json_for_terminal(json.dumps(value, ensure_ascii=False))
    assert is_safe(shown)
    assert json.loads(shown) == value


@TEXTS
@pytest.mark.parametrize("terminal", [False, True])
def test_output_of_commands_is_safe(monkeypatch, text, terminal):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stdout", stream)
    monkeypatch.setenv("TERM", "xterm")
    table = Table(text, title=text)
    table.add_row(text, Text(text, style="bold red"))
    link = Text("link", style=f"link https://example.com/{text}")

    output.print_all([text, Text(text), table, link])

    own = re.compile(r"\x1b\[[0-9;]*m|\x1b]8;[^;]*;[^\x00-\x1f]*\x1b\\")  # colours, and the ends of links
    assert is_safe(own.sub("", stream.getvalue()))
    assert "evil" not in "".join(re.findall(r"\x1b]8;[^\x1b]*", stream.getvalue()))


def test_every_command_prints_through_the_same_function():
    """`typer.echo`, `print` and a console of rich's own would print text from outside as it is."""
    folder = Path(relay.cli.__file__).parent
    calls = {
        f"{file.name}: {ast.unparse(node.func)}"
        for file, tree in modules_with(folder, "echo", "print", "Console")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"typer.echo", "print", "Console", "typer.secho"}
    }
    own_words = {"backup.py: Console", "backtest.py: Console"}  # a bar with relay's own words
    assert calls == {"output.py: typer.echo", *own_words}


@pytest.fixture
def share(tmp_path):
    """A share with hostile text wherever a command prints it."""
    hostile = "".join(each for name, each in STRANGE.items() if name != "half a surrogate pair")
    alert = {"id": "a", "status": "critical", "description": hostile, "tags": [{"name": "host", "value": hostile}]}
    body = {
        "incident": {"id": f"i1{hostile}", "status": "critical", "alerts": [alert]},
        "incidentTags": [{"id": "team", "value": hostile}],
        "metadata": {"comment": {"comment": hostile}, "sender": {"name": hostile}},
    }
    (tmp_path / "share.json").write_text(json.dumps(body))
    (tmp_path / "routes.yaml").write_text(
        "version: 1\nroutes:\n  - {name: all, match: {tags: {team: 'x*'}}, post: [C0ALL00001]}\n"
        "  - {name: rest, post: [C0ALL00001]}\n"
    )
    return tmp_path


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("command", ["explain", "render"])
def test_output_of_commands_that_show_a_share_is_safe(share, command, as_json):
    arguments = [command, str(share / "share.json"), "--routes", str(share / "routes.yaml")]
    result = CliRunner().invoke(app, arguments + (["--json"] if as_json else []))
    assert result.exit_code == 0, result.output
    assert is_safe(result.output)


@pytest.mark.parametrize("command", ["check", "test", "backtest", "explain"])
def test_output_of_commands_that_show_a_faulty_file_is_safe(tmp_path, command):
    routes = tmp_path / "routes.yaml"
    routes.write_text('version: 1\nroutes:\n  - {"na\\e[31m\\u202eme": "\\x9bJ", post: ["#\\u202e"]}\n')
    (tmp_path / "routes.test.yaml").write_text('"\\x9b\\u202e": 1\n')
    arguments = [command] if command in {"check", "test"} else [command, str(routes)]
    result = CliRunner().invoke(app, [*arguments, "--routes", str(routes)])
    assert result.exit_code != 0
    assert is_safe(result.output), result.output


@TEXTS
@pytest.mark.parametrize("log_format", ["console", "json"])
def test_the_log_is_safe_in_every_field_and_in_a_traceback(text, log_format):
    stream, before = io.StringIO(), logging.getLogger().handlers[:]
    try:
        relay_logging.configure(log_format=log_format, level="info", stream=stream)
        log = structlog.get_logger("relay.test")
        try:
            int(text)
        except ValueError:
            log.exception("failed", detail=text, nested={text: [text]})
        logging.getLogger("library").warning("library: %s", text)
    finally:
        logging.getLogger().handlers[:] = before
    assert is_safe(stream.getvalue())


def test_rich_alone_would_not_make_the_output_safe():
    """If this fails, rich escapes them itself, and relay's own console can be removed."""
    stream = io.StringIO()
    Console(file=stream).print(Text(STRANGE["C1 CSI"]))
    assert not is_safe(stream.getvalue())
