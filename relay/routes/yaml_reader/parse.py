"""Parse YAML into nodes, and report every fault in it at once.

PyYAML stops at the first error. A value whose end is clear is replaced by a placeholder, and any other error is
repaired (`relay.routes.yaml_reader.repair`). Then the text is parsed again, to find the other faults. Anchors, aliases
and merge keys are resolved. What would hurt a reader of the tree is a fault: a cycle, an alias bomb, or nesting that is
too deep.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from relay.model.struct import replace
from relay.routes.yaml_reader import hints
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode, children
from relay.routes.yaml_reader.repair import LAST_RESORT, LineRepair, closed_quotes, repairs, without_block

MAX_DEPTH = 60
MAX_NODES = 500_000
MAX_REPAIRS = 50
"""How many faults are repaired before parsing is given up."""

MAX_CHARACTERS = 8_000_000
"""How many characters are parsed to find all faults: a second's work. A large file may be parsed four times anyway."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_TYPES = frozenset({"str", "bool", "int", "float", "null", "timestamp", "merge", "value", "seq", "map"})
_QUOTES = frozenset("\"'")
_SWALLOWED_KEY = re.compile(r"\S\s+(?:- )?[a-z_]+: ?$|\s(?:- )?[a-z_]+: .*\s[a-z_]+:", re.DOTALL)
_START = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_END = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def parse_yaml(text: str, context: ParseContext) -> Node | None:
    """Parse a text; None if nothing of it can be read. `context` gets the faults."""
    reader = _Reader(text, context)
    root = reader.read()
    if root is not None:
        return _Converter(context, reader.lines, reader.shifts).convert(root)
    if not context.faults:
        context.add_fault(Position(line=1, column=1), "the file is empty; write version: 1 in its first line")
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class _SyntaxFault:
    """Where the parser stopped; `general` says that the message names no cause.

    `lines` may have caused it, the likeliest first. In `long_quotes`, quotes begin that surely should end there.
    """

    at: Position
    message: str
    general: bool
    lines: Sequence[int]
    long_quotes: Sequence[int]

    @property
    def ends_file(self) -> bool:
        """Whether another document begins here."""
        return self.message == _MESSAGES[_ANOTHER_DOCUMENT]


class _Reader:
    """Parses, and after each error repairs the line that caused it and parses again."""

    def __init__(self, text: str, context: ParseContext) -> None:
        self.lines = list(hints.lines_of(text))
        self.shifts: dict[int, int] = {}
        self._text = text
        self._context = context
        self._long_quotes: list[int] = []
        self._budget = max(MAX_CHARACTERS, 4 * len(text))

    def read(self) -> yaml.Node | None:
        """The tree of the text, or of what is left of it; None if nothing can be read."""
        for _ in range(MAX_REPAIRS):
            result = self._parsed(self._text)
            if not isinstance(result, _SyntaxFault):
                self._add_causes()
                return result
            if not self._repair(result):
                return None
        return None

    def _parsed(self, text: str) -> yaml.Node | _SyntaxFault | None:
        opened: list[yaml.Event] = []
        long_quotes = self._long_quotes = list[int]()
        self._budget -= len(text)
        try:
            if _is_too_deep(text, opened, long_quotes, self._context):
                return None
            root: yaml.Node | None = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            return _syntax_fault(error, opened, long_quotes, hints.lines_of(text))
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            _add_character_fault(error, text, self._context)
            return None
        return root

    def _repair(self, fault: _SyntaxFault) -> bool:
        """Report the fault, and repair its cause: by a word in place of the value, else by what its lines suggest."""
        if fault.ends_file:
            self._report(fault.at, fault.message)
            self._replace("\n".join([*self.lines[: fault.at.line - 1], *[""] * (len(self.lines) - fault.at.line + 1)]))
            return True
        if text := _with_placeholder(self._text, fault.at):
            self._report(fault.at, fault.message)
            self._replace(text)
            return True
        repair = self._best_repair(fault)
        elsewhere = repair and (repair.number != fault.at.line or (fault.general and not repair.only_indentation))
        at, message = (repair.at, repair.message) if repair and elsewhere else (fault.at, fault.message)
        self._report(at, message)
        if repair:
            self._context.ignore(repair.key)  # perhaps the repair put it into a wrong place
            lines, shifts = repair.applied(self.lines)
            self.shifts |= {number: self.shifts.get(number, 0) + shift for number, shift in shifts.items()}
        else:
            lines = without_block(self.lines, fault.at.line)
        changed = lines != self.lines
        self._replace("\n".join(lines))
        return changed and self._budget > 0

    def _report(self, at: Position, message: str) -> None:
        column = max(1, at.column - self.shifts.get(at.line, 0))
        self._context.add_fatal_fault(Position(line=at.line, column=column), f"invalid YAML: {message}")

    def _add_causes(self) -> None:
        for number in self._long_quotes:
            line = self.lines[number - 1]
            column = min((line.find(quote) for quote in _QUOTES if quote in line), default=0) + 1
            message = "these quotes hold keys of the lines below; close them in this line"
            self._context.add_cause(Position(line=number, column=column), message)

    def _replace(self, text: str) -> None:
        self._text, self.lines = text, list(hints.lines_of(text))

    def _best_repair(self, fault: _SyntaxFault) -> LineRepair | None:
        """The repair after which the parser reads farthest, and beyond the fault's line."""
        best, best_score = None, (max(fault.lines) + 1, LAST_RESORT)
        candidates = [each for number in fault.lines for each in repairs(self.lines, number)]
        if quotes := [each for number in fault.long_quotes for each in closed_quotes(number, self.lines[number - 1])]:
            candidates, best_score = quotes, (0, LAST_RESORT)
        for repair in candidates:
            if self._budget <= 0:
                break
            result = self._parsed("\n".join(repair.applied(self.lines)[0]))
            reached = result.at.line if isinstance(result, _SyntaxFault) else len(self.lines) + 1
            if (reached, repair.likelihood) > best_score or (best is None and reached >= best_score[0]):
                best, best_score = repair, (reached, repair.likelihood)
        return best


