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
from relay.sandbox.slack.channel import Channel, Message
from relay.sandbox.slack.users import Bot
from relay.sandbox.slack.workspace import Workspace


def transcript(workspace: Workspace, channel: Channel) -> str:
    """The whole channel as lines of text."""
    return "\n".join(_all_lines(workspace, channel))


def lines(workspace: Workspace, message: Message) -> list[str]:
    """What one message shows. Where there are top-level blocks, its text is the notification alone and not shown."""
    if message.deleted:
        return ["This message was deleted."]
    if message.blocks:
        shown = list(reading.blocks(workspace, message.blocks))
    else:
        shown = reading.mrkdwn(workspace, message.text).splitlines()
    for attachment in message.attachments:
        shown += [f"▌ {line}" for line in reading.attachment(workspace, attachment)]
    return shown


def _all_lines(workspace: Workspace, channel: Channel) -> Iterator[str]:
    for message in reversed(list(channel.shown())):
        if message.thread_ts is not None:
            continue  # a reply that was broadcast, which its thread shows
        yield from _message(workspace, message)
        for reply in channel.thread(message.ts):
            yield from (f"    {line}" for line in _message(workspace, reply))


def _message(workspace: Workspace, message: Message) -> Iterator[str]:
    prefix = f"{_prefix(workspace, message)}: "
    for index, line in enumerate(lines(workspace, message)):
        yield (prefix if index == 0 else " " * len(prefix)) + line


def _prefix(workspace: Workspace, message: Message) -> str:
    arrow = "↳ " if message.thread_ts is not None else ""
    also = " (also in the channel)" if message.broadcast else ""
    return f"{arrow}{_author(workspace, message)}{also}"


def _author(workspace: Workspace, message: Message) -> str:
    if message.deleted:
        return "(deleted)"
    if isinstance(message.author, Bot):
        return message.author.name
    return workspace.users[message.author].name if message.author in workspace.users else message.author
