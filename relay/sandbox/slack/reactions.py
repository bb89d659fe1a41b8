"""reactions.add and reactions.remove: https://docs.slack.dev/reference/methods/reactions.add."""

import re
from typing import Any, Final

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.channel import Message
from relay.sandbox.slack.conversations import seen
from relay.sandbox.slack.users import Grant
from relay.sandbox.slack.errors import Refused
from relay.sandbox.slack.workspace import Workspace

_NAME: Final = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")
_TS: Final = re.compile(r"\d+\.\d{6}")


def add(workspace: Workspace, caller: Grant, arguments: Arguments) -> dict[str, Any]:
    """reactions.add: once for each app and emoji."""
    users = _reacted(workspace, caller, arguments).setdefault(_name(arguments), [])
    if caller.bot.user in users:
        raise Refused("already_reacted")
    users.append(caller.bot.user)
    return {}


def remove(workspace: Workspace, caller: Grant, arguments: Arguments) -> dict[str, Any]:
    """reactions.remove: the app's own reaction."""
    reactions = _reacted(workspace, caller, arguments)
    name = _name(arguments)
    if caller.bot.user not in reactions.get(name, []):
        raise Refused("no_reaction")
    reactions[name].remove(caller.bot.user)
    if not reactions[name]:
        del reactions[name]
    return {}


def _reacted(workspace: Workspace, caller: Grant, arguments: Arguments) -> dict[str, list[str]]:
    return _message(workspace, caller, arguments).reactions


def _message(workspace: Workspace, caller: Grant, arguments: Arguments) -> Message:
    if not ("channel" in arguments and "timestamp" in arguments):
        raise Refused("no_item_specified")
    channel = seen(workspace, caller, read.required(arguments, "channel"))
    if channel.archived:
        raise Refused("is_archived")
    if caller.bot.user not in channel.members:
        raise Refused("not_in_channel")
    ts = read.required(arguments, "timestamp")
    if not _TS.fullmatch(ts):
        raise Refused("bad_timestamp")
    message = channel.find(ts)
    if message is None:
        raise Refused("message_not_found")
    return message


def _name(arguments: Arguments) -> str:
    name = read.text(arguments, "name") or ""
    if not _NAME.fullmatch(name):
        raise Refused("invalid_name")
    return name
