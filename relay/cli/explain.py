"""`relay explain`: which routes match a share, and why."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import AsJson, Headers, RoutesFile, parse_headers
from relay.cli.output import print_all, print_json


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
    from relay.tools.check.command import read_rulebook
    from relay.tools.explain import as_json as to_json
    from relay.tools.explain import explain as explain_share
    from relay.tools.explain import on_terminal
    from relay.tools.message_text import channel_names
    from relay.tools.share_files import read_shares

    rulebook = read_rulebook(routes)
    (parsed,) = read_shares([share], parse_headers(header))
    explanation = explain_share(rulebook, parsed)
    if as_json:
        print_json(to_json(explanation))
    else:
        print_all(on_terminal(explanation, channel_names(rulebook)))
