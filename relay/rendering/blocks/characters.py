"""Characters as Slack and a reader count them: what may be sent at all, how long it is, where it may be cut."""

import re
import unicodedata
from typing import Final

_UNSENDABLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls
    "\u202a-\u202e\u2066-\u2069"  # explicit directions: they would turn round what stands behind a value
    "\ud800-\udfff\ufffe\uffff"  # what no encoding can hold
    "\U000f0000-\U000ffffd]+"  # relay's own marks
)
_LINE_BREAKS: Final = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_PICKY: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\u1fff\u2030-\u2065\u2070-\ud7ff\ue000-\ufffd\U00010000-\U000effff]")
"""What either of the two above might match: most texts hold nothing of it."""

_JOINERS: Final = frozenset("\u200d\ufe0e\ufe0f\u20e3")
TICK: Final = "\u02cb"
"""What a backtick becomes where it would begin or end code: Slack has no way to escape one."""

_LONGEST: Final = 40
"""No character that a reader knows is made of more code points."""


def clean(text: str) -> str:
    """The text without what cannot be sent, every line break being one of the same kind."""
    if not _PICKY.search(text):
        return text
    return _UNSENDABLE.sub("", _LINE_BREAKS.sub("\n", text))


def size(text: str) -> int:
    """How long Slack may find the text: in UTF-16 units, which is never less than in code points."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "replace")) // 2


def whole(text: str, end: int) -> int:
    """The last place at or before `end` where a cut leaves whole characters on both sides."""
    end = max(0, min(end, len(text)))
    for place in range(end, max(0, end - _LONGEST), -1):
        if place == len(text) or not _continues(text, place):
            return place
    return end if end > _LONGEST else 0


def balanced(text: str) -> str:
    """A value leaves no code open behind it: Slack would take what follows for code, up to the next backtick."""
    if text.count("```") % 2:
        text = (3 * TICK).join(text.rsplit("```", 1))
    if (text.count("`") - 3 * text.count("```")) % 2:
        text = TICK.join(text.rsplit("`", 1))
    return text


def _continues(text: str, place: int) -> bool:
    """Whether the code point there belongs to the character before it."""
    after, before = text[place], text[place - 1]
    return (
        after in _JOINERS
        or before == "\u200d"
        or unicodedata.category(after) in {"Mn", "Me", "Mc"}
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # the tags that make the flags of regions
        or (_is_flag(after) and _flags_before(text, place) % 2 == 1)
    )


def _is_flag(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flags_before(text: str, place: int) -> int:
    """Flags are pairs of letters: how many of those stand in a row before this place."""
    count = 0
    while count < place and _is_flag(text[place - 1 - count]):
        count += 1
    return count