def _with_placeholder(text: str, at: Position) -> str:
    """The text with a word of the same length in place of a value whose end is clear; empty if it is not."""
    start = hints.offset(text, at.line) + at.column - 1
    length = hints.extent(hints.lines_of(text[start:])[0])
    replaced = f"{text[:start]}{'x' * length}{text[start + length :]}"
    return replaced if replaced != text else ""


def _is_too_deep(text: str, opened: list[yaml.Event], long_quotes: list[int], context: ParseContext) -> bool:
    """Check the depth first, because composing is recursive, in C.

    `opened` gets the lists and mappings that are open where parsing stops, `long_quotes` the lines at which quotes
    begin that hold keys of later lines.
    """
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.ScalarEvent) and event.style in _QUOTES and _SWALLOWED_KEY.search(event.value):
            long_quotes.append(_position(event.start_mark).line)
        if isinstance(event, _END):
            opened.pop()
        if isinstance(event, _START):
            opened.append(event)
        if len(opened) > MAX_DEPTH:
            context.add_fault(_position(event.start_mark), f"nested more than {MAX_DEPTH} levels deep")
            return True
    return False


_ANOTHER_DOCUMENT = "but found another document"
_MESSAGES = {
    "found character that cannot start any token": (
        "a value cannot begin with this character; indent with spaces, and quote @, ` and %"
    ),
    "mapping values are not allowed in this context": (
        "a key is not allowed here; check the indentation, and quote text that contains a colon"
    ),
    "did not find expected key": "expected a key here; check the indentation",
    "could not find expected ':'": "expected a colon and a space after this key",
    _ANOTHER_DOCUMENT: "the file ends here; remove what follows ---",
    "did not find expected '-' indicator": "expected an item of the list here; check the indentation",
}
"""PyYAML's problems in plain words, for lines without a hint."""
_UNCLOSED = (
    "did not find expected node content",
    "did not find expected ',' or",
    "expected ',' or",
    "found unexpected",
)


def _syntax_fault(
    error: yaml.MarkedYAMLError, opened: Sequence[yaml.Event], long_quotes: Sequence[int], lines: Sequence[str]
) -> _SyntaxFault:
    """Explain an error: its place, its message, and the lines that may have caused it, the likeliest first."""
    at, message, general = _explained(error, opened, lines)
    found = [at.line, *(mark.line + 1 for mark in (error.problem_mark, error.context_mark) if mark)]
    nearby = [at.line, _line_before(lines, at.line), *found[1:], _line_before(lines, found[1])]
    known = dict.fromkeys(number for number in nearby if 0 < number <= len(lines))
    return _SyntaxFault(at=at, message=message, general=general, lines=tuple(known), long_quotes=long_quotes)


