"""`relay letters`: what Slack would not have, with the way back, and what could not be read."""

import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from relay.cli.loop import run
from relay.config.settings import Settings

if TYPE_CHECKING:
    from relay.store import OpenDeadLetter, QuarantinedBody, Store
    from relay.tools.letters import Names

NOT_SO = 1

letters = typer.Typer(help="Dead letters and quarantined bodies: list them, show one, redrive letters.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@letters.callback(invoke_without_command=True)
def list_letters(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the open dead letters, and the bodies that were no shares.

    A letter is a card, or something of it, that Slack would not have: the incident stands on the fallback channel
    meanwhile. Letters of a channel that works again are redriven by themselves. The database (RELAY_DATABASE_URL) is
    the running relay's.
    """
    if context.invoked_subcommand is None:
        _beside_relay(lambda store: _list(store, as_json=as_json))


@letters.command()
def show(
    id: Annotated[str, typer.Argument(metavar="ID", help="A letter's number, or q and a body's number.")],  # noqa: A002  the option's name
    *,
    as_json: AsJson = False,
) -> None:
    """Show a letter with what Slack said, or a quarantined body as it came.

    Leaves with 1 where there is none of that number.
    """
    _beside_relay(lambda store: _show(store, id, as_json=as_json))


@letters.command()
def redrive(
    id: Annotated[int | None, typer.Argument(metavar="[ID]", help="The letter's number.")] = None,  # noqa: A002  the option's name
    *,
    everything: Annotated[bool, typer.Option("--all", help="Redrive every letter.")] = False,
    reason: Annotated[str, typer.Option(metavar="REASON", help="Redrive every letter of this reason.")] = "",
    as_json: AsJson = False,
) -> None:
    """Try again what Slack would not have, once what the letter names is put right.

    The card shows the newest state and pings nobody; the fallback's card becomes a pointer. Leaves with 1 where there
    is no such letter, or one had to be left as it is.
    """
    if (id is None) == (not everything and not reason):
        raise typer.BadParameter("Give one letter's number, or --all, or --reason REASON.", param_hint="ID")
    _beside_relay(lambda store: _redrive(store, id, reason, as_json=as_json))


def _beside_relay(work: "Callable[[Store], Awaitable[int]]") -> None:
    """Open the database that a running relay may hold, and leave with what `work` says."""
    from relay.store import Store  # noqa: PLC0415  nothing of this is needed for `relay --help`

    codes: list[int] = []

    async def opened() -> None:
        settings = Settings.from_env(os.environ)
        store = await Store.open(settings.database_url.get_secret_value(), exclusive=False)
        try:
            codes.append(await work(store))
        finally:
            await store.close()

    run(opened())
    if codes != [0]:
        raise typer.Exit(NOT_SO)


async def _list(store: "Store", *, as_json: bool) -> int:
    from relay.tools import letters as telling  # noqa: PLC0415  the same

    found, bodies = await store.dead_letters(), await store.quarantined_bodies()
    if as_json:
        _print_json(
            {
                "letters": [telling.letter_as_json(letter) for letter in found],
                "quarantined": [telling.body_as_json(body) for body in bodies],
            }
        )
        return 0
    if not found and not bodies:
        typer.echo("No dead letters, and no quarantined bodies.")
        return 0
    console = _console()
    if found:
        console.print(_table_of_letters(found, await _names(store)))
    if bodies:
        console.print(_table_of_bodies(bodies))
    return 0


async def _show(store: "Store", asked: str, *, as_json: bool) -> int:
    kind, number = ("q", asked[1:]) if asked[:1] in {"q", "Q"} else ("", asked)
    if not number.isdecimal():
        raise typer.BadParameter(f"It is {asked!r}; expected a number, or q and a number.", param_hint="ID")
    return await (_show_body if kind else _show_letter)(store, int(number), as_json=as_json)


async def _show_letter(store: "Store", number: int, *, as_json: bool) -> int:
    from relay.tools import letters as telling  # noqa: PLC0415  the same

    found = telling.select(await store.dead_letters(), number=number)
    if not found:
        return _no_letter(f"of number {number}")
    dossier = await store.incident_history(found[0].card.incident)
    if as_json:
        _print_json(telling.letter_as_json(found[0], dossier))
        return 0
    for line in telling.describe_letter(found[0], dossier, await _names(store)):
        typer.echo(line)
    return 0


async def _show_body(store: "Store", number: int, *, as_json: bool) -> int:
    from relay.tools import letters as telling  # noqa: PLC0415  the same

    body = await store.quarantined_body(number)
    if body is None:
        typer.echo(
            f"relay: There is no quarantined body q{number}; the oldest are let go when they are many.", err=True
        )
        return NOT_SO
    if as_json:
        _print_json(telling.body_as_json(body, whole=True))
        return 0
    for line in telling.describe_body(body):
        typer.echo(line)
    return 0


async def _redrive(store: "Store", number: int | None, reason: str, *, as_json: bool) -> int:
    from relay.tools import letters as telling  # noqa: PLC0415  the same
    from relay.tools.live_config import stored_words  # noqa: PLC0415  the same

    found = telling.select(await store.dead_letters(), number=number, reason=reason)
    if not found:
        wish = f"of number {number}" if number is not None else f"of reason {reason}" if reason else ""
        return _no_letter(wish)
    done = await telling.retry(store, found, await stored_words(store), time.time())
    if as_json:
        _print_json([{"id": each.letter.id, "outcome": str(each.outcome)} for each in done])
    else:
        names = await _names(store)
        for each in done:
            typer.echo(telling.describe_result(each, names))
    return 0 if all(each.done for each in done) else NOT_SO


async def _names(store: "Store") -> "Names":
    """Channels by the names that Slack knows them under."""
    known = {channel.ref: channel.facts.get("name") for channel in await store.channels()}

    def called(ref: str) -> str:
        name = known.get(ref)
        return f"#{name} ({ref})" if name and ref != f"#{name}" else ref

    return called


def _no_letter(wish: str) -> int:
    typer.echo(f"relay: There is no open letter{f' {wish}' if wish else ''}.", err=True)
    return NOT_SO


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _console() -> Console:
    """As wide as the terminal; where there is none, wide enough for a line to be found by `grep`."""
    width = None if os.isatty(1) else 200
    return Console(highlight=False, emoji=False, markup=False, width=width)


def _table_of_letters(found: "tuple[OpenDeadLetter, ...]", names: "Names") -> Table:
    from relay.tools.times import format_time  # noqa: PLC0415  the same

    table = Table("letter", "since", "channel", "incident", "why, and what to do", title="Dead letters", box=None)
    for each in found:
        why = f"{each.reason}: {each.remedy}" if each.remedy else each.reason
        table.add_row(str(each.id), format_time(each.since), names(each.card.channel), each.card.incident, why)
    return table


def _table_of_bodies(bodies: "tuple[QuarantinedBody, ...]") -> Table:
    from relay.tools.times import format_time  # noqa: PLC0415  the same

    table = Table("body", "came", "size", "why", title="Quarantined bodies: no shares", box=None)
    for each in bodies:
        table.add_row(f"q{each.id}", format_time(each.received), f"{each.size} B", each.reason)
    return table
