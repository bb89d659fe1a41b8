"""What the page is told of a workspace: plain JSON, from which `static/draw.js` draws."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.sandbox.slack.channel import EphemeralMessage, FakeChannel, FakeMessage
from relay.sandbox.slack.mentions import pings
from relay.sandbox.slack.users import Bot
from relay.sandbox.slack.workspace import Workspace

View = dict[str, Any]

MAX_ROOTS: Final = 200
"""How many of a channel's newest roots are shown; a page that holds everything of a long trial would crawl."""


def names(workspace: Workspace) -> View:
    """Channels, people and groups by id, as mentions show them."""
    return {
        "channels": {channel.id: channel.name for channel in workspace.channels.values()},
        "users": {user.id: user.name for user in workspace.users.values()},
        "groups": {group.id: group.handle for group in workspace.usergroups.values()},
    }


def channels(workspace: Workspace) -> list[View]:
    """The channels in the order in which they were made, as the list of channels shows them."""
    return [
        {
            "id": channel.id,
            "name": channel.name,
            "private": channel.private,
            "archived": channel.archived,
            "external": channel.external,
        }
        for channel in workspace.channels.values()
    ]


def people(workspace: Workspace) -> list[View]:
    """Those whom a reader of the page can be, in the order in which they came."""
    there = (user for user in workspace.users.values() if not (user.bot or user.deleted))
    return [{"id": user.id, "name": user.name} for user in there]


def views(workspace: Workspace) -> list[View]:
    """The modals that stand open, each before its `user`."""
    standing_open = (view for view in workspace.views if view.open)
    return [
        {"id": view.id, "user": view.user, "view": view.definition, "errors": dict(view.errors)}
        for view in standing_open
    ]


def standing(channel: FakeChannel) -> Iterator[FakeMessage]:
    """What a reader of the channel can see: its newest roots and their threads, oldest first, and the newest notes."""
    roots = {message.ts for message in list(_roots(channel))[-MAX_ROOTS:]}
    for message in channel.all_messages:
        if message.ts in roots or (message.thread_ts in roots and not message.deleted):
            yield message
    yield from (note for note in channel.ephemeral[-MAX_ROOTS:] if note.visible)


def message(workspace: Workspace, shown: FakeMessage) -> View:
    """One message. `incident` is the one that its metadata name, `versions` how often it was written.

    `to` is the one person who may see it; None where everybody may.
    """
    metadata = shown.metadata or {}
    payload = metadata.get("event_payload")
    incident = payload.get("incident") if isinstance(payload, Mapping) else None
    return {
        "channel": shown.channel,
        "ts": shown.ts,
        "thread": shown.thread_ts,
        "broadcast": shown.broadcast,
        "to": shown.recipient if isinstance(shown, EphemeralMessage) else None,
        "author": _author(workspace, shown),
        "bot": isinstance(shown.author, Bot),
        "text": shown.text,
        "blocks": list(shown.blocks),
        "attachments": list(shown.attachments),
        "edited": shown.edited_at is not None,
        "deleted": shown.deleted,
        "reactions": [{"name": name, "count": len(users)} for name, users in shown.reactions.items() if users],
        "incident": incident if isinstance(incident, str) else None,
        "pings": list(pings(shown)),
        "versions": len(shown.versions),
    }


def _roots(channel: FakeChannel) -> Iterator[FakeMessage]:
    return (each for each in channel.all_messages if channel.root(each.ts) is not None)


def _author(workspace: Workspace, shown: FakeMessage) -> str:
    if isinstance(shown.author, Bot):
        return shown.author.name
    return workspace.users[shown.author].name if shown.author in workspace.users else shown.author
