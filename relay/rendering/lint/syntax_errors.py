"""Explains why Jinja cannot parse a template: where the mistake begins, and what to write."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from jinja2 import TemplateSyntaxError

from relay.model.errors import Fault
from relay.model.nearest import nearest
from relay.rendering.blocks.tags import BLOCK_TAGS

_JINJA_PAIRS: Final = frozenset({"block", "call", "filter", "for", "if", "macro", "raw", "set", "with"})
PAIRS: Final = (_JINJA_PAIRS - {"raw"}) | {name for name, kind in BLOCK_TAGS.items() if kind.value.has_end}
TAGS: Final = _JINJA_PAIRS | {"elif", "else", "extends", "from", "import", "include"} | BLOCK_TAGS.keys()

_HIDDEN: Final = re.compile(r"(?<!\{)\{#.*?(?:#\}|\Z)|\{%-?\s*raw\s*-?%\}.*?(?:\{%-?\s*endraw\s*-?%\}|\Z)", re.DOTALL)
_TAG: Final = re.compile(r"\{%[-+]?\s*(?P<name>\w+)(?P<rest>.*?)(?:%\}|\Z)", re.DOTALL)
INNERMOST: Final = re.compile(r"The innermost block that needs to be closed is '(\w+)'")
UNKNOWN_TAG: Final = re.compile(r"Encountered unknown tag '(\w+)'\.")
_UNEXPECTED: Final = re.compile(
    r"expected token '(?:end of print statement|end of statement block)', got '(.+)'", re.DOTALL
)
_CHARACTER: Final = re.compile(r"unexpected char (?:'(?P<other>.+)'|\"'\") at (?P<at>\d+)", re.DOTALL)
_SINGLE_BRACE: Final = r"(?<![}%])\}(?!\})"
_SENTENCES: Final[Mapping[str, str]] = {
    r"Expected an expression, got '(.+)'": "expected a value, found {0}",
    r"expected token '(.+)', got '(.+)'": "expected {0}, found {1}",
    r"unexpected '(.+)'": "unexpected {0}; write a value before it",
    r"unexpected end of template, expected .*": "the template ends inside a tag; write }}}} or %}} where the tag ends",
    r"Missing end of comment tag": "the comment is never closed; write #}} where it ends",
    r"tag name expected": "expected the name of a tag after {{%",
    r"block '(.+)' defined twice": "the block {0} is defined twice; rename one of them",
}
"""Jinja's messages -> what to say instead."""

_TOKENS: Final[Mapping[str, str]] = {
    "end of print statement": "}}",
    "begin of print statement": "{{",
    "end of statement block": "%}",
    "begin of statement block": "{%",
    "end of template": "the end of the file",
    "template data / text": "text",
    "name": "a name",
    "integer": "a number",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    name: str
    line: int
    column: int


def syntax_fault(file: str, source: str, error: TemplateSyntaxError) -> Fault:
    """Explain the error of a source that does not parse."""
    message = error.message or ""
    innermost = INNERMOST.search(message)
    opened = innermost and _last_open(source, innermost[1])
    if opened and message.startswith("Unexpected end"):
        text = f'"{opened.name}" is never closed; write {{% end{opened.name} %}}'
        return Fault(file=file, line=opened.line, column=opened.column, message=text)
    where, at = "", None
    if unknown := UNKNOWN_TAG.match(message):
        where, message = re.escape(unknown[1]), _unknown_tag(unknown[1], opened)
        at = unmatched_end(source, error.lineno) if unknown[1].startswith("end") else None
    elif character := _CHARACTER.fullmatch(message):
        other = character["other"] or "'"
        where, at = re.escape(other), int(character["at"])
        at = at if source.startswith(other, at) else None
        message = "this quote is never closed" if other in {"'", '"'} else f"unexpected character '{other}'"
    elif message == "unexpected '}'":
        where, message = _SINGLE_BRACE, "unexpected }; close {{ with }}, and a tag with %}"
    elif unexpected := _UNEXPECTED.fullmatch(message):
        word = unexpected[1]
        advice = "write == to compare" if word == "=" else "write an operator, a | or quotes before it"
        where = rf"(?<=[\w'\")\]]\s){re.escape(word)}"
        message = f"unexpected '{_TOKENS.get(word, word)}'; {advice}"
    else:
        message = jinja_message(message)
    lines = source.splitlines()
    text = lines[error.lineno - 1] if 0 < error.lineno <= len(lines) else ""
    found = re.search(where, text) if where else None
    column = found.start() + 1 if found else 1
    if at is not None:
        column = at - source.rfind("\n", 0, at)
    return Fault(file=file, line=error.lineno, column=column, message=message)


def jinja_message(message: str) -> str:
    """Rewrite a message of Jinja's compiler in plain words."""
    for pattern, sentence in _SENTENCES.items():
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return sentence.format(*(_TOKENS.get(word, f"'{word}'") for word in found.groups()))
    return message


def _unknown_tag(name: str, opened: _Opened | None) -> str:
    if name.startswith("end") and opened:
        still_open = f'"{opened.name}" from line {opened.line} is still open'
        return f'unexpected "{name}": {still_open}; write {{% end{opened.name} %}}'
    if name.removeprefix("end") in TAGS:
        return f'unexpected "{name}": nothing is open here that it closes'
    near = nearest(name, sorted(TAGS))
    return f'unknown tag "{name}"' + (f'; did you mean "{near}"?' if near else "")


def blank(text: str) -> str:
    """Return blanks in place of the text, so that nothing after it moves to another line or column."""
    return re.sub(r"[^\n]", " ", text)


def visible(source: str) -> str:
    """Return the source with blanks in place of comments and `raw` blocks, in which Jinja reads no tags."""
    return _HIDDEN.sub(lambda hidden: blank(hidden[0]), source)


def _last_open(source: str, name: str) -> _Opened | None:
    """The last open tag of this name at the place where the tags no longer match."""
    text = visible(source)
    for tag in reversed(_open_tags(text)[0]):
        if tag["name"] == name:
            before = text[: tag.start()]
            return _Opened(name=name, line=before.count("\n") + 1, column=tag.start() - before.rfind("\n"))
    return None


def unmatched_end(source: str, line: int) -> int | None:
    """The position on this line of the first end that does not match the open tag; None if there is none."""
    end = _open_tags(visible(source))[1]
    return end.start("name") if end and source.count("\n", 0, end.start("name")) + 1 == line else None


def _open_tags(text: str) -> tuple[list[re.Match[str]], re.Match[str] | None]:
    """The open tags at the place where the tags no longer match, and the end that does not match them."""
    stack: list[re.Match[str]] = []
    for tag in _TAG.finditer(text):
        if tag["name"].startswith("end"):
            if not stack or tag["name"] != f"end{stack[-1]['name']}":
                return stack, tag
            stack.pop()
        elif tag["name"] in PAIRS and not (tag["name"] == "set" and "=" in tag["rest"]):
            stack.append(tag)
    return stack, None
