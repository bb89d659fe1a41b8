"""`relay incident ID`: everything that relay knows about an incident, and what it did."""

from collections.abc import Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from relay.cli.environment import read_settings
from relay.cli.loop import run_on_live_store
from relay.cli.options import AsJson
from relay.cli.output import fail, print_report

if TYPE_CHECKING:
    from relay.model.tag_labels import TagLabels
    from relay.store.store import Store
    from relay.store.types import IncidentHistory


def incident(
    incident_id: Annotated[
        str, typer.Argument(metavar="ID|SLACK-LINK", help="The incident's id in BigPanda, or the link to its card.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show everything that relay knows about an incident: shares, decisions, cards, and each call with Slack's answer.

    Examples: `relay incident 5555370aabc20a001145d6g9`, or with the link that Slack copies for the card or a reply:
    `relay incident https://acme.slack.com/archives/C0123456789/p1700000000000100`.

    Reads the database (RELAY_DATABASE_URL) of a running relay. With SLACK_BOT_TOKEN, asks Slack for the workspace's
    address, so that cards have links. With --json, prints the same as `GET /incidents/ID`. Exits with 1 if the incident
    is unknown.
    """
    from relay.cards.draw import permalink
    from relay.tools import incident as tool

    history, names, labels, workspace, shadow = run_on_live_store(lambda store: _load(store, incident_id))
    if history is None:
        fail(_unknown(incident_id))
    link = partial(permalink, workspace)
    text = chain(tool.describe(history, link, names, labels), shadow)
    print_report(lambda: tool.as_json(history, link), text, as_json=as_json)


async def _load(
    store: "Store", incident_id: str
) -> "tuple[IncidentHistory | None, Mapping[str, str], TagLabels, str, list[str]]":
    from relay.tools.incident import workspace_url
    from relay.tools.live_store import slack_channel_names, stored_tag_labels
    from relay.tools.permalink import root_message

    message = root_message(incident_id)
    found = await store.incident_at(message.channel, message.ts) if message else incident_id
    history = await store.incident_history(found) if found else None
    workspace = await workspace_url(read_settings()) if history else ""
    names = await slack_channel_names(store)
    shadow = await _shadow(store, history, names) if history else []
    return history, names, await stored_tag_labels(store), workspace, shadow


async def _shadow(store: "Store", history: "IncidentHistory", names: Mapping[str, str]) -> list[str]:
    """What routes in shadow would have posted, as lines; none if nothing of it is in shadow."""
    from relay.config.files import load_configuration
    from relay.tools import shadow as tool
    from relay.tools.live_store import live_configuration, stored_tag_definitions

    if not tool.is_in_shadow(history):
        return []
    settings = read_settings()
    live = await live_configuration(store, lambda: load_configuration(settings.routes, settings.templates))
    live = live.with_tag_definitions(await stored_tag_definitions(store), clicks=live.clicks)
    report = await tool.read_shadow(store, live, history)
    return ["", *tool.on_terminal(report, tool.names_of(live, names))] if report else []


def _unknown(text: str) -> str:
    from relay.tools.permalink import is_link, root_message

    if not is_link(text):
        return f"There is no incident {text} in the database; `relay incidents` lists them."
    if root_message(text) is None:
        return f"{text} is not the link to a message; in Slack, choose 'Copy link' in the message's menu."
    return "This message is not a card of relay, or of another database; `relay incidents` lists the incidents."
