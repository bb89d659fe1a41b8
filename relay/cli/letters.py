"""`relay letters`: dead letters, failed shares and quarantined bodies."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relay.cli.environment import read_settings
from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson
from relay.cli.output import FAILED, fail, print_json, print_report, say

if TYPE_CHECKING:
    from relay.cards.model import Plan
    from relay.config.settings import Settings
    from relay.store.store import Store
    from relay.store.types import FailedShare, IncidentHistory, OpenDeadLetter, PlanContext, ShareBody
    from relay.tools.letters import LetterId, Letters, RetryResult
    from relay.tools.message_text import ChannelNames

letters = typer.Typer()

Ids = Annotated[
    list[str],
    typer.Argument(metavar="ID...", help="Letters: 7 is a dead letter, s7 a failed share, q7 a quarantined body."),
]


@letters.callback(invoke_without_command=True)
def list_by_default(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List, show, retry and discard dead letters, failed shares and quarantined bodies.

    Example: `relay letters --json`. Without a command, it lists them.

    A dead letter is a card or reply that Slack rejected for good; meanwhile the incident is on the fallback channel.
    relay retries it when the channel works again, and closes it when nobody needs it any more. A failed share is
    stored, but relay could not plan it: no card shows it yet, and relay retries. A quarantined body is a request that
    was not a share. Uses the database (RELAY_DATABASE_URL) of the running relay.
    """
    if context.invoked_subcommand is None:
        list_letters(as_json=as_json)


@letters.command("list")
def list_letters(*, as_json: AsJson = False) -> None:
    """List the open dead letters, the failed shares and the quarantined bodies; the same as `relay letters`.

    Example: `relay letters list --json`.
    """
    from relay.tools.letters import load_letters, tables
    from relay.tools.live_store import slack_channel_names

    async def load(store: "Store") -> "tuple[Letters, ChannelNames]":
        return await load_letters(store), await slack_channel_names(store)

    found, names = run_on_live_store(load)
    lines = tables(found, names) if found else ["No dead letters, no failed shares, and no quarantined bodies."]
    print_report(lambda: {"letters": found.as_json()}, lines, as_json=as_json)


