"""Characters as Slack and readers count them: which can be sent, how long a text is, and where it may be cut."""

import re
import unicodedata
from typing import Final

_UNSENDABLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls
    "\u202a-\u202e\u2066-\u2069"  # explicit directions: they would reverse the text that follows a value
    "\ud800-\udfff\ufffe\uffff"  # not encodable
    "\U000f0000-\U000ffffd]+"  # relay's own marks
)
_LINE_BREAKS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SUSPECT: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\u1fff\u2030-\u2065\u2070-\ud7ff\ue000-\ufffd\U00010000-\U000effff]")
"""Whatever one of the two patterns above can match; most texts have none of it."""

_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3")
TICK: Final = "\u02cb"
"""Replaces a backtick: Slack has no escape for it, and looks for code before anything else."""

JOINER: Final = "\u034f"
"""The combining grapheme joiner, which nobody sees. Before a character, it keeps Slack from reading formatting there.

Slack has no escape for formatting; healthchecks.io sends this before each star (`fix_asterisks` in its `hc_extras.py`).
"""

_SPECIAL: Final = re.compile("[*_~`:>]")
_FORMATTING: Final = re.compile(
    r"(?<![^\W_])(?=[*_~])|(?=[*_~](?![^\W_]))"  # not between two letters or digits: Slack formats whole words only
    r"|(?<=:)(?=[\w+'-]+:)"  # an emoji's name, between two colons
)
"""Where a joiner keeps Slack from reading formatting."""
_QUOTE: Final = re.compile(r"(?m)^(?=[ \t]*>)")

_FLAG_LETTERS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_LONGEST: Final = 40
"""Code points of the longest character that a reader sees as one."""


def sendable(text: str) -> str:
    """Remove what cannot be sent, and make every line break the same."""
    if not _SUSPECT.search(text):
        return text
    return _UNSENDABLE.sub("", _LINE_BREAKS.sub("\n", text))


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 units: Slack never counts more."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "replace")) // 2


def safe_cut(text: str, end: int) -> int:
    """Return the last place at or before `end` where a cut separates whole characters."""
    end = max(0, min(end, len(text)))
    for place in range(end, max(0, end - _LONGEST), -1):
        if place == len(text) or not _continues(text, place):
            return place
    return end if end > _LONGEST else 0


def without_formatting(text: str, *, begins_line: bool = True) -> str:
    """Return the text so that Slack shows it as it is: no bold, italic, struck or quoted words, no code, no emoji."""
    if not _SPECIAL.search(text):
        return text
    text = _FORMATTING.sub(JOINER, text.replace("`", TICK))
    first, line_break, rest = ("", "", text) if begins_line else text.partition("\n")
    return first + line_break + _QUOTE.sub(JOINER, rest)


def _continues(text: str, place: int) -> bool:
    """Whether the code point at this place belongs to the character before it."""
    after, before = text[place], text[place - 1]
    return (
        after in _JOINERS
        or before == "\u200d"
        or unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tag characters of regional flags
        or (after in _FLAG_LETTERS and (place - len(text[:place].rstrip(_FLAG_LETTERS))) % 2 == 1)  # a flag is a pair
    )