def _line_before(lines: Sequence[str], number: int) -> int:
    """The number of the line with text before a line; 0 if there is none."""
    numbers = (each for each in range(min(number, len(lines) + 1) - 1, 0, -1) if lines[each - 1].strip())
    return next(numbers, 0)


def _explained(
    error: yaml.MarkedYAMLError, opened: Sequence[yaml.Event], lines: Sequence[str]
) -> tuple[Position, str, bool]:
    """The place where the error begins, its message, and whether that is general.

    PyYAML notices an unclosed bracket only far below.
    """
    problem = (error.problem or "").strip()
    at = _position(error.problem_mark or error.context_mark)
    innermost = opened[-1] if opened else None
    if hint := _line_hint(error, lines):
        return *hint, False
    if problem == "found undefined alias":
        return at, f"no anchor has this name; {hints.at_start(lines[at.line - 1][at.column - 1 :])}", False
    if problem == "found unexpected end of stream" and error.context_mark:
        return _position(error.context_mark), "these quotes are never closed", False
    if isinstance(innermost, _START) and innermost.flow_style and problem.startswith(_UNCLOSED):
        at = _position(innermost.start_mark)
        rest = lines[at.line - 1][at.column :]
        return at, f"this bracket is not closed{hints.hidden(rest)}", False
    return at, _MESSAGES.get(problem) or f"{problem} {error.context or ''}".strip(), True


def _line_hint(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> tuple[Position, str] | None:
    """A hint from the line of the error, from the line where the value begins, or from the line before."""
    for mark in (error.problem_mark, error.context_mark):
        at = _position(mark)
        line = lines[at.line - 1] if 0 < at.line <= len(lines) else ""
        if problem := hints.in_line(line, at.column):
            return Position(line=at.line, column=problem[0]), problem[1]
        if mark is error.context_mark and (hint := hints.glued(line.strip())):
            return Position(line=at.line, column=len(line) - len(line.lstrip()) + 1), hint
    before = _position(error.problem_mark).line - 1
    if 0 < before <= len(lines) and (problem := hints.in_whole_line(lines[before - 1])):
        return Position(line=before, column=problem[0]), problem[1]
    return None


def _add_character_fault(error: Exception, text: str, context: ParseContext) -> None:
    """Add a fault for a character that YAML does not allow, at its first place."""
    character = text[error.start] if isinstance(error, UnicodeEncodeError) else chr(getattr(error, "character", 0))
    before = text.partition(character)[0]
    at = Position(line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))
    context.add_fault(at, f"YAML does not allow the character U+{ord(character):04X}; remove it")


