"""A channel as text, as its reader sees it: root messages in order, with their threads indented.

relay: 🔴 db-117 · replication lag
       @db-oncall
       ▌ *Critical* · 3 alerts
    ↳ relay: 2 alerts joined (5 now)
    ↳ relay (also in the channel): reopened
(deleted): This message was deleted.
    ↳ ann: where did it go?
"""

from collections.abc import Iterator

from relay.sandbox.slack.channel import FakeChannel, FakeMessage
from relay.sandbox.slack.plain_text import message_lines
from relay.sandbox.slack.workspace import Workspace


def transcript(workspace: Workspace, channel: FakeChannel) -> str:
    """The whole channel."""
    return "\n".join(_lines(workspace, channel))


def _lines(workspace: Workspace, channel: FakeChannel) -> Iterator[str]:
    for root in reversed(list(channel.visible_messages())):
        if root.thread_ts is not None:
            continue  # a broadcast reply, which its thread shows
        yield from _message(workspace, root)
        for reply in channel.thread(root.ts):
            yield from (f"    {line}" for line in _message(workspace, reply))


def _message(workspace: Workspace, message: FakeMessage) -> Iterator[str]:
    arrow = "↳ " if message.thread_ts is not None else ""
    author = "(deleted)" if message.deleted else workspace.author_name(message)
    prefix = f"{arrow}{author}{' (also in the channel)' if message.broadcast else ''}: "
    for index, line in enumerate(message_lines(workspace, message)):
        yield (prefix if index == 0 else " " * len(prefix)) + line
