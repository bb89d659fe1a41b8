"""`relay workspace`: the Slack workspace and bot that the database belongs to."""

from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson
from relay.cli.output import print_report

if TYPE_CHECKING:
    from relay.slack.workspace import SlackWorkspace
    from relay.store.store import Store


def workspace(
    *,
    accept: Annotated[bool, typer.Option("--accept", help="Accept the token's workspace and bot from now on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the Slack workspace and bot that the database belongs to: those of the first token that relay used.

    Example: `relay workspace --accept`.

    With the token of another workspace or bot, relay sends nothing: it would find none of its cards, and post alerts
    where nobody expects them. If the change is intended, run this with --accept: the database then belongs to the next
    workspace that relay reaches. A running relay notices within half a minute.
    """

    async def load(store: "Store") -> "SlackWorkspace | None":
        bound = await store.bound_workspace()
        if accept:
            await store.release_workspace()
        return bound

    bound = run_on_live_store(load)
    if bound is None:
        text = "The database belongs to no workspace yet. It will belong to the first one that relay reaches."
    else:
        name = f"{bound.team} ({bound.team_id})" if bound.team else bound.team_id
        text = (
            f"The database belonged to {name}, bot {bound.bot_id}. It will belong to the next one that relay reaches."
        )
        if not accept:
            text = f"The database belongs to {name}, bot {bound.bot_id}."
    found = bound and {"team_id": bound.team_id, "team": bound.team, "bot_id": bound.bot_id}
    print_report(lambda: {"workspace": found, "released": accept}, [text], as_json=as_json)
