"""`relay demo`: the whole product on one machine, with nothing to configure."""

from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run
from relay.cli.sandbox import parse_address
from relay.runtime import logging

if TYPE_CHECKING:
    from relay.demo.environment import DemoEnvironment


def demo(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the page listens; port 0 takes any free one.")
    ] = "127.0.0.1:8090",
    once: Annotated[bool, typer.Option("--once", help="Play it at once, print the channels, and leave.")] = False,
    pace: Annotated[
        float, typer.Option(min=0.1, max=100, help="How fast the story is told; 2 is twice as fast.")
    ] = 1.0,
) -> None:
    """Show what relay does: a night of incidents, in a Slack that stands in for the real one.

    Relay runs on a database of its own that is gone afterwards; nothing leaves this machine. Open the page that it
    prints. Ctrl-C ends it.
    """
    logging.configure(log_format="console", level="error", secrets=())
    if once:
        run(_once())
    else:
        run(_live(listen, pace))


async def _once() -> None:
    from relay.demo.player import play_once  # noqa: PLC0415  all of relay: not to be loaded for `relay --help`

    typer.echo(await play_once(narrate=lambda caption: typer.echo(f"· {caption}", err=True)))


async def _live(listen: str, pace: float) -> None:
    from relay.demo.player import play_live  # noqa: PLC0415  the same

    address = parse_address(listen)
    await play_live(address.host, address.port, _introduce, lambda caption: typer.echo(f"· {caption}"), pace=pace)


def _introduce(stage: "DemoEnvironment") -> None:
    typer.echo(f"Open {stage.address}")
    typer.echo(f"Routes and templates, to be edited while it runs: {stage.folder}")
    typer.echo("")
