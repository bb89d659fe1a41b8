"""Messages as plain text, as Slack's window shows them.

Links read as their labels, dates as their fallbacks (`{ago}` as the workspace's clock has it), mentions as names.
Styling (`*bold*`) is kept, unless the text is for people. A channel (`transcript`) reads as its reader sees it: root
messages in order, with their threads indented.

relay: 🔴 db-117 · replication lag
       @db-oncall
       ▌ *Critical* · 3 alerts
    ↳ relay: 2 alerts joined (5 now)
    ↳ relay (also in the channel): reopened
(deleted): This message was deleted.
    ↳ ann: where did it go?
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from relay.sandbox.slack.channel import FakeChannel, FakeMessage
from relay.sandbox.slack.workspace import Workspace

Piece = Mapping[str, Any]
"""A block, an element, or an attachment."""

_Reader = Callable[[Workspace, Piece], Iterable[str]]

_ANGLED: Final = re.compile(r"<([^<>\n]+)>")
_STYLED: Final = re.compile(
    r"(?<![\w*_~\u034f])(?P<mark>[*_~])(?P<text>[^\s*_~](?:(?:\u034f[*_~]|(?!(?P=mark))[^\n])*[^\s\u034f])?)(?P=mark)(?!\w)"
)
"""Bold, italic or struck text."""

_SPANS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_JOINER: Final = "\u034f"
"""It has no width, and keeps the character after it from formatting anything."""

_QUOTE_MARKS: Final = {"rich_text_quote": "> ", "rich_text_list": "• "}


def transcript(workspace: Workspace, channel: FakeChannel, *, for_people: bool = False) -> str:
    """The whole channel. For people, without the marks of styling, and with the time (UTC) of each message."""
    lines: list[str] = []
    for root in reversed(list(channel.visible_messages())):
        if root.thread_ts is not None:
            continue  # a broadcast reply, which its thread shows
        lines += _signed_lines(workspace, root, for_people=for_people)
        for reply in channel.thread(root.ts):
            lines += [f"    {line}" for line in _signed_lines(workspace, reply, for_people=for_people)]
    return "\n".join(lines)


def _signed_lines(workspace: Workspace, message: FakeMessage, *, for_people: bool) -> Iterator[str]:
    time = f"{datetime.fromtimestamp(message.posted_at, UTC):%H:%M} " if for_people else ""
    arrow = "↳ " if message.thread_ts is not None else ""
    author = "(deleted)" if message.deleted else workspace.author_name(message)
    prefix = f"{time}{arrow}{author}{' (also in the channel)' if message.broadcast else ''}: "
    for index, line in enumerate(message_lines(workspace, message, styled=not for_people)):
        yield (prefix if index == 0 else " " * len(prefix)) + line


def message_lines(workspace: Workspace, message: FakeMessage, *, styled: bool = True) -> list[str]:
    """One message. With top-level blocks, its text is only the notification, and not shown."""
    if message.deleted:
        return ["This message was deleted."]
    text, blocks, attachments = message.text, message.blocks, message.attachments
    if not styled:
        text, blocks, attachments = _unstyled_text(text), _unstyled(blocks), _unstyled(attachments)
    lines = list(block_lines(workspace, blocks)) if blocks else mrkdwn(workspace, text).splitlines()
    for attachment in attachments:
        lines += [f"▌ {line}" for line in attachment_lines(workspace, attachment)]
    return lines


def _unstyled(value: Any) -> Any:
    """A copy of blocks in which no mrkdwn text has marks of styling."""
    match value:
        case {"type": "mrkdwn", "text": str(text)}:
            return {**value, "text": _unstyled_text(text)}
        case Mapping():
            return {key: _unstyled(part) for key, part in value.items()}
        case list() | tuple():
            return [_unstyled(part) for part in value]
        case _:
            return value


def _unstyled_text(text: str) -> str:
    return _STYLED.sub(lambda match: match["text"], text)


def mrkdwn(workspace: Workspace, text: str) -> str:
    """Slack's markup as it is shown: https://docs.slack.dev/messaging/formatting-message-text."""
    shown = _ANGLED.sub(lambda match: _reference(workspace, match.group(1)), text).replace(_JOINER, "")
    for entity, character in _ENTITIES:
        shown = shown.replace(entity, character)
    return shown


def _reference(workspace: Workspace, inside: str) -> str:
    target, bar, label = inside.partition("|")
    kind, rest = target[:1], target[1:]
    if kind == "@":
        return f"@{label or workspace.user_name(rest)}"
    if kind == "#":
        return f"#{label or _channel(workspace, rest)}"
    if target.startswith("!subteam^"):
        return _group(workspace, target.removeprefix("!subteam^"))
    if target.startswith("!date^"):
        return date(target, label, workspace.now())
    if kind == "!":
        return f"@{rest}"
    return label if bar else target


