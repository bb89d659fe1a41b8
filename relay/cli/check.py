"""`relay check`: everything that is wrong with routes.yaml and the templates, before it is live."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import RoutesFile, TemplatesFolder
from relay.tools.check.report import Format, format_report

NOT_SO = 1


def check_configuration(
    *,
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    form: Annotated[
        Format, typer.Option("--format", help="Lines for people, JSON, or annotations for GitHub's workflows.")
    ] = Format.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Take warnings for faults.")] = False,
) -> None:
    """Say everything that is wrong with routes.yaml and the templates.

    Each fault stands on a line of its own, as `file:line:column: message`; what looks wrong but works is a warning.
    Leaves with 0 where there is no fault, with 1 where there is one, with 2 where routes.yaml cannot be read.
    """
    from relay.tools.check.command import run_checks  # noqa: PLC0415  nothing of it is needed for `relay --help`

    checked = run_checks(routes, templates)
    if strict:
        checked = checked.warnings_as_errors()
    for line in format_report(checked, form):
        typer.echo(line)
    if form is Format.TEXT:
        typer.echo(checked.summary, err=bool(checked.findings))
    if checked.errors:
        raise typer.Exit(NOT_SO)
