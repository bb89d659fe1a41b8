"""Routes and conditions beside the YAML nodes that they were made of: findings point at these nodes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from relay.model.errors import Fault
from relay.model.struct import replace
from relay.routes.match import Combination, Comparison, Condition, Match
from relay.routes.match_keys import MATCH_KEYS
from relay.routes.parser.matches import read_match
from relay.routes.route import Route
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode, children

_EMPTY = MappingNode(entries=(), line=0, column=0)


def finding(at: Position, message: str) -> Fault:
    """A warning about a node: it works, but is probably not intended. `lint` adds the file."""
    return Fault(file="", line=at.line, column=at.column, message=message, warning=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSource:
    """One condition; `at` is the node of its key, `value` the node of its value."""

    condition: Condition
    at: ScalarNode
    value: Node

    @property
    def text(self) -> str:
        """The condition as the file has it."""
        if isinstance(self.condition, Comparison):
            return f"{self.condition.subject.label}: {self.condition.expected}"
        return self.at.text


@dataclass(frozen=True, kw_only=True)
class RouteSource:
    """One route: its node, its parent (None at the top), and the sibling routes before it."""

    route: Route
    node: MappingNode
    parent: "RouteSource | None"
    before: "tuple[RouteSource, ...]"

    @property
    def lineage(self) -> "tuple[RouteSource, ...]":
        """The routes around it, the outermost first, and itself."""
        return (*(self.parent.lineage if self.parent else ()), self)

    @property
    def enabled(self) -> bool:
        """Whether it and all routes around it are enabled."""
        return all(each.route.enabled for each in self.lineage)

    @cached_property
    def conditions(self) -> tuple[ConditionSource, ...]:
        """The conditions of its own match."""
        return tuple(condition_sources(self.route.match, self.node.get("match") or _EMPTY))

    @property
    def posts(self) -> Sequence[Node]:
        """The nodes of its post items."""
        node = self.node.get("post")
        return node.items if isinstance(node, ListNode) else ()


def route_sources(
    routes: Sequence[Route], top: MappingNode, parent: RouteSource | None = None
) -> Iterator[RouteSource]:
    """Every route, each before its children."""
    before: list[RouteSource] = []
    for route, node in zip(routes, _items(top), strict=True):
        if isinstance(node, MappingNode):
            source = RouteSource(route=route, node=node, parent=parent, before=tuple(before))
            yield source
            yield from route_sources(route.routes, node, source)
            before.append(source)


def _items(parent: Node) -> Sequence[Node]:
    return items(parent, "routes") if isinstance(parent, MappingNode) else ()


def condition_sources(match: Match, node: Node) -> Iterator[ConditionSource]:
    """The conditions of a match, each with its nodes."""
    pairs: list[tuple[ScalarNode, Node]] = []
    for key, value in node.entries if isinstance(node, MappingNode) else ():
        pairs += value.entries if isinstance(value, MappingNode) and _is_named(key) else [(key, value)]
    for condition, (at, value) in zip(match.conditions, pairs, strict=True):
        yield ConditionSource(condition=condition, at=at, value=value)


def _is_named(key: ScalarNode) -> bool:
    return key.text in MATCH_KEYS and MATCH_KEYS[key.text].named


def match_nodes(top: Node) -> Iterator[MappingNode]:
    """The `match` of every route in a file that may have faults."""
    for route in _items(top):
        match = route.get("match") if isinstance(route, MappingNode) else None
        if isinstance(match, MappingNode):
            yield match
        yield from match_nodes(route)


def valid_conditions(match: MappingNode) -> Iterator[ConditionSource]:
    """The conditions without a fault of a match that may have other faults."""
    for key, value in match.entries:
        singles: list[Node] = [value]
        if _is_named(key) and isinstance(value, MappingNode):
            singles = [replace(value, entries=(pair,)) for pair in value.entries]
        for each in singles:
            single = replace(match, entries=((key, each),))
            context = ParseContext(file="")
            parsed = read_match(single, context)
            if not context.faults:
                yield from condition_sources(parsed, single)


def inner_matches(source: ConditionSource) -> Iterator[tuple[ConditionSource, ...]]:
    """The matches inside a condition (`any`, `all`, `not`) at any depth, each as its conditions."""
    if not isinstance(source.condition, Combination):
        return
    nodes = source.value.items if isinstance(source.value, ListNode) else (source.value,)
    for match, node in zip(source.condition.parts, nodes, strict=True):
        conditions = tuple(condition_sources(match, node))
        yield conditions
        for condition in conditions:
            yield from inner_matches(condition)


def entries(top: MappingNode, key: str) -> Mapping[str, ScalarNode]:
    """The keys of a mapping at the top level, with their nodes."""
    node = top.get(key)
    return {each.text: each for each, _ in node.entries} if isinstance(node, MappingNode) else {}


def items(top: MappingNode, key: str) -> Sequence[Node]:
    """The items of a list at the top level."""
    node = top.get(key)
    return node.items if isinstance(node, ListNode) else ()


def values(top: MappingNode, key: str) -> Sequence[Node]:
    """The items of a list, or the values of a mapping, at the top level."""
    node = top.get(key)
    return children(node) if node else ()


def words_under(node: Node, *keys: str) -> Iterator[str]:
    """Every word below one of these keys, at any place of the key."""
    if isinstance(node, MappingNode):
        for key, value in node.entries:
            yield from words(value) if key.text in keys else words_under(value, *keys)
    elif isinstance(node, ListNode):
        for item in node.items:
            yield from words_under(item, *keys)


def words(node: Node) -> Iterator[str]:
    """Every word in a node."""
    if isinstance(node, ScalarNode):
        yield node.text
    for child in children(node):
        yield from words(child)
