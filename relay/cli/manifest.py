"""`relay manifest`: the Slack app, ready to be made."""

from typing import Annotated

import typer


def manifest(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
    url: Annotated[
        str, typer.Option(metavar="HTTPS://HOST", help="Where Slack reaches relay with clicks on its buttons.")
    ] = "",
    socket_mode: Annotated[
        bool, typer.Option("--socket-mode", help="Let clicks come over a connection that relay opens.")
    ] = False,
    replies: Annotated[
        bool, typer.Option("--replies", help="Let replies in threads come too, for routes with sync_replies.")
    ] = False,
) -> None:
    """Print the manifest of relay's Slack app, with exactly the scopes that relay uses.

    Paste it at api.slack.com/apps (Create New App, From a manifest), install the app in the workspace, and put its bot
    token (xoxb-...) into SLACK_BOT_TOKEN. Cards need neither an address nor Socket Mode: only buttons do.
    """
    from relay.tools import manifest as made  # noqa: PLC0415  nothing of it is needed for `relay --help`

    try:
        ways = made.ManifestOptions(url=url, socket_mode=socket_mode, replies=replies)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error
    told = made.build_manifest(ways)
    typer.echo(made.as_json(told) if as_json else made.as_yaml(told), nl=as_json)
