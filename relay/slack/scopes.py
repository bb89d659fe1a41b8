"""The scopes that relay's Slack app needs: the one table that ties each method that relay calls to them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from relay.slack.outcomes import Method

SCOPES: Final[Mapping[Method, tuple[str, ...]]] = MappingProxyType(
    {
        # https://docs.slack.dev/reference/methods/chat.postMessage and its neighbours. Not chat:write.public, which
        # would let relay post where it may not read: what it cannot read it cannot check.
        Method.POST: ("chat:write",),
        Method.EDIT: ("chat:write",),
        Method.DELETE: ("chat:write",),
        Method.PERMALINK: (),
        # https://docs.slack.dev/reference/methods/conversations.history: one scope for each kind of channel
        Method.HISTORY: ("channels:history", "groups:history"),
        Method.REPLIES: ("channels:history", "groups:history"),
        Method.CHANNELS: ("channels:read", "groups:read"),
        Method.CHANNEL: ("channels:read", "groups:read"),
        Method.JOIN: ("channels:join",),
        Method.USER_GROUPS: ("usergroups:read",),
        Method.GROUP_MEMBERS: ("usergroups:read",),
        # https://docs.slack.dev/reference/methods/users.info: the e-mail address is there by the second alone
        Method.USER: ("users:read", "users:read.email"),
        # https://docs.slack.dev/reference/methods/views.open and .../chat.postEphemeral
        Method.OPEN_VIEW: (),
        Method.EPHEMERAL: ("chat:write",),
        Method.OPEN_SOCKET: (),  # connections:write is of the app-level token, and no bot has it
        Method.AUTH_TEST: (),
    }
)
"""Method -> the scopes of a bot token that it asks for."""

ACTION_SCOPES: Final = SCOPES[Method.USER]
"""Those that only the buttons on a card need: who pressed one, and who that is in BigPanda."""

REQUIRED_SCOPES: Final = tuple(sorted({scope for scopes in SCOPES.values() for scope in scopes} - set(ACTION_SCOPES)))
"""Those that relay needs in any case."""

MISSING_SCOPE_EFFECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chat:write": "nothing can be posted",
        "channels:history": "a post whose answer was lost cannot be looked for in public channels",
        "groups:history": "a post whose answer was lost cannot be looked for in private channels",
        "channels:read": "channels cannot be found by their names, nor be seen to be archived or shared",
        "groups:read": "private channels cannot be found by their names, and neither can public ones",
        "channels:join": "relay has to be invited to each public channel",
        "users:read": "nobody can tell who pressed a button, nor what their time of day is",
        "users:read.email": "nobody can tell who a person in Slack is in BigPanda",
        "usergroups:read": "nobody can tell whether the user groups that routes mention exist",
    }
)
"""Scope -> what is wrong without it."""
