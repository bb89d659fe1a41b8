"""`relay backup FILE`: a copy of the SQLite database, while relay runs."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.environment import read_settings
from relay.cli.output import say
from relay.model.counting import counted


def backup(
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to create.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace FILE after the copy is complete.")] = False,
) -> None:
    """Copy the database into FILE while relay runs.

    Example: `relay backup /backups/relay.db --overwrite`.

    The copy is a consistent snapshot. It is checked, and appears as FILE only when it is complete. Set
    RELAY_DATABASE_URL as for `relay serve`. To restore: stop relay, replace the database with the copy, remove the
    `-wal` and `-shm` files beside it, start relay.
    """
    from rich.console import Console
    from rich.progress import Progress

    from relay.store.backup import backup as copy_database

    settings = read_settings()
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Copying", total=None)
        summary = copy_database(
            settings.database_url.get_secret_value(),
            file,
            overwrite=overwrite,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    megabytes = summary.size_bytes / 1e6
    say(
        f"{file}: {megabytes:.1f} MB, {counted(summary.incidents, 'incident')}, "
        f"{counted(summary.shares, 'share')}; the copy is valid."
    )
