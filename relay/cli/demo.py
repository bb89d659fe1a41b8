"""`relay demo`: the whole product on one machine, with nothing to configure."""

from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run
from relay.cli.options import ListenAddress, parse_address, port_note
from relay.cli.output import say
from relay.runtime import logging

if TYPE_CHECKING:
    from relay.demo.environment import DemoEnvironment

DEFAULT_DEMO = "127.0.0.1:8090"


def demo(
    *,
    listen: ListenAddress = DEFAULT_DEMO,
    once: Annotated[bool, typer.Option("--once", help="Play the story at once, print the channels, and exit.")] = False,
    pace: Annotated[float, typer.Option(min=0.1, max=100, help="Speed of the story; 2 is twice as fast.")] = 1.0,
) -> None:
    """Show what relay does: a night of incidents, in a simulated Slack.

    Example: `relay demo --once`.

    Open the page that the command prints. Relay uses a temporary database, and nothing leaves this machine. Ctrl-C
    ends the demo.
    """
    from relay.demo.environment import OPERATOR_KEY
    from relay.demo.player import play_live, play_once

    logging.configure(log_format="console", level="error", secrets=())

    address = parse_address(listen)

    def introduce(environment: "DemoEnvironment") -> None:
        if (message := port_note(address, environment.address)) is not None:
            say(message, err=True)
        say(f"Open {environment.address}")
        say(f"The board for operators: {environment.board} (key: {OPERATOR_KEY})")
        say(f"Routes and templates, which you can edit while it runs: {environment.folder}\n")

    if once:
        say(run(play_once(narrate=lambda caption: say(f"· {caption}", err=True))))
    else:
        run(play_live(address.host, address.port, introduce, lambda caption: say(f"· {caption}"), pace=pace))
