"""The table of Web API methods: each one's name, the scope that it needs, and its function."""

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack import chat, conversations
from relay.sandbox.slack.apps import ORGANISATION, TEAM, TEAM_NAME, TEAM_URL, TokenGrant
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.errors import MethodError, validation_error
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.views import FakeView, add_missing_ids, validate_view
from relay.sandbox.slack.workspace import Workspace

Answer = dict[str, Any]


class WebMethod(NamedTuple):
    """A method. Where the scope depends on the type of the channel, `run` requires it."""

    run: Callable[[Workspace, TokenGrant, Arguments], Answer]
    scope: str | None = None


def perform(workspace: Workspace, caller: TokenGrant, name: str, arguments: Arguments) -> Answer:
    """Run a method and give Slack's answer; raises `MethodError`, and then nothing was changed."""
    method = METHODS.get(name)
    if method is None:
        raise MethodError("unknown_method", req_method=name)
    if caller.org_wide and name in _NEED_TEAM:
        _check_team(arguments)
    if method.scope is not None:
        caller.require(method.scope)
    return {"ok": True, **method.run(workspace, caller, arguments)}


def _auth_test(_workspace: Workspace, caller: TokenGrant, _arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/auth.test."""
    return {
        "url": TEAM_URL,
        "team": TEAM_NAME,
        "user": caller.bot.name,
        **({"enterprise_id": ORGANISATION} if caller.org_wide else {"team_id": TEAM}),
        "user_id": caller.bot.user_id,
        "bot_id": caller.bot.bot_id,
        "is_enterprise_install": caller.org_wide,
    }


def _auth_teams_list(workspace: Workspace, _caller: TokenGrant, _arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/auth.teams.list."""
    return {"teams": [{"id": team, "name": name} for team, name in workspace.teams.items()]}


def _check_team(arguments: Arguments) -> None:
    """https://api.slack.com/enterprise/apps/changes-apis: an org-wide token must say which workspace."""
    if not (team := read.text(arguments, "team_id")):
        raise validation_error("missing_argument", ["missing required field: team_id"])
    if team != TEAM:
        raise MethodError("team_access_not_granted")


def _users_info(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/users.info."""
    user = workspace.users.get(read.required(arguments, "user"))
    if user is None:
        raise MethodError("user_not_found")
    return {"user": user.as_json(with_email="users:read.email" in caller.scopes, now=workspace.now())}


def _users_lookup_by_email(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/users.lookupByEmail: a user who is not deactivated."""
    email = read.required(arguments, "email").casefold()
    users = (user for user in workspace.users.values() if (user.email or "").casefold() == email and not user.deleted)
    if (user := next(users, None)) is None:
        raise MethodError("users_not_found")
    return {"user": user.as_json(with_email=True, now=workspace.now())}


def _usergroups_list(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/usergroups.list."""
    with_disabled = read.flag(arguments, "include_disabled")
    with_users = read.flag(arguments, "include_users")
    groups = [group for group in workspace.usergroups.values() if with_disabled or not group.disabled]
    return {"usergroups": [group.as_json(with_users=with_users) for group in groups]}


def _usergroups_users_list(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/usergroups.users.list."""
    group = workspace.usergroups.get(read.required(arguments, "usergroup"))
    if group is None or (group.disabled and not read.flag(arguments, "include_disabled")):
        raise MethodError("no_such_subteam")
    return {"users": list(group.users)}


def _views_open(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/views.open: one modal for one trigger."""
    trigger = read.required(arguments, "trigger_id")
    definition = read.record(arguments, "view", "invalid_arguments")
    if definition is None:
        raise validation_error("invalid_arguments", ["missing required field: view"])
    validate_view(definition)
    external_id = definition.get("external_id")
    if external_id and any(view.definition.get("external_id") == external_id for view in workspace.views):
        raise MethodError("duplicate_external_id")
    user = workspace.triggers.exchange(trigger, workspace.now())
    view = FakeView(id=f"V{len(workspace.views) + 1:010d}", user=user, definition=add_missing_ids(definition))
    workspace.views.append(view)
    return {"view": view.as_json(caller.bot)}


_POINTER: Final = re.compile(r"(?P<message>.*?) \[json-pointer:(?P<pointer>[^\]]*)\]")


def _blocks_validate(_workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """https://docs.slack.dev/reference/methods/blocks.validate: one payload, as JSON in a text."""
    given = {name: text for name in ("blocks", "message", "view") if (text := read.text(arguments, name))}
    if len(given) != 1:
        raise MethodError("invalid_arguments")
    [(name, text)] = given.items()
    try:
        payload = json.loads(text)
    except ValueError as error:
        raise MethodError("invalid_arguments") from error
    try:
        if name == "view":
            validate_view(payload)
        else:
            _validate_message({"blocks": payload} if name == "blocks" else payload)
    except MethodError as error:
        raise MethodError(f"invalid_{name}", errors=[_located(each) for each in error.answer["errors"]]) from error
    return {}


def _validate_message(payload: Any) -> None:
    if not isinstance(payload, dict) or (unknown := set(payload) - {"blocks", "attachments"}):
        wrong = f"unknown field: {min(unknown)}" if isinstance(payload, dict) else "must be an object"
        raise validation_error("invalid_message", [f"{wrong} [json-pointer:/]"])
    blocks, attachments = payload.get("blocks", []), payload.get("attachments", [])
    validate_content(MessageContent(text="-", blocks=tuple(blocks), attachments=tuple(attachments)))


def _located(message: str) -> dict[str, str]:
    found = _POINTER.fullmatch(message)
    parts = found.groupdict() if found else {"message": message, "pointer": ""}
    return {"code": "failed_constraint", **parts}


_NEED_TEAM: Final = frozenset({"conversations.list", "usergroups.list", "usergroups.users.list", "users.conversations"})

METHODS: Final[Mapping[str, WebMethod]] = MappingProxyType(
    {
        "auth.teams.list": WebMethod(_auth_teams_list),
        "auth.test": WebMethod(_auth_test),
        "blocks.validate": WebMethod(_blocks_validate),
        "chat.delete": WebMethod(chat.delete, "chat:write"),
        "chat.postEphemeral": WebMethod(chat.post_ephemeral, "chat:write"),
        "chat.postMessage": WebMethod(chat.post_message, "chat:write"),
        "chat.update": WebMethod(chat.update, "chat:write"),
        "conversations.history": WebMethod(conversations.history),
        "conversations.info": WebMethod(conversations.info),
        "conversations.join": WebMethod(conversations.join, "channels:join"),
        "conversations.list": WebMethod(conversations.list_channels),
        "conversations.open": WebMethod(conversations.open_direct, "im:write"),
        "conversations.replies": WebMethod(conversations.replies),
        "usergroups.list": WebMethod(_usergroups_list, "usergroups:read"),
        "usergroups.users.list": WebMethod(_usergroups_users_list, "usergroups:read"),
        "users.conversations": WebMethod(conversations.list_of_user),
        "users.info": WebMethod(_users_info, "users:read"),
        "users.lookupByEmail": WebMethod(_users_lookup_by_email, "users:read.email"),
        "views.open": WebMethod(_views_open),
    }
)
