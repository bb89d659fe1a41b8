"""Text from outside, as it may be written to a terminal.

Some characters move the cursor, change colours, or turn the order of what follows: an attacker could hide a line of a
report, or forge one. Each becomes its escape, so that a reader sees that it was there.
"""

from typing import Final

_TAB, _LINE_FEED = 9, 10
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # unicode.org/reports/tr9
_BREAKS = (0x2028, 0x2029)
_SURROGATES = range(0xD800, 0xE000)  # a terminal's encoding has none of them: to print one fails

UNSAFE: Final = frozenset({*range(32), *range(127, 160), *_DIRECTIONS, *_BREAKS, *_SURROGATES} - {_TAB, _LINE_FEED})
"""The characters (code points) that no terminal gets: control characters (C0, C1, DEL), directions, odd line breaks."""

_ESCAPES = {code: repr(chr(code))[1:-1] for code in UNSAFE}
_ON_ONE_LINE = _ESCAPES | {_TAB: r"\t", _LINE_FEED: r"\n"}
_IN_JSON = {code: f"\\u{code:04x}" for code in UNSAFE}


def for_terminal(text: str) -> str:
    """Return the text with escapes in place of what a terminal must not get; tabs and line feeds stay."""
    return text if text.isascii() and text.isprintable() else text.translate(_ESCAPES)


def on_one_line(text: str) -> str:
    """Return the text as `for_terminal` does, with tabs and line feeds escaped too."""
    return text if text.isascii() and text.isprintable() else text.translate(_ON_ONE_LINE)


def json_for_terminal(document: str) -> str:
    """Return a JSON document that means the same, and that a terminal may get."""
    return document.translate(_IN_JSON)
