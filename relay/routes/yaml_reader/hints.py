"""Hints for text that YAML reads in another way than its writer meant: what YAML makes of it, and what to write.

Some first characters of a value have a meaning in YAML. Then the value is not text, or the file is not valid YAML.
YAML's own error often points at a later line. This module looks at the line itself and says what to write.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

_VALUE_BEGINS: Final = re.compile(r"(?:^|(?<=[:\-?,])|(?<=[\[{]))[ \t]*(?=[^\s])")
_ALIAS: Final = re.compile(r"[*&][A-Za-z0-9_-]+(?=[\s,\]}]|$)")
_TAG: Final = re.compile(r"![^\s,\[\]{}]*(?=\s|$)")
QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:\\.|[^\"\\])*\"")
_ESCAPE: Final = re.compile(r"\\[^0abtnvfre \"/\\N_LPxuU\t]")
_LIST: Final = re.compile(r"\[[^\[\]]*\](?=[^\s,\]}:#])")
_BLOCK: Final = re.compile(r"[|>][+\-0-9]{0,2}\s*(#.*)?$")
_END: Final = re.compile(r",\s|[\]}]|\s#|$")
_GLUED: Final = re.compile(r"[A-Za-z_-]+:(?=[^\s:/])")
_COMMENT: Final = re.compile(r"\s*(#(?:\{\{.*?\}\}|[^\s#])+)")
_HIDDEN: Final = re.compile(r"(?:^|(?<=[\s\[{,]))#[^\s#]\S*")
_EXPRESSION: Final = re.compile(r"(?:\{\{.*?\}\}|[^\s,}\]])+")

_BREAK: Final = re.compile("\r\n|[\n\r\x85\u2028\u2029]")
_REMARK: Final = re.compile(r"(?:^|(?<=\s))#")
_DASH: Final = re.compile(r"\s*-(?=[A-Za-z_]+:(\s|$))")
STRANGE_BLANK: Final = re.compile("[\u00a0\u2000-\u200b\u202f\u3000\ufeff]")
"""A character that looks like a blank, and is none to YAML."""

_SECOND_COLON: Final = re.compile(r"\s*(?:- +)?[A-Za-z_-]+: +(?=[^\s\"'\[{|>&*!#])(?P<value>.*?: .*?)(?=\s+#|\s*$)")


def in_line(line: str, column: int) -> tuple[int, str] | None:
    """The nearest problem before a column (from 1) of a line with an error: its column, and the hint."""
    problems = [(at + 1, hint) for at, hint in _problems(line) if at < column]
    if problems:
        return problems[-1]
    if problem := in_whole_line(line):
        return problem
    indentation = line[: len(line) - len(line.lstrip())]
    tab = indentation.find("\t") + 1
    return (tab, "found a tab; YAML is indented with spaces only") if tab else None


def comment(rest: str) -> str:
    """The hint if a comment begins where a value should; else empty."""
    begun = _COMMENT.match(rest)
    if not begun:
        return ""
    value = begun[1] if "}}" in begun[1] else begun[1].rstrip(",]}")
    return _needs_quotes("#", value, "a comment begins there")


def hidden(rest: str) -> str:
    """The same if a comment begins anywhere in the rest of a line, as the end of a message."""
    begun = _HIDDEN.search(rest)
    return f" ({comment(begun[0])})" if begun else ""


def glued(text: str) -> str:
    """The hint for `name:x`, which is one scalar; else empty."""
    key = _GLUED.match(text)
    return f"missing space after '{key[0]}'" if key else ""


def at_start(text: str) -> str:
    """The hint for a value whose first character has a meaning in YAML; else empty."""
    if text.startswith("{{"):
        return _needs_quotes("{{", _cut(text), "YAML reads it as a mapping")
    if text[:1] in _BEGINNINGS:
        return _needs_quotes(text[0], _cut(text), _BEGINNINGS[text[0]])
    if text[:1] in (">", "|"):
        return f"{text[0]} begins a text of several lines; write a comparison as {{min: 3}}, and text in quotes"
    return ""


_BEGINNINGS: Final = {
    "*": "YAML reads it as a reference to an anchor",
    "&": "YAML reads it as an anchor",
    "!": "YAML reads it as a tag",
    "@": "YAML reserves this character",
    "`": "YAML reserves this character",
    "%": "YAML reserves this character",
}


def _problems(line: str) -> Iterator[tuple[int, str]]:
    """Every column of a line at which a value begins that YAML does not read as text, with the hint."""
    inside = 0
    for begins in _VALUE_BEGINS.finditer(line):
        at = begins.end()
        if at < inside:
            continue
        rest = line[at:]
        quoted = QUOTED.match(rest)
        if quoted:
            inside = at + quoted.end()
        hint = _quotes_hint(rest, quoted[0] if quoted else "")
        if not hint and _LIST.match(rest):
            value = rest.partition(", ")[0].partition(" #")[0].rstrip()
            hint = _needs_quotes("[", value, "YAML reads it as a list")
        is_fine = (rest[:1] in "*&" and _ALIAS.match(rest)) or _TAG.match(rest) or _BLOCK.match(rest)
        if hint := hint or ("" if is_fine else at_start(rest)):
            yield at, hint


def in_whole_line(line: str) -> tuple[int, str] | None:
    """The column and the hint of a problem with a line as a whole."""
    plain = _REMARK.split(QUOTED.sub(lambda quoted: "x" * len(quoted[0]), line))[0]
    if blank := STRANGE_BLANK.search(plain):
        return blank.start() + 1, "found a special space character (probably copied); write a plain space"
    if dash := _DASH.match(plain):
        return dash.end(), "missing space after '-'"
    if colon := _SECOND_COLON.match(line):
        return colon.start("value") + 1, f'text that contains a colon and a space needs quotes: "{colon["value"]}"'
    return None


def _quotes_hint(rest: str, quoted: str) -> str:
    if quoted.startswith('"') and (escape := _ESCAPE.search(quoted)):
        return f"unknown escape {escape[0]} in double quotes; write single quotes: " + (
            f"'{quoted[1:-1]}'" if "'" not in quoted else "'...'"
        )
    after = rest[len(quoted) :].strip()
    if quoted and after and after[0] not in ",]}:#":
        return f"the quotes end here: {quoted}; to write {quoted[0]} inside, double it or use the other quotes"
    return ""


def _needs_quotes(beginning: str, value: str, why: str) -> str:
    quote = "'" if '"' in value or "\\" in value else '"'
    return f"a value that begins with {beginning} needs quotes: {quote}{value}{quote}; {why}"


def _cut(text: str) -> str:
    """The value at the start of a text, as far as its end is clear."""
    if (whole := _EXPRESSION.match(text)) and text.startswith("{{"):
        return whole[0].rstrip(":")
    end = _END.search(text)
    return text[: end.start()].rstrip() if end else text


def extent(rest: str) -> int:
    """The length of a problematic value at the start of a text, if its end is clear; else 0."""
    quoted = QUOTED.match(rest)
    if quoted:
        return len(quoted[0]) if rest.startswith('"') and _ESCAPE.search(quoted[0]) else 0
    return len(_cut(rest)) if rest[:1] in _BEGINNINGS or rest.startswith("{{") else 0


def lines_of(text: str) -> Sequence[str]:
    """The lines of a text, as YAML counts them."""
    return _BREAK.split(text)


def offset(text: str, line: int) -> int:
    """The offset of a line (from 1); the end of the text if there is no such line."""
    ends = (line_break.end() for line_break in _BREAK.finditer(text))
    return next(islice((0, *ends), line - 1, None), len(text))
