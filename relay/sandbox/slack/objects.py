"""How Slack shows messages and channels in its answers: never quite as they were sent.

https://docs.slack.dev/reference/objects/conversation-object and https://docs.slack.dev/reference/events/message
"""

from typing import Any, Final

from relay.sandbox.slack.channel import FakeChannel, FakeMessage
from relay.sandbox.slack.users import TEAM, Bot

Shape = dict[str, Any]

# Slack gives emoji back by their names; a few of them show that what comes back differs from what was sent.
_EMOJI: Final = str.maketrans(
    {
        "🔴": ":red_circle:",
        "✅": ":white_check_mark:",
        "🟠": ":large_orange_circle:",
        "🔧": ":wrench:",
        "💬": ":speech_balloon:",
    }
)

_TOMBSTONE: Final = {
    "type": "message",
    "subtype": "tombstone",
    "user": "USLACKBOT",
    "text": "This message was deleted.",
    "hidden": True,
}


def message_object(channel: FakeChannel, told: FakeMessage, *, all_metadata: bool = True) -> Shape:
    """A message object. Without `all_metadata` only the type of its metadata is shown."""
    if told.deleted:
        return {**_TOMBSTONE, "ts": told.ts, **_thread(channel, told)}
    shape: Shape = {"type": "message", "user": told.user, "ts": told.ts, "team": TEAM, **_said(told)}
    if isinstance(told.author, Bot):
        shape |= {"bot_id": told.author.bot_id, "app_id": told.author.app_id, "bot_profile": told.author.profile()}
    if told.edited_at is not None:
        shape["edited"] = {"user": told.user, "ts": told.edited_at}
    if told.metadata is not None:
        shape["metadata"] = told.metadata if all_metadata else {"event_type": told.metadata["event_type"]}
    if told.reactions:
        shape["reactions"] = [
            {"name": name, "users": list(users), "count": len(users)} for name, users in told.reactions.items()
        ]
    return {**shape, **_thread(channel, told)}


def _said(told: FakeMessage) -> Shape:
    said: Shape = {"text": told.text.translate(_EMOJI)}
    if told.blocks:
        said["blocks"] = _with_ids(told.blocks)
    if told.attachments:
        said["attachments"] = [
            {"id": index, "fallback": "[no preview available]", **attachment, **_inner(attachment)}
            for index, attachment in enumerate(told.attachments, 1)
        ]
    return said


def _inner(attachment: Shape) -> Shape:
    return {"blocks": _with_ids(attachment["blocks"])} if "blocks" in attachment else {}


def _with_ids(blocks: Any) -> list[Shape]:
    return [{"block_id": f"b{index}", **block} for index, block in enumerate(blocks)]


def _thread(channel: FakeChannel, told: FakeMessage) -> Shape:
    if told.thread_ts is not None:
        broadcast = {"subtype": "thread_broadcast"} if told.broadcast else {}
        return {"thread_ts": told.thread_ts, **broadcast}
    replies = channel.thread(told.ts)
    if not replies:
        return {}
    users = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": told.ts,
        "reply_count": len(replies),
        "reply_users": users,
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts,
    }


def channel_object(channel: FakeChannel, user: str) -> Shape:
    """A channel object, as the app with this user id sees it."""
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "previous_names": list(channel.previous_names),
        "context_team_id": TEAM,
        "is_channel": not channel.private,
        "is_group": channel.private,
        "is_im": False,
        "is_mpim": False,
        "is_general": False,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": user in channel.members,
        "is_shared": channel.external,
        "is_ext_shared": channel.external,
        "is_org_shared": False,
        "is_pending_ext_shared": False,
        "num_members": len(channel.members),
    }
