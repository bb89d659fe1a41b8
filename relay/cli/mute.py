"""`relay mute`: for a time, some incidents get no new cards and no pings."""

import getpass
import os
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson
from relay.cli.output import fail, print_report, say
from relay.model.errors import ConfigurationError
from relay.model.incident import State

if TYPE_CHECKING:
    from relay.actions.mute_preview import MutePreview
    from relay.cards.mutes import Mute
    from relay.store.store import Store

mute = typer.Typer(no_args_is_help=True)

Author = Annotated[str, typer.Option(metavar="NAME", help="Who you are; by default the user of this machine.")]
Number = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=10**18, help="The number of a mute, as `relay mute list` shows it.")
]
HowLong = Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, such as 90m, 2h or 1d; at most 7d.")]


@mute.callback()
def about() -> None:
    """Make, list, extend and end mutes: for a time, some incidents get no new cards and no pings.

    Example: `relay mute add --match '{tags: {service: checkout}}' --for 2h --reason deploy`.

    Relay still edits posted cards, and sends resolutions and thread entries. When a mute ends, one message
    pings those who were not pinged, and names what is still open. Nothing changes in BigPanda. Uses the database
    (RELAY_DATABASE_URL) of the running relay.
    """


@mute.command()
def add(  # noqa: PLR0913  each is an option of its own
    *,
    match: Annotated[
        str,
        typer.Option(metavar="MATCH", help="What to mute, as `match` in routes.yaml: '{tags: {service: checkout}}'."),
    ] = "",
    incident: Annotated[str, typer.Option(metavar="ID", help="Mute this incident alone, instead of --match.")] = "",
    how_long: HowLong,
    start: Annotated[
        str, typer.Option("--from", metavar="TIME", help="When it begins: 2026-11-30T22:00+01:00; by default now.")
    ] = "",
    reason: Annotated[str, typer.Option(metavar="TEXT", help="The reason; cards show it.")],
    unless: Annotated[State | None, typer.Option(help="Incidents in this state or a worse one are not muted.")] = None,
    author: Author = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Mute incidents for a time.

    Examples: `relay mute add --match '{tags: {service: checkout}}' --for 2h --reason deploy`, `relay mute add --match
    '{environment: Staging}' --from 2026-12-01T22:00Z --for 4h --unless critical --reason "load test"`.

    First says how many open incidents match, and asks if there are none, or more than 50. Exits with 1 if you say
    no, and with 2 if the mute cannot be made.
    """
    from relay.actions.mute_preview import preview
    from relay.cards.mutes import InvalidMute, Mute, check_mute
    from relay.tools import mutes as tool
    from relay.tools.live_store import stored_rulebook

    if bool(match) == bool(incident):
        raise typer.BadParameter("Give either --match or --incident.")
    seconds = _duration(how_long)

    async def look(store: "Store") -> "tuple[Mute, MutePreview, float]":
        now = await store.now()
        begins = _moment(start) if start else now
        wanted = Mute(
            match=match,
            incident=incident,
            start=begins,
            end=begins + seconds,
            reason=" ".join(reason.split()),
            author=" ".join(author.split()) or _user(),
            origin="cli",
            unless=unless,
        )
        check_mute(wanted, now)
        [found] = await preview(store, [wanted], await stored_rulebook(store), now)
        return wanted, found, now

    try:
        wanted, found, now = run_on_live_store(look)
    except InvalidMute as error:
        raise typer.BadParameter(str(error)) from None
    except ConfigurationError as error:
        faults = "; ".join(fault.message for fault in error.faults)
        raise typer.BadParameter(f"{faults}.", param_hint="--match") from None
    say(found.sentence, err=as_json)
    for title in found.examples:
        say(f"  {title}", err=as_json)
    if found.doubtful and not yes and not typer.confirm("Make this mute?", err=True):
        fail("No mute was made.")
    made = run_on_live_store(lambda store: tool.add(store, wanted, now))
    what = f"{tool.covers_words(made)}, {tool.state_words(made, now)}"
    text = [f"Mute {made.id}: {what}. End it with: relay mute end {made.id}"]
    print_report(lambda: tool.as_json(made, now), text, as_json=as_json)


@mute.command("list")
def list_mutes(
    *,
    with_past: Annotated[bool, typer.Option("--all", help="Also those that ended in the last 7 days.")] = False,
    as_json: AsJson = False,
) -> None:
    """List mutes that are active or will begin.

    Example: `relay mute list --all`.
    """
    from relay.tools import mutes as tool

    async def load(store: "Store") -> "tuple[tuple[Mute, ...], float]":
        now = await store.now()
        return await tool.listed(store, now, with_past=with_past), now

    found, now = run_on_live_store(load)
    lines = tool.tables(found, now) if found else ["Nothing is muted."]
    print_report(lambda: {"mutes": [tool.as_json(each, now) for each in found]}, lines, as_json=as_json)


@mute.command()
def extend(number: Number, *, how_long: HowLong) -> None:
    """Extend a mute by this time. There is no gap.

    Example: `relay mute extend 7 --for 2h` lets a mute that ends at 14:00 end at 16:00.

    Exits with 1 if it is over, or if there is none of that number.
    """
    from relay.cards.mutes import InvalidMute
    from relay.tools import mutes as tool

    seconds = _duration(how_long)

    async def change(store: "Store") -> "Mute | None":
        return await tool.extend(store, number, seconds, await store.now())

    try:
        changed = run_on_live_store(change)
    except InvalidMute as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None
    if changed is None:
        fail(f"There is no mute {number}, or it is over; `relay mute list` shows those that are not.")
    from relay.tools.message_text import format_time

    say(f"Mute {number} ends at {format_time(changed.end)}.")


@mute.command()
def end(number: Number, *, author: Author = "") -> None:
    """End a mute now.

    Example: `relay mute end 7`.

    Exits with 1 if it is over, or if there is none of that number.
    """
    from relay.cards.mutes import MAX_AUTHOR

    by = " ".join(author.split())[:MAX_AUTHOR] or _user()

    async def finish(store: "Store") -> bool:
        return await store.end_mute(number, await store.now(), by)

    if not run_on_live_store(finish):
        fail(f"There is no mute {number}, or it is over; `relay mute list` shows those that are not.")
    say(f"Mute {number} is over. One message names what is still open, and pings those who were not pinged.")


def _user() -> str:
    """The user of this machine; in a container it may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _duration(text: str) -> float:
    from relay.cards.mutes import InvalidMute
    from relay.tools.mutes import read_duration

    try:
        return read_duration(text)
    except InvalidMute as error:
        raise typer.BadParameter(str(error), param_hint="--for") from None


def _moment(text: str) -> float:
    from relay.tools.share_source import parse_moment

    try:
        return parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--from") from None
