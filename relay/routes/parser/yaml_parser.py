"""A text becomes a tree of nodes.

PyYAML parses, and stops at the first thing that is no YAML. Where that is a value whose end can be told, it is covered
up and the rest is read all the same, so that every fault of a file is told at once. Anchors, aliases and merge keys are
resolved here, and what could hurt whoever walks the tree (a cycle, a bomb of aliases, a nesting without end) is a fault
here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import yaml

from relay.routes.parser import yaml_hints
from relay.routes.parser.context import ParseContext, Position
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode, children

MAX_DEPTH = 60
MAX_NODES = 500_000
MOST_COVERED = 50
"""How many values are covered up before reading is given up."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_KINDS = frozenset({"str", "bool", "int", "float", "null", "timestamp", "merge", "value", "seq", "map"})
_DEEPER = (yaml.SequenceStartEvent, yaml.MappingStartEvent)
_BACK = (yaml.SequenceEndEvent, yaml.MappingEndEvent)


def parse_yaml(text: str, reading: ParseContext) -> Node | None:
    """The tree that a text is; None where nothing of it can be read. `reading` holds the faults."""
    for _ in range(MOST_COVERED):
        opened: list[yaml.Event] = []
        try:
            return None if _too_deep(text, opened, reading) else _tree(text, reading)
        except yaml.MarkedYAMLError as error:
            covered = _covered(text, *_syntax_fault(error, opened, yaml_hints.lines_of(text)), reading)
            if covered == text:
                return None
            text = covered
        except (yaml.YAMLError, UnicodeEncodeError) as error:
            _character_fault(error, text, reading)
            return None
    return None


def _covered(text: str, spot: Position, told: str, reading: ParseContext) -> str:
    """The text with a word in place of the faulty value there, just as long; the same text where its end is unknown."""
    reading.add_fatal_fault(spot, f"this is not YAML: {told}")
    start = yaml_hints.offset(text, spot.line) + spot.column - 1
    length = yaml_hints.extent(yaml_hints.lines_of(text[start:])[0])
    return f"{text[:start]}{'x' * length}{text[start + length :]}"


def _tree(text: str, reading: ParseContext) -> Node | None:
    root = yaml.compose(text, Loader=_LOADER)
    if root is None:
        reading.add_fault(Position(line=1, column=1), "the file is empty; it begins with: version: 1")
        return None
    return _Converter(reading, yaml_hints.lines_of(text)).convert(root)


def _too_deep(text: str, opened: list[yaml.Event], reading: ParseContext) -> bool:
    """Composing is recursive, in C: what is nested without end must not get there.

    `opened` is left with the lists and mappings that were not closed where parsing stopped.
    """
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, _BACK):
            opened.pop()
        if isinstance(event, _DEEPER):
            opened.append(event)
        if len(opened) > MAX_DEPTH:
            reading.add_fault(_spot(event.start_mark), f"this is nested more than {MAX_DEPTH} levels deep")
            return True
    return False


_HINTS = {
    "found character that cannot start any token": (
        "nothing may begin with this character (indent with spaces; quote @, ` and %)"
    ),
    "mapping values are not allowed in this context": (
        "a key cannot stand here (wrong indentation, or a colon that needs quotes?)"
    ),
    "did not find expected key": "a key should stand here (is the indentation off?)",
    "could not find expected ':'": "this is no key: a key ends with a colon and a blank",
    "but found another document": "the file ends here: what follows --- is a file of its own",
    "did not find expected '-' indicator": "an item of the list should begin here (is the indentation off?)",
}
"""What the parser means, where the line itself has no trap to show."""
_UNCLOSED = (
    "did not find expected node content",
    "did not find expected ',' or",
    "expected ',' or",
    "found unexpected",
)


