"""`relay incident ID`: all that relay knows of an incident, and what it did."""

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run
from relay.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from relay.cards.draw import PermalinkBuilder
    from relay.cards.model import Channel
    from relay.model.tag_labels import TagLabels
    from relay.store import IncidentHistory

    Found = tuple[IncidentHistory, PermalinkBuilder, Callable[[str], str], TagLabels]

NOT_SO = 1


def incident(
    id: Annotated[str, typer.Argument(metavar="ID", help="The incident's id, as BigPanda has it.")],  # noqa: A002  the option's name
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print what GET /incidents/ID gives.")] = False,
) -> None:
    """Tell all that relay knows of an incident: shares, decisions, cards, each attempt with Slack's answer.

    The database (RELAY_DATABASE_URL) is only read, beside a running relay. With SLACK_BOT_TOKEN, Slack is asked for the
    workspace's address, so that cards have links. Leaves with 1 where relay does not know the incident.
    """
    from relay.tools import incident as telling  # noqa: PLC0415  nothing of this is needed for `relay --help`

    found: list[Found] = []
    run(_find(Settings.from_env(os.environ), id, found))
    if not found:
        typer.echo(f"relay knows no incident {id}", err=True)
        raise typer.Exit(NOT_SO)
    dossier, link, names, words = found[0]
    if as_json:
        typer.echo(json.dumps(telling.as_json(dossier, link), indent=2, ensure_ascii=False))
        return
    for line in telling.describe(dossier, link, names, words):
        typer.echo(line)


async def _find(settings: Settings, incident: str, found: "list[Found]") -> None:
    from relay.cards.draw import permalink  # noqa: PLC0415  the same
    from relay.store import Store  # noqa: PLC0415  the same
    from relay.tools.live_config import stored_words  # noqa: PLC0415  the same

    store = await Store.open(settings.database_url.get_secret_value(), exclusive=False)
    try:
        dossier = await store.incident_history(incident)
        channels = await store.channels()
        words = await stored_words(store)
    finally:
        await store.close()
    if dossier is not None:
        workspace = await _workspace(settings)
        found.append((dossier, partial(permalink, workspace), partial(_called, channels), words))


def _called(channels: "Iterable[Channel]", ref: str) -> str:
    """A channel by the name that Slack knows it under, where that is known."""
    name = next((channel.facts.get("name") for channel in channels if channel.ref == ref), None)
    return f"#{name} ({ref})" if name and ref != f"#{name}" else ref


async def _workspace(settings: Settings) -> str:
    """The workspace's address; empty where Slack does not tell."""
    from relay.http.session import make_session  # noqa: PLC0415  the same
    from relay.slack.client import SlackClient  # noqa: PLC0415  the same
    from relay.slack.outcomes import Read  # noqa: PLC0415  the same
    from relay.slack.responses import identity_of  # noqa: PLC0415  the same

    if settings.slack_bot_token is None:
        return ""
    async with make_session() as session:
        answer = await SlackClient(
            session, settings.required_bot_token, base_url=settings.slack_api_url, timeout=_PATIENCE
        ).auth_test()
    identity = identity_of(answer) if isinstance(answer, Read) else None
    return identity.url if identity else ""


_PATIENCE = 5.0
"""Seconds to wait for Slack: links are good to have, and nothing more."""
