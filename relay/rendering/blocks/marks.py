r"""The marks that a template leaves in its text: where a tag begins and ends, what is a link, which list item this is.

A template prints one string. Its structure has to survive macros, includes and `set`, so it is written into that
string, with characters of Unicode's fifteenth plane. No text from outside contains them
(`relay.rendering.context.without_marks`):

    U+F0000 ...   a node opens (one character for each `NodeKind`)
    U+F0100       the node opened last closes
    U+F0110 ...   formatting that the template itself wrote: one character for each of `FORMATTING`
    U+F0200 ...   a token opens (one character for each type of `Token`); its payload follows
    U+F02FE, FF   separates two parts of a payload; closes a token
    U+F0300 ...   256 characters, the bytes of a payload

A template can forge a mark ("\U000F0001" is a legal literal), and gains nothing by it: each token is checked again when
it is read, no token can ping anybody, and invalid marks are dropped.
"""

import re
from collections.abc import Callable, Iterator
from itertools import product
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


Token = CodeSpan | Link | Date | Skeleton | ItemMark
LIST_END: Final = ItemMark()

COUNTED_NOUNS: Final = ("alert", "tag", "change", "incident")
"""relay counts the items of these nouns that do not fit."""

STATES: Final = ("", *(state.value for state in State))

_OPEN: Final = 0xF0000
_CLOSE: Final = "\U000f0100"
_TOKEN: Final = 0xF0200
_FORMAT: Final = 0xF0110
_BETWEEN: Final = "\U000f02fe"
_PAYLOAD_END: Final = "\U000f02ff"
_BYTE: Final = 0xF0300

_ITEM_MARKS: Final = frozenset({LIST_END, *product(COUNTED_NOUNS, STATES)})
_TOKENS: Final = (CodeSpan, Link, Date, Skeleton, ItemMark)
_KINDS: Final = tuple(NodeKind)
_OPENINGS: Final = {kind: chr(_OPEN + index) for index, kind in enumerate(_KINDS)}
_TO_BYTES: Final = {_BYTE + byte: byte for byte in range(256)}
_FROM_BYTES: Final = {byte: _BYTE + byte for byte in range(256)}

FORMATTING: Final = "*_~`>"
"""What formats words in a template's own text. In a value, these are characters like any other."""

_FORMAT_MARKS: Final = {character: chr(_FORMAT + index) for index, character in enumerate(FORMATTING)}
_FORMAT_CHARACTERS: Final = {mark: character for character, mark in _FORMAT_MARKS.items()}
_FORMAT_RANGE: Final = f"{chr(_FORMAT)}-{chr(_FORMAT + len(FORMATTING) - 1)}"
_FORMAT_RUN: Final = re.compile(f"({_FORMAT_MARKS['`']}{{3}}|[{_FORMAT_RANGE}])")
_WRITTEN_FORMAT: Final = re.compile(r"(?m)(?<![^\W_])[*_~]|[*_~](?![^\W_])|`|^>")
BOLD: Final = _FORMAT_MARKS["*"]
"""Stands before and after bold words."""

_SCAN: Final = re.compile(
    f"(?P<text>[\x00-\U000effff{_FORMAT_RANGE}\U000ffffe-\U0010ffff]+)"
    f"|(?P<open>[{chr(_OPEN)}-{chr(_OPEN + len(_KINDS) - 1)}])"
    f"|(?P<close>{_CLOSE})"
    f"|(?P<token>[{chr(_TOKEN)}-{chr(_TOKEN + len(_TOKENS) - 1)}])"
    f"(?P<payload>[{chr(_BYTE)}-{chr(_BYTE + 255)}{_BETWEEN}]*){_PAYLOAD_END}"
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


def token(value: Token) -> str:
    """Mark a token."""
    parts = [orjson.dumps(value.blocks).decode()] if isinstance(value, Skeleton) else map(str, value)
    payload = _BETWEEN.join(each.encode("utf-8", "replace").decode("latin-1").translate(_FROM_BYTES) for each in parts)
    return f"{chr(_TOKEN + _TOKENS.index(type(value)))}{payload}{_PAYLOAD_END}"


def formatted(text: str) -> str:
    """Mark what formats words in a text of the template's own, except inside of words."""
    return _WRITTEN_FORMAT.sub(lambda found: _FORMAT_MARKS[found.group()], text)


def split_formats(text: str) -> list[str]:
    """Split a text that `scan` found: each even entry is words, each odd one is formatting as Slack writes it."""
    parts = _FORMAT_RUN.split(text)
    parts[1::2] = ["".join(map(_FORMAT_CHARACTERS.__getitem__, mark)) for mark in parts[1::2]]
    return parts


def scan(text: str) -> Iterator[str | Token | NodeKind | None]:
    """Read a template's output mark by mark: a node of this kind opens, None closes one; invalid marks are dropped."""
    for found in _SCAN.finditer(text):
        match found.lastgroup:
            case "text":
                yield found.group()
            case "open":
                yield _KINDS[ord(found.group()) - _OPEN]
            case "close":
                yield None
            case _:
                yield from _read_token(ord(found["token"]) - _TOKEN, found["payload"])


def is_date(at: int, pattern: str) -> bool:
    """Whether Slack can show these Unix seconds by this pattern: it has a token of Slack's, and no other braces."""
    is_pattern = "{" in pattern and len(pattern) <= _LONGEST_PATTERN and _DATE_PATTERN.fullmatch(pattern)
    return 0 < at < _END_OF_TIME and bool(is_pattern)


def _read_token(index: int, payload: str) -> Iterator[Token]:
    try:
        parts = [each.translate(_TO_BYTES).encode("latin-1").decode("utf-8") for each in payload.split(_BETWEEN)]
        value = _READERS[index](*parts)
    except (TypeError, ValueError):
        return
    if value is not None:
        yield value


_READERS: Final[tuple[Callable[..., Token | None], ...]] = (
    CodeSpan,
    lambda url, label: Link(checked, label) if (checked := valid_url(url)) else None,
    lambda at, pattern: Date(int(at), pattern) if is_date(int(at), pattern) else None,
    lambda blocks: Skeleton(orjson.loads(blocks)),
    lambda *mark: ItemMark(*mark) if mark in _ITEM_MARKS else None,
)
"""In the order of `_TOKENS`: each makes its token of the parts of a payload, or None of invalid ones."""
