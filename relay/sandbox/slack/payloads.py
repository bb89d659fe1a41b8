"""The payloads that Slack sends to an app when users do something.

https://docs.slack.dev/reference/interaction-payloads and https://docs.slack.dev/reference/events/message
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from relay.sandbox.slack.apps import TEAM, TEAM_NAME, TEAM_URL
from relay.sandbox.slack.channel import EphemeralMessage, FakeChannel, FakeMessage
from relay.sandbox.slack.objects import message_object
from relay.sandbox.slack.views import FakeView
from relay.sandbox.slack.workspace import Workspace

Payload = dict[str, Any]

_TOKEN: Final = "not-to-be-relied-on"  # noqa: S105  Slack's deprecated verification token
_CLICKABLE: Final = frozenset({"button", "overflow"})
_BUTTON_KEYS: Final = ("action_id", "type", "text", "value", "url", "style")


class NoSuchElement(LookupError):
    """There is no such message, button, modal or user."""


def block_actions(  # noqa: PLR0913  who clicks where
    workspace: Workspace,
    user: str,
    channel: FakeChannel,
    message: FakeMessage,
    action_id: str,
    *,
    option: str | None = None,
) -> Payload:
    """A click: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload.

    `option` is the value of the entry that is chosen in a menu. Raises NoSuchElement where the message has no such
    button, or the menu no such entry.
    """
    attachment, block, element = _button(message, action_id)
    chosen = _chosen(element, option)
    at = workspace.timestamps.next()
    ephemeral = isinstance(message, EphemeralMessage)
    container: Payload = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    if attachment is not None:
        container |= {"type": "message_attachment", "attachment_id": attachment, "is_app_unfurl": False}
    if message.thread_ts is not None:
        container["thread_ts"] = message.thread_ts
    clicked = {key: element[key] for key in _BUTTON_KEYS if key in element}
    return {
        "type": "block_actions",
        **_context(workspace, user),
        "container": container,
        "trigger_id": workspace.triggers.issue(user, workspace.now()),
        "channel": {"id": channel.id, "name": channel.name},
        **({} if ephemeral else {"message": message_object(channel, message)}),
        "state": {"values": {}},
        "response_url": f"https://hooks.slack.com/actions/{TEAM}/{at.replace('.', '')}/sandbox",
        "actions": [{**clicked, **chosen, "block_id": block, "action_ts": at}],
    }


def _chosen(element: Payload, option: str | None) -> Payload:
    """https://docs.slack.dev/reference/block-kit/block-elements/overflow-menu-element: the entry that was chosen."""
    if element["type"] != "overflow":
        return {}
    entry = next((each for each in element["options"] if each.get("value") == option), None)
    if entry is None:
        there = ", ".join(str(each.get("value")) for each in element["options"])
        raise NoSuchElement(f"no entry {option} in the menu {element.get('action_id')}: there are {there}")
    return {"selected_option": entry}


def message_shortcut(
    workspace: Workspace, user: str, channel: FakeChannel, message: FakeMessage, callback_id: str
) -> Payload:
    """A shortcut in a message's menu: https://docs.slack.dev/reference/interaction-payloads/shortcuts-interaction-payload."""
    at = workspace.timestamps.next()
    return {
        "type": "message_action",
        **_context(workspace, user),
        "callback_id": callback_id,
        "action_ts": at,
        "trigger_id": workspace.triggers.issue(user, workspace.now()),
        "channel": {"id": channel.id, "name": _channel_name(channel)},
        "message_ts": message.ts,
        "message": message_object(channel, message),
        "response_url": f"https://hooks.slack.com/app/{TEAM}/{at.replace('.', '')}/sandbox",
    }


def slash_command(workspace: Workspace, user: str, channel: FakeChannel, command: str, text: str) -> Payload:
    """A slash command, as its form has it: https://docs.slack.dev/interactivity/implementing-slash-commands.

    Channels, people and links in the text are marked, as the app's manifest asks (`should_escape`).
    """
    context = _context(workspace, user)
    at = workspace.timestamps.next()
    return {
        "token": _TOKEN,
        "team_id": TEAM,
        "team_domain": context["team"]["domain"],
        "channel_id": channel.id,
        "channel_name": _channel_name(channel),
        "user_id": user,
        "user_name": context["user"]["name"],
        "command": command,
        "text": typed_text(workspace, text),
        "api_app_id": workspace.bot.app_id,
        "is_enterprise_install": "false",
        "response_url": f"https://hooks.slack.com/commands/{TEAM}/{at.replace('.', '')}/sandbox",
        "trigger_id": workspace.triggers.issue(user, workspace.now()),
    }


