"""Message and channel objects as Slack returns them: never quite as they were sent.

https://docs.slack.dev/reference/objects/conversation-object and https://docs.slack.dev/reference/events/message
"""

from collections.abc import Sequence
from typing import Any, Final

from relay.sandbox.slack.apps import TEAM, Bot
from relay.sandbox.slack.channel import FakeChannel, FakeMessage

# Slack returns emoji by their names; a few of them show that what is returned differs from what was sent.
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


def message_object(channel: FakeChannel, message: FakeMessage, *, all_metadata: bool = True) -> dict[str, Any]:
    """A message object. Without `all_metadata` only the event type of its metadata is shown."""
    thread = _thread(channel, message)
    if message.deleted:
        return {**_TOMBSTONE, "ts": message.ts, **thread}
    shown: dict[str, Any] = {"type": "message", "user": message.user, "ts": message.ts, "team": TEAM}
    shown["text"] = message.text.translate(_EMOJI)
    if message.blocks:
        shown["blocks"] = with_block_ids(message.blocks)
    if message.attachments:
        shown["attachments"] = [
            {"id": index, "fallback": "[no preview available]", **attachment}
            | ({"blocks": with_block_ids(attachment["blocks"])} if "blocks" in attachment else {})
            for index, attachment in enumerate(message.attachments, 1)
        ]
    if isinstance(message.author, Bot):
        bot = message.author
        shown |= {"bot_id": bot.bot_id, "app_id": bot.app_id, "bot_profile": bot.profile()}
    if message.edited_at is not None:
        shown["edited"] = {"user": message.user, "ts": message.edited_at}
    if message.metadata is not None:
        shown["metadata"] = message.metadata if all_metadata else {"event_type": message.metadata["event_type"]}
    return {**shown, **thread}


def with_block_ids(blocks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks with the ids that Slack makes for those without one."""
    return [{"block_id": f"b{index}", **block} for index, block in enumerate(blocks)]


def _thread(channel: FakeChannel, message: FakeMessage) -> dict[str, Any]:
    if message.thread_ts is not None:
        broadcast = {"subtype": "thread_broadcast"} if message.broadcast else {}
        return {"thread_ts": message.thread_ts, **broadcast}
    replies = channel.thread(message.ts)
    if not replies:
        return {}
    users = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": users,
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts,
    }


def channel_object(channel: FakeChannel, user: str) -> dict[str, Any]:
    """A channel object, as the app with this user id sees it."""
    return {
        "id": channel.id,
        "name": channel.name,
        "name_normalized": channel.name,
        "previous_names": list(channel.previous_names),
        "context_team_id": TEAM,
        "is_channel": not channel.private,
        "is_group": channel.private,
        "is_private": channel.private,
        "is_archived": channel.archived,
        "is_member": user in channel.members,
        "is_shared": channel.external,
        "is_ext_shared": channel.external,
        **dict.fromkeys(("is_im", "is_mpim", "is_general", "is_org_shared", "is_pending_ext_shared"), False),
        "num_members": len(channel.members),
    }