def _syntax_fault(
    error: yaml.MarkedYAMLError, opened: Sequence[yaml.Event], lines: Sequence[str]
) -> tuple[Position, str]:
    """Where it began, and what is wrong: of a bracket that nothing closes the parser learns far below."""
    problem = (error.problem or "").strip()
    spot = _spot(error.problem_mark or error.context_mark)
    innermost = opened[-1] if opened else None
    if trap := _trap(error, lines):
        spot, told = trap
    elif problem == "found undefined alias":
        told = f"no anchor has that name; {yaml_hints.at_start(lines[spot.line - 1][spot.column - 1 :])}"
    elif problem == "found unexpected end of stream" and error.context_mark:
        spot, told = _spot(error.context_mark), "the quotes that are opened here are never closed"
    elif isinstance(innermost, _DEEPER) and innermost.flow_style and problem.startswith(_UNCLOSED):
        spot = _spot(innermost.start_mark)
        behind = lines[spot.line - 1][spot.column :]
        told = f"what is opened here is not closed as it should be{yaml_hints.hidden(behind)}"
    else:
        told = _HINTS.get(problem) or f"{problem} {error.context or ''}".strip()
    return spot, told


def _trap(error: yaml.MarkedYAMLError, lines: Sequence[str]) -> tuple[Position, str] | None:
    """A trap in the line that the parser stumbled over, in the one where what it was reading began, or just before."""
    for mark in (error.problem_mark, error.context_mark):
        spot = _spot(mark)
        line = lines[spot.line - 1] if 0 < spot.line <= len(lines) else ""
        if found := yaml_hints.in_line(line, spot.column):
            return Position(line=spot.line, column=found[0]), found[1]
        if mark is error.context_mark and (cure := yaml_hints.glued(line.strip())):
            return Position(line=spot.line, column=len(line) - len(line.lstrip()) + 1), cure
    before = _spot(error.problem_mark).line - 1
    if 0 < before <= len(lines) and (found := yaml_hints.of_line(lines[before - 1])):
        return Position(line=before, column=found[0]), found[1]
    return None


def _character_fault(error: Exception, text: str, reading: ParseContext) -> None:
    """A character that no YAML may hold, where it stands first."""
    character = text[error.start] if isinstance(error, UnicodeEncodeError) else chr(getattr(error, "character", 0))
    before = text.partition(character)[0]
    spot = Position(line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))
    reading.add_fault(spot, f"the character U+{ord(character):04X} may not stand in YAML")


