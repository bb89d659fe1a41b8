"""Cleans text from outside: what monitoring systems, people and BigPanda write into incidents.

`clean_text` runs where a share is read, so that routes, the database and every output have text without control
sequences. `readable_text` runs where templates get a value: it turns HTML into words. What Slack would read as
formatting, emoji, links or pings depends on the place, so it becomes harmless where mrkdwn is written
(`relay.rendering.blocks.rich_text`). docs/behaviour.md has the table of all steps.
"""

import html
import re
from html.entities import html5
from typing import Final

_STRING: Final = r"[^\x07\x1b\x90\x98\x9c-\x9f\n]{0,4096}(?:\x07|\x1b\\|\x9c)"
# https://ecma-international.org/publications-and-standards/standards/ecma-48/ sections 5.4 and 5.6; BEL as in xterm's
# OSC: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
_CONTROL_SEQUENCES: Final = re.compile(
    rf"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]){_STRING}"  # OSC, DCS, SOS, PM and APC, with their strings
    r"|\x1b\[[0-?]*[ -/]*[@-~]?|\x9b(?:[0-?]+[ -/]*[@-~]?|[HJKhlm])?"  # CSI
    r"|\x1b(?:[#-/][0-~]|[78=>\]PX^_\\]|[cDEHM](?![a-z]))?"  # short sequences, and strings that nothing ends
)
_SPELLED_SEQUENCES: Final = re.compile(
    r"(?:\^\[|\\x1[bB]|\\u001[bB]|\\0?33|\\e|#033|\u241b)\[[0-9;:?]*[mKJH]", re.ASCII
)
"""CSI sequences whose ESC a program wrote as text: caret notation, escapes of JSON, C and shells, and syslog's."""
_LINE_BREAKS: Final = re.compile("\r\n?|[\x0b\x0c\x85]")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
_OWN_MARKS: Final = re.compile("[\U000f0000-\U000ffffd]+")
_SUSPECT: Final = re.compile(r"[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\U000effff\U000ffffe-\U0010ffff]")
"""Whatever one of the five patterns above can match; most texts have none of it."""

_BLOCKS: Final = (
    "address article aside blockquote body br caption center dd details div dl dt figcaption figure footer form h1 h2 "
    "h3 h4 h5 h6 head header hr html li main nav ol p pre section summary table tbody tfoot thead tr ul"
)
_CELLS: Final = "td th"
_INLINE: Final = (
    "a abbr acronym b bdi bdo big button cite code del dfn em font i ins kbd label mark o:p q s samp small span strike "
    "strong sub sup title tt u var wbr"
)
_NAMES: Final = "|".join(sorted(f"{_BLOCKS} {_CELLS} {_INLINE} img".split(), key=len, reverse=True))
_ATTRIBUTE: Final = r"""\s+[a-z][\w:-]*(?:\s*=\s*(?:"[^"<]*"|'[^'<]*'|[^\s"'<>]+))?"""
_TAG: Final = re.compile(
    rf"<(?P<end>/)?(?P<name>{_NAMES})(?P<attributes>(?:{_ATTRIBUTE})*)\s*/?>|<!doctype\s[^<>]*>|<!--[^<>]*-->",
    re.IGNORECASE,
)
_MARKED_UP: Final = re.compile(
    rf"<(?:/(?:{_NAMES})\s*>"
    rf"|(?=[a-z])(?:(?:br|hr|p|div|[uo]l|li|table|t[rd]|h[1-6])\s*/?>|(?:{_NAMES})\s[^<>]*=))",  # most `<` end here
    re.IGNORECASE,
)
"""Only in a text with one of these is `<b>` a tag; else it is a placeholder, as in `usage: copy <a> <b>`."""

