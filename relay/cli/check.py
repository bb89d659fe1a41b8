"""`relay check`: everything that is wrong with routes.yaml and the templates, before relay uses them."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import AsJson, RoutesFile, TemplatesFolder
from relay.cli.output import FAILED, say
from relay.tools.check.report import Format, format_report


def check_configuration(
    *,
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    output_format: Annotated[
        Format, typer.Option("--format", help="Text, JSON (as --json), or annotations for GitHub's workflows.")
    ] = Format.TEXT,
    as_json: AsJson = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
) -> None:
    """Check routes.yaml and the templates.

    Example: `relay check --strict --routes config/routes.yaml`.

    Each finding is one line, `file:line:column: message`. An error is what `relay serve` rejects, at its start and at a
    reload. A warning is something that works, but looks wrong. Exits with 0 if there are no errors, with 1 if there
    are, with 2 if routes.yaml cannot be read.
    """
    from relay.tools.check.command import run_checks

    report = run_checks(routes, templates)
    if strict:
        report = report.warnings_as_errors()
    form = Format.JSON if as_json else output_format
    for line in format_report(report, form):
        say(line)
    if form is Format.TEXT:
        say(report.summary, err=bool(report.findings))
    if report.errors:
        raise typer.Exit(FAILED)
