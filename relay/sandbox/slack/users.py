"""The users and user groups of a workspace."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from relay.sandbox.slack.apps import TEAM


@dataclass(slots=True, kw_only=True)
class FakeUser:
    """A person, or another app's bot; `timezone` is the IANA name in the user's profile."""

    id: str
    name: str
    email: str | None = None
    timezone: str = "Etc/UTC"
    bot: bool = False
    deleted: bool = False
    guest: bool = False

    def as_json(self, *, with_email: bool, now: float) -> dict[str, Any]:
        """The user object of users.info (https://docs.slack.dev/reference/objects/user-object)."""
        profile = {"real_name": self.name, "display_name": self.name}
        if with_email and self.email is not None:
            profile["email"] = self.email
        offset = datetime.fromtimestamp(now, ZoneInfo(self.timezone)).utcoffset()
        return {
            "id": self.id,
            "team_id": TEAM,
            "name": self.name,
            "real_name": self.name,
            "deleted": self.deleted,
            "is_bot": self.bot,
            "is_restricted": self.guest,
            "is_ultra_restricted": False,
            "tz": self.timezone,
            "tz_offset": int(offset.total_seconds()) if offset else 0,
            "profile": profile,
        }


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
