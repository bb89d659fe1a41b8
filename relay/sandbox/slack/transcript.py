"""What a reader of a channel sees, as text: roots in order, their threads indented, what was deleted gone.

relay: 🔴 db-117 · replication lag
       @db-oncall
       ▌ *Critical* · 3 alerts
    ↳ relay: 2 alerts joined (5 now)
    ↳ relay (also in the channel): reopened
(deleted): This message was deleted.
    ↳ ann: where did it go?
"""

from collections.abc import Iterator

from relay.sandbox.slack import plain_text as reading
from relay.sandbox.slack.channel import FakeChannel, FakeMessage
from relay.sandbox.slack.users import Bot
from relay.sandbox.slack.workspace import Workspace


def transcript(workspace: Workspace, channel: FakeChannel) -> str:
    """The whole channel as lines of text."""
    return "\n".join(_all_lines(workspace, channel))


def lines(workspace: Workspace, message: FakeMessage) -> list[str]:
    """What one message shows. Where there are top-level blocks, its text is the notification alone and not shown."""
    if message.deleted:
        return ["This message was deleted."]
    if message.blocks:
        shown = list(reading.block_lines(workspace, message.blocks))
    else:
        shown = reading.mrkdwn(workspace, message.text).splitlines()
    for attachment in message.attachments:
        shown += [f"▌ {line}" for line in reading.attachment_lines(workspace, attachment)]
    return shown


def _all_lines(workspace: Workspace, channel: FakeChannel) -> Iterator[str]:
    for message in reversed(list(channel.visible_messages())):
        if message.thread_ts is not None:
            continue  # a reply that was broadcast, which its thread shows
        yield from _message(workspace, message)
        for reply in channel.thread(message.ts):
            yield from (f"    {line}" for line in _message(workspace, reply))


def _message(workspace: Workspace, message: FakeMessage) -> Iterator[str]:
    prefix = f"{_prefix(workspace, message)}: "
    for index, line in enumerate(lines(workspace, message)):
        yield (prefix if index == 0 else " " * len(prefix)) + line


def _prefix(workspace: Workspace, message: FakeMessage) -> str:
    arrow = "↳ " if message.thread_ts is not None else ""
    also = " (also in the channel)" if message.broadcast else ""
    return f"{arrow}{_author(workspace, message)}{also}"


def _author(workspace: Workspace, message: FakeMessage) -> str:
    if message.deleted:
        return "(deleted)"
    if isinstance(message.author, Bot):
        return message.author.name
    return workspace.users[message.author].name if message.author in workspace.users else message.author
