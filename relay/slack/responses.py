"""The values in a `Read`: who relay is, channels, messages with their markers, users and user groups, pages.

Each function accepts any body, leaves out what has not the shape that Slack documents, and raises nothing.
"""

from dataclasses import dataclass

from relay.http.json_fields import JsonObject, object_field, objects_field, text_field
from relay.slack.outcomes import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who relay is in the workspace, and the scopes of its token (https://docs.slack.dev/reference/methods/auth.test)."""

    team_id: str
    team: str
    url: str
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

    `key` is that of relay's marker, empty without one. `replies` counts the thread below. `deleted`: the message is
    gone and only its place is left, because it has replies.
    """

    ts: str
    thread_ts: str = ""
    key: str = ""
    replies: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """A user (https://docs.slack.dev/reference/objects/user-object).

    `name` is what people see. `email` is empty without the scope users:read.email. `time_zone` is an IANA name,
    `utc_offset` its present offset in seconds.
    """

    id: str
    name: str = ""
    email: str = ""
    time_zone: str = ""
    utc_offset: int = 0


def identity_of(read: Read) -> Identity:
    """Return the identity in auth.test; a missing field is empty."""
    names = ("team_id", "team", "url")
    return Identity(**{name: text_field(read.body, name) for name in names}, scopes=read.scopes)


def channel_of(read: Read) -> ChannelInfo | None:
    """Return the channel in conversations.info or conversations.join, or None."""
    return _channel(object_field(read.body, "channel"))


def channels_of(read: Read) -> tuple[ChannelInfo, ...]:
    """Return one page of conversations.list. A short page is not always the last one (`cursor_of`)."""
    channels = (_channel(entry) for entry in objects_field(read.body, "channels"))
    return tuple(channel for channel in channels if channel is not None)


def messages_of(read: Read) -> tuple[FoundMessage, ...]:
    """Return one page of conversations.history or conversations.replies, in Slack's order."""
    return tuple(
        FoundMessage(
            ts=text_field(entry, "ts"),
            thread_ts=text_field(entry, "thread_ts"),
            key=text_field(object_field(object_field(entry, "metadata"), "event_payload"), "key"),
            replies=replies if isinstance(replies := entry.get("reply_count"), int) else 0,
            deleted=entry.get("subtype") == "tombstone",
        )
        for entry in objects_field(read.body, "messages")
        if text_field(entry, "ts")
    )


def user_groups_of(read: Read) -> dict[str, str]:
    """Return the handles of the user groups in usergroups.list, by the groups' ids."""
    groups = objects_field(read.body, "usergroups")
    return {text_field(group, "id"): text_field(group, "handle") for group in groups if text_field(group, "id")}


def user_of(read: Read) -> SlackUser | None:
    """Return the user in users.info, or None."""
    user = object_field(read.body, "user")
    profile = object_field(user, "profile")
    display_name, real_name = text_field(profile, "display_name"), text_field(profile, "real_name")
    names = (display_name, real_name, text_field(user, "real_name"), text_field(user, "name"))
    offset = user.get("tz_offset")
    if not text_field(user, "id"):
        return None
    return SlackUser(
        id=text_field(user, "id"),
        name=next((name.strip() for name in names if name.strip()), ""),
        email=text_field(profile, "email"),
        time_zone=text_field(user, "tz"),
        utc_offset=offset if type(offset) is int else 0,
    )


def members_of(read: Read) -> tuple[str, ...]:
    """Return the ids of a group's users, from usergroups.users.list."""
    users = read.body.get("users")
    return tuple(user for user in users if isinstance(user, str) and user) if isinstance(users, list) else ()


def socket_url_of(read: Read) -> str:
    """Return the URL in apps.connections.open (ws: or wss:), which is good for one connection; empty without one."""
    url = text_field(read.body, "url")
    return url if url.startswith(("wss://", "ws://")) else ""


def cursor_of(read: Read) -> str | None:
    """Return where the next page begins; None after the last (https://docs.slack.dev/apis/web-api/pagination)."""
    return text_field(object_field(read.body, "response_metadata"), "next_cursor") or None


def _channel(entry: JsonObject) -> ChannelInfo | None:
    if not text_field(entry, "id"):
        return None
    return ChannelInfo(
        id=text_field(entry, "id"),
        name=text_field(entry, "name"),
        private=entry.get("is_private") is True,
        member=entry.get("is_member") is True,
        archived=entry.get("is_archived") is True,
        external=entry.get("is_ext_shared") is True or entry.get("is_pending_ext_shared") is True,
    )
