"""`relay letters`: dead letters and quarantined bodies."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson
from relay.cli.output import FAILED, fail, print_json, print_report, say

if TYPE_CHECKING:
    from relay.store.store import Store
    from relay.store.types import IncidentHistory, OpenDeadLetter, QuarantinedBody
    from relay.tools.letters import RetryResult
    from relay.tools.message_text import ChannelNames

letters = typer.Typer(help="Dead letters and quarantined bodies: list, show, retry.")


@letters.callback(invoke_without_command=True)
def list_by_default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the open dead letters, and the quarantined bodies.

    A dead letter is a card or reply that Slack rejected for good; meanwhile the incident is on the fallback channel.
    relay retries it when the channel works again. A quarantined body is a request that was not a share. Uses the
    database (RELAY_DATABASE_URL) of the running relay.
    """
    if context.invoked_subcommand is None:
        list_letters(as_json=as_json)


@letters.command("list")
def list_letters(*, as_json: AsJson = False) -> None:
    """List the open dead letters, and the quarantined bodies."""
    from relay.tools.letters import body_as_json, letter_as_json, listed, tables
    from relay.tools.live_store import slack_channel_names

    async def load(store: "Store") -> "tuple[tuple[OpenDeadLetter, ...], tuple[QuarantinedBody, ...], ChannelNames]":
        return listed(await store.dead_letters()), await store.quarantined_bodies(), await slack_channel_names(store)

    dead, bodies, names = run_on_live_store(load)
    lines = tables(dead, bodies, names) if dead or bodies else ["No dead letters, and no quarantined bodies."]
    document = {"dead_letters": list(map(letter_as_json, dead)), "quarantined": list(map(body_as_json, bodies))}
    print_report(lambda: document, lines, as_json=as_json)


@letters.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="A dead letter's number, or q and a body's number.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with Slack's answers, or a quarantined body.

    Exits with 1 if it does not exist.
    """
    is_body = letter_id[:1] in {"q", "Q"}
    number = letter_id[1:] if is_body else letter_id
    if not number.isdecimal():
        raise typer.BadParameter(f"It is {letter_id!r}; expected a number, or q and a number.", param_hint="ID")
    (_show_body if is_body else _show_letter)(int(number), as_json=as_json)


def _show_letter(number: int, *, as_json: bool) -> None:
    from relay.tools.letters import describe_letter, letter_as_json, select
    from relay.tools.live_store import slack_channel_names

    async def load(store: "Store") -> "tuple[OpenDeadLetter, IncidentHistory | None, ChannelNames]":
        selected = select(await store.dead_letters(), number=number)
        if not selected:
            fail(f"There is no open dead letter {number}.")
        return selected[0], await store.incident_history(selected[0].card.incident), await slack_channel_names(store)

    letter, history, names = run_on_live_store(load)
    text = describe_letter(letter, history, names)
    print_report(lambda: letter_as_json(letter, history), text, as_json=as_json)


def _show_body(number: int, *, as_json: bool) -> None:
    from relay.tools.letters import body_as_json, describe_body

    body = run_on_live_store(lambda store: store.quarantined_body(number))
    if body is None:
        fail(f"There is no quarantined body q{number}; relay keeps only the newest ones.")
    if as_json:
        print_json(body_as_json(body, whole=True))
        return
    for line in describe_body(body):
        say(line)


@letters.command()
def retry(
    letter_id: Annotated[int | None, typer.Argument(metavar="ID", help="The dead letter's number.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Retry every dead letter.")] = False,
    reason: Annotated[str, typer.Option(metavar="REASON", help="Retry every dead letter with this reason.")] = "",
    as_json: AsJson = False,
) -> None:
    """Retry dead letters, after the cause is fixed.

    The card is posted with its newest state and pings nobody; the fallback's card becomes a pointer to it. Exits with 1
    if there is no such dead letter, or if one could not be retried.
    """
    from relay.tools import letters as tool
    from relay.tools.live_store import slack_channel_names

    if (letter_id is None) == (not everything and not reason):
        raise typer.BadParameter("Give the number of a dead letter, or --all, or --reason REASON.", param_hint="ID")

    async def retry_selected(store: "Store") -> "tuple[list[RetryResult], ChannelNames]":
        selected = tool.select(await store.dead_letters(), number=letter_id, reason=reason)
        if not selected:
            which = f" {letter_id}" if letter_id is not None else f" with the reason {reason}" if reason else ""
            fail(f"There is no open dead letter{which}.")
        results = await tool.retry(store, selected, time.time() + await store.clock_offset())
        return results, await slack_channel_names(store)

    results, names = run_on_live_store(retry_selected)
    document = [{"id": result.letter.id, "outcome": result.outcome} for result in results]
    text = (tool.describe_result(result, names) for result in results)
    print_report(lambda: document, text, as_json=as_json)
    if not all(result.done for result in results):
        raise typer.Exit(FAILED)


letters.command("redrive", hidden=True)(retry)  # its former name
