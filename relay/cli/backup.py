"""`relay backup FILE`: a copy of the SQLite database, while relay runs."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from relay.config.settings import Settings


def backup(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE, once the copy is whole.")] = False,
) -> None:
    """Copy the database into FILE while relay runs.

    The copy shows one moment, is checked from end to end, and appears under its name only when it is whole. Set
    RELAY_DATABASE_URL as for `relay serve`. To restore: stop relay, put the copy in the database's place, remove the
    `-wal` and `-shm` files beside it, start relay.
    """
    settings = Settings.from_env(os.environ)
    from relay.store.backup import backup as copy  # noqa: PLC0415  the database's libraries: not for `relay --help`

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Copying", total=None)
        copied = copy(
            settings.database_url.get_secret_value(),
            file,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(
        f"{file}: {copied.size_bytes / 1e6:.1f} MB, {copied.incidents} incidents, {copied.shares} shares; it is sound."
    )
