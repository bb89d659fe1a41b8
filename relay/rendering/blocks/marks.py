r"""The marks that templates leave in their text: which part begins where, what is a link, which item of a list this is.

A template prints one string. So that its structure survives macros, includes and `set`, it stands in that string
itself, written with characters of Unicode's fifteenth plane, which no text from outside contains
(`relay.rendering.context.unmarked`):

    U+F0000 ...   a part opens (one character for each `Kind`)
    U+F0100       the part opened last closes
    U+F0200 ...   a token opens: code, link, date or skeleton, followed by its payload
    U+F02FE, FF   between two parts of a payload; a token closes
    U+F0300 ...   256 characters, the bytes of a payload
    U+F0400 ...   an item of a list begins (what it is, and its state); U+F04FF: the list is over

A template may forge a mark ("\U000F0001" is a legal literal). That gains it nothing: a token is checked again when it
is read, none of them can name somebody to ping, and whatever makes no sense is dropped.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

import orjson

from relay.model.incident import State
from relay.model.json_types import JSON
from relay.rendering.blocks.urls import address


class NodeKind(Enum):
    """The parts of a template, by their tags; `ARGUMENT` is a tag's argument, `SLOT` a string of raw blocks."""

    SUMMARY = "summary"
    HEADER = "header"
    SECTION = "section"
    ACCESSORY = "accessory"
    FIELDS = "fields"
    FIELD = "field"
    CONTEXT = "context"
    QUOTE = "quote"
    PRE = "pre"
    DIVIDER = "divider"
    IMAGE = "image"
    ACTIONS = "actions"
    BUTTON = "button"
    MENTIONS = "mentions"
    RELAY_ACTIONS = "relay_actions"
    BAR = "bar"
    BLOCKS = "blocks"
    ARGUMENT = "argument"
    SLOT = "slot"


class CodeSpan(NamedTuple):
    """A value shown as code."""

    text: str


class Link(NamedTuple):
    """A link to a checked http or https address."""

    url: str
    label: str


class Date(NamedTuple):
    """A moment (Unix seconds), shown in the reader's zone; `form` is Slack's pattern of it."""

    at: int
    form: str


class Skeleton(NamedTuple):
    """Raw Block Kit with its slots, as JSON."""

    blocks: JSON


class ItemMark(NamedTuple):
    """Here begins one item of a list; without a noun: here the list ends."""

    noun: str = ""
    state: str = ""


Token = CodeSpan | Link | Date | Skeleton
LIST_ENDS: Final = ItemMark()

NOUNS: Final = ("alert", "tag", "change")
STATES: Final = ("", *(state.value for state in State))

_OPEN: Final = 0xF0000
_CLOSE: Final = "\U000f0100"
_TOKEN: Final = 0xF0200
_BETWEEN: Final = "\U000f02fe"
_END: Final = "\U000f02ff"
_BYTE: Final = 0xF0300
_ITEM: Final = 0xF0400
_LIST_END: Final = "\U000f04ff"

_KINDS: Final = tuple(NodeKind)
_OPENINGS: Final = {kind: chr(_OPEN + index) for index, kind in enumerate(_KINDS)}
_TO_BYTES: Final = {_BYTE + byte: byte for byte in range(256)}
_FROM_BYTES: Final = {byte: _BYTE + byte for byte in range(256)}
_SCAN: Final = re.compile(
    "(?P<text>[^\U000f0000-\U000ffffd]+)"
    f"|(?P<open>[{chr(_OPEN)}-{chr(_OPEN + len(_KINDS) - 1)}])"
    f"|(?P<close>{_CLOSE})"
    f"|(?P<token>[{chr(_TOKEN)}-{chr(_TOKEN + 3)}])(?P<payload>[{chr(_BYTE)}-{chr(_BYTE + 255)}{_BETWEEN}]*){_END}"
    f"|(?P<item>[{chr(_ITEM)}-{_LIST_END}])"
)


