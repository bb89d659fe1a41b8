"""What Jinja says of a template that it cannot parse, in words that say where it began and what to write."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from jinja2 import TemplateSyntaxError

_IGNORED: Final = re.compile(r"\{#.*?(?:#\}|\Z)|\{%-?\s*raw\s*-?%\}.*?\{%-?\s*endraw\s*-?%\}", re.DOTALL)
_TAG: Final = re.compile(r"\{%[-+]?\s*(?P<name>\w+)(?P<rest>.*?)%\}", re.DOTALL)
_INNERMOST: Final = re.compile(r"The innermost block that needs to be closed is '(\w+)'")
_UNKNOWN_TAG: Final = re.compile(r"Encountered unknown tag '(\w+)'\.")
_LEFT_OVER: Final = re.compile(
    r"expected token '(?:end of print statement|end of statement block)', got '(.+)'", re.DOTALL
)
_ONE_BRACE: Final = re.compile(r"(?<![}%])\}(?!\})")
_JINJAS_PAIRS: Final = frozenset("block call filter for if macro set with".split())  # noqa: SIM905  a list of words
_NOT_CLOSED: Final = "what begins with {{ ends with }}, and a tag with %}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntaxFault:
    """What is wrong, where; lines and columns count from 1."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    name: str
    line: int
    column: int


def told(error: TemplateSyntaxError, source: str, pairs: Collection[str], tags: Collection[str]) -> SyntaxFault:
    """The fault of a source. `pairs` are relay's tags that have an end, `tags` all that there are."""
    message = error.message or ""
    innermost = _INNERMOST.search(message)
    opened = innermost and _opened(source, innermost[1], pairs)
    if opened and message.startswith("Unexpected end"):
        what = f'"{opened.name}" is opened here and never closed; it ends with {{% end{opened.name} %}}'
        return SyntaxFault(line=opened.line, column=opened.column, message=what)
    if unknown := _UNKNOWN_TAG.match(message):
        return _at(source, error.lineno, unknown[1], _of_tag(unknown[1], opened, tags))
    if message == "unexpected '}'":
        return _at(source, error.lineno, _ONE_BRACE, _NOT_CLOSED)
    if left_over := _LEFT_OVER.fullmatch(message):
        what = f"'{left_over[1]}' does not belong here: is an operator missing before it, a | or a quote?"
        behind_a_value = re.compile(rf"(?<=[\w'\")\]]\s){re.escape(left_over[1])}")
        return _at(source, error.lineno, behind_a_value, what)
    return _at(source, error.lineno, "", message)


def _of_tag(name: str, opened: _Opened | None, tags: Collection[str]) -> str:
    if name.startswith("end") and opened:
        since = f'"{opened.name}" is open since line {opened.line}, and ends with {{% end{opened.name} %}}'
        return f'"{name}" does not stand here: {since}'
    if name.removeprefix("end") in tags:
        return f'nothing is open here that "{name}" closes'
    near = get_close_matches(name, sorted(tags), n=1, cutoff=0.7)
    return f'there is no tag "{name}"' + (f'; did you mean "{near[0]}"?' if near else "")


def _at(source: str, line: int, word: str | re.Pattern[str], message: str) -> SyntaxFault:
    """In that line, at the word if it stands there."""
    lines = source.splitlines()
    text = lines[line - 1] if 0 < line <= len(lines) else ""
    found = re.search(re.escape(word) if isinstance(word, str) else word, text) if word else None
    return SyntaxFault(line=line, column=found.start() + 1 if found else 1, message=message)


def _opened(source: str, name: str, pairs: Collection[str]) -> _Opened | None:
    """The tag of that name which is the last to be open where tags cease to match each other."""
    stack: list[_Opened] = []
    for each, rest in _tags(source):
        if each.name.startswith("end"):
            if not stack or each.name != f"end{stack[-1].name}":
                break
            stack.pop()
        elif each.name in pairs or (each.name in _JINJAS_PAIRS and not (each.name == "set" and "=" in rest)):
            stack.append(each)
    return next((each for each in reversed(stack) if each.name == name), None)


def _tags(source: str) -> Iterator[tuple[_Opened, str]]:
    plain = _IGNORED.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), source)
    for found in _TAG.finditer(plain):
        before = plain[: found.start()]
        line, column = before.count("\n") + 1, found.start() - before.rfind("\n")
        yield _Opened(name=found["name"], line=line, column=column), found["rest"]
