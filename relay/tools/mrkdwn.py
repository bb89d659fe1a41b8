"""Converts Slack's mrkdwn to styled text for a terminal: https://docs.slack.dev/messaging/formatting-message-text.

Links show their labels, and can be clicked if the terminal supports it. Dates show their fallback text, since only
Slack knows the reader's time zone.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from rich.style import Style
from rich.text import Text

from relay.rendering.blocks.characters import JOINER

CODE: Final = Style(color="red", bgcolor="grey11")
LINK: Final = Style(color="dodger_blue1", underline=True)
MENTION: Final = Style(color="dark_orange", bold=True)

_TOKEN: Final = re.compile(
    r"```(?P<pre>.+?)```"
    r"|`(?P<code>[^`\n]+)`"
    r"|<(?P<angled>[^<>\n]+)>"
    r"|(?<![\w*\u034f])\*(?P<bold>[^\s*](?:(?:\u034f\*|[^*\n])*[^\s*\u034f])?)\*(?![\w*])"
    r"|(?<![\w\u034f])_(?P<italic>[^\s_](?:[^\n]*?[^\s_\u034f])?)_(?!\w)"
    r"|(?<![\w~\u034f])~(?P<strike>[^\s~](?:(?:\u034f~|[^~\n])*[^\s~\u034f])?)~(?![\w~])",
    re.DOTALL,
)
_STYLES: Final[Mapping[str, Style]] = {
    "bold": Style(bold=True),
    "italic": Style(italic=True),
    "strike": Style(strike=True),
}
_ENTITIES: Final = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))


def to_rich_text(text: str, channels: Mapping[str, str]) -> Text:
    """Convert mrkdwn to the text that a reader sees; `channels` are the names of channels by their ids."""
    return Text("\n").join(_line(line, channels) for line in _lines(text))


def unescape(text: str) -> str:
    """Replace the three entities that Slack escapes, and leave out what nobody sees."""
    text = text.replace(JOINER, "")
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


def _lines(text: str) -> Iterator[str]:
    """The lines. A code block is one line, wherever it begins."""
    parts = re.split(r"\n?(```.+?```)\n?", text, flags=re.DOTALL)
    for number, part in enumerate(parts):
        if number % 2:
            yield part
        elif part or len(parts) == 1:
            yield from part.split("\n")


def _line(line: str, channels: Mapping[str, str]) -> Text:
    if quote := re.match(r"(?:&gt;|>)\s*", line):
        return Text("┃ ", "bright_black").append_text(_inline(line[quote.end() :], channels))
    return _inline(line, channels)


def _inline(text: str, channels: Mapping[str, str]) -> Text:
    result, after = Text(), 0
    for token in _TOKEN.finditer(text):
        result.append(unescape(text[after : token.start()]))
        result.append_text(_token(token, channels))
        after = token.end()
    return result.append(unescape(text[after:]))


def _token(token: re.Match[str], channels: Mapping[str, str]) -> Text:
    kind, inside = token.lastgroup or "", token[token.lastgroup or 0]
    if kind in _STYLES:
        inner = _inline(inside, channels)
        inner.stylize_before(_STYLES[kind])
        return inner
    if kind == "angled":
        return _angled(inside, channels)
    return Text(unescape(inside).strip("\n"), CODE)


def _angled(inside: str, channels: Mapping[str, str]) -> Text:
    """Text in angle brackets: a mention, a channel, a date or a link."""
    target, bar, label = inside.partition("|")
    if target.startswith("#"):
        return Text(f"#{label or channels.get(target[1:], target[1:]).removeprefix('#')}", LINK)
    if target.startswith("@"):
        return Text(f"@{label or target[1:]}", MENTION)
    if target.startswith("!date^"):
        return Text(unescape(label))
    if target.startswith("!"):
        return Text(f"@{label or target.removeprefix('!subteam^').lstrip('!')}", MENTION)
    return Text(unescape(label if bar else target), LINK + Style(link=unescape(target)))