_BLOCK_NAMES: Final = frozenset(_BLOCKS.split())
_CELL_NAMES: Final = frozenset(_CELLS.split())
_ADDRESS: Final = re.compile(
    r"""\b(?:href|src)\s*=\s*(?:"([^"]*://[^"]*)"|'([^']*://[^']*)'|([^\s"'>]*://[^\s"'>]*))""", re.IGNORECASE
)
_ALT: Final = re.compile(r"""\balt\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_ESCAPE: Final = re.compile(r"&#(?:0*27|[xX]0*1[bB]);")
_GAPS: Final = re.compile(r"\n{3,}")
_CELL: Final = " · "

# fmt: off
_NOTHING: Final = frozenset({
    "null", "(null)", "<null>", "[null]", "none", "(none)", "<none>", "nil", "(nil)", "<nil>", "%!s(<nil>)",
    "undefined", "(undefined)", "<undefined>", "<no value>", "unset", "(unset)", "<unset>", "not set", "(not set)",
    "n/a", "#n/a", "n.a.", "(n/a)", "<n/a>", "not available", "not applicable", "(empty)", "<empty>", "*unknown*",
    "[no value]", "(no value)", "n.a", "[]", "{}", "()", "-", "--", "---", "\u2013", "\u2014", '""', "''",
    "'null'", '"null"',
})
# fmt: on
"""What senders write for "no value", in lower case."""

_UNFILLED: Final = re.compile(
    r"\{\{[\w\s.\-\[\]#'\"]+\}\}|\$\{[\w\s.\-\[\]#:]+\}|\{[#$]?[A-Z][A-Z0-9_.]*\}|\$[A-Z][A-Z0-9_]*\$|%\{[\w.:-]+\}"
    r"|%[A-Z][A-Z0-9_]+%|\$(?:labels|values|externalLabels)\.\w+"
)
_LONGEST_NOTHING: Final = max(map(len, _NOTHING))


def clean_text(text: str) -> str:
    """Remove what no later code should have to handle: control sequences and characters, and relay's own marks.

    Tabs and line feeds stay; every other line break becomes a line feed.
    """
    if "[" in text:
        text = _SPELLED_SEQUENCES.sub("", text)
    if not _SUSPECT.search(text):
        return text
    text = _CONTROLS.sub("", _LINE_BREAKS.sub("\n", _CONTROL_SEQUENCES.sub("", text)))
    return _OWN_MARKS.sub("", _SURROGATES.sub("\ufffd", text))


def readable_text(text: str) -> str:
    """Turn HTML into words: tags become line breaks or go, addresses stay, and entities are decoded once."""
    if "<" in text and _MARKED_UP.search(text):
        text = _without_tags(text)
    if "&" in text and _ENTITY.search(text):
        text = clean_text(_ENTITY.sub(_decoded, text))
    return text


def says_nothing(text: str) -> bool:
    """Whether a whole value stands for no value, as `null` or `N/A`."""
    return len(text) <= _LONGEST_NOTHING and text.casefold() in _NOTHING


def is_unfilled(text: str) -> bool:
    """Whether a whole value is a variable that its sender did not fill in, as `{{alert.host}}` or `${host.name}`."""
    return text[:1] in "{$%" and _UNFILLED.fullmatch(text) is not None


def _without_tags(text: str) -> str:
    addresses: list[str] = []
    since: list[int] = []
    pieces: list[str] = []

    def replaced(tag: re.Match[str]) -> str:
        name = (tag["name"] or "").lower()
        if name == "li":
            return "" if tag["end"] else "\n• "
        if name == "img":
            return " ".join(filter(None, (_attribute(_ALT, tag), _attribute(_ADDRESS, tag))))
        if name == "a" and not tag["end"]:
            addresses.append(_attribute(_ADDRESS, tag))
            since.append(len(pieces))
        elif name == "a" and addresses:
            address, words = addresses.pop(), "".join(pieces[since.pop() :])
            return f" ({address})" if address and address not in words else ""
        return "\n" if name in _BLOCK_NAMES else _CELL if name in _CELL_NAMES else ""

    after = 0
    for tag in _TAG.finditer(text):
        pieces.append(text[after : tag.start()])
        pieces.append(replaced(tag))
        after = tag.end()
    words = "".join([*pieces, text[after:], *(f" ({address})" for address in reversed(addresses) if address)])
    return _GAPS.sub("\n\n", "\n".join(_tidy_lines(words))).strip()


def _tidy_lines(words: str) -> list[str]:
    """Split into lines without empty cells; a row of a table has no gap above it."""
    lines: list[str] = []
    for line in words.split("\n"):  # patterns for blanks would read a long run of them once for each blank
        if line.lstrip(" \t").startswith(_CELL.strip()):
            while lines and not lines[-1]:
                lines.pop()
        lines.append(_CELL.join(cell for cell in line.split(_CELL) if cell.strip()).strip(" \t"))
    return lines


def _attribute(pattern: re.Pattern[str], tag: re.Match[str]) -> str:
    found = pattern.search(tag["attributes"] or "")
    return next(filter(None, found.groups()), "") if found else ""


def _decoded(entity: re.Match[str]) -> str:
    name = entity.group()
    if _ESCAPE.fullmatch(name):
        return "\x1b"  # so that the sequence that it begins goes with it
    return html.unescape(name) if name[1] == "#" or name[1:] in html5 else name
