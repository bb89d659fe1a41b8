"""`relay manifest`: the manifest of relay's Slack app."""

from typing import Annotated

import typer

from relay.cli.output import print_json, say


def manifest(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of YAML.")] = False,
    url: Annotated[
        str, typer.Option(metavar="HTTPS://HOST", help="The address of relay to which Slack sends clicks.")
    ] = "",
    socket_mode: Annotated[
        bool, typer.Option("--socket-mode", help="Receive clicks over a connection that relay opens.")
    ] = False,
    command: Annotated[
        str, typer.Option(metavar="/NAME", help="The slash command; several relays in a workspace need several names.")
    ] = "/relay",
    replies: Annotated[
        bool, typer.Option("--replies", help="Also receive replies in threads, for routes with sync_replies.")
    ] = False,
) -> None:
    """Print the manifest of relay's Slack app, with exactly the scopes that relay uses.

    Examples: `relay manifest --url https://relay.example.com --replies`, `relay manifest --socket-mode --command
    /relay-staging`.

    Paste it at api.slack.com/apps (Create New App, From a manifest), install the app in the workspace, and put its bot
    token (xoxb-...) into SLACK_BOT_TOKEN. Only buttons, replies and commands need an address or Socket Mode.
    """
    import yaml

    from relay.tools.manifest import build_manifest

    try:
        document = build_manifest(url=url, socket_mode=socket_mode, replies=replies, command=command)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.") from error
    if as_json:
        print_json(document)
    else:
        say(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), nl=False)
