"""The scopes that relay's Slack app needs, and what each of them is for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from relay.slack.methods import Method

ACTION_SCOPES: Final = Method.USER.scopes
"""Those that only the buttons on a card need: to know who pressed one, and who that is in BigPanda."""

REQUIRED_SCOPES: Final = tuple(sorted({scope for method in Method for scope in method.scopes} - set(ACTION_SCOPES)))
"""Those that relay always needs."""

MISSING_SCOPE_EFFECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chat:write": "relay cannot post",
        "channels:history": "relay cannot look for a message in a public channel after Slack's answer was lost",
        "groups:history": "relay cannot look for a message in a private channel after Slack's answer was lost",
        "channels:read": "relay cannot find channels by name, nor see that a channel is archived or shared",
        "groups:read": "relay cannot find channels by name, neither private nor public ones",
        "channels:join": "somebody has to invite relay to each public channel",
        "users:read": "relay cannot see who pressed a button, nor their time zone",
        "users:read.email": "relay cannot find a Slack user's account in BigPanda",
        "usergroups:read": "relay cannot check that the user groups in routes.yaml exist",
    }
)
"""Scope -> what does not work without it."""
