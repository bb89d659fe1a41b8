"""`relay explain`: which routes match a share, and why."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import AsJson, Headers, RoutesFile, parse_headers
from relay.cli.output import print_report


def explain(
    share: Annotated[
        Path, typer.Argument(metavar="SHARE.json", help="The body of a webhook, or a recorded share.", dir_okay=False)
    ],
    *,
    routes: RoutesFile = Path("routes.yaml"),
    header: Headers = None,
    as_json: AsJson = False,
) -> None:
    """Show which routes match a share and why: every condition of every route, with the value that it saw.

    The share is treated as the first of its incident. Nothing is sent. Uses neither the network nor the database.
    """
    from relay.tools import explain as tool
    from relay.tools.check.command import read_rulebook
    from relay.tools.message_text import channel_names
    from relay.tools.share_files import read_shares

    rulebook = read_rulebook(routes)
    (parsed,) = read_shares([share], parse_headers(header))
    explanation = tool.explain(rulebook, parsed)
    text = tool.on_terminal(explanation, channel_names(rulebook))
    print_report(lambda: tool.as_json(explanation), text, as_json=as_json)