def _channel_name(channel: FakeChannel) -> str:
    if channel.id.startswith("D"):
        return "directmessage"
    return "privategroup" if channel.private else channel.name


def view_submission(workspace: Workspace, view: FakeView, state: Payload) -> Payload:
    """A submitted modal: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload."""
    return {
        "type": "view_submission",
        **_context(workspace, view.user),
        "trigger_id": workspace.triggers.issue(view.user, workspace.now()),
        "view": view.as_json(workspace.bot, state),
        "response_urls": [],
    }


def message_event(workspace: Workspace, channel: FakeChannel, message: FakeMessage, *, subtype: str = "") -> Payload:
    """The event of a new message, or with the subtypes `message_changed` and `message_deleted` of another change.

    https://docs.slack.dev/reference/events/message
    """
    shown = message_object(channel, message)
    match subtype:
        case "message_changed":
            before = {**shown, "text": message.versions[-2].text}
            event = {"subtype": subtype, "message": shown, "previous_message": before, "hidden": True}
            event |= {"type": "message", "ts": workspace.timestamps.next()}
        case "message_deleted":
            event = {"type": "message", "subtype": subtype, "previous_message": shown, "hidden": True}
            event |= {"ts": workspace.timestamps.next(), "deleted_ts": message.ts}
        case _:
            event = shown
            root = channel.find(message.thread_ts) if message.thread_ts is not None else None
            if root is not None:
                event["parent_user_id"] = root.user
            if root is not None and message.broadcast:
                event["root"] = message_object(channel, root)
    event |= {"channel": channel.id, "channel_type": "group" if channel.private else "channel"}
    event["event_ts"] = event["ts"]
    number = workspace.next_number()
    authorization = {
        "enterprise_id": None,
        "team_id": TEAM,
        "user_id": workspace.bot.user_id,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": _TOKEN,
        "team_id": TEAM,
        "context_team_id": TEAM,
        "api_app_id": workspace.bot.app_id,
        "event": event,
        "type": "event_callback",
        "event_id": f"Ev{number:09d}",
        "event_time": int(workspace.now()),
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
        "event_context": f"4-{number}",
    }


def _context(workspace: Workspace, user: str) -> Payload:
    name = workspace.users[user].name if user in workspace.users else user.lower()
    domain = TEAM_URL.removeprefix("https://").partition(".")[0]
    return {
        "user": {"id": user, "username": name, "name": name, "team_id": TEAM},
        "api_app_id": workspace.bot.app_id,
        "token": _TOKEN,
        "team": {"id": TEAM, "domain": domain, "name": TEAM_NAME},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def buttons(message: FakeMessage) -> Iterator[tuple[int | None, str, Payload]]:
    """Every button and menu of a message, with the number of its attachment (if it is in one) and its block's id."""
    places = [(None, message.blocks), *((n, each.get("blocks", ())) for n, each in enumerate(message.attachments, 1))]
    for attachment, blocks in places:
        for index, block in enumerate(blocks):
            for element in (*block.get("elements", ()), block.get("accessory")):
                if isinstance(element, dict) and element.get("type") in _CLICKABLE:
                    yield attachment, block.get("block_id", f"b{index}"), element


def _button(message: FakeMessage, action_id: str) -> tuple[int | None, str, Payload]:
    for button in buttons(message):
        if button[2].get("action_id") == action_id:
            return button
    there = ", ".join(str(each[2].get("action_id")) for each in buttons(message)) or "none at all"
    raise NoSuchElement(f"no button {action_id} in message {message.ts}: there are {there}")


# --- what users type ---

_URL: Final = re.compile(r"https?://[^\s<>]+")
_REFERENCE: Final = re.compile(r"(?<![\w@#])([@#])([\w.-]+)")


def typed_text(workspace: Workspace, text: str) -> str:
    """The mrkdwn that Slack's window makes of typed text: escaped, with mentions, channels and links marked.

    https://docs.slack.dev/messaging/formatting-message-text
    """
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    linked = _URL.sub(lambda match: f"<{match[0]}>", escaped)
    return _REFERENCE.sub(lambda match: _reference(workspace, match[1], match[2]) or match[0], linked)


def _reference(workspace: Workspace, mark: str, name: str) -> str | None:
    if mark == "#":
        channel = next((each for each in workspace.channels.values() if each.name == name), None)
        return f"<#{channel.id}|{channel.name}>" if channel else None
    if name in {"here", "channel", "everyone"}:
        return f"<!{name}>"
    user = next((each.id for each in workspace.users.values() if each.name == name), None)
    group = next((each.id for each in workspace.usergroups.values() if each.handle == name), None)
    return f"<@{user}>" if user else (f"<!subteam^{group}|@{name}>" if group else None)
