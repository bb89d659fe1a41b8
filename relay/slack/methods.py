"""The methods of Slack's Web API that relay calls, with their rate limits and scopes, and what each scope is for."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

from relay.ratelimit.budgets import CHANNEL_POSTS, POSTS, SPECIAL_TIER, TIER_2, TIER_3, TIER_4, Budgets, Limit

_WRITE = ("chat:write",)
_HISTORY = ("channels:history", "groups:history")
_CHANNELS = ("channels:read", "groups:read")
_USER_GROUPS = ("usergroups:read",)
_SENDS = True


class Method(StrEnum):
    """A method by Slack's name. Its page is https://docs.slack.dev/reference/methods/NAME.

    `limit` is how often relay may call it in one workspace. `scopes` are those that the bot token needs. `sends`: it
    posts, edits or deletes a message; the other methods read, or act on something else.
    """

    limit: Limit
    scopes: tuple[str, ...]
    sends: bool

    def __new__(cls, name: str, limit: Limit, scopes: tuple[str, ...] = (), sends: bool = False) -> Self:  # noqa: D102, FBT001, FBT002  one row of the table below
        method = str.__new__(cls, name)
        method._value_ = name
        method.limit, method.scopes, method.sends = limit, scopes, sends
        return method

    # Not chat:write.public: relay could post where it may not read, and so never find its messages again.
    POST = "chat.postMessage", POSTS, _WRITE, _SENDS
    EDIT = "chat.update", TIER_3, _WRITE, _SENDS
    DELETE = "chat.delete", TIER_3, _WRITE, _SENDS
    EPHEMERAL = "chat.postEphemeral", TIER_4, _WRITE, _SENDS
    HISTORY = "conversations.history", TIER_3, _HISTORY  # one scope for public channels, one for private ones
    REPLIES = "conversations.replies", TIER_3, _HISTORY
    CHANNELS = "conversations.list", TIER_2, _CHANNELS
    CHANNEL = "conversations.info", TIER_3, _CHANNELS
    JOIN = "conversations.join", TIER_3, ("channels:join",)
    USER_GROUPS = "usergroups.list", TIER_2, _USER_GROUPS
    GROUP_MEMBERS = "usergroups.users.list", TIER_2, _USER_GROUPS
    USER = "users.info", TIER_4, ("users:read", "users:read.email")  # without the second, the answer has no e-mail
    USER_CHANNELS = "users.conversations", TIER_3, _CHANNELS
    USER_BY_EMAIL = "users.lookupByEmail", TIER_3, ("users:read.email",)
    OPEN_DIRECT = "conversations.open", TIER_3, ("im:write",)
    OPEN_VIEW = "views.open", TIER_4
    OPEN_SOCKET = "apps.connections.open", TIER_3  # its scope, connections:write, belongs to the app-level token
    AUTH_TEST = "auth.test", SPECIAL_TIER
    VALIDATE = "blocks.validate", SPECIAL_TIER
    TEAMS = "auth.teams.list", TIER_2


RATE_LIMITS: Final[Mapping[str, Limit]] = {method.value: method.limit for method in Method}
"""Method -> its rate limit."""

ACTION_SCOPES: Final = (*Method.USER.scopes, *Method.OPEN_DIRECT.scopes)
"""The scopes that only the buttons on a card need: to know who pressed one and who that is in BigPanda, and to write to
that person."""

COMMANDS_SCOPE: Final = "commands"
"""The scope of the slash command and the message shortcut (https://docs.slack.dev/reference/scopes/commands)."""

REQUIRED_SCOPES: Final = tuple(sorted({scope for method in Method for scope in method.scopes} - set(ACTION_SCOPES)))
"""The scopes that relay always needs."""

MISSING_SCOPE_EFFECTS: Final[Mapping[str, str]] = {
    "chat:write": "relay cannot post",
    "channels:history": "relay cannot find its messages in a public channel after an answer or the database is lost",
    "groups:history": "relay cannot find its messages in a private channel after an answer or the database is lost",
    "channels:read": "relay cannot find channels by name, nor see that a channel is archived or shared",
    "groups:read": "relay cannot find channels by name, neither private nor public ones",
    "channels:join": "somebody has to invite relay to each public channel",
    "commands": "people have neither the slash command nor the message shortcut",
    "users:read": "relay cannot see who pressed a button, nor their time zone",
    "users:read.email": "relay cannot find a Slack user's account in BigPanda",
    "im:write": "relay cannot tell a person by direct message that an action has failed",
    "usergroups:read": "relay cannot check that the user groups in routes.yaml exist",
}
"""Scope -> what does not work without it."""


def slack_budgets() -> Budgets:
    """Make the unspent budgets of one workspace."""
    return Budgets(limits=RATE_LIMITS, channel_limits={Method.POST: CHANNEL_POSTS})
