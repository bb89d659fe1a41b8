"""`relay doctor`: everything that relay stands on, looked at before it is needed."""

import os
import sys
from textwrap import indent
from typing import Annotated

import orjson
import typer

from relay.cli.loop import run
from relay.config.settings import Settings
from relay.tools.doctor.report import Diagnosis

NOT_SO = 1


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at what relay stands on: settings, routes, database, Slack, BigPanda.

    With the settings of `relay serve`, from the environment. Every channel that a route names is looked at, and every
    user group; each finding comes with its remedy. It posts nothing and changes nothing. Leaves with 1 where something
    would lose messages, with 0 where there are warnings at the most.
    """
    from relay.tools.doctor.doctor import examine  # noqa: PLC0415  nothing of it is needed for `relay --help`

    made: list[Diagnosis] = []

    async def examined() -> None:
        made.append(await examine(Settings.from_env(os.environ)))

    run(examined())
    if as_json:
        typer.echo(orjson.dumps(made[0].as_json(), option=orjson.OPT_INDENT_2))
    else:
        _print(made[0])
    if not made[0].ok:
        raise typer.Exit(NOT_SO)


def _print(diagnosis: Diagnosis) -> None:
    from rich.console import Console  # noqa: PLC0415  the same
    from rich.padding import Padding  # noqa: PLC0415  the same
    from rich.text import Text  # noqa: PLC0415  the same

    seen = sys.stdout.isatty()  # by a person; what a program reads is neither wrapped nor cut
    console = Console(highlight=False, soft_wrap=not seen)
    signs = {"fine": ("✓", "green"), "note": ("·", "dim"), "warning": ("!", "yellow"), "loss": ("✗", "red")}
    for finding in diagnosis.findings:
        sign, style = signs[finding.level]
        console.print(Text.assemble((sign, style), " ", (finding.about, "bold"), ": ", finding.message))
        if finding.remedy:
            remedy = finding.remedy
            console.print(Padding(Text(remedy), (0, 0, 0, 2)) if seen else Text(indent(remedy, "  ")))
    console.print(Text(diagnosis.summary, "green" if diagnosis.ok else "red"))
