"""How commands print, write files, and fail.

Whatever they print may hold text from outside: all of it goes through here, and loses what a terminal must not get.
"""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from relay.runtime.terminal import for_terminal, json_for_terminal

if TYPE_CHECKING:
    from rich.console import RenderableType

FAILED = 1
"""Exit code of a command that ran, and whose answer is no: a check or test failed, or something does not exist."""

COULD_NOT_RUN = 2
"""Exit code of a command that could not run: wrong usage or settings, or a file that cannot be read."""

_UNLIMITED = 100_000


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Print a line to stdout or stderr; without `nl`, text that ends with its own line feed."""
    typer.echo(for_terminal(str(text)), err=err, nl=nl)


def print_all(parts: "Iterable[RenderableType]", *, width: int | None = None) -> None:
    """Print text as it is. Outside a terminal, lines have any length (or `width`), so that `grep` finds them."""
    from relay.cli.safe_console import SafeConsole

    if not sys.stdout.isatty():
        width = width or _UNLIMITED
    console = SafeConsole(highlight=False, emoji=False, markup=False, width=width)
    for part in parts:
        console.print(part, soft_wrap=isinstance(part, str))  # a terminal wraps a line without breaking its links


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    typer.echo(json_for_terminal(json.dumps(value, indent=2, ensure_ascii=False)))


def print_report(document: Callable[[], Any], lines: "Iterable[RenderableType]", *, as_json: bool) -> None:
    """Print a result as JSON, or as text for people."""
    if as_json:
        print_json(document())
    else:
        print_all(lines)


def announce_slack_check() -> None:
    """Say on stderr why nothing follows for a while: Slack's rate limit spreads many checks over most of a minute."""
    say("Slack checks every message that relay makes. This may take a minute.", err=True)


def fail(message: str) -> NoReturn:
    """Print a message to stderr, and exit with 1."""
    say(f"relay: {message}", err=True)
    raise typer.Exit(FAILED)


def write_file(path: Path, text: str, *, option: str) -> None:
    """Write a file that `option` names. Raises typer.BadParameter if it cannot be written."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.", param_hint=option) from error
