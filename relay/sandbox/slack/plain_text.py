"""What blocks and mrkdwn read like: as in Slack's window, not as in its API.

Links read as their labels, dates as their fallbacks (how long ago a thing was: as the workspace's clock has it),
mentions as names. Styling (`*bold*`) is left as it was written.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from relay.sandbox.slack.workspace import Workspace

Piece = Mapping[str, Any]
_Reader = Callable[[Workspace, Piece], Iterator[str]]

_ANGLED: Final = re.compile(r"<([^<>\n]+)>")
_SPANS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60))
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def mrkdwn(workspace: Workspace, text: str) -> str:
    """Slack's markup as it is shown: https://docs.slack.dev/messaging/formatting-message-text."""
    shown = _ANGLED.sub(lambda match: _angled(workspace, match.group(1)), text)
    for entity, character in _ENTITIES:
        shown = shown.replace(entity, character)
    return shown


def _angled(workspace: Workspace, inside: str) -> str:
    target, bar, label = inside.partition("|")
    kind, rest = target[:1], target[1:]
    if kind == "@":
        return f"@{label or _user(workspace, rest)}"
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
    """A date (`!date^UNIX^PATTERN`) as plain text says it: `{ago}` as seen at `now`, any other as its fallback."""
    match target.split("^"):
        case [_, moment, "{ago}", *_] if moment.isdecimal():
            return ago(now - int(moment))
        case _:
            return fallback


def ago(seconds: float) -> str:
    """A span since then, in its largest unit, as Slack says it: `12 minutes ago`."""
    span = abs(seconds)
    unit, length = next(((name, size) for name, size in _SPANS if span >= size), ("", 0))
    if not unit:
        return "just now" if seconds >= 0 else "in a moment"
    count = int(span // length)
    words = f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{words} ago" if seconds >= 0 else f"in {words}"


def _user(workspace: Workspace, user: str) -> str:
    return workspace.users[user].name if user in workspace.users else user


def _channel(workspace: Workspace, channel: str) -> str:
    return workspace.channels[channel].name if channel in workspace.channels else channel


def _group(workspace: Workspace, group: str) -> str:
    return f"@{workspace.usergroups[group].handle if group in workspace.usergroups else group}"


def block_lines(workspace: Workspace, shown: tuple[Piece, ...] | list[Piece]) -> Iterator[str]:
    """The lines that blocks show, top to bottom."""
    for block in shown:
        yield from _BLOCKS.get(block["type"], _unknown)(workspace, block)


def attachment_lines(workspace: Workspace, shown: Piece) -> Iterator[str]:
    """The lines beside an attachment's bar."""
    yield from block_lines(workspace, shown.get("blocks", []))
    if "blocks" not in shown:
        for key in ("pretext", "title", "text", "footer"):
            yield from mrkdwn(workspace, str(shown.get(key, ""))).splitlines()


def _text(workspace: Workspace, piece: Piece) -> str:
    text = str(piece.get("text", ""))
    return text if piece.get("type") == "plain_text" else mrkdwn(workspace, text)


def _header(_workspace: Workspace, block: Piece) -> Iterator[str]:
    yield from block["text"]["text"].splitlines()


def _section(workspace: Workspace, block: Piece) -> Iterator[str]:
    if "text" in block:
        yield from _text(workspace, block["text"]).splitlines()
    for field in block.get("fields", []):
        yield _text(workspace, field).replace("\n", " ")
    if "accessory" in block:
        yield _element(workspace, block["accessory"])


def _context(workspace: Workspace, block: Piece) -> Iterator[str]:
    yield from "  ".join(_element(workspace, element) for element in block["elements"]).splitlines()


def _element(workspace: Workspace, element: Piece) -> str:
    match element["type"]:
        case "plain_text" | "mrkdwn":
            return _text(workspace, element)
        case "image":
            return f"({element['alt_text']})"
        case "button":
            return f"[{element['text']['text']}]"
        case kind:
            return f"[{element.get('placeholder', {}).get('text', kind)}]"


def _image(_workspace: Workspace, block: Piece) -> Iterator[str]:
    title = block.get("title", {}).get("text", "")
    yield f"({block['alt_text']}) {title}".rstrip()


def _divider(_workspace: Workspace, _block: Piece) -> Iterator[str]:
    yield "─" * 8


def _markdown(_workspace: Workspace, block: Piece) -> Iterator[str]:
    yield from block["text"].splitlines()


def _table(workspace: Workspace, block: Piece) -> Iterator[str]:
    for row in block["rows"]:
        yield " | ".join(_cell(workspace, cell) for cell in row)


def _cell(workspace: Workspace, cell: Piece) -> str:
    if cell["type"] == "rich_text":
        return " ".join(_rich_text(workspace, cell))
    return str(cell.get("text", cell.get("value", "")))


def _rich_text(workspace: Workspace, block: Piece) -> Iterator[str]:
    marks = {"rich_text_quote": "> ", "rich_text_list": "• "}
    for part in block["elements"]:
        items = part["elements"] if part["type"] == "rich_text_list" else [part]
        for item in items:
            text = "".join(_inline(workspace, piece) for piece in item["elements"])
            yield from (marks.get(part["type"], "") + line for line in text.splitlines())


def _inline(workspace: Workspace, piece: Piece) -> str:
    reader = _INLINES.get(piece["type"])
    return reader(workspace, piece) if reader else f"({piece['type']})"


def _unknown(_workspace: Workspace, block: Piece) -> Iterator[str]:
    yield f"({block['type']})"


_BLOCKS: Final[Mapping[str, _Reader]] = {
    "actions": _context,
    "context": _context,
    "divider": _divider,
    "header": _header,
    "image": _image,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "section": _section,
    "table": _table,
}

_INLINES: Final[Mapping[str, Callable[[Workspace, Piece], str]]] = {
    "text": lambda _, piece: str(piece["text"]),
    "link": lambda _, piece: str(piece.get("text", piece["url"])),
    "emoji": lambda _, piece: f":{piece['name']}:",
    "user": lambda workspace, piece: f"@{_user(workspace, piece['user_id'])}",
    "usergroup": lambda workspace, piece: _group(workspace, piece["usergroup_id"]),
    "channel": lambda workspace, piece: f"#{_channel(workspace, piece['channel_id'])}",
    "broadcast": lambda _, piece: f"@{piece['range']}",
    "date": lambda _, piece: str(piece.get("fallback", piece["timestamp"])),
}
