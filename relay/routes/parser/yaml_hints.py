"""What YAML makes of a text that was not meant for it, and the cure.

The first character of a value decides: some of them mean something to YAML, and then the value is no text, or the file
no YAML. The parser says so in its own words, and often lines below; this looks at the line and names the cure.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

_VALUE_BEGINS: Final = re.compile(r"(?:^|(?<=[:\-?,])|(?<=[\[{]))[ \t]*(?=[^\s])")
_ALIAS: Final = re.compile(r"[*&][A-Za-z0-9_-]+(?=[\s,\]}]|$)")
_TAG: Final = re.compile(r"![^\s,\[\]{}]*(?=\s|$)")
_QUOTED: Final = re.compile(r"'(?:[^']|'')*'|\"(?:\\.|[^\"\\])*\"")
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
_STRANGE_BLANK: Final = re.compile("[\u00a0\u2000-\u200b\u202f\u3000\ufeff]")
_SECOND_COLON: Final = re.compile(r"\s*(?:- +)?[A-Za-z_-]+: +(?=[^\s\"'\[{|>&*!#])(?P<value>.*?: .*?)(?=\s+#|\s*$)")

TAB: Final = "a tab stands here; YAML is indented with spaces alone"


def in_line(line: str, column: int) -> tuple[int, str] | None:
    """The trap that a line with a fault has, nearest before that column (from 1): its own column, and the cure."""
    found = [(at + 1, told) for at, told in _traps(line) if at < column]
    if found:
        return found[-1]
    if told := of_line(line):
        return told
    indentation = line[: len(line) - len(line.lstrip())]
    return (indentation.index("\t") + 1, TAB) if "\t" in indentation else None


def comment(rest: str) -> str:
    """The cure where a value should begin, and a comment does; else nothing."""
    begun = _COMMENT.match(rest)
    if not begun:
        return ""
    value = begun[1] if "}}" in begun[1] else begun[1].rstrip(",]}")
    return _needs_quotes("#", value, "a comment begins there")


def hidden(rest: str) -> str:
    """The same where a comment begins somewhere in the rest of a line, as the end of a sentence."""
    begun = _HIDDEN.search(rest)
    return f" ({comment(begun[0])})" if begun else ""


def glued(text: str) -> str:
    """The cure for `name:x`, which is one word; else nothing."""
    key = _GLUED.match(text)
    return f"a blank is missing after '{key[0]}'" if key else ""


def at_start(text: str) -> str:
    """The cure for a value that begins with what means something to YAML; nothing where it does not."""
    if text.startswith("{{"):
        return _needs_quotes("{{", _cut(text), "YAML takes it for a mapping")
    if text[:1] in _BEGINNINGS:
        return _needs_quotes(text[0], _cut(text), _BEGINNINGS[text[0]])
    if text[:1] in (">", "|"):
        return f"{text[0]} begins a text of several lines; a comparison is written {{min: 3}}, a text in quotes"
    return ""


_BEGINNINGS: Final = {
    "*": "YAML takes it for the name of an anchor",
    "&": "YAML takes it for an anchor",
    "!": "YAML takes it for a tag",
    "@": "YAML keeps it for itself",
    "`": "YAML keeps it for itself",
    "%": "YAML keeps it for itself",
}


def _traps(line: str) -> Iterator[tuple[int, str]]:
    """Each place of a line at which a value begins that YAML will not take for what it is."""
    inside = 0
    for begins in _VALUE_BEGINS.finditer(line):
        at = begins.end()
        if at < inside:
            continue
        rest = line[at:]
        quoted = _QUOTED.match(rest)
        if quoted:
            inside = at + quoted.end()
        if told := _of_quotes(rest, quoted[0] if quoted else "") or _of_list(rest) or _of_beginning(rest):
            yield at, told


def of_line(line: str) -> tuple[int, str] | None:
    """What is wrong with a line as a whole: its column, and the cure."""
    plain = _REMARK.split(_QUOTED.sub(lambda quoted: "x" * len(quoted[0]), line))[0]
    if blank := _STRANGE_BLANK.search(plain):
        return blank.start() + 1, "this looks like a blank and is none (it came with copied text); type a blank here"
    if dash := _DASH.match(plain):
        return dash.end(), "a blank is missing after '-'"
    if colon := _SECOND_COLON.match(line):
        return colon.start("value") + 1, f'a text with a colon and a blank in it needs quotes: "{colon["value"]}"'
    return None


def _of_quotes(rest: str, quoted: str) -> str:
    if quoted.startswith('"') and (escape := _ESCAPE.search(quoted)):
        return f"in double quotes {escape[0]} is an escape that YAML does not know; write it in single quotes: " + (
            f"'{quoted[1:-1]}'" if "'" not in quoted else "'...'"
        )
    after = rest[len(quoted) :].strip()
    if quoted and after and after[0] not in ",]}:#":
        return f"the quotes end here: {quoted}; a {quoted[0]} inside them is written twice, or within the other quotes"
    return ""


def _of_list(rest: str) -> str:
    if _LIST.match(rest):
        return _needs_quotes("[", _cut(rest, ""), "YAML takes it for a list")
    return ""


def _of_beginning(rest: str) -> str:
    fine = (rest[:1] in "*&" and _ALIAS.match(rest)) or _TAG.match(rest) or _BLOCK.match(rest)
    return "" if fine else at_start(rest)


def _needs_quotes(beginning: str, value: str, why: str) -> str:
    quote = "'" if '"' in value or "\\" in value else '"'
    return f"a value that begins with {beginning} needs quotes: {quote}{value}{quote}; {why}"


def _cut(text: str, closing: str = "}") -> str:
    """The value that begins a text, as far as it can be told."""
    if (whole := _EXPRESSION.match(text)) and text.startswith("{{"):
        return whole[0].rstrip(":")
    if not closing:
        return text.partition(", ")[0].partition(" #")[0].rstrip()
    found = _END.search(text)
    return text[: found.start()].rstrip() if found else text


def extent(rest: str) -> int:
    """How long the value is that begins the rest of a line, where it is a trap with an end; else 0."""
    quoted = _QUOTED.match(rest)
    if quoted:
        return len(quoted[0]) if rest.startswith('"') and _ESCAPE.search(quoted[0]) else 0
    return len(_cut(rest)) if rest[:1] in _BEGINNINGS or rest.startswith("{{") else 0


def lines_of(text: str) -> Sequence[str]:
    """The lines of a text, counted as YAML does."""
    return _BREAK.split(text)


def offset(text: str, line: int) -> int:
    """Where that line (from 1) begins; the end of the text where there is none."""
    ends = (found.end() for found in _BREAK.finditer(text))
    return next(islice((0, *ends), line - 1, None), len(text))
