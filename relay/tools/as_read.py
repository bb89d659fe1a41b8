"""A message as its reader sees it, and as Slack's rules judge it: what `render` and `test` look at."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from relay.routes.rulebook import Rulebook
from relay.sandbox.slack import plain_text as reading
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.workspace import Workspace
from relay.slack.message import Message
from relay.tools.mrkdwn import to_rich_text

ChannelNames = Mapping[str, str]
"""What people call a channel, by its reference."""

Block = Mapping[str, Any]

_AGO: Final = re.compile(r"<(!date\^\d+\^\{ago\}[^<>|]*)\|([^<>]*)>")
_BLANKS = {0xA0: " ", 0x202F: " "}
_NOWHERE = Workspace(clock=float)
"""A workspace of which nothing is known: ids stay ids."""


def channel_names(rulebook: Rulebook) -> dict[str, str]:
    """Each channel that has an alias, by it."""
    return {channel.ref: alias for alias, channel in reversed(list(rulebook.channels.items()))}


def channel_label(ref: str, names: ChannelNames) -> str:
    """A channel for people: its alias where it has one, and the reference."""
    return f"{names[ref]} ({ref})" if ref in names and names[ref] != ref else ref


def message_text(message: Message, names: ChannelNames) -> str:
    """What the message shows, line by line; its `text` is the notification alone.

    Styling is left out, and blanks that keep a line together are plain ones: nobody can see the difference.
    """
    blocks = [*message.blocks, *(block for each in message.attachments for block in each.get("blocks", ()))]
    if not blocks:
        return _unstyled(message.text, names).translate(_BLANKS)
    return "\n".join(block_lines(blocks, names)).translate(_BLANKS)


def block_lines(blocks: Iterable[Block], names: ChannelNames) -> list[str]:
    """What blocks show."""
    return list(reading.block_lines(_NOWHERE, [_plain(block, names) for block in blocks]))


def blocks_at(blocks: Iterable[Block], now: float) -> list[Block]:
    """The blocks as they read at that moment: how long ago a thing was, which only a reader with a clock can say."""

    def dated(text: str) -> Block:
        told = _AGO.sub(lambda found: reading.date(found[1], found[2], now), text)
        return {"type": "mrkdwn", "text": told}

    return [_with_markup(block, dated) for block in blocks]


def slack_error(message: Message) -> str:
    """What Slack would refuse the message for; empty where it takes it."""
    try:
        validate_content(MessageContent(text=message.text, blocks=message.blocks, attachments=message.attachments))
    except MethodError as refused:
        return ", ".join([refused.code, *map(str, refused.answer.get("errors", ()))])
    return ""


def _plain(value: Any, names: ChannelNames) -> Any:
    """The same with every piece of markup read, so that plain text is left."""
    return _with_markup(value, lambda text: {"type": "plain_text", "text": _unstyled(text, names)})


def _with_markup(value: Any, change: Callable[[str], Block]) -> Any:
    """The same with every piece of markup, however deep it stands, as `change` makes it."""
    match value:
        case {"type": "mrkdwn", "text": str(text)}:
            return {**value, **change(text)}
        case dict():
            return {key: _with_markup(part, change) for key, part in value.items()}
        case list() | tuple():
            return [_with_markup(part, change) for part in value]
        case _:
            return value


def _unstyled(text: str, names: ChannelNames) -> str:
    return to_rich_text(text, lambda ref: names.get(ref, ref).removeprefix("#")).plain
