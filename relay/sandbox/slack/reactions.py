"""reactions.add and reactions.remove: https://docs.slack.dev/reference/methods/reactions.add."""

import re
from typing import Any, Final

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.apps import TokenGrant
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.workspace import Workspace

_NAME: Final = re.compile(r"[a-z0-9_+'-]+(::skin-tone-[2-6])?")
_TS: Final = re.compile(r"\d+\.\d{6}")


def add(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> dict[str, Any]:
    """reactions.add: once for each app and emoji."""
    users = _reactions(workspace, caller, arguments).setdefault(_name(arguments), [])
    if caller.bot.user_id in users:
        raise MethodError("already_reacted")
    users.append(caller.bot.user_id)
    return {}


def remove(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> dict[str, Any]:
    """reactions.remove: the app's own reaction."""
    reactions = _reactions(workspace, caller, arguments)
    name = _name(arguments)
    if caller.bot.user_id not in reactions.get(name, []):
        raise MethodError("no_reaction")
    reactions[name].remove(caller.bot.user_id)
    if not reactions[name]:
        del reactions[name]
    return {}


def _reactions(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> dict[str, list[str]]:
    """The reactions of the message, as emoji name -> user ids."""
    if not ("channel" in arguments and "timestamp" in arguments):
        raise MethodError("no_item_specified")
    channel = workspace.channel_by_id(caller, arguments)
    if channel.archived:
        raise MethodError("is_archived")
    if caller.bot.user_id not in channel.members:
        raise MethodError("not_in_channel")
    ts = read.required(arguments, "timestamp")
    if not _TS.fullmatch(ts):
        raise MethodError("bad_timestamp")
    message = channel.find(ts)
    if message is None:
        raise MethodError("message_not_found")
    return message.reactions


def _name(arguments: Arguments) -> str:
    name = read.text(arguments, "name") or ""
    if not _NAME.fullmatch(name):
        raise MethodError("invalid_name")
    return name
