"""Messages, channels and times as text for people; and what Slack's validation says about a message."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from relay.cards.model import Channel
from relay.model.zones import find_zone
from relay.routes.rulebook import Rulebook
from relay.sandbox.slack import plain_text
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.message_content import MessageContent, validate_content
from relay.sandbox.slack.workspace import Workspace
from relay.slack.message import Message
from relay.tools.mrkdwn import to_rich_text

ChannelNames = Mapping[str, str]
"""The names of channels, by reference; perhaps also the aliases of people, by id."""

Block = Mapping[str, Any]

_AGO: Final = re.compile(r"<(!date\^\d+\^\{ago\}[^<>|]*)\|([^<>]*)>")
_SPACES = {0xA0: " ", 0x202F: " "}
_EMPTY_WORKSPACE = Workspace(clock=float)
"""An empty workspace, so that ids stay ids."""


def alias_names(rulebook: Rulebook) -> dict[str, str]:
    """The aliases in routes.yaml, by the channel's reference or the person's id."""
    channels = {channel.ref: alias for alias, channel in reversed(list(rulebook.channels.items()))}
    return channels | {person: alias for alias, person in reversed(list(rulebook.people.items()))}


def slack_names(channels: Iterable[Channel]) -> ChannelNames:
    """The names that channels have in Slack, as far as relay knows them."""
    return {each.ref: each.slack_name for each in channels if each.slack_name}


def channel_label(ref: str, names: ChannelNames) -> str:
    """A channel for people: its name, if it has one, and the reference."""
    return f"{names[ref]} ({ref})" if ref in names and names[ref] != ref else ref


def people_label(targets: Iterable[str], names: ChannelNames) -> str:
    """Whom a ping reaches, for people: each by the alias, if it has one, and the id; `nobody` for nobody."""
    return ", ".join(channel_label(target, names) for target in targets) or "nobody"


def format_time(moment: float) -> str:
    """Format a time (Unix seconds) in UTC, to the second."""
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S}Z"


def format_local(moment: float, zone: str) -> str:
    """Format a time (Unix seconds) in a zone, to the minute."""
    return f"{datetime.fromtimestamp(moment, find_zone(zone) or UTC):%a %Y-%m-%d %H:%M} {zone}"


def message_text(message: Message, names: ChannelNames) -> str:
    """The visible text of the message, line by line. Its `text` is only the notification, if there are blocks.

    Styling is left out, and no-break spaces become plain ones.
    """
    blocks = [*message.blocks, *(block for each in message.attachments for block in each.get("blocks", ()))]
    if not blocks:
        return to_rich_text(message.text, names).plain.translate(_SPACES)
    return "\n".join(block_lines(blocks, names)).translate(_SPACES)


def block_lines(blocks: Iterable[Block], names: ChannelNames) -> list[str]:
    """The visible text of blocks, line by line."""

    def without_markup(text: str) -> Block:
        return {"type": "plain_text", "text": to_rich_text(text, names).plain}

    return list(plain_text.block_lines(_EMPTY_WORKSPACE, [_map_mrkdwn(block, without_markup) for block in blocks]))


def blocks_at(blocks: Iterable[Block], now: float) -> list[Block]:
    """The blocks as they read at that time (Unix seconds): dates such as "3 days ago" depend on it."""

    def with_dates(text: str) -> Block:
        return {"type": "mrkdwn", "text": _AGO.sub(lambda match: plain_text.date(match[1], match[2], now), text)}

    return [_map_mrkdwn(block, with_dates) for block in blocks]


def slack_error(message: Message) -> str:
    """The error with which Slack would reject the message; empty if it is valid."""
    try:
        validate_content(MessageContent(text=message.text, blocks=message.blocks, attachments=message.attachments))
    except MethodError as error:
        return ", ".join([error.code, *map(str, error.answer.get("errors", ()))])
    return ""


def _map_mrkdwn(value: Any, change: Callable[[str], Block]) -> Any:
    """A copy in which `change` is applied to the text of every mrkdwn object, at any depth."""
    match value:
        case {"type": "mrkdwn", "text": str(text)}:
            return {**value, **change(text)}
        case dict():
            return {key: _map_mrkdwn(part, change) for key, part in value.items()}
        case list() | tuple():
            return [_map_mrkdwn(part, change) for part in value]
        case _:
            return value
