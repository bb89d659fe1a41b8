"""The table of methods: what each is called, which scope it asks for, and what it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack import chat, conversations, reactions
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.errors import MethodError, validation_error
from relay.sandbox.slack.users import TEAM, TEAM_NAME, TEAM_URL, TokenGrant
from relay.sandbox.slack.views import FakeView, add_missing_ids, validate_view
from relay.sandbox.slack.workspace import Workspace

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A method; where the scope depends on the channel's kind, `run` asks for it."""

    run: Callable[[Workspace, TokenGrant, Arguments], Answer]
    scope: str | None = None


def perform(workspace: Workspace, caller: TokenGrant, name: str, arguments: Arguments) -> Answer:
    """Do what a call asks for and give Slack's answer; raises `Refused`, and then nothing was done."""
    method = METHODS.get(name)
    if method is None:
        raise MethodError("unknown_method", req_method=name)
    if method.scope is not None:
        caller.require(method.scope)
    return {"ok": True, **method.run(workspace, caller, arguments)}


def _auth_test(_workspace: Workspace, caller: TokenGrant, _arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/auth.test."""
    return {
        "url": TEAM_URL,
        "team": TEAM_NAME,
        "user": caller.bot.name,
        "team_id": TEAM,
        "user_id": caller.bot.user_id,
        "bot_id": caller.bot.bot_id,
        "is_enterprise_install": False,
    }


def _look_up_by_email(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/users.lookupByEmail."""
    email = read.required(arguments, "email").lower()
    for user in workspace.users.values():
        if user.email is not None and user.email.lower() == email and not user.deleted:
            return {"user": user.as_json(with_email=True, now=workspace.now())}
    raise MethodError("users_not_found")


def _user(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/users.info."""
    user = workspace.users.get(read.required(arguments, "user"))
    if user is None:
        raise MethodError("user_not_found")
    return {"user": user.as_json(with_email=caller.has("users:read.email"), now=workspace.now())}


def _usergroups(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/usergroups.list."""
    with_disabled = read.flag(arguments, "include_disabled")
    with_users = read.flag(arguments, "include_users")
    groups = [group for group in workspace.usergroups.values() if with_disabled or not group.disabled]
    return {"usergroups": [group.as_json(with_users=with_users) for group in groups]}


def _usergroup_users(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/usergroups.users.list."""
    group = workspace.usergroups.get(read.required(arguments, "usergroup"))
    if group is None or (group.disabled and not read.flag(arguments, "include_disabled")):
        raise MethodError("no_such_subteam")
    return {"users": list(group.users)}


def _open_view(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/views.open: one modal for one trigger."""
    trigger = read.required(arguments, "trigger_id")
    shape = read.record(arguments, "view", "invalid_arguments")
    if shape is None:
        raise validation_error("invalid_arguments", ["missing required field: view"])
    validate_view(shape)
    name = shape.get("external_id")
    if name and any(view.definition.get("external_id") == name for view in workspace.views):
        raise MethodError("duplicate_external_id")
    user = workspace.triggers.exchange(trigger, workspace.now())
    view = FakeView(id=f"V{len(workspace.views) + 1:010d}", user=user, definition=add_missing_ids(shape))
    workspace.views.append(view)
    return {"view": view.as_json(caller.bot)}


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "auth.test": Method(_auth_test),
        "chat.delete": Method(chat.delete, "chat:write"),
        "chat.getPermalink": Method(chat.get_permalink),
        "chat.postEphemeral": Method(chat.post_ephemeral, "chat:write"),
        "chat.postMessage": Method(chat.post_message, "chat:write"),
        "chat.update": Method(chat.update, "chat:write"),
        "conversations.history": Method(conversations.history),
        "conversations.info": Method(conversations.info),
        "conversations.join": Method(conversations.join, "channels:join"),
        "conversations.list": Method(conversations.list_channels),
        "conversations.replies": Method(conversations.replies),
        "reactions.add": Method(reactions.add, "reactions:write"),
        "reactions.remove": Method(reactions.remove, "reactions:write"),
        "usergroups.list": Method(_usergroups, "usergroups:read"),
        "usergroups.users.list": Method(_usergroup_users, "usergroups:read"),
        "users.info": Method(_user, "users:read"),
        "users.lookupByEmail": Method(_look_up_by_email, "users:read.email"),
        "views.open": Method(_open_view),
    }
)
