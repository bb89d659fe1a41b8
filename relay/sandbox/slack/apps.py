"""The installed apps of a workspace: bots, tokens and their scopes; and the workspace's own name."""

from dataclasses import dataclass
from typing import Any, Final

from relay.sandbox.slack.errors import MethodError

TEAM: Final = "T0SANDBOX"
ORGANISATION: Final = "E0SANDBOX"
TEAM_NAME: Final = "sandbox"
TEAM_URL: Final = "https://sandbox.slack.com/"

# What the methods here need (https://docs.slack.dev/reference/scopes). Not among them is chat:write.public, which lets
# an app post where it cannot read; a test that needs it grants it.
DEFAULT_SCOPES: Final = frozenset(
    [
        "channels:history",
        "channels:join",
        "channels:read",
        "chat:write",
        "commands",
        "groups:history",
        "groups:read",
        "im:write",
        "usergroups:read",
        "users:read",
        "users:read.email",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """An installed app, as its messages show it."""

    user_id: str = "U0RELAYBOT"
    bot_id: str = "B0RELAYBOT"
    app_id: str = "A0RELAYAPP"
    name: str = "relay"

    def profile(self) -> dict[str, Any]:
        """`bot_profile` of a message."""
        return {
            "id": self.bot_id,
            "app_id": self.app_id,
            "user_id": self.user_id,
            "name": self.name,
            "team_id": TEAM,
            "deleted": False,
        }


@dataclass(slots=True, kw_only=True)
class TokenGrant:
    """What a token may do. `revoked` is the error code that a revoked token gets.

    `app_level`: an app's own token (xapp-...) for Socket Mode, not a bot's. `org_wide`: it is for all workspaces of an
    organisation (Enterprise Grid).
    """

    bot: Bot
    scopes: frozenset[str]
    revoked: str | None = None
    app_level: bool = False
    org_wide: bool = False

    def require(self, scope: str) -> None:
        """Raise `missing_scope` unless the scope was granted."""
        if scope not in self.scopes:
            raise MethodError("missing_scope", needed=scope, provided=self.scope_list())

    def scope_list(self) -> str:
        """The scopes as Slack lists them."""
        return ",".join(sorted(self.scopes))
