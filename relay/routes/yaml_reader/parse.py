"""Parse YAML into nodes, and report every fault in it at once.

PyYAML stops at the first error. If the error is in a value whose end is clear, the value is replaced by a placeholder
and the text is parsed again, to find the other faults. Anchors, aliases and merge keys are resolved. What would hurt
a reader of the tree is a fault: a cycle, an alias bomb, or nesting that is too deep.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import yaml

from relay.routes.yaml_reader import hints
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode, children

MAX_DEPTH = 60
MAX_NODES = 500_000
MAX_PLACEHOLDERS = 50
"""How many values are replaced before parsing is given up."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_TYPES = frozenset({"str", "bool", "int", "float", "null", "timestamp", "merge", "value", "seq", "map"})
_START = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_END = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def parse_yaml(text: str, context: ParseContext) -> Node | None:
    """Parse a text; None if nothing of it can be read. `context` gets the faults."""
    for _ in range(MAX_PLACEHOLDERS):
        opened: list[yaml.Event] = []
        lines = hints.lines_of(text)
        try:
            if _is_too_deep(text, opened, context):
                return None
            root = yaml.compose(text, Loader=_LOADER)
        except yaml.MarkedYAMLError as error:
            at, message = _syntax_fault(error, opened, lines)
            context.add_fatal_fault(at, f"invalid YAML: {message}")
            # If the end of the value is clear, a word of the same length replaces it.
            start = hints.offset(text, at.line) + at.column - 1
            length = hints.extent(hints.lines_of(text[start:])[0])
            replaced = f"{text[:start]}{'x' * length}{text[start + length :]}"
            if replaced == text:
                return None
            text = replaced
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            _add_character_fault(error, text, context)
            return None
        else:
            if root is not None:
                return _Converter(context, lines).convert(root)
            context.add_fault(Position(line=1, column=1), "the file is empty; write version: 1 in its first line")
            return None
    return None


def _is_too_deep(text: str, opened: list[yaml.Event], context: ParseContext) -> bool:
    """Check the depth first, because composing is recursive, in C.

    `opened` gets the lists and mappings that are open where parsing stops.
    """
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, _END):
            opened.pop()
        if isinstance(event, _START):
            opened.append(event)
        if len(opened) > MAX_DEPTH:
            context.add_fault(_position(event.start_mark), f"nested more than {MAX_DEPTH} levels deep")
            return True
    return False


_MESSAGES = {
    "found character that cannot start any token": (
        "a value cannot begin with this character; indent with spaces, and quote @, ` and %"
    ),
    "mapping values are not allowed in this context": (
        "a key cannot stand here; check the indentation, and quote text that contains a colon"
    ),
    "did not find expected key": "expected a key here; check the indentation",
    "could not find expected ':'": "expected a colon and a space after this key",
    "but found another document": "the file ends here; remove what follows ---",
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
    error: yaml.MarkedYAMLError, opened: Sequence[yaml.Event], lines: Sequence[str]
) -> tuple[Position, str]:
    """The place where the error begins, and its message. PyYAML notices an unclosed bracket only far below."""
    problem = (error.problem or "").strip()
    at = _position(error.problem_mark or error.context_mark)
    innermost = opened[-1] if opened else None
    if hint := _line_hint(error, lines):
        return hint
    if problem == "found undefined alias":
        return at, f"no anchor has this name; {hints.at_start(lines[at.line - 1][at.column - 1 :])}"
    if problem == "found unexpected end of stream" and error.context_mark:
        return _position(error.context_mark), "these quotes are never closed"
    if isinstance(innermost, _START) and innermost.flow_style and problem.startswith(_UNCLOSED):
        at = _position(innermost.start_mark)
        rest = lines[at.line - 1][at.column :]
        return at, f"this bracket is not closed{hints.hidden(rest)}"
    return at, _MESSAGES.get(problem) or f"{problem} {error.context or ''}".strip()


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

    def __init__(self, context: ParseContext, lines: Sequence[str]) -> None:
        self._context = context
        self._lines = lines
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
        at = _position(node.start_mark)
        yaml_type = node.tag.removeprefix(_CORE)
        if yaml_type == node.tag or yaml_type not in _TYPES:
            message = f"unknown YAML tag {node.tag}; write the value without a tag"
            return self._unreadable(node, f"{message} (quote text that begins with !)" if "!" in node.tag else message)
        if _is_expression(node):
            return self._unreadable(node, hints.at_start(self._line(at)[at.column - 1 :]))
        match node:
            case yaml.SequenceNode():
                items = tuple(self.convert(each) for each in node.value)
                return ListNode(items=items, line=at.line, column=at.column)
            case yaml.MappingNode():
                return MappingNode(entries=tuple(self._entries(node)), line=at.line, column=at.column)
            case _:
                hint = self._scalar_hint(node, at)
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
        at = Position(line=key.end_mark.line + 1, column=key.end_mark.column + 2)
        return replace(converted, line=at.line, column=at.column, hint=self._scalar_hint(value, at))

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
        self._context.add_fault(_position(node.start_mark), message)

    def _unreadable(self, node: yaml.Node, message: str) -> ScalarNode:
        at = _position(node.start_mark)
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
