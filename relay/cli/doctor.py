"""`relay doctor`: checks everything that relay depends on."""

import os

import typer

from relay.cli.environment import read_settings
from relay.cli.loop import run
from relay.cli.options import AsJson
from relay.cli.output import FAILED, announce_slack_check, print_report


def doctor(*, as_json: AsJson = False) -> None:
    """Check what relay depends on: settings, routes, database, Slack, BigPanda.

    Example: `relay doctor --json`.

    Uses the settings of `relay serve`, from the environment. Checks every channel, user group and user that a route
    names. Each problem comes with a remedy. Posts nothing and changes nothing. Exits with 1 if there is an error, which
    means that messages would be lost or ping nobody; with 0 if there are only warnings.
    """
    from relay.config.settings import mistyped
    from relay.tools.doctor.doctor import examine

    authorities = os.environ.get("SSL_CERT_FILE", "")
    settings = read_settings()
    if settings.slack_bot_token is not None:
        announce_slack_check()
    report = run(examine(settings, unknown=mistyped(os.environ), authorities=authorities))
    print_report(report.as_json, report.lines(), as_json=as_json)
    if not report.ok:
        raise typer.Exit(FAILED)
