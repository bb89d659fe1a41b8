"""The scopes that relay's Slack app needs: the one table that ties each method that relay calls to them."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from relay.verdict import Method

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
        Method.WHO: (),
    }
)
"""Method -> the scopes of a bot token that it asks for."""

NEEDED: Final = tuple(sorted({scope for scopes in SCOPES.values() for scope in scopes}))
"""All of them."""

WITHOUT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chat:write": "nothing can be posted",
        "channels:history": "a post whose answer was lost cannot be looked for in public channels",
        "groups:history": "a post whose answer was lost cannot be looked for in private channels",
        "channels:read": "channels cannot be found by their names, nor be seen to be archived or shared",
        "groups:read": "private channels cannot be found by their names, and neither can public ones",
        "channels:join": "relay has to be invited to each public channel",
        "usergroups:read": "nobody can tell whether the user groups that routes mention exist",
    }
)
"""Scope -> what is wrong without it."""
