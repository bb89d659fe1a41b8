"""`relay incident ID`: everything that relay knows about an incident, and what it did."""

import os
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.loop import run
from relay.cli.options import AsJson
from relay.cli.output import FAILED, print_json
from relay.config.settings import Settings

if TYPE_CHECKING:
    from relay.model.tag_labels import TagLabels
    from relay.store.types import IncidentHistory


def incident(
    incident_id: Annotated[str, typer.Argument(metavar="ID", help="The incident's id in BigPanda.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Show everything that relay knows about an incident: shares, decisions, cards, and each call with Slack's answer.

    Reads the database (RELAY_DATABASE_URL) of a running relay. With SLACK_BOT_TOKEN, asks Slack for the workspace's
    address, so that cards have links. With --json, prints the same as `GET /incidents/ID`. Exits with 1 if the incident
    is unknown.
    """
    from relay.cards.draw import permalink
    from relay.tools import incident as tool

    history, names, labels, workspace = run(_load(Settings.from_env(os.environ), incident_id))
    if history is None:
        typer.echo(f"relay: There is no incident {incident_id} in the database.", err=True)
        raise typer.Exit(FAILED)
    link = partial(permalink, workspace)
    if as_json:
        print_json(tool.as_json(history, link))
        return
    for line in tool.describe(history, link, names, labels):
        typer.echo(line)


async def _load(
    settings: Settings, incident_id: str
) -> "tuple[IncidentHistory | None, Mapping[str, str], TagLabels, str]":
    from relay.tools.incident import workspace_url
    from relay.tools.live_store import open_live_store, slack_channel_names, stored_tag_labels

    async with open_live_store(settings) as store:
        history = await store.incident_history(incident_id)
        names, labels = slack_channel_names(await store.channels()), await stored_tag_labels(store)
    return history, names, labels, await workspace_url(settings) if history else ""
