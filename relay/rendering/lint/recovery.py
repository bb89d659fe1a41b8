"""Reads on after a syntax error: takes the faulty tag out of the source, without moving a line, and parses again."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from jinja2 import Environment, TemplateSyntaxError

from relay.model.errors import Fault
from relay.model.nearest import nearest
from relay.model.struct import replace
from relay.rendering.blocks.tags import BLOCK_TAGS
from relay.rendering.lint.foreign_syntax import foreign_advice
from relay.rendering.lint.source_tags import RAW_BLOCKS, SourceTag, source_tags
from relay.rendering.lint.syntax_errors import (
    INNERMOST,
    PAIRS,
    TAGS,
    UNKNOWN_TAG,
    blank,
    syntax_fault,
    unmatched_end,
    visible,
)
from relay.rendering.lint.walk import TemplateNodes

_MOST_ERRORS: Final = 30
_MOST_CHARACTERS: Final = 300_000
"""Characters that are read in search of more errors, in all: a file of usual size is read 30 times."""
_GO_ACTION: Final = re.compile(r"\{\{-?\s*(?:range|with|if|template|define|block)\s+[.$\"]")
_NEVER_CLOSED: Final = "this tag is never closed; write }} or %} where it ends"
_NESTED_WRONGLY: Final = "Jinja is expecting this tag"
_NEWLINE: Final = re.compile(r"\n")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_MIDDLE: Final = frozenset({"else", "elif"})
_NEUTRAL: Final[Mapping[str, str]] = {
    "if": "if _",
    "elif": "elif _",
    "for": "for _ in _",
    "with": "with",
    "macro": "macro _()",
    "call": "call _()",
    "filter": "filter d",
    "block": "block _",
    **{name: f"{name} _" if kind.value.argument else name for name, kind in BLOCK_TAGS.items() if kind.value.has_end},
}
"""What a faulty tag with an end becomes, so that its end still belongs to something; every other becomes blanks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A source without its syntax errors, and the nodes of its tree; None if it cannot be read.

    `names` are the words of the tags taken out.
    """

    source: str | None
    nodes: TemplateNodes | None = None
    faults: tuple[Fault, ...] = ()
    names: frozenset[str] = frozenset()


def recovered(environment: Environment, name: str, source: str) -> Recovered:
    """Find every syntax error of a source."""
    faults: list[Fault] = []
    names: set[str] = set()
    left: str | None = source
    most = min(_MOST_ERRORS, 1 + _MOST_CHARACTERS // (len(source) + 1))
    while left is not None and len(faults) < most:
        try:
            tree = environment.parse(left, name, name)
        except TemplateSyntaxError as error:
            repair = _repair(environment, left, error)
            fault = syntax_fault(name, left, error)
            advice = foreign_advice(repair.removed) or (_NEVER_CLOSED if repair.unclosed else "")
            if advice and repair.fault_at is not None:
                line, column = _line(left, repair.fault_at), _column(left, repair.fault_at)
                fault = replace(fault, line=line, column=column, message=advice)
            faults.append(fault)
            names |= set(_WORD.findall(repair.removed))
            left = None if repair.source == left else repair.source
        else:
            return Recovered(source=left, nodes=TemplateNodes(tree), faults=tuple(faults), names=frozenset(names))
    return Recovered(source=None, faults=tuple(faults))


def go_actions(source: str) -> Iterator[tuple[int, int, str]]:
    """Tags of Go templates that are valid Jinja and print nothing: line, column and what to write."""
    starts = _line_starts(source)
    for tag in _tags(source):
        if _GO_ACTION.match(tag.text):
            line = bisect_right(starts, tag.start)
            yield line, tag.start - starts[line - 1] + 1, foreign_advice(tag.text)


def without_tags_at(source: str, places: set[tuple[int, int]]) -> str:
    """Return the source without the tags in which these places (line, column) lie."""
    starts = _line_starts(source)
    found = [starts[line - 1] + column - 1 for line, column in places if 0 < line <= len(starts)]
    # The last one first: what is put in the place of a tag may be longer, and no other place moves.
    for tag in reversed([*_tags(source)]):
        if any(tag.start <= each < tag.end for each in found):
            source = _with(source, tag, _neutral(tag))
    return source


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repair:
    source: str
    removed: str = ""
    fault_at: int | None = None
    unclosed: bool = False


def _repair(environment: Environment, source: str, error: TemplateSyntaxError) -> _Repair:
    message = error.message or ""
    innermost = INNERMOST.search(message)
    if message.startswith("Unexpected end of template") and innermost:
        return _Repair(source=f"{source}{{% end{innermost[1]} %}}")
    if unclosed := _unclosed(source, error.lineno):
        return unclosed
    if unknown := UNKNOWN_TAG.match(message):
        named = [tag for tag in _tags_in(source, error.lineno) if tag.name == unknown[1]]
        end = unmatched_end(source, error.lineno)
        found = next((tag for tag in named if tag.name_start == end), next(iter(named), None))
        if found:
            return _without_unknown_tag(source, found, innermost[1] if innermost else "", message)
    for tag in _tags_in(source, error.lineno):
        if not _parses_alone(environment, tag):
            return _Repair(source=_with(source, tag, _neutral(tag)), removed=tag.text, fault_at=tag.start)
    return _without_raw_blocks(source, error.lineno)


def _without_raw_blocks(source: str, line: int) -> _Repair:
    first, after = _span(source, line)
    for blocks in RAW_BLOCKS.finditer(source):
        if blocks["end"] and blocks.start() < after and blocks.end() >= first:
            start, end = blocks.span("yaml")
            return _Repair(source=source[:start] + blank(source[start:end]) + source[end:])
    return _Repair(source=source)


def _unclosed(source: str, line: int) -> _Repair | None:
    """The repair if a tag before this line is never closed."""
    starts = _line_starts(source)
    first = starts[line - 1] if line <= len(starts) else len(source)
    before = takewhile(lambda tag: tag.start < first, _tags(source))
    tag = next((tag for tag in before if not tag.closed), None)
    if tag is None:
        return None
    left = _with(source, tag, blank(tag.text))
    return _Repair(source=left, removed=tag.text, fault_at=tag.start, unclosed=True)


def _without_unknown_tag(source: str, tag: SourceTag, innermost: str, message: str) -> _Repair:
    """Give a misspelt tag its name; close what is open before an end; take any other tag out, with its end."""
    name = tag.name
    if name.startswith("end"):
        return _Repair(source=_with_end(source, tag, innermost, message))
    if meant := nearest(name, TAGS):
        end = next((each for each in _tags(source) if each.name == f"end{name}" and each.start > tag.start), None)
        for each, word in ((end, f"end{meant}"), (tag, meant)):  # the later one first, so that no place moves
            if each:
                source = source[: each.name_start] + word + source[each.name_end :]
        return _Repair(source=source)
    repaired = _with(source, tag, blank(tag.text))
    closing = next((each for each in _tags(repaired) if each.name == f"end{name}"), None)
    repaired = _with(repaired, closing, blank(closing.text)) if closing else repaired
    return _Repair(source=repaired, removed=tag.text, fault_at=tag.start)


def _with_end(source: str, tag: SourceTag, innermost: str, message: str) -> str:
    """Close what is open where an end closes something else, or nothing."""
    wanted = f"{{% end{innermost} %}}"
    if innermost and _NESTED_WRONGLY in message:
        return source[: tag.start] + wanted + source[tag.start :]
    comes_later = any(each.name == f"end{innermost}" and each.start > tag.start for each in _tags(source))
    return _with(source, tag, wanted if innermost and not comes_later else blank(tag.text))


def _tags(source: str) -> Iterator[SourceTag]:
    return source_tags(visible(source))


def _tags_in(source: str, line: int) -> Iterator[SourceTag]:
    first, after = _span(source, line)
    return (tag for tag in takewhile(lambda tag: tag.start < after, _tags(source)) if tag.end > first)


def _parses_alone(environment: Environment, tag: SourceTag) -> bool:
    if not tag.closed:
        return False
    name, text = tag.name, tag.text
    if text.startswith("{%"):
        if name.startswith("end"):
            return True
        if name in _MIDDLE:
            text = f"{{% if _ %}}{text}{{% endif %}}"
        elif name in PAIRS and not (name == "set" and "=" in text):
            text = f"{text}{{% end{name} %}}"
    try:
        environment.parse(text)
    except TemplateSyntaxError:
        return False
    return True


def _neutral(tag: SourceTag) -> str:
    inside = _NEUTRAL.get(tag.name) if tag.text.startswith("{%") else None
    if inside is None:
        return blank(tag.text)
    room = max(0, len(tag.text) - len(inside) - len("{%  %}")) - tag.text.count("\n")
    return f"{{% {inside}{' ' * room}{chr(10) * tag.text.count(chr(10))} %}}"


def _with(source: str, tag: SourceTag, text: str) -> str:
    return source[: tag.start] + text + source[tag.end :]


def _line_starts(source: str) -> list[int]:
    """Where each line begins: a source may have very many tags, and to count lines up to each takes too long."""
    return [0, *(each.end() for each in _NEWLINE.finditer(source))]


def _span(source: str, line: int) -> tuple[int, int]:
    """Where a line begins, and where the next one does."""
    starts = [*_line_starts(source), len(source) + 1]
    line = min(line, len(starts) - 1)
    return starts[line - 1], starts[line]


def _line(source: str, at: int) -> int:
    return source.count("\n", 0, at) + 1


def _column(source: str, at: int) -> int:
    return at - source.rfind("\n", 0, at)
