"""Every command that a document shows exists, with the options that it shows."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from relay.cli import app
from relay.samples import read_starter

ROOT = Path(__file__).resolve().parents[2]
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))}
TEXTS |= {name: read_starter(name) for name in ("routes.yaml", "routes.test.yaml")}
COMMAND = re.compile(r"(?:^|(?<=[`\s/(]))relay ((?:[a-z]+|--[a-z-]+)(?:[ \t][^`\n#|&;>)]*)?)")


def shown(text: str) -> Iterator[str]:
    """The commands in code: in blocks, in spans, and in the comments of a starter file."""
    for code in re.findall(r"^ *```\w*\n(.*?)^ *```|`([^`\n]+)`|^# {3}([^\n]*)$", text, re.MULTILINE | re.DOTALL):
        for line in "".join(code).splitlines():
            if re.match(r"\s*(?:\S+/)?relay ", line):
                yield from (match.strip() for match in COMMAND.findall(line)[:1])


COMMANDS = sorted({(name, command) for name, text in TEXTS.items() for command in shown(text)})


def problem(words: list[str]) -> str:
    """What does not exist of a command: an option, an argument, or the command itself; empty if all of it does."""
    command: Any = typer.main.get_command(app)
    is_value = False
    for word in words:
        name, equals, _ = word.partition("=")
        options = {option: param for param in command.params for option in param.opts}
        if is_value:
            is_value = False
        elif name.startswith("--"):
            if name not in {*options, "--help"}:
                return f"no option {name}"
            is_value = not equals and name in options and not getattr(options[name], "is_flag", False)
        elif hasattr(command, "commands"):  # a group
            if name not in command.commands:
                return f"no command {name}"
            command = command.commands[name]
        elif not any(param.param_type_name == "argument" for param in command.params):
            return f"no argument {word}"
    return ""


def test_commands_are_found_in_the_documents():
    assert ("README.md", "demo --once") in COMMANDS
    assert [command for name, command in COMMANDS if name == "routes.yaml" and command.startswith("check --strict")]
    assert len(COMMANDS) > 50


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_a_shown_command_exists(name, command):
    without_remark = re.split(r"\s{2,}", command)[0]
    quotes = "" if without_remark.count("'") % 2 else "'"
    assert problem(shlex.split(without_remark.replace("'", quotes))) == "", f"{name}: relay {command}"
