"""The values in a `Read`: who relay is, channels, messages with their markers, users and user groups, pages.

Each function accepts any body, leaves out what has not the shape that Slack documents, and raises nothing. Text has no
control characters (the session removes them) and is cut to what Slack allows. Ids, addresses and numbers are checked,
since links, budgets and time zones are made of them.
"""

import re
from dataclasses import dataclass

from relay.http.json_fields import JsonObject, object_field, objects_field, text_field
from relay.slack.classify import is_ts
from relay.slack.message import Marker
from relay.slack.outcomes import Read

MAX_TEXT = 255
"""Characters of a name or an address; Slack allows 80 for most, and 254 for an e-mail address."""

MAX_MEMBERS = 20_000
"""The most users of a user group that relay reads."""

_ID = re.compile(r"[A-Z0-9]{1,32}", re.ASCII)
_URL = re.compile(r"https?://[a-z0-9.-]+(:\d+)?/?", re.ASCII | re.IGNORECASE)
_LARGEST_OFFSET = 24 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who relay is in the workspace, and the scopes of its token (https://docs.slack.dev/reference/methods/auth.test).

    `team_id` is that of the workspace (`T...`), for an org-wide token that of the organisation (`E...`).
    `bot_id` is in every message that the bot posts. It is empty for a user's token.
    """

    team_id: str
    team: str
    url: str
    bot_id: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelInfo:
    """A channel (https://docs.slack.dev/reference/objects/conversation-object).

    `external`: it is shared with another organisation, or about to be.
    """

    id: str
    name: str = ""
    private: bool = False
    member: bool = False
    archived: bool = False
    external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMessage:
    """A message of a channel or a thread.

    `marker` is in its metadata, where any app can write one; `bot_id` is the bot that posted it. `replies` counts the
    thread below. `deleted`: the message is gone and only its place is left, because it has replies.
    """

    ts: str
    thread_ts: str = ""
    marker: Marker | None = None
    bot_id: str = ""
    replies: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """A user (https://docs.slack.dev/reference/objects/user-object).

    `name` is what people see. `email` is empty without the scope users:read.email. `time_zone` is an IANA name,
    `utc_offset` its present offset in seconds. `deactivated`: the account is closed. `guest`: the person sees only the
    channels that they are in.
    """

    id: str
    name: str = ""
    email: str = ""
    time_zone: str = ""
    utc_offset: int = 0
    deactivated: bool = False
    guest: bool = False


def identity_of(read: Read) -> Identity:
    """Return the identity in auth.test; a missing field is empty."""
    url = text_field(read.body, "url")
    return Identity(
        team_id=_id(read.body, "team_id") or _id(read.body, "enterprise_id"),
        team=_text(read.body, "team"),
        url=url if _URL.fullmatch(url) else "",
        bot_id=_id(read.body, "bot_id"),
        scopes=read.scopes,
    )


def teams_of(read: Read) -> dict[str, str]:
    """Return the names of the workspaces in auth.teams.list, by their ids."""
    return _by_id(read, "teams", "name")


def channel_of(read: Read) -> ChannelInfo | None:
    """Return the channel in conversations.info or conversations.join, or None."""
    return _channel(object_field(read.body, "channel"))


def channels_of(read: Read) -> tuple[ChannelInfo, ...]:
    """Return one page of a list of channels. A short page is not always the last one (`cursor_of`)."""
    channels = (_channel(entry) for entry in objects_field(read.body, "channels"))
    return tuple(channel for channel in channels if channel is not None)


def messages_of(read: Read) -> tuple[FoundMessage, ...]:
    """Return one page of conversations.history or conversations.replies, in Slack's order."""
    return tuple(
        FoundMessage(
            ts=text_field(entry, "ts"),
            thread_ts=thread_ts if is_ts(thread_ts := text_field(entry, "thread_ts")) else "",
            bot_id=_id(entry, "bot_id"),
            marker=Marker.from_metadata(object_field(entry, "metadata")),
            replies=replies if isinstance(replies := entry.get("reply_count"), int) else 0,
            deleted=entry.get("subtype") == "tombstone",
        )
        for entry in objects_field(read.body, "messages")
        if is_ts(text_field(entry, "ts"))
    )


def user_groups_of(read: Read) -> dict[str, str]:
    """Return the handles of the user groups in usergroups.list, by the groups' ids."""
    return _by_id(read, "usergroups", "handle")


def _by_id(read: Read, name: str, field: str) -> dict[str, str]:
    entries = objects_field(read.body, name)
    return {_id(entry, "id"): _text(entry, field) for entry in entries if _id(entry, "id")}


def user_of(read: Read) -> SlackUser | None:
    """Return the user in users.info, or None."""
    user = object_field(read.body, "user")
    profile = object_field(user, "profile")
    display_name, real_name = _text(profile, "display_name"), _text(profile, "real_name")
    names = (display_name, real_name, _text(user, "real_name"), _text(user, "name"))
    offset = user.get("tz_offset")
    if not _id(user, "id"):
        return None
    return SlackUser(
        id=_id(user, "id"),
        name=next(filter(None, names), ""),
        email=_text(profile, "email"),
        deactivated=user.get("deleted") is True,
        guest=user.get("is_restricted") is True or user.get("is_ultra_restricted") is True,
        time_zone=_text(user, "tz"),
        utc_offset=offset if type(offset) is int and abs(offset) < _LARGEST_OFFSET else 0,
    )


def members_of(read: Read) -> tuple[str, ...]:
    """Return the ids of a group's users, from usergroups.users.list: the first `MAX_MEMBERS`."""
    return _users(read.body)


def members_by_group(read: Read) -> dict[str, tuple[str, ...]]:
    """Return the ids of each group's users, by the groups' ids, from usergroups.list with users."""
    groups = objects_field(read.body, "usergroups")
    return {_id(group, "id"): _users(group) for group in groups if _id(group, "id") and "users" in group}


def _users(source: JsonObject) -> tuple[str, ...]:
    users = source.get("users")
    first = users[:MAX_MEMBERS] if isinstance(users, list) else []
    return tuple(user for user in first if isinstance(user, str) and _ID.fullmatch(user))


def socket_url_of(read: Read) -> str:
    """Return the URL in apps.connections.open (ws: or wss:), which is good for one connection; empty without one."""
    url = text_field(read.body, "url")
    return url if url.startswith(("wss://", "ws://")) else ""


def cursor_of(read: Read) -> str | None:
    """Return where the next page begins; None after the last (https://docs.slack.dev/apis/web-api/pagination)."""
    return text_field(object_field(read.body, "response_metadata"), "next_cursor") or None


def _id(entry: JsonObject, name: str) -> str:
    """Return an id, as of a channel, a user or a team; empty if the field is none."""
    value = text_field(entry, name)
    return value if _ID.fullmatch(value) else ""


def _text(entry: JsonObject, name: str) -> str:
    """Return a name, on one line."""
    return " ".join(text_field(entry, name)[:MAX_TEXT].split())


def _channel(entry: JsonObject) -> ChannelInfo | None:
    if not _id(entry, "id"):
        return None
    return ChannelInfo(
        id=_id(entry, "id"),
        name=_text(entry, "name"),
        private=entry.get("is_private") is True,
        member=entry.get("is_member") is True,
        archived=entry.get("is_archived") is True,
        external=entry.get("is_ext_shared") is True or entry.get("is_pending_ext_shared") is True,
    )