class _Converter:
    """Converts PyYAML's nodes, each once, however many aliases refer to it."""

    def __init__(self, context: ParseContext, lines: Sequence[str], shifts: Mapping[int, int]) -> None:
        self._context = context
        self._lines = lines
        self._shifts = shifts
        self._done: dict[int, Node] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def convert(self, node: yaml.Node) -> Node:
        """Convert a node and everything inside it. A faulty part becomes an empty scalar."""
        if id(node) not in self._done:
            self._done[id(node)] = self._checked(node)
        return self._done[id(node)]

    def _checked(self, node: yaml.Node) -> Node:
        if id(node) in self._open:
            return self._unreadable(node, "this contains itself, by an alias")
        self._open.add(id(node))
        converted = self._converted(node)
        self._open.discard(id(node))
        inside = [self._sizes.get(id(child), (1, 1)) for child in children(converted)]
        number = 1 + sum(each for each, _ in inside)
        depth = 1 + max((each for _, each in inside), default=0)
        self._sizes[id(converted)] = number, depth
        if number > MAX_NODES:
            return self._unreadable(node, f"more than {MAX_NODES:,} values, counting what aliases repeat")
        if depth > MAX_DEPTH:
            return self._unreadable(node, f"nested more than {MAX_DEPTH} levels deep, counting aliases")
        return converted

    def _converted(self, node: yaml.Node) -> Node:
        begins = _position(node.start_mark)
        at = self._in_file(begins)
        yaml_type = node.tag.removeprefix(_CORE)
        if yaml_type == node.tag or yaml_type not in _TYPES:
            message = f"unknown YAML tag {node.tag}; write the value without a tag"
            return self._unreadable(node, f"{message} (quote text that begins with !)" if "!" in node.tag else message)
        if _is_expression(node):
            return self._unreadable(node, hints.at_start(self._line(begins)[begins.column - 1 :]))
        match node:
            case yaml.SequenceNode():
                items = tuple(self.convert(each) for each in node.value)
                return ListNode(items=items, line=at.line, column=at.column)
            case yaml.MappingNode():
                return MappingNode(entries=tuple(self._entries(node)), line=at.line, column=at.column)
            case _:
                hint = self._scalar_hint(node, begins)
                return ScalarNode(text=node.value, yaml_type=yaml_type, line=at.line, column=at.column, hint=hint)

    def _scalar_hint(self, node: yaml.Node, at: Position) -> str:
        """The hint for a value where YAML found nothing, or one scalar with a colon in it."""
        if node.value:
            return hints.glued(node.value)
        rest = self._line(at)[at.column - 1 :]
        return hints.comment(rest) or hints.at_start(rest.lstrip())

    def _empty_value(self, key: yaml.Node, value: yaml.Node) -> Node:
        """An empty value is placed behind its key, wherever PyYAML looked for it."""
        converted = self.convert(value)
        if not (isinstance(converted, ScalarNode) and converted.is_empty) or converted.line == key.end_mark.line + 1:
            return converted
        behind = Position(line=key.end_mark.line + 1, column=key.end_mark.column + 2)
        at = self._in_file(behind)
        return replace(converted, line=at.line, column=at.column, hint=self._scalar_hint(value, behind))

    def _in_file(self, at: Position) -> Position:
        """The place before repairs moved the line's text."""
        return replace(at, column=max(1, at.column - self._shifts.get(at.line, 0)))

    def _line(self, at: Position) -> str:
        return self._lines[at.line - 1] if at.line <= len(self._lines) else ""

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
        """The mapping's own entries, then the merged ones whose keys it does not set itself."""
        own: dict[str, ScalarNode] = {}
        merged: list[tuple[ScalarNode, Node]] = []
        for key_node, value in node.value:
            key = self.convert(key_node)
            if not isinstance(key, ScalarNode):
                self._add_fault(key_node, "expected a plain key, found a list or a mapping")
            elif key.text in own:
                self._add_fault(key_node, f"duplicate key '{key.text}', first in line {own[key.text].line}")
            else:
                own[key.text] = key
                if key.yaml_type == "merge":
                    merged += self._merged(value)
                else:
                    yield key, self.convert(value) if value.value else self._empty_value(key_node, value)
        for key, inherited in merged:
            if key.text not in own:
                own[key.text] = key
                yield key, inherited

    def _merged(self, node: yaml.Node) -> list[tuple[ScalarNode, Node]]:
        """The entries that `<<` merges. If several mappings have a key, the first one counts."""
        converted = self.convert(node)
        entries: list[tuple[ScalarNode, Node]] = []
        for each in converted.items if isinstance(converted, ListNode) else (converted,):
            if isinstance(each, MappingNode):
                entries += each.entries
            else:
                self._add_fault(node, "expected a mapping or a list of mappings after <<")
        return entries

    def _add_fault(self, node: yaml.Node, message: str) -> None:
        self._context.add_fault(self._in_file(_position(node.start_mark)), message)

    def _unreadable(self, node: yaml.Node, message: str) -> ScalarNode:
        at = self._in_file(_position(node.start_mark))
        self._context.add_fatal_fault(at, message)
        return ScalarNode(text="", yaml_type="str", line=at.line, column=at.column)


def _is_expression(node: yaml.Node) -> bool:
    """Whether it is `{{ ... }}`, which YAML reads as a mapping in the key of a mapping."""
    if not (isinstance(node, yaml.MappingNode) and node.flow_style and node.value):
        return False
    key = node.value[0][0]
    return isinstance(key, yaml.MappingNode) and key.start_mark.index == node.start_mark.index + 1


def _position(mark: Any) -> Position:
    """PyYAML counts from 0; without a mark, the position is the whole file."""
    return Position(line=mark.line + 1, column=mark.column + 1) if mark else Position(line=0, column=0)
