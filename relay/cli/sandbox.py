"""`relay sandbox`: a simulated Slack and BigPanda with a web page, to try a configuration."""

from pathlib import Path
from typing import Annotated

import typer

from relay.cli.options import ListenAddress, RoutesFile, parse_address

DEFAULT_SANDBOX = "127.0.0.1:8100"
DEFAULT_BIGPANDA_PORT = 8110
DEFAULT_RELAY = "http://127.0.0.1:8080"


def sandbox(  # noqa: PLR0913  each is an option of its own
    *,
    listen: ListenAddress = DEFAULT_SANDBOX,
    bigpanda_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="The port of the simulated BigPanda.")
    ] = DEFAULT_BIGPANDA_PORT,
    routes: RoutesFile = Path("routes.yaml"),
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=ID]", help="A public channel to create, optionally with its id. Repeatable."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=ID]", help="A user group to create, with ann as its member. Repeatable."),
    ] = None,
    rate_limits: Annotated[bool, typer.Option("--rate-limits", help="Apply Slack's rate limits.")] = False,
    relay: Annotated[str, typer.Option(metavar="URL", help="The address of relay.")] = DEFAULT_RELAY,
) -> None:
    """Run a simulated Slack and BigPanda on this machine, to try a configuration.

    Examples: `relay sandbox`, `relay sandbox --channel noc --group dba=S0123456789`.

    They keep everything in memory and send data only to relay. The command prints the settings for relay and a curl
    command that sends a first share. All channels, user groups and users of routes.yaml and of the options exist;
    without any, there are #alerts and @oncall. Restart the sandbox after you add others. If a port is in use, it takes
    the next free one.

    Clicks and replies on the page reach relay over Socket Mode, or over HTTP if SLACK_SIGNING_SECRET is set. The keys
    for relay are those of RELAY_WEBHOOK_KEYS and RELAY_ADMIN_KEY, if they are set. Ctrl-C or SIGTERM ends it.
    """
    from relay.cli.sandbox_server import run_sandbox

    run_sandbox(
        parse_address(listen),
        bigpanda_port=bigpanda_port,
        routes=routes,
        channels=channel or (),
        groups=group or (),
        rate_limits=rate_limits,
        relay=relay,
    )
