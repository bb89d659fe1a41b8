"""`relay backtest`: what another routes.yaml would have made of the shares that came in."""

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, TimeRemainingColumn
from rich.table import Table

from relay.cli.loop import run
from relay.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relay.tools.backtest import BacktestReport

NOT_SO = 1

_WORDS = {
    "lost": "would be shown nowhere",
    "gained": "would be shown, and are not now",
    "elsewhere": "would be shown in other channels",
    "pinged": "would ping others, or at other times",
    "reads": "would read differently",
}


def backtest(  # noqa: PLR0913  each is an option of its own
    *,
    routes: Annotated[Path, typer.Option(metavar="NEW.yaml", help="The candidate.")],
    templates: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The candidate's templates; those that are live otherwise.")
    ] = None,
    since: Annotated[
        str, typer.Option(metavar="DURATION", help="Take the incidents of the last so long, such as 12h or 7d.")
    ] = "7d",
    limit: Annotated[int, typer.Option(min=0, help="How many incidents to tell of in detail.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Leave with 1 where anything would be different.")] = False,
) -> None:
    """Replay recorded shares through a candidate routes.yaml, and tell what would be different.

    It is compared with what is live: which incidents would be lost, shown elsewhere, ping others or read differently.
    The database (RELAY_DATABASE_URL) is only read, beside a running relay, and nothing is sent.
    """
    settings = Settings.from_env(os.environ)
    reports: list[BacktestReport] = []
    run(_compared(settings, routes, templates, _seconds(since), reports))
    report = reports[0]
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2, ensure_ascii=False))
    else:
        _tell(report, limit)
    if strict and report.different:
        raise typer.Exit(NOT_SO)


async def _compared(
    settings: Settings, routes: Path, templates: Path | None, seconds: float, reports: "list[BacktestReport]"
) -> None:
    from relay.config.files import build_configuration, load_configuration, read_files  # noqa: PLC0415  nothing of this is needed for `relay --help`
    from relay.store import Store  # noqa: PLC0415  the same
    from relay.tools.backtest import backtest as replay  # noqa: PLC0415  the same
    from relay.tools.backtest import live_configuration, with_live_templates  # noqa: PLC0415  the same

    store = await Store.open(settings.database_url.get_secret_value(), exclusive=False)
    try:
        live = await live_configuration(store, lambda: load_configuration(settings.routes, settings.templates))
        candidate = build_configuration(
            with_live_templates(read_files(routes, templates or settings.templates), live, own=templates is not None)
        )
        with Progress(
            *Progress.get_default_columns()[:-1], TimeRemainingColumn(), console=_stderr(), transient=True
        ) as bar:
            task = bar.add_task("Replaying", total=None)
            report = await replay(
                store,
                live,
                candidate,
                since=time.time() - seconds,
                processes=os.cpu_count() or 1,
                done=lambda number, total: bar.update(task, completed=number, total=total),
            )
    finally:
        await store.close()
    reports.append(report)


def _stderr() -> Console:
    return Console(stderr=True)


def _seconds(written: str) -> float:
    from relay.routes.parser.context import ParseContext  # noqa: PLC0415  the same
    from relay.routes.parser.scalars import read_duration  # noqa: PLC0415  the same
    from relay.routes.parser.yaml_nodes import ScalarNode  # noqa: PLC0415  the same

    reading = ParseContext(file="--since")
    seconds = read_duration(ScalarNode(text=written, yaml_type="str", line=1, column=1), reading)
    if seconds is None:
        raise typer.BadParameter(f"{reading.faults[0].message}.".capitalize(), param_hint="--since")
    return seconds


def _tell(report: "BacktestReport", limit: int) -> None:
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(f"{report.incidents} incidents, {report.shares} shares")
    if report.unreadable:
        console.print(f"{report.unreadable} shares could not be read, and were left out")
    if not report.different:
        console.print("Nothing would be different.")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for difference, number in report.tally.items():
        table.add_row(f"{number:>7}", _WORDS[str(difference)])
    console.print(table)
    for line in _details(report, limit):
        console.print(line, soft_wrap=True)


def _details(report: "BacktestReport", limit: int) -> "Iterator[str]":
    for each in report.different[:limit]:
        yield ""
        yield f"{each.incident}  {each.title}  [{', '.join(each.differences)}]"
        yield from (f"  {line}" for line in each.details)
    if len(report.different) > limit:
        yield ""
        yield f"... and {len(report.different) - limit} more incidents (--limit, or --json for all)"