def date(target: str, fallback: str, now: float) -> str:
    """A date (`!date^UNIX^PATTERN`) as text: `{ago}` as seen at `now`, any other pattern as its fallback."""
    match target.split("^"):
        case [_, moment, "{ago}", *_] if moment.isdecimal():
            return _ago(now - int(moment))
        case _:
            return fallback


def _ago(seconds: float) -> str:
    """The time since then in its largest unit, as Slack writes it: `12 minutes ago`."""
    span = abs(seconds)
    unit, length = next(((name, size) for name, size in _SPANS if span >= size), ("", 0))
    if not unit:
        return "just now" if seconds >= 0 else "in a moment"
    count = int(span // length)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _channel(workspace: Workspace, channel: str) -> str:
    return workspace.channels[channel].name if channel in workspace.channels else channel


def _group(workspace: Workspace, group: str) -> str:
    return f"@{workspace.usergroups[group].handle if group in workspace.usergroups else group}"


def block_lines(workspace: Workspace, blocks: Iterable[Piece]) -> Iterator[str]:
    """The lines that blocks show, top to bottom."""
    for block in blocks:
        reader = _BLOCKS.get(block["type"])
        yield from reader(workspace, block) if reader else [f"({block['type']})"]


def attachment_lines(workspace: Workspace, attachment: Piece) -> Iterator[str]:
    """The lines beside an attachment's bar."""
    yield from block_lines(workspace, attachment.get("blocks", []))
    if "blocks" not in attachment:
        for key in ("pretext", "title", "text", "footer"):
            yield from mrkdwn(workspace, str(attachment.get(key, ""))).splitlines()


def _text(workspace: Workspace, piece: Piece) -> str:
    text = str(piece.get("text", ""))
    return text if piece.get("type") == "plain_text" else mrkdwn(workspace, text)


def _section(workspace: Workspace, block: Piece) -> Iterator[str]:
    if "text" in block:
        yield from _text(workspace, block["text"]).splitlines()
    for field in block.get("fields", []):
        yield _text(workspace, field).replace("\n", " ")
    if "accessory" in block:
        yield _element(workspace, block["accessory"])


def _context(workspace: Workspace, block: Piece) -> list[str]:
    return "  ".join(_element(workspace, element) for element in block["elements"]).splitlines()


def _element(workspace: Workspace, element: Piece) -> str:
    match element["type"]:
        case "plain_text" | "mrkdwn":
            return _text(workspace, element)
        case "image":
            return f"({element['alt_text']})"
        case "button":
            return f"[{element['text']['text']}]"
        case "overflow":
            return f"[⋯ {', '.join(option['text']['text'] for option in element['options'])}]"
        case kind:
            return f"[{element.get('placeholder', {}).get('text', kind)}]"


def _table(workspace: Workspace, block: Piece) -> Iterator[str]:
    for row in block["rows"]:
        yield " | ".join(
            " ".join(_rich_text(workspace, cell))
            if cell["type"] == "rich_text"
            else str(cell.get("text", cell.get("value", "")))
            for cell in row
        )


def _rich_text(workspace: Workspace, block: Piece) -> Iterator[str]:
    for part in block["elements"]:
        items = part["elements"] if part["type"] == "rich_text_list" else [part]
        for item in items:
            text = ""
            for piece in item["elements"]:
                reader = _INLINES.get(piece["type"])
                text += reader(workspace, piece) if reader else f"({piece['type']})"
            yield from (_QUOTE_MARKS.get(part["type"], "") + line for line in text.splitlines())


_BLOCKS: Final[Mapping[str, _Reader]] = {
    "actions": _context,
    "context": _context,
    "divider": lambda _, _block: ["─" * 8],
    "header": lambda _, block: block["text"]["text"].splitlines(),
    "image": lambda _, block: [f"({block['alt_text']}) {block.get('title', {}).get('text', '')}".rstrip()],
    "markdown": lambda _, block: block["text"].splitlines(),
    "rich_text": _rich_text,
    "section": _section,
    "table": _table,
}

_INLINES: Final[Mapping[str, Callable[[Workspace, Piece], str]]] = {
    "text": lambda _, piece: str(piece["text"]),
    "link": lambda _, piece: str(piece.get("text", piece["url"])),
    "emoji": lambda _, piece: f":{piece['name']}:",
    "user": lambda workspace, piece: f"@{workspace.user_name(piece['user_id'])}",
    "usergroup": lambda workspace, piece: _group(workspace, piece["usergroup_id"]),
    "channel": lambda workspace, piece: f"#{_channel(workspace, piece['channel_id'])}",
    "broadcast": lambda _, piece: f"@{piece['range']}",
    "date": lambda _, piece: str(piece.get("fallback", piece["timestamp"])),
}
