"""`relay render`: the cards and threads that shares would produce."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import AsJson, Headers, RoutesFile, TemplatesFolder
from relay.cli.output import print_all, print_json, say, write_file
from relay.cli.share_options import At, EnvironmentOption, IncidentId, Sample, ShareOptions, StateOption, Tags

PAGE_WIDTH = 80
"""The width of the output outside a terminal, in characters."""


def render(  # noqa: PLR0913  each is an option of its own
    share: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SHARE.json...", help="The shares, in the order in which they arrive."),
    ] = None,
    *,
    sample: Sample = False,
    incident: IncidentId = "",
    state: StateOption = None,
    tag: Tags = None,
    environment: EnvironmentOption = "",
    at: At = "",
    routes: RoutesFile = Path("routes.yaml"),
    templates: TemplatesFolder = Path("templates"),
    header: Headers = None,
    as_json: AsJson = False,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page that shows the messages as Slack does.")
    ] = None,
) -> None:
    """Show the cards and threads that shares would produce. Nothing is sent.

    Examples: `relay render share.json`, `relay render --state critical --tag team=payments`, `relay render --incident
    5555370aabc20a001145d6g9 --html incident.html`.

    A share is the body of a webhook, or a recorded share with its time and headers. Shares may belong to several
    incidents. Delays (`gather`, `wait`) pass in simulated time. The options change the last share. For an incident in
    the database, all stored shares are rendered; changes make one more share. Uses neither the network nor the
    database, except for --incident (RELAY_DATABASE_URL). Exits with 1 if there is no such incident.
    """
    from relay.config.files import load_configuration
    from relay.tools import render as tool
    from relay.tools.message_text import alias_names
    from relay.tools.simulate import simulate

    configuration = load_configuration(routes, templates)
    options = ShareOptions(
        files=share or [],
        sample=sample,
        incident=incident,
        state=state,
        tags=tag,
        environment=environment,
        at=at,
        headers=header,
    )
    incidents = simulate(configuration, options.shares())
    names = alias_names(configuration.rulebook)
    if html is not None:
        write_file(html, tool.as_page(incidents, names), option="--html")
        say(f"Wrote {html}; open it in a browser.", err=as_json)
    if as_json:
        print_json(tool.as_json(incidents))
    elif html is None:
        print_all(tool.on_terminal(incidents, names), width=PAGE_WIDTH)