class _Converter:
    """PyYAML's nodes to ours: each once, however many aliases lead to it."""

    def __init__(self, reading: ParseContext, lines: Sequence[str]) -> None:
        self._reading = reading
        self._lines = lines
        self._done: dict[int, Node] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def convert(self, node: yaml.Node) -> Node:
        """Convert a node and all that is in it. A faulty part becomes an empty word."""
        made = self._done.get(id(node))
        if made is None:
            made = self._done[id(node)] = self._guarded(node)
        return made

    def _guarded(self, node: yaml.Node) -> Node:
        if id(node) in self._open:
            return self._spoilt(node, "this contains itself, by an alias")
        self._open.add(id(node))
        made = self._made(node)
        self._open.discard(id(node))
        inside = [self._sizes.get(id(child), (1, 1)) for child in children(made)]
        number = 1 + sum(each for each, _ in inside)
        depth = 1 + max((each for _, each in inside), default=0)
        self._sizes[id(made)] = number, depth
        if number > MAX_NODES:
            return self._spoilt(node, f"with its aliases written out, this has more than {MAX_NODES:,} values")
        if depth > MAX_DEPTH:
            return self._spoilt(node, f"with its aliases written out, this is nested more than {MAX_DEPTH} levels deep")
        return made

    def _made(self, node: yaml.Node) -> Node:
        spot = _spot(node.start_mark)
        kind = node.tag.removeprefix(_CORE)
        if kind == node.tag or kind not in _KINDS:
            told = f"the tag {node.tag} means nothing here; write the value plainly"
            return self._spoilt(node, f"{told} (one that begins with ! needs quotes)" if "!" in node.tag else told)
        if _is_expression(node):
            return self._spoilt(node, yaml_hints.at_start(self._line(spot)[spot.column - 1 :]))
        match node:
            case yaml.SequenceNode():
                items = tuple(self.convert(each) for each in node.value)
                return ListNode(items=items, line=spot.line, column=spot.column)
            case yaml.MappingNode():
                return MappingNode(entries=tuple(self._entries(node)), line=spot.line, column=spot.column)
            case _:
                trap = self._trap(node, spot)
                return ScalarNode(text=node.value, yaml_type=kind, line=spot.line, column=spot.column, hint=trap)

    def _trap(self, node: yaml.Node, spot: Position) -> str:
        """What became of a value where YAML found nothing, or one word with a colon in it."""
        if node.value:
            return yaml_hints.glued(node.value)
        rest = self._line(spot)[spot.column - 1 :]
        return yaml_hints.comment(rest) or yaml_hints.at_start(rest.lstrip())

    def _nothing(self, key: yaml.Node, value: yaml.Node) -> Node:
        """What is empty; what is not there at all stands behind its key, wherever the parser went on to look for it."""
        made = self.convert(value)
        if not (isinstance(made, ScalarNode) and made.is_empty) or made.line == key.end_mark.line + 1:
            return made
        spot = Position(line=key.end_mark.line + 1, column=key.end_mark.column + 2)
        return replace(made, line=spot.line, column=spot.column, hint=self._trap(value, spot))

    def _line(self, spot: Position) -> str:
        return self._lines[spot.line - 1] if spot.line <= len(self._lines) else ""

    def _entries(self, node: yaml.MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
        """The mapping's own entries, and after them what is merged into it and not set there."""
        own: dict[str, ScalarNode] = {}
        merged: list[tuple[ScalarNode, Node]] = []
        for key, value in node.value:
            word = self._key(key)
            if word is None:
                continue
            if word.text in own:
                first = own[word.text].line
                self._fault(key, f"'{word.text}' stands here twice; the first is in line {first}")
                continue
            own[word.text] = word
            if word.yaml_type == "merge":
                merged += self._merged(value)
            else:
                yield word, self.convert(value) if value.value else self._nothing(key, value)
        for word, inherited in merged:
            if word.text not in own:
                own[word.text] = word
                yield word, inherited

    def _key(self, node: yaml.Node) -> ScalarNode | None:
        made = self.convert(node)
        if isinstance(made, ScalarNode):
            return made
        self._fault(node, "a key is a word, not a list or a mapping")
        return None

    def _merged(self, node: yaml.Node) -> list[tuple[ScalarNode, Node]]:
        """What `<<` brings: of several mappings the first that has a key gives it."""
        made = self.convert(node)
        entries: list[tuple[ScalarNode, Node]] = []
        for each in made.items if isinstance(made, ListNode) else (made,):
            if isinstance(each, MappingNode):
                entries += each.entries
            else:
                self._fault(node, "<< merges a mapping, or a list of mappings")
        return entries

    def _fault(self, node: yaml.Node, message: str) -> None:
        self._reading.add_fault(_spot(node.start_mark), message)

    def _spoilt(self, node: yaml.Node, message: str) -> ScalarNode:
        spot = _spot(node.start_mark)
        self._reading.add_fatal_fault(spot, message)
        return ScalarNode(text="", yaml_type="str", line=spot.line, column=spot.column)


def _is_expression(node: yaml.Node) -> bool:
    """Whether it is `{{ ... }}`: to YAML a mapping in a mapping's key."""
    if not (isinstance(node, yaml.MappingNode) and node.flow_style and node.value):
        return False
    key = node.value[0][0]
    return isinstance(key, yaml.MappingNode) and key.start_mark.index == node.start_mark.index + 1


def _spot(mark: Any) -> Position:
    """PyYAML counts from 0; where it has no mark the place is the whole file."""
    return Position(line=mark.line + 1, column=mark.column + 1) if mark else Position(line=0, column=0)