def part(kind: NodeKind, body: str) -> str:
    """A part with what stands in it."""
    return f"{_OPENINGS[kind]}{body}{_CLOSE}"


def code(text: str) -> str:
    """The mark of a value shown as code."""
    return _token(0, text)


def link(url: str, label: str) -> str:
    """The mark of a link."""
    return _token(1, url, label)


def date(at: int, form: str) -> str:
    """The mark of a moment."""
    return _token(2, str(at), form)


def skeleton(blocks: JSON) -> str:
    """The mark of raw blocks."""
    return _token(3, orjson.dumps(blocks).decode())


def item(noun: str, state: str) -> str:
    """The mark before an item of a list; nothing for one that no cut would count."""
    if noun not in NOUNS:
        return ""
    known = STATES.index(state) if state in STATES else 0
    return chr(_ITEM + NOUNS.index(noun) * len(STATES) + known)


def list_end() -> str:
    """The mark after the last item of a list."""
    return _LIST_END


class Opens(NamedTuple):
    """A part begins."""

    kind: NodeKind


class Closes(NamedTuple):
    """The part that began last ends."""


def scan(text: str) -> Iterator[str | Token | ItemMark | Opens | Closes]:
    """What a template printed, mark by mark; anything that is not whole is left out."""
    for found in _SCAN.finditer(text):
        match found.lastgroup:
            case "text":
                yield found.group()
            case "open":
                yield Opens(_KINDS[ord(found.group()) - _OPEN])
            case "close":
                yield Closes()
            case "item":
                yield from _item(found.group())
            case _:
                yield from _read(ord(found["token"]) - _TOKEN, found["payload"])


def _token(index: int, *parts: str) -> str:
    payload = _BETWEEN.join(each.encode("utf-8", "replace").decode("latin-1").translate(_FROM_BYTES) for each in parts)
    return f"{chr(_TOKEN + index)}{payload}{_END}"


def _read(index: int, payload: str) -> Iterator[Token]:
    try:
        parts = [each.translate(_TO_BYTES).encode("latin-1").decode("utf-8") for each in payload.split(_BETWEEN)]
        token = _MADE_OF[index](*parts)
    except (TypeError, ValueError):
        return
    if token is not None:
        yield token


def _read_link(url: str, label: str) -> Link | None:
    checked = address(url)
    return Link(checked, label) if checked else None


def _read_date(at: str, form: str) -> Date | None:
    return Date(int(at), form) if is_moment(int(at)) and is_form(form) else None


def _read_skeleton(blocks: str) -> Skeleton:
    return Skeleton(orjson.loads(blocks))


_MADE_OF: Final = (CodeSpan, _read_link, _read_date, _read_skeleton)


def _item(mark: str) -> Iterator[ItemMark]:
    if mark == _LIST_END:
        yield LIST_ENDS
        return
    noun, state = divmod(ord(mark) - _ITEM, len(STATES))
    if noun < len(NOUNS):
        yield ItemMark(NOUNS[noun], STATES[state])


_LAST_MOMENT: Final = 100_000_000_000
"""The year 5138: later ones are milliseconds that somebody took for seconds."""

# https://docs.slack.dev/messaging/formatting-message-text#date-formatting
_FORM: Final = re.compile(
    r"(?:[^{}^|<>&\n]|\{(?:date_num|date|date_short|date_long|date_pretty|date_short_pretty|date_long_pretty|time|time_secs"
    r"|ago)\})+"
)


def is_moment(at: int) -> bool:
    """Whether these Unix seconds are a moment that Slack can show."""
    return 0 < at < _LAST_MOMENT


def is_form(form: str) -> bool:
    """Whether Slack knows this pattern of a date: it names at least one of its tokens, and nothing else in braces."""
    return "{" in form and len(form) <= 100 and bool(_FORM.fullmatch(form))  # noqa: PLR2004  longer is no date
