"""Who there is in the workspace: people, their groups, and the apps that post."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from relay.sandbox.slack.errors import MethodError

TEAM: Final = "T0SANDBOX"
TEAM_NAME: Final = "sandbox"
TEAM_URL: Final = "https://sandbox.slack.com/"

# What the methods here ask for (https://docs.slack.dev/reference/scopes). Not among them is chat:write.public, which
# lets an app post where it cannot read; a test that wants it grants it.
DEFAULT_SCOPES: Final = frozenset(
    [
        "channels:history",
        "channels:join",
        "channels:read",
        "chat:write",
        "groups:history",
        "groups:read",
        "reactions:write",
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
    """What a token may do. `revoked` holds the code that a revoked one is answered with.

    `app_level`: it is the app's own (xapp-...), for sockets, and no bot's.
    """

    bot: Bot
    scopes: frozenset[str]
    revoked: str | None = None
    app_level: bool = False

    def has(self, scope: str) -> bool:
        """Whether the scope was granted."""
        return scope in self.scopes

    def require(self, scope: str) -> None:
        """Raise `missing_scope` unless the scope was granted."""
        if not self.has(scope):
            raise MethodError("missing_scope", needed=scope, provided=self.scope_list())

    def scope_list(self) -> str:
        """The scopes as Slack lists them."""
        return ",".join(sorted(self.scopes))


@dataclass(slots=True, kw_only=True)
class FakeUser:
    """A person, or another app's bot; `zone` is the IANA name of where they say they are."""

    id: str
    name: str
    email: str | None = None
    timezone: str = "Etc/UTC"
    bot: bool = False
    deleted: bool = False

    def as_json(self, *, with_email: bool, now: float) -> dict[str, Any]:
        """The user object of users.info (https://docs.slack.dev/reference/objects/user-object)."""
        profile = {"real_name": self.name, "display_name": self.name}
        if with_email and self.email is not None:
            profile["email"] = self.email
        return {
            "id": self.id,
            "team_id": TEAM,
            "name": self.name,
            "real_name": self.name,
            "deleted": self.deleted,
            "is_bot": self.bot,
            "tz": self.timezone,
            "tz_offset": self._offset(now),
            "profile": profile,
        }

    def _offset(self, now: float) -> int:
        offset = datetime.fromtimestamp(now, ZoneInfo(self.timezone)).utcoffset()
        return int(offset.total_seconds()) if offset else 0


@dataclass(slots=True, kw_only=True)
class FakeUserGroup:
    """A group that can be mentioned by its handle (without the @)."""

    id: str
    handle: str
    name: str
    users: list[str] = field(default_factory=list)
    disabled: bool = False

    def as_json(self, *, with_users: bool) -> dict[str, Any]:
        """The user group object of usergroups.list."""
        group = {
            "id": self.id,
            "team_id": TEAM,
            "is_usergroup": True,
            "handle": self.handle,
            "name": self.name,
            "date_delete": int(self.disabled),
            "user_count": len(self.users),
        }
        return {**group, "users": list(self.users)} if with_users else group
