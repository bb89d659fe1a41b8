"""`relay backtest`: what another routes.yaml would have done with the recorded shares."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.environment import read_settings
from relay.cli.loop import run_on_live_store
from relay.cli.options import parse_duration
from relay.cli.output import FAILED, print_report

if TYPE_CHECKING:
    from relay.store.store import Store
    from relay.tools.backtest import BacktestReport


def backtest(  # noqa: PLR0913  each is an option of its own
    *,
    routes: Annotated[Path | None, typer.Option(metavar="NEW.yaml", help="The candidate.")] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="The candidate is the live routes.yaml without shadow.")
    ] = False,
    templates: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The candidate's templates; by default the live ones.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="How far back to look for incidents, such as 12h or 7d.")
    ] = "7d",
    limit: Annotated[int, typer.Option(min=0, help="How many incidents to show in detail.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if there is any difference.")] = False,
) -> None:
    """Replay recorded shares through a candidate routes.yaml, and show the differences.

    Examples: `relay backtest --routes new.yaml`, `relay backtest --shadow` (what the routes with `shadow: true` would
    have changed).

    Compares it with the live configuration: which incidents would have no card, go to other channels, ping other people
    or have other texts. Only reads the database (RELAY_DATABASE_URL), beside a running relay. Nothing is sent.
    """
    if (routes is None) != shadow:
        raise typer.BadParameter("Give either a candidate, or --shadow.", param_hint="--routes")
    seconds = parse_duration(since, option="--since")
    report = run_on_live_store(lambda store: _backtest(store, routes, templates, seconds))
    print_report(report.as_json, report.lines(limit), as_json=as_json)
    if strict and report.different:
        raise typer.Exit(FAILED)


async def _backtest(store: "Store", routes: Path | None, templates: Path | None, seconds: float) -> "BacktestReport":
    from rich.console import Console
    from rich.progress import Progress, TimeRemainingColumn

    from relay.config.files import build_configuration, load_configuration, read_files
    from relay.tools.backtest import backtest as replay
    from relay.tools.backtest import with_live_templates
    from relay.tools.live_store import live_configuration

    settings = read_settings()
    live = await live_configuration(store, lambda: load_configuration(settings.routes, settings.templates))
    candidate = None
    if routes is not None:
        files = read_files(routes, templates or settings.templates)
        candidate = build_configuration(files if templates else with_live_templates(files, live))
    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Replaying", total=None)
        return await replay(
            store,
            live,
            candidate,
            since=time.time() - seconds,
            processes=os.cpu_count() or 1,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
