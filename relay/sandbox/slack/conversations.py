"""The conversations.* methods: https://docs.slack.dev/reference/methods/conversations.history and its neighbours."""

import base64
import binascii
import operator
from collections.abc import Callable, Sequence
from itertools import dropwhile
from typing import Any, Final, TypeVar

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack import objects as shapes
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.channel import FakeChannel, FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.users import TokenGrant
from relay.sandbox.slack.workspace import Workspace

Answer = dict[str, Any]
_Item = TypeVar("_Item")
_Order = Callable[[str, str], bool]
"""Whether a page that begins with the second key has been reached at the first."""

_TYPES: Final = {"public_channel": "channels", "private_channel": "groups"}
_FOR_EVER: Final = 2**62
_DIGITS: Final = 20  # a ts padded to so many compares as text the way it does as a number


def visible_channel(workspace: Workspace, caller: TokenGrant, ref: str) -> FakeChannel:
    """The channel with this id, as far as the app may know of it: no name will do, nor a private one it is not in."""
    channel = workspace.channels.get(ref)
    if channel is None or (channel.private and caller.bot.user_id not in channel.members):
        raise MethodError("channel_not_found")
    return channel


def history(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.history: what stands in the channel itself, newest first."""
    channel = _readable(workspace, caller, arguments)
    within = _window(arguments)
    shown = [m for m in channel.visible_messages() if within(m.ts) and _settled(workspace, m)]
    return _messages(channel, shown, operator.le, arguments, read.whole(arguments, "limit", 100, 999))


def replies(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.replies: a thread, by the ts of its root or of any reply in it; the root, then oldest first."""
    channel = _readable(workspace, caller, arguments)
    ts = read.required(arguments, "ts")
    message = channel.find(ts)
    root = channel.root((message and message.thread_ts) or ts)
    if root is None or not _settled(workspace, root):
        raise MethodError("thread_not_found")
    within = _window(arguments)
    thread = [m for m in channel.thread(root.ts) if within(m.ts) and _settled(workspace, m)]
    return _messages(channel, [root, *thread], operator.ge, arguments, read.whole(arguments, "limit", 1000, 1000))


def list_channels(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.list: archived channels are left out after the page was cut, so that short pages are normal."""
    kinds = (read.text(arguments, "types") or "public_channel").split(",")
    if not set(kinds) <= _TYPES.keys():
        raise MethodError("invalid_types")
    for kind in kinds:
        caller.require(f"{_TYPES[kind]}:read")
    known = [channel for channel in workspace.channels.values() if _kind(channel, caller) in kinds]
    limit = read.whole(arguments, "limit", 100, 999)
    page, cursor = _page(known, lambda channel: channel.id, operator.eq, arguments, limit)
    if read.flag(arguments, "exclude_archived"):
        page = [channel for channel in page if not channel.archived]
    channels = [shapes.channel_object(channel, caller.bot.user_id) for channel in page]
    return {"channels": channels, "response_metadata": {"next_cursor": cursor}}


def info(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.info: one channel."""
    channel = visible_channel(workspace, caller, read.required(arguments, "channel"))
    caller.require(f"{_family(channel)}:read")
    return {"channel": shapes.channel_object(channel, caller.bot.user_id)}


def join(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """conversations.join: public channels only; to be in already is no error."""
    channel = visible_channel(workspace, caller, read.required(arguments, "channel"))
    if channel.private:
        raise MethodError("method_not_supported_for_channel_type")
    if channel.archived:
        raise MethodError("is_archived")
    already = caller.bot.user_id in channel.members
    channel.invite(caller.bot.user_id)
    answer: Answer = {"channel": shapes.channel_object(channel, caller.bot.user_id)}
    warning = "already_in_channel"
    return {**answer, "warning": warning, "response_metadata": {"warnings": [warning]}} if already else answer


def _readable(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> FakeChannel:
    channel = visible_channel(workspace, caller, read.required(arguments, "channel"))
    caller.require(f"{_family(channel)}:history")
    if caller.bot.user_id not in channel.members:
        raise MethodError("not_in_channel")
    return channel


def _family(channel: FakeChannel) -> str:
    return "groups" if channel.private else "channels"


def _kind(channel: FakeChannel, caller: TokenGrant) -> str | None:
    if not channel.private:
        return "public_channel"
    return "private_channel" if caller.bot.user_id in channel.members else None


def _settled(workspace: Workspace, message: FakeMessage) -> bool:
    """Whether a message has been there long enough to be found."""
    return workspace.now() - message.posted_at >= workspace.history_lag


def _window(arguments: Arguments) -> Callable[[str], bool]:
    oldest = read.moment(arguments, "oldest", 0, "invalid_ts_oldest")
    latest = read.moment(arguments, "latest", _FOR_EVER, "invalid_ts_latest")
    edge = int(not read.flag(arguments, "inclusive"))
    return lambda ts: oldest + edge <= read.microseconds(ts) <= latest - edge


def _messages(
    channel: FakeChannel, messages: Sequence[FakeMessage], order: _Order, arguments: Arguments, limit: int
) -> Answer:
    page, cursor = _page(messages, lambda told: told.ts.zfill(_DIGITS), order, arguments, limit)
    all_metadata = read.flag(arguments, "include_all_metadata")
    answer: Answer = {
        "messages": [shapes.message_object(channel, told, all_metadata=all_metadata) for told in page],
        "has_more": bool(cursor),
    }
    return {**answer, "response_metadata": {"next_cursor": cursor}} if cursor else answer


def _page(
    items: Sequence[_Item], key: Callable[[_Item], str], reached: _Order, arguments: Arguments, limit: int
) -> tuple[list[_Item], str]:
    """A page, and the cursor of the next one (empty at the end): the key of the item with which that begins."""
    rest = list(items)
    if cursor := read.text(arguments, "cursor"):
        first = _decoded(cursor)
        rest = list(dropwhile(lambda item: not reached(key(item), first), items))
    following = rest[limit : limit + 1]
    return rest[:limit], _encoded(key(following[0])) if following else ""


def _encoded(key: str) -> str:
    return base64.b64encode(f"next:{key}".encode()).decode()


def _decoded(cursor: str) -> str:
    try:
        name, _, key = base64.b64decode(cursor, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise MethodError("invalid_cursor") from error
    if name != "next":
        raise MethodError("invalid_cursor")
    return key
