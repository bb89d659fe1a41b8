"""How commands print, write files, and fail."""

import json
import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

FAILED = 1
"""Exit code of a command that ran, and whose answer is no: a check or test failed, or something does not exist."""

COULD_NOT_RUN = 2
"""Exit code of a command that could not run: wrong usage or settings, or a file that cannot be read."""

_UNLIMITED = 100_000


def console() -> Console:
    """A console that prints text as it is. Outside a terminal, lines have any length, so that `grep` finds them."""
    return Console(highlight=False, emoji=False, markup=False, width=None if sys.stdout.isatty() else _UNLIMITED)


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def write_file(path: Path, text: str, *, option: str) -> None:
    """Write a file that `option` names.

    Raises:
        typer.BadParameter: the file cannot be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be written: {error.strerror}.", param_hint=option) from error
