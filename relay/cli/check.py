"""`relay check`: everything that is wrong with routes.yaml and the templates, before relay uses them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import AsJson, RoutesFile, TemplatesFolder
from relay.cli.output import FAILED, announce_slack_check, say
from relay.tools.check.report import Format, format_report

if TYPE_CHECKING:
    from relay.model.errors import Fault


def check_configuration(  # noqa: PLR0913  each is an option of the command
    *,
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    output_format: Annotated[
        Format, typer.Option("--format", help="Text, JSON (as --json), or annotations for GitHub's workflows.")
    ] = Format.TEXT,
    as_json: AsJson = False,
    with_slack: Annotated[
        bool, typer.Option("--slack", help="Let Slack check every message and modal too; posts nothing.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")] = False,
) -> None:
    """Check routes.yaml and the templates.

    Example: `relay check --strict --routes config/routes.yaml`.

    Each finding is one line, `file:line:column: message`. An error is what `relay serve` rejects, at its start and at a
    reload. A warning is something that works, but looks wrong. Exits with 0 if there are no errors, with 1 if there
    are, with 2 if routes.yaml cannot be read.

    `--slack` sends every message and modal that relay makes, at its extremes, to Slack's `blocks.validate`. It needs
    SLACK_BOT_TOKEN and changes nothing. Exits with 2 if Slack cannot be asked.
    """
    from relay.tools.check.command import run_checks

    report = run_checks(routes, templates)
    if with_slack and not report.errors:
        report = report.with_findings(_ask_slack(templates))
    if strict:
        report = report.warnings_as_errors()
    form = Format.JSON if as_json else output_format
    for line in format_report(report, form):
        say(line)
    if form is Format.TEXT:
        for note in report.notes:
            say(note, err=True)
        say(report.summary, err=bool(report.findings))
    if report.errors:
        raise typer.Exit(FAILED)


def _ask_slack(templates: Path) -> "Sequence[Fault]":
    from relay.cli.environment import read_settings
    from relay.cli.loop import run
    from relay.tools.check.slack_validation import check_templates

    settings = read_settings()
    if settings.slack_bot_token is not None:
        announce_slack_check()
    return run(check_templates(settings, templates))
