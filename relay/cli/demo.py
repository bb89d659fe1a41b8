"""`relay demo`: the whole product on one machine, with nothing to configure."""

from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run
from relay.cli.options import DEFAULT_LISTEN, ListenAddress, parse_address
from relay.runtime import logging

if TYPE_CHECKING:
    from relay.demo.environment import DemoEnvironment


def demo(
    *,
    listen: ListenAddress = DEFAULT_LISTEN,
    once: Annotated[bool, typer.Option("--once", help="Play the story at once, print the channels, and exit.")] = False,
    pace: Annotated[float, typer.Option(min=0.1, max=100, help="Speed of the story; 2 is twice as fast.")] = 1.0,
) -> None:
    """Show what relay does: a night of incidents, in a simulated Slack.

    Open the page that the command prints. Relay uses a temporary database, and nothing leaves this machine. Ctrl-C
    ends the demo.
    """
    logging.configure(log_format="console", level="error", secrets=())
    if once:
        run(_play_once())
    else:
        run(_play_live(listen, pace))


async def _play_once() -> None:
    from relay.demo.player import play_once

    typer.echo(await play_once(narrate=lambda caption: typer.echo(f"· {caption}", err=True)))


async def _play_live(listen: str, pace: float) -> None:
    from relay.demo.player import play_live

    address = parse_address(listen)
    await play_live(address.host, address.port, _introduce, lambda caption: typer.echo(f"· {caption}"), pace=pace)


def _introduce(environment: "DemoEnvironment") -> None:
    typer.echo(f"Open {environment.address}")
    typer.echo(f"Routes and templates, which you can edit while it runs: {environment.folder}")
    typer.echo("")
