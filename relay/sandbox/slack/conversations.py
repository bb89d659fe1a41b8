"""The conversations.* methods: https://docs.slack.dev/reference/methods/conversations.history and its neighbours."""

import base64
import binascii
import operator
from collections.abc import Callable, Sequence
from itertools import dropwhile
from typing import Any, Final, TypeVar

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.apps import TokenGrant
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.channel import FakeChannel, FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.objects import channel_object, message_object
from relay.sandbox.slack.workspace import Workspace

Answer = dict[str, Any]
_Item = TypeVar("_Item")
_Order = Callable[[str, str], bool]
"""Whether a page that starts at the second key has been reached at the first."""

_TYPES: Final = {"public_channel": "channels", "private_channel": "groups"}
_FOR_EVER: Final = 2**62
_DIGITS: Final = 20  # a ts padded to this length compares as text in the order of its number


def history(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.history: what the channel itself shows, newest first."""
    channel = _readable(workspace, caller, arguments)
    shown = filter(_is_returned(workspace, arguments), channel.visible_messages())
    return _messages(channel, list(shown), operator.le, arguments, read.integer(arguments, "limit", 100, 999))


def replies(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.replies: a thread, by the ts of its root or of any reply; the root first, then oldest first."""
    channel = _readable(workspace, caller, arguments)
    ts = read.required(arguments, "ts")
    message = channel.find(ts)
    root = channel.root((message and message.thread_ts) or ts)
    if root is None or not _is_old_enough(workspace, root):
        raise MethodError("thread_not_found")
    thread = [root, *filter(_is_returned(workspace, arguments), channel.thread(root.ts))]
    return _messages(channel, thread, operator.ge, arguments, read.integer(arguments, "limit", 1000, 1000))


def list_channels(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.list: archived channels are removed after the page was cut, so short pages are normal."""
    page, cursor = _listed(workspace, caller, arguments, lambda _channel: True)
    return {
        "channels": [channel_object(channel, caller.bot.user_id) for channel in page],
        "response_metadata": {"next_cursor": cursor},
    }


def list_of_user(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """users.conversations: the channels that a user is in, private ones only where the app is a member, too.

    https://docs.slack.dev/reference/methods/users.conversations: without `is_member`.
    """
    user = read.text(arguments, "user") or caller.bot.user_id
    if user != caller.bot.user_id and user not in workspace.users:
        raise MethodError("user_not_found")
    page, cursor = _listed(workspace, caller, arguments, lambda channel: user in channel.members)
    found = [channel_object(channel, caller.bot.user_id) for channel in page]
    return {
        "channels": [{name: value for name, value in each.items() if name != "is_member"} for each in found],
        "response_metadata": {"next_cursor": cursor},
    }


def _listed(
    workspace: Workspace, caller: TokenGrant, arguments: Arguments, is_wanted: Callable[[FakeChannel], bool]
) -> tuple[list[FakeChannel], str]:
    """A page of the channels that the app can see, and the cursor of the next one."""
    types = (read.text(arguments, "types") or "public_channel").split(",")
    if not set(types) <= _TYPES.keys():
        raise MethodError("invalid_types")
    for each in types:
        caller.require(f"{_TYPES[each]}:read")
    channels = [
        channel
        for channel in filter(is_wanted, workspace.channels.values())
        if (channel.private and caller.bot.user_id in channel.members and "private_channel" in types)
        or (not channel.private and "public_channel" in types)
    ]
    limit = read.integer(arguments, "limit", 100, 999)
    page, cursor = _page(channels, lambda channel: channel.id, operator.eq, arguments, limit)
    if read.flag(arguments, "exclude_archived"):
        page = [channel for channel in page if not channel.archived]
    return page, cursor


def info(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.info: one channel."""
    channel = workspace.channel_by_id(caller, arguments)
    caller.require(f"{channel.scope_family}:read")
    return {"channel": channel_object(channel, caller.bot.user_id)}


def open_direct(workspace: Workspace, _caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.open: the conversation with one user (https://docs.slack.dev/reference/methods/conversations.open).

    A conversation of several users is more than relay opens.
    """
    users = read.required(arguments, "users").split(",")
    user = workspace.users.get(users[0])
    if len(users) > 1:
        raise MethodError("too_many_users")
    if user is None:
        raise MethodError("user_not_found")
    if user.bot:
        raise MethodError("cannot_dm_bot")
    if user.deleted:
        raise MethodError("user_disabled")
    known = user.id in workspace.directs
    answer: Answer = {"channel": {"id": workspace.direct(user.id).id}}
    return {**answer, "no_op": True, "already_open": True} if known else answer


def join(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.join: public channels only; joining twice is no error."""
    channel = workspace.channel_by_id(caller, arguments)
    if channel.private:
        raise MethodError("method_not_supported_for_channel_type")
    if channel.archived:
        raise MethodError("is_archived")
    already = caller.bot.user_id in channel.members
    channel.invite(caller.bot.user_id)
    answer: Answer = {"channel": channel_object(channel, caller.bot.user_id)}
    warning = "already_in_channel"
    return {**answer, "warning": warning, "response_metadata": {"warnings": [warning]}} if already else answer


def _readable(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> FakeChannel:
    channel = workspace.channel_by_id(caller, arguments)
    caller.require(f"{channel.scope_family}:history")
    if caller.bot.user_id not in channel.members:
        raise MethodError("not_in_channel")
    return channel


def _is_old_enough(workspace: Workspace, message: FakeMessage) -> bool:
    """Whether a message is older than the delay after which history shows it."""
    return workspace.now() - message.posted_at >= workspace.history_lag


def _is_returned(workspace: Workspace, arguments: Arguments) -> Callable[[FakeMessage], bool]:
    oldest = read.timestamp(arguments, "oldest", 0, "invalid_ts_oldest")
    latest = read.timestamp(arguments, "latest", _FOR_EVER, "invalid_ts_latest")
    edge = int(not read.flag(arguments, "inclusive"))
    return lambda message: (
        oldest + edge <= read.microseconds(message.ts) <= latest - edge and _is_old_enough(workspace, message)
    )


def _messages(
    channel: FakeChannel, messages: Sequence[FakeMessage], order: _Order, arguments: Arguments, limit: int
) -> Answer:
    page, cursor = _page(messages, lambda message: message.ts.zfill(_DIGITS), order, arguments, limit)
    all_metadata = read.flag(arguments, "include_all_metadata")
    answer: Answer = {
        "messages": [message_object(channel, message, all_metadata=all_metadata) for message in page],
        "has_more": bool(cursor),
    }
    return {**answer, "response_metadata": {"next_cursor": cursor}} if cursor else answer


def _page(
    items: Sequence[_Item], key: Callable[[_Item], str], reached: _Order, arguments: Arguments, limit: int
) -> tuple[list[_Item], str]:
    """A page, and the cursor of the next one (empty at the end): the key of its first item."""
    rest = list(items)
    if cursor := read.text(arguments, "cursor"):
        try:
            prefix, _, first = base64.b64decode(cursor, validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as error:
            raise MethodError("invalid_cursor") from error
        if prefix != "next":
            raise MethodError("invalid_cursor")
        rest = list(dropwhile(lambda item: not reached(key(item), first), items))
    following = rest[limit : limit + 1]
    return rest[:limit], base64.b64encode(f"next:{key(following[0])}".encode()).decode() if following else ""
