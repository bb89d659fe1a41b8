r"""The marks that a template leaves in its text: where a tag begins and ends, what is a link, which list item this is.

A template prints one string. Its structure has to survive macros, includes and `set`, so it is written into that
string, with characters of Unicode's fifteenth plane. No text from outside contains them
(`relay.rendering.context.without_marks`):

    U+F0000 ...   a node opens (one character for each `NodeKind`)
    U+F0100       the node opened last closes
    U+F0200 ...   a token opens: code, link, date or skeleton; its payload follows
    U+F02FE, FF   separates two parts of a payload; closes a token
    U+F0300 ...   256 characters, the bytes of a payload
    U+F0400 ...   an item of a list begins (its noun and its state); U+F04FF: the list ends

A template can forge a mark ("\U000F0001" is a legal literal), and gains nothing by it: each token is checked again when
it is read, no token can ping anybody, and invalid marks are dropped.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

import orjson

from relay.model.incident import State
from relay.model.json_types import JSON
from relay.rendering.blocks.tags import NodeKind
from relay.rendering.blocks.urls import valid_url


class CodeSpan(NamedTuple):
    """A value shown as code."""

    text: str


class Link(NamedTuple):
    """A link to a checked http or https address."""

    url: str
    label: str


class Date(NamedTuple):
    """A moment (Unix seconds), shown in the reader's zone by one of Slack's date patterns."""

    at: int
    pattern: str


class Skeleton(NamedTuple):
    """Raw Block Kit with slots for its strings, as JSON."""

    blocks: JSON


class ItemMark(NamedTuple):
    """An item of a list begins here; without a noun, the list ends here."""

    noun: str = ""
    state: str = ""


class Opens(NamedTuple):
    """A node begins."""

    kind: NodeKind


class Closes(NamedTuple):
    """The node that began last ends."""


Token = CodeSpan | Link | Date | Skeleton
LIST_END: Final = ItemMark()
LIST_END_MARK: Final = "\U000f04ff"

NOUNS: Final = ("alert", "tag", "change")
STATES: Final = ("", *(state.value for state in State))

_OPEN: Final = 0xF0000
_CLOSE: Final = "\U000f0100"
_TOKEN: Final = 0xF0200
_BETWEEN: Final = "\U000f02fe"
_PAYLOAD_END: Final = "\U000f02ff"
_BYTE: Final = 0xF0300
_ITEM: Final = 0xF0400

_KINDS: Final = tuple(NodeKind)
_OPENINGS: Final = {kind: chr(_OPEN + index) for index, kind in enumerate(_KINDS)}
_TO_BYTES: Final = {_BYTE + byte: byte for byte in range(256)}
_FROM_BYTES: Final = {byte: _BYTE + byte for byte in range(256)}
_SCAN: Final = re.compile(
    "(?P<text>[^\U000f0000-\U000ffffd]+)"
    f"|(?P<open>[{chr(_OPEN)}-{chr(_OPEN + len(_KINDS) - 1)}])"
    f"|(?P<close>{_CLOSE})"
    f"|(?P<token>[{chr(_TOKEN)}-{chr(_TOKEN + 3)}])"
    f"(?P<payload>[{chr(_BYTE)}-{chr(_BYTE + 255)}{_BETWEEN}]*){_PAYLOAD_END}"
    f"|(?P<item>[{chr(_ITEM)}-{LIST_END_MARK}])"
)

_END_OF_TIME: Final = 100_000_000_000
"""The year 5138. A later moment is milliseconds by mistake."""

_LONGEST_PATTERN: Final = 100

# https://docs.slack.dev/messaging/formatting-message-text#date-formatting
_DATE_PATTERN: Final = re.compile(
    r"(?:[^{}^|<>&\n]|\{(?:date_num|date|date_short|date_long|date_pretty|date_short_pretty|date_long_pretty|time|time_secs"
    r"|ago)\})+"
)


def part(kind: NodeKind, body: str) -> str:
    """Mark a node with its content."""
    return f"{_OPENINGS[kind]}{body}{_CLOSE}"


def code(text: str) -> str:
    """Mark a value shown as code."""
    return _token(0, text)


def link(url: str, label: str) -> str:
    """Mark a link."""
    return _token(1, url, label)


def date(at: int, pattern: str) -> str:
    """Mark a moment."""
    return _token(2, str(at), pattern)


def skeleton(blocks: JSON) -> str:
    """Mark raw blocks."""
    return _token(3, orjson.dumps(blocks).decode())


def item(noun: str, state: str) -> str:
    """Mark the beginning of a list item; empty for a noun that relay does not count."""
    if noun not in NOUNS:
        return ""
    known = STATES.index(state) if state in STATES else 0
    return chr(_ITEM + NOUNS.index(noun) * len(STATES) + known)


def scan(text: str) -> Iterator[str | Token | ItemMark | Opens | Closes]:
    """Read a template's output mark by mark; invalid marks are dropped."""
    for found in _SCAN.finditer(text):
        match found.lastgroup:
            case "text":
                yield found.group()
            case "open":
                yield Opens(_KINDS[ord(found.group()) - _OPEN])
            case "close":
                yield Closes()
            case "item":
                yield from _read_item(found.group())
            case _:
                yield from _read_token(ord(found["token"]) - _TOKEN, found["payload"])


def is_moment(at: int) -> bool:
    """Whether Slack can show these Unix seconds as a date."""
    return 0 < at < _END_OF_TIME


def is_date_pattern(pattern: str) -> bool:
    """Whether Slack knows this date pattern: it has at least one of Slack's tokens, and nothing else in braces."""
    return "{" in pattern and len(pattern) <= _LONGEST_PATTERN and bool(_DATE_PATTERN.fullmatch(pattern))


def _token(index: int, *parts: str) -> str:
    payload = _BETWEEN.join(each.encode("utf-8", "replace").decode("latin-1").translate(_FROM_BYTES) for each in parts)
    return f"{chr(_TOKEN + index)}{payload}{_PAYLOAD_END}"


def _read_token(index: int, payload: str) -> Iterator[Token]:
    try:
        parts = [each.translate(_TO_BYTES).encode("latin-1").decode("utf-8") for each in payload.split(_BETWEEN)]
        token = _READERS[index](*parts)
    except (TypeError, ValueError):
        return
    if token is not None:
        yield token


def _read_link(url: str, label: str) -> Link | None:
    checked = valid_url(url)
    return Link(checked, label) if checked else None


def _read_date(at: str, pattern: str) -> Date | None:
    return Date(int(at), pattern) if is_moment(int(at)) and is_date_pattern(pattern) else None


def _read_skeleton(blocks: str) -> Skeleton:
    return Skeleton(orjson.loads(blocks))


_READERS: Final = (CodeSpan, _read_link, _read_date, _read_skeleton)


def _read_item(mark: str) -> Iterator[ItemMark]:
    if mark == LIST_END_MARK:
        yield LIST_END
        return
    noun, state = divmod(ord(mark) - _ITEM, len(STATES))
    if noun < len(NOUNS):
        yield ItemMark(NOUNS[noun], STATES[state])
