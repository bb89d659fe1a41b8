"""The state of a workspace as JSON for the page, from which `static/draw.js` draws."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from relay.sandbox.slack.apps import Bot
from relay.sandbox.slack.channel import EphemeralMessage, FakeChannel, FakeMessage
from relay.sandbox.slack.interactions import InteractiveWorkspace
from relay.sandbox.slack.mentions import pings
from relay.sandbox.slack.workspace import Workspace

State = dict[str, Any]

MAX_ROOTS: Final = 200
"""How many of a channel's newest root messages are shown; a page with all messages of a long test would be slow."""


def frame(workspace: InteractiveWorkspace) -> State:
    """Everything around the messages: names by id, the list of channels, the users that a reader can act as.

    `commands` and `shortcuts` are those that the app answers.
    """
    users = [user for user in workspace.users.values() if not (user.bot or user.deleted)]
    return {
        "channels": {channel.id: channel.name for channel in workspace.channels.values()},
        "users": {user.id: user.name for user in workspace.users.values()},
        "groups": {group.id: group.handle for group in workspace.usergroups.values()},
        "list": [
            {"id": channel.id, "name": channel.name, "archived": channel.archived}
            for channel in workspace.channels.values()
        ],
        "people": [{"id": user.id, "name": user.name} for user in users],
        "commands": sorted(workspace.commands) if workspace.interactivity else [],
        "shortcuts": sorted(workspace.shortcuts) if workspace.interactivity else [],
    }


def views(workspace: Workspace) -> list[State]:
    """The open modals, each with its `user`."""
    return [
        {"id": view.id, "user": view.user, "view": view.definition, "errors": dict(view.errors)}
        for view in workspace.views
        if view.open
    ]


def shown_messages(channel: FakeChannel) -> Iterator[FakeMessage]:
    """The newest root messages and their threads, oldest first, and the newest ephemeral messages."""
    roots = {message.ts for message in [each for each in channel.all_messages if channel.root(each.ts)][-MAX_ROOTS:]}
    for message in channel.all_messages:
        if message.ts in roots or (message.thread_ts in roots and not message.deleted):
            yield message
    yield from (message for message in channel.ephemeral[-MAX_ROOTS:] if message.visible)


def message_state(workspace: Workspace, message: FakeMessage) -> State:
    """One message. `incident` is the one in its metadata, `versions` how often it was written.

    `to` is the one person who can see it; None if everybody can.
    """
    payload = (message.metadata or {}).get("event_payload")
    incident = payload.get("incident") if isinstance(payload, Mapping) else None
    return {
        "channel": message.channel,
        "ts": message.ts,
        "thread": message.thread_ts,
        "broadcast": message.broadcast,
        "to": message.recipient if isinstance(message, EphemeralMessage) else None,
        "author": workspace.author_name(message),
        "bot": isinstance(message.author, Bot),
        "text": message.text,
        "blocks": list(message.blocks),
        "attachments": list(message.attachments),
        "edited": message.edited_at is not None,
        "deleted": message.deleted,
        "incident": incident if isinstance(incident, str) else None,
        "pings": list(pings(message)),
        "versions": len(message.versions),
    }
