"""What a `Read` tells, as values: who relay is, channels, messages with their markers, people and their groups, pages.

Each function takes any body and leaves out what is not of the shape that Slack documents; none raises.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay.slack.outcomes import Body, Read


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who relay is in the workspace, and what its token may do (https://docs.slack.dev/reference/methods/auth.test)."""

    bot_id: str
    user_id: str
    team_id: str
    team: str
    url: str
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelInfo:
    """What Slack says of a channel (https://docs.slack.dev/reference/objects/conversation-object)."""

    id: str
    name: str = ""
    private: bool = False
    member: bool = False
    archived: bool = False
    external: bool = False
    """Shared with another organisation, or about to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMessage:
    """A message of a channel or a thread, as far as relay knows its own by it.

    `event_type`, `incident` and `key` are the marker, empty on messages without one. `replies` counts the thread below.
    `deleted`: only the place of a deleted message is left, since it has replies.
    """

    ts: str
    thread_ts: str = ""
    bot_id: str = ""
    event_type: str = ""
    incident: str = ""
    key: str = ""
    replies: int = 0
    deleted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UserGroup:
    """A group of users that can be mentioned (https://docs.slack.dev/reference/objects/usergroup-object)."""

    id: str
    handle: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackUser:
    """Somebody in the workspace (https://docs.slack.dev/reference/objects/user-object).

    `name` is what people see; `email` is empty without the scope users:read.email. `zone` is an IANA name, `offset` its
    present distance from UTC in seconds; a bot is none to act.
    """

    id: str
    name: str = ""
    email: str = ""
    time_zone: str = ""
    utc_offset: int = 0
    is_bot: bool = False


def identity_of(read: Read) -> Identity:
    """The answer of auth.test; a field that Slack left out is empty."""
    told = read.body
    return Identity(
        bot_id=_text(told, "bot_id"),
        user_id=_text(told, "user_id"),
        team_id=_text(told, "team_id"),
        team=_text(told, "team"),
        url=_text(told, "url"),
        scopes=read.scopes,
    )


def channel_of(read: Read) -> ChannelInfo | None:
    """The channel of conversations.info or conversations.join; None where the answer holds none."""
    told = read.body.get("channel")
    return _channel(told) if isinstance(told, Mapping) and _text(told, "id") else None


def channels_of(read: Read) -> tuple[ChannelInfo, ...]:
    """One page of conversations.list. A short page is no last page: `cursor_of` says whether more follow."""
    return tuple(_channel(told) for told in _objects(read.body, "channels") if _text(told, "id"))


def messages_of(read: Read) -> tuple[FoundMessage, ...]:
    """One page of conversations.history or conversations.replies, in Slack's order."""
    return tuple(_seen(told) for told in _objects(read.body, "messages") if _text(told, "ts"))


def user_groups_of(read: Read) -> tuple[UserGroup, ...]:
    """The groups of usergroups.list."""
    return tuple(
        UserGroup(id=_text(told, "id"), handle=_text(told, "handle"), name=_text(told, "name"))
        for told in _objects(read.body, "usergroups")
        if _text(told, "id")
    )


def user_of(read: Read) -> SlackUser | None:
    """The user of users.info; None where the answer holds none."""
    told = _object(read.body, "user")
    profile = _object(told, "profile")
    names = (_text(profile, "display_name"), _text(profile, "real_name"), _text(told, "real_name"), _text(told, "name"))
    offset = told.get("tz_offset")
    if not _text(told, "id"):
        return None
    return SlackUser(
        id=_text(told, "id"),
        name=next((name.strip() for name in names if name.strip()), ""),
        email=_text(profile, "email"),
        time_zone=_text(told, "tz"),
        utc_offset=offset if type(offset) is int else 0,
        is_bot=told.get("is_bot") is True,
    )


def members_of(read: Read) -> tuple[str, ...]:
    """The ids of the users of a group, from usergroups.users.list."""
    told = read.body.get("users")
    return tuple(user for user in told if isinstance(user, str) and user) if isinstance(told, list) else ()


def socket_url_of(read: Read) -> str:
    """The address of apps.connections.open (ws: or wss:), good for one connection; empty where there is none."""
    address = _text(read.body, "url")
    return address if address.startswith(("wss://", "ws://")) else ""


def permalink_of(read: Read) -> str:
    """The address of chat.getPermalink; empty where the answer holds none."""
    return _text(read.body, "permalink")


def cursor_of(read: Read) -> str | None:
    """Where the next page begins; None after the last (https://docs.slack.dev/apis/web-api/pagination)."""
    about = read.body.get("response_metadata")
    return _text(about, "next_cursor") or None if isinstance(about, Mapping) else None


def _channel(told: Body) -> ChannelInfo:
    return ChannelInfo(
        id=_text(told, "id"),
        name=_text(told, "name"),
        private=told.get("is_private") is True,
        member=told.get("is_member") is True,
        archived=told.get("is_archived") is True,
        external=told.get("is_ext_shared") is True or told.get("is_pending_ext_shared") is True,
    )


def _seen(told: Body) -> FoundMessage:
    metadata = _object(told, "metadata")
    marker = _object(metadata, "event_payload")
    replies = told.get("reply_count")
    return FoundMessage(
        ts=_text(told, "ts"),
        thread_ts=_text(told, "thread_ts"),
        bot_id=_text(told, "bot_id"),
        event_type=_text(metadata, "event_type"),
        incident=_text(marker, "incident"),
        key=_text(marker, "key"),
        replies=replies if isinstance(replies, int) else 0,
        deleted=told.get("subtype") == "tombstone",
    )


def _object(told: Body, name: str) -> Body:
    value = told.get(name)
    return value if isinstance(value, Mapping) else {}


def _objects(told: Body, name: str) -> Iterator[Body]:
    value: Any = told.get(name)
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _text(told: Body, name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""