@letters.command()
def show(
    letter_id: Annotated[
        str, typer.Argument(metavar="ID", help="7 is a dead letter, s7 a failed share, q7 a quarantined body.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show a dead letter with Slack's answers, a failed share with its error, or a quarantined body.

    Examples: `relay letters show 7`, `relay letters show q7 > body.json`.

    Exits with 1 if it does not exist.
    """
    from relay.tools.letters import LetterKind

    [letter] = _parse([letter_id])
    show_kind = {
        LetterKind.DEAD_LETTER: _show_letter,
        LetterKind.FAILED_SHARE: _show_share,
        LetterKind.QUARANTINED_BODY: _show_body,
    }
    show_kind[letter.kind](letter, as_json=as_json)


def _show_letter(letter_id: "LetterId", *, as_json: bool) -> None:
    from relay.tools.letters import describe_letter, letter_as_json, select
    from relay.tools.live_store import slack_channel_names

    async def load(store: "Store") -> "tuple[OpenDeadLetter, IncidentHistory | None, ChannelNames]":
        selected = select(await store.dead_letters(), number=letter_id.number)
        if not selected:
            fail(f"There is no open {letter_id.description}.")
        incident = selected[0].card.incident
        history = await store.incident_history(incident) if incident else None
        return selected[0], history, await slack_channel_names(store)

    letter, history, names = run_on_live_store(load)
    text = describe_letter(letter, history, names)
    print_report(lambda: letter_as_json(letter, history), text, as_json=as_json)


def _show_share(letter_id: "LetterId", *, as_json: bool) -> None:
    from relay.tools.letters import describe_share, share_as_json

    async def load(store: "Store") -> "tuple[FailedShare, ShareBody]":
        failed = [each for each in await store.failed_shares() if each.id == letter_id.number]
        body = await store.unplanned_body(letter_id.number)
        if not failed or body is None:
            fail(f"There is no {letter_id.description}.")
        return failed[0], body

    share, body = run_on_live_store(load)
    print_report(lambda: share_as_json(share, body), describe_share(share, body), as_json=as_json)


def _show_body(letter_id: "LetterId", *, as_json: bool) -> None:
    from relay.tools.letters import body_as_json, describe_body

    body = run_on_live_store(lambda store: store.quarantined_body(letter_id.number))
    if body is None:
        fail(f"There is no {letter_id.description}; relay keeps only the newest ones.")
    if as_json:
        print_json(body_as_json(body, whole=True))
        return
    for line in describe_body(body):
        say(line)


@letters.command()
def retry(
    letter_ids: Ids = [],  # noqa: B006  typer makes a new list
    *,
    everything: Annotated[bool, typer.Option("--all", help="Retry every dead letter.")] = False,
    reason: Annotated[str, typer.Option(metavar="REASON", help="Retry every dead letter with this reason.")] = "",
    as_json: AsJson = False,
) -> None:
    """Retry letters, after the cause is fixed.

    Examples: `relay letters retry 7`, `relay letters retry --reason channel_archived`.

    The card of a dead letter is posted with its newest state and pings nobody; the fallback's card becomes a pointer to
    it. A failed share is planned again, and a quarantined body is read again: a newer relay may know it as a share.
    Exits with 1 if a letter does not exist, or could not be retried.
    """
    if bool(letter_ids) == bool(everything or reason):
        raise typer.BadParameter("Give the ids of letters, or --all, or --reason REASON.", param_hint="ID")
    results, names = run_on_live_store(partial(_retry, ids=_parse(letter_ids), reason=reason))
    _print_results(results, names, as_json=as_json)


letters.command("redrive", hidden=True)(retry)  # its former name


@letters.command()
def discard(
    letter_ids: Ids,
    *,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why nobody needs it; `relay incident` shows it.")],
    as_json: AsJson = False,
) -> None:
    """Close dead letters, or delete failed shares and quarantined bodies, that nobody needs.

    Example: `relay letters discard 7 q3 --reason "the team was dissolved"`.

    Relay does not retry a discarded letter. The incident's card on the fallback channel stays. Exits with 1 if a letter
    does not exist.
    """
    from relay.tools import letters as tool
    from relay.tools.live_store import slack_channel_names

    ids, why = _parse(letter_ids), " ".join(reason.split())
    if not why:
        raise typer.BadParameter("It is empty; say why nobody needs the letter.", param_hint="--reason")

    async def discard_selected(store: "Store") -> "tuple[list[RetryResult], ChannelNames]":
        now = await store.now()
        return await tool.discard(store, ids, why, now), await slack_channel_names(store)

    _print_results(*run_on_live_store(discard_selected), as_json=as_json)


async def _retry(store: "Store", *, ids: "Sequence[LetterId]", reason: str) -> "tuple[list[RetryResult], ChannelNames]":
    from relay.tools import letters as tool
    from relay.tools.live_store import slack_channel_names, stored_rulebook

    now, dead = await store.now(), tool.select(await store.dead_letters(), reason=reason)
    if not (dead or ids):
        fail(f"There is no open dead letter{f' with the reason {reason}' if reason else ''}.")
    by_id = {tool.dead_letter_id(letter): letter for letter in dead}
    results = await tool.retry(store, [by_id[each] for each in ids if each in by_id] if ids else dead, now)
    decide = _planner(await stored_rulebook(store), read_settings())
    for each in ids:
        if each.kind is tool.LetterKind.FAILED_SHARE:
            results.append(await tool.retry_share(store, each.number, decide, now))
        elif each.kind is tool.LetterKind.QUARANTINED_BODY:
            results.append(await tool.retry_body(store, each.number, decide))
        elif each not in by_id:
            results.append(tool.RetryResult(id=each, outcome=tool.RetryOutcome.UNKNOWN_LETTER))
    return results, await slack_channel_names(store)


def _planner(rulebook: Any, settings: "Settings") -> "Callable[[PlanContext], Plan]":
    from relay.cards.plan import plan

    return lambda context: plan(
        rulebook,
        context.incident_state,
        context.cards,
        context.share,
        context.canonical_refs,
        has_callback=settings.can_call_back,
    )


def _parse(texts: Sequence[str]) -> "list[LetterId]":
    from relay.tools.letters import LetterId

    try:
        return list(dict.fromkeys(map(LetterId.parse, texts)))
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="ID") from error


def _print_results(results: "Sequence[RetryResult]", names: "ChannelNames", *, as_json: bool) -> None:
    """Print the result for each letter; exit with 1 if something was not done."""
    from relay.tools.letters import describe_result

    document = [{"id": str(result.id), "outcome": result.outcome, "done": result.done} for result in results]
    if as_json:
        print_json(document)
    for result in () if as_json else results:
        say(describe_result(result, names), err=not result.done)
    if not all(result.done for result in results):
        raise typer.Exit(FAILED)
