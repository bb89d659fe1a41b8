"""`relay letters`: dead letters and quarantined bodies."""

import os
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run
from relay.cli.options import AsJson
from relay.cli.output import FAILED, console, print_json
from relay.config.settings import Settings

if TYPE_CHECKING:
    from relay.store.store import Store

letters = typer.Typer(help="Dead letters and quarantined bodies: list, show, retry.")


@letters.callback(invoke_without_command=True)
def list_by_default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the open dead letters, and the quarantined bodies.

    A dead letter is a card or reply that Slack rejected for good; meanwhile the incident is on the fallback channel.
    Relay retries by itself when the channel works again. A quarantined body is a request that was not a share. Uses the
    database (RELAY_DATABASE_URL) of the running relay.
    """
    if context.invoked_subcommand is None:
        list_letters(as_json=as_json)


@letters.command("list")
def list_letters(*, as_json: AsJson = False) -> None:
    """List the open dead letters, and the quarantined bodies."""
    _run_beside_relay(lambda store: _list(store, as_json=as_json))


@letters.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="A letter's number, or q and a body's number.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with Slack's answers, or a quarantined body.

    Exits with 1 if it does not exist.
    """
    _run_beside_relay(lambda store: _show(store, letter_id, as_json=as_json))


@letters.command()
def retry(
    letter_id: Annotated[int | None, typer.Argument(metavar="[ID]", help="The letter's number.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Retry every letter.")] = False,
    reason: Annotated[str, typer.Option(metavar="REASON", help="Retry every letter with this reason.")] = "",
    as_json: AsJson = False,
) -> None:
    """Retry dead letters, after the cause is fixed.

    The card is posted with its newest state and pings nobody; the fallback's card becomes a pointer to it. Exits with 1
    if there is no such letter, or if one could not be retried.
    """
    if (letter_id is None) == (not everything and not reason):
        raise typer.BadParameter("Give a letter's number, or --all, or --reason REASON.", param_hint="ID")
    _run_beside_relay(lambda store: _retry(store, letter_id, reason, as_json=as_json))


letters.command("redrive", hidden=True)(retry)  # its former name


def _run_beside_relay(command: "Callable[[Store], Awaitable[bool]]") -> None:
    """Run a command on the database of a running relay, and exit with 1 if it returns False."""
    from relay.tools.live_store import open_live_store

    async def run_command() -> bool:
        async with open_live_store(Settings.from_env(os.environ)) as store:
            return await command(store)

    if not run(run_command()):
        raise typer.Exit(FAILED)


async def _list(store: "Store", *, as_json: bool) -> bool:
    from relay.tools import letters as tool
    from relay.tools.live_store import slack_channel_names

    dead, bodies = await store.dead_letters(), await store.quarantined_bodies()
    if as_json:
        print_json(
            {
                "dead_letters": [tool.letter_as_json(letter) for letter in dead],
                "quarantined": [tool.body_as_json(body) for body in bodies],
            }
        )
    elif not dead and not bodies:
        typer.echo("No dead letters, and no quarantined bodies.")
    else:
        for table in tool.tables(dead, bodies, slack_channel_names(await store.channels())):
            console().print(table)
    return True


async def _show(store: "Store", text: str, *, as_json: bool) -> bool:
    is_body = text[:1] in {"q", "Q"}
    number = text[1:] if is_body else text
    if not number.isdecimal():
        raise typer.BadParameter(f"It is {text!r}; expected a number, or q and a number.", param_hint="ID")
    return await (_show_body if is_body else _show_letter)(store, int(number), as_json=as_json)


async def _show_letter(store: "Store", number: int, *, as_json: bool) -> bool:
    from relay.tools import letters as tool
    from relay.tools.live_store import slack_channel_names

    selected = tool.select(await store.dead_letters(), number=number)
    if not selected:
        return _not_found(f"There is no open letter {number}.")
    history = await store.incident_history(selected[0].card.incident)
    if as_json:
        print_json(tool.letter_as_json(selected[0], history))
        return True
    for line in tool.describe_letter(selected[0], history, slack_channel_names(await store.channels())):
        typer.echo(line)
    return True


async def _show_body(store: "Store", number: int, *, as_json: bool) -> bool:
    from relay.tools import letters as tool

    body = await store.quarantined_body(number)
    if body is None:
        return _not_found(f"There is no quarantined body q{number}; relay keeps only the newest ones.")
    if as_json:
        print_json(tool.body_as_json(body, whole=True))
        return True
    for line in tool.describe_body(body):
        typer.echo(line)
    return True


async def _retry(store: "Store", number: int | None, reason: str, *, as_json: bool) -> bool:
    from relay.tools import letters as tool
    from relay.tools.live_store import slack_channel_names, stored_tag_labels

    selected = tool.select(await store.dead_letters(), number=number, reason=reason)
    if not selected:
        which = f" {number}" if number is not None else f" with the reason {reason}" if reason else ""
        return _not_found(f"There is no open letter{which}.")
    results = await tool.retry(store, selected, await stored_tag_labels(store), time.time())
    if as_json:
        print_json([{"id": result.letter.id, "outcome": str(result.outcome)} for result in results])
    else:
        names = slack_channel_names(await store.channels())
        for result in results:
            typer.echo(tool.describe_result(result, names))
    return all(result.done for result in results)


def _not_found(message: str) -> bool:
    typer.echo(f"relay: {message}", err=True)
    return False
