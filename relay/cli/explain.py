"""`relay explain`: which routes match a share, and why."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.options import AsJson, Headers, RoutesFile
from relay.cli.output import fail, print_report
from relay.cli.share_options import (
    At,
    EnvironmentOption,
    IncidentId,
    Sample,
    ShareOptions,
    StateOption,
    Tags,
    parse_at,
)

if TYPE_CHECKING:
    from relay.routes.rulebook import Rulebook


def explain(  # noqa: PLR0913  each is an option of its own
    share: Annotated[
        Path | None,
        typer.Argument(metavar="SHARE.json", help="The body of a webhook, or a recorded share.", dir_okay=False),
    ] = None,
    *,
    sample: Sample = False,
    incident: IncidentId = "",
    state: StateOption = None,
    tag: Tags = None,
    environment: EnvironmentOption = "",
    at: At = "",
    header: Headers = None,
    hours: Annotated[
        bool, typer.Option("--hours", help="Show the hours of routes.yaml in the week from --at, or from today.")
    ] = False,
    routes: RoutesFile = Path("routes.yaml"),
    as_json: AsJson = False,
) -> None:
    """Show which routes match a share and why: every condition of every route, with the value that it saw.

    Examples: `relay explain share.json`, `relay explain --state critical --tag team=payments --environment Production`,
    `relay explain --incident 5555370aabc20a001145d6g9`, `relay explain --hours --at 2027-03-28`.

    The share is treated as the first of its incident; of an incident in the database it is the newest one. Nothing is
    sent. Uses neither the network nor the database, except for --incident (RELAY_DATABASE_URL). Exits with 1 if there
    is no such incident.
    """
    from relay.tools import explain as tool
    from relay.tools.check.command import read_rulebook
    from relay.tools.message_text import alias_names

    rulebook = read_rulebook(routes)
    if hours:
        _print_hours(rulebook, at, as_json=as_json)
        return
    options = ShareOptions(
        files=[share] if share else [],
        sample=sample,
        incident=incident,
        state=state,
        tags=tag,
        environment=environment,
        at=at,
        headers=header,
    )
    explanation = tool.explain(rulebook, options.newest())
    text = tool.on_terminal(explanation, alias_names(rulebook))
    print_report(lambda: tool.as_json(explanation), text, as_json=as_json)


def _print_hours(rulebook: "Rulebook", at: str, *, as_json: bool) -> None:
    from relay.runtime.clock import Clock
    from relay.tools import hours as tool

    if not rulebook.hours:
        fail("The file defines no hours; docs/routes.md shows how.")
    week = tool.week(rulebook, parse_at(at) if at else Clock().now())
    print_report(lambda: tool.as_json(week), tool.on_terminal(week), as_json=as_json)
