"""The chat.* methods: https://docs.slack.dev/reference/methods/chat.postMessage and its neighbours."""

from dataclasses import replace
from typing import Any

from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.apps import TokenGrant
from relay.sandbox.slack.arguments import Arguments
from relay.sandbox.slack.channel import EphemeralMessage, FakeChannel, FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.message_content import NO_PREVIEW, MessageContent, validate_content
from relay.sandbox.slack.objects import message_object
from relay.sandbox.slack.workspace import Workspace
from relay.slack import limits

Answer = dict[str, Any]

_AUTHORSHIP = ("username", "icon_emoji", "icon_url")


def post_message(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """chat.postMessage: a new message, in a channel given by id or by name."""
    channel = _writable(workspace, caller, arguments)
    customised = any(key in arguments for key in _AUTHORSHIP)
    if customised:
        caller.require("chat:write.customize")
    posted = channel.add_message(
        _new_content(arguments),
        caller.bot,
        read.text(arguments, "thread_ts"),
        broadcast=read.flag(arguments, "reply_broadcast"),
        customised=customised,
    )
    return {"channel": channel.id, "ts": posted.ts, "message": message_object(channel, posted)}


def post_ephemeral(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """chat.postEphemeral: for one member of the channel; it is in no history and cannot be edited or deleted.

    In a thread without replies the user does not see it, and the answer does not say so.
    """
    channel = _writable(workspace, caller, arguments)
    user = read.required(arguments, "user")
    if user not in channel.members:
        raise MethodError("user_not_in_channel")
    thread_ts = read.text(arguments, "thread_ts")
    message = EphemeralMessage(
        channel=channel.id,
        ts=channel.timestamps.next(),
        author=caller.bot,
        posted_at=workspace.now(),
        versions=[_new_content(arguments)],
        thread_ts=thread_ts,
        recipient=user,
        visible=thread_ts is None or bool(channel.thread(thread_ts)),
    )
    channel.ephemeral.append(message)
    return {"message_ts": message.ts}


def update(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """chat.update: omitted arguments keep their values, but text without blocks removes the blocks."""
    channel = workspace.channel_by_id(caller, arguments)
    message = _own_message(channel, caller, arguments, "cant_update_message")
    if channel.archived:
        raise MethodError("is_inactive")
    if workspace.edit_window is not None and workspace.now() - message.posted_at >= workspace.edit_window:
        raise MethodError("edit_window_closed")
    changes = _changes(arguments)
    if not _broadcast(message, arguments, changes):
        _edit(channel, message, changes)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message_object(channel, message)}


def delete(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> Answer:
    """chat.delete: an app's own messages, unless they were posted under another name."""
    channel = workspace.channel_by_id(caller, arguments)
    message = _own_message(channel, caller, arguments, "cant_delete_message")
    if message.customised or channel.archived:
        raise MethodError("cant_delete_message")
    channel.delete(message.ts)
    return {"channel": channel.id, "ts": message.ts}


def _writable(workspace: Workspace, caller: TokenGrant, arguments: Arguments) -> FakeChannel:
    channel = workspace.find_channel(read.required(arguments, "channel"))
    member = channel is not None and caller.bot.user_id in channel.members
    if channel is None or (channel.private and not member):
        raise MethodError("channel_not_found")
    if channel.archived:
        raise MethodError("is_archived")
    if not member and "chat:write.public" not in caller.scopes:
        raise MethodError("not_in_channel")
    return channel


def _own_message(channel: FakeChannel, caller: TokenGrant, arguments: Arguments, code: str) -> FakeMessage:
    message = channel.find(read.required(arguments, "ts"))
    if message is None:
        raise MethodError("message_not_found")
    if message.author != caller.bot:
        raise MethodError(code)
    return message


def _new_content(arguments: Arguments) -> MessageContent:
    given = _given(arguments)
    given["text"] = given.get("text", NO_PREVIEW if given.get("blocks") else "")[: limits.POSTED_TEXT]
    content = MessageContent(**given)
    validate_content(content)
    return content


def _changes(arguments: Arguments) -> dict[str, Any]:
    changes = _given(arguments)
    if len(changes.get("text", "")) > limits.TEXT:
        raise MethodError("msg_too_long")
    if "text" in changes:
        changes.setdefault("blocks", ())
    elif changes.get("blocks"):
        changes["text"] = NO_PREVIEW
    return changes


def _edit(channel: FakeChannel, message: FakeMessage, changes: dict[str, Any]) -> None:
    if not changes.keys() & {"text", "blocks", "attachments"}:
        raise MethodError("no_text")
    content = replace(message.versions[-1], **changes)
    validate_content(content)
    message.versions.append(content)
    if not content.blocks:  # with blocks, Slack shows no "(edited)"
        message.edited_at = f"{int(channel.clock())}.000000"


def _broadcast(message: FakeMessage, arguments: Arguments, changes: dict[str, Any]) -> bool:
    """Show a reply in the channel, too, after it was posted; its content cannot change in the same call."""
    if not read.flag(arguments, "reply_broadcast") or message.broadcast:
        return False
    if message.thread_ts is None:
        raise MethodError("cant_broadcast_message")
    if changes:
        raise MethodError("no_dual_broadcast_content_update")
    message.broadcast = True
    return True


def _given(arguments: Arguments) -> dict[str, Any]:
    """The parts of a message that were given; an empty list or object is given, and means none."""
    metadata = read.record(arguments, "metadata", "invalid_metadata_format")
    given = {
        "text": _text(arguments),
        "blocks": read.array(arguments, "blocks", "invalid_blocks_format"),
        "attachments": read.array(arguments, "attachments", "invalid_attachments"),
    }
    parts: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return parts if metadata is None else {**parts, "metadata": metadata or None}


def _text(arguments: Arguments) -> str | None:
    markdown = read.text(arguments, "markdown_text")
    text = read.text(arguments, "text")
    if markdown is None:
        return text
    if text is not None or "blocks" in arguments:
        raise MethodError("markdown_text_conflict")
    if len(markdown) > limits.MARKDOWN:
        raise MethodError("msg_too_long")
    return markdown
