"""The routes of a rulebook, each beside what was written of it: what warnings point at."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from relay.routes.match import AllMatches, AnyMatch, Comparison, Condition, Match, NotMatch
from relay.routes.parser.context import HasPosition, ParseContext
from relay.routes.parser.matches import match as read_match
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode
from relay.routes.route import Route
from relay.routes.subjects import NAMED

_NOWHERE = MappingNode(entries=(), line=0, column=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionSource:
    """One condition, and the key under which it stands: `at` is its place, `value` what is asked for."""

    condition: Condition
    at: ScalarNode
    value: Node

    @property
    def words(self) -> str:
        """The condition in a few words, as the file has it."""
        if isinstance(self.condition, Comparison):
            return f"{self.condition.subject.label}: {self.condition.expected}"
        return self.at.text


@dataclass(frozen=True, kw_only=True)
class RouteSource:
    """One route where it stands: inside `inside` (None: at the top), behind the siblings `before` it."""

    route: Route
    table: MappingNode
    inside: "RouteSource | None"
    before: "tuple[RouteSource, ...]"

    @property
    def lineage(self) -> "tuple[RouteSource, ...]":
        """The routes around it, the outermost first, and itself."""
        return (*(self.inside.lineage if self.inside else ()), self)

    @cached_property
    def conditions(self) -> tuple[ConditionSource, ...]:
        """The conditions of its own match."""
        return tuple(written(self.route.match, self.table.get("match") or _NOWHERE))

    def at(self, key: str) -> HasPosition:
        """Where that key of it stands; where the route does if it has none."""
        return next((word for word, _ in self.table.entries if word.text == key), self.table)

    def posts(self) -> Sequence[Node]:
        """Its post items, as written."""
        node = self.table.get("post")
        return node.items if isinstance(node, ListNode) else ()


def standing(routes: Sequence[Route], top: MappingNode, inside: RouteSource | None = None) -> Iterator[RouteSource]:
    """Every route with its place, each before its children."""
    node = top.get("routes")
    before: list[RouteSource] = []
    for route, table in zip(routes, node.items if isinstance(node, ListNode) else (), strict=True):
        if isinstance(table, MappingNode):
            here = RouteSource(route=route, table=table, inside=inside, before=tuple(before))
            yield here
            yield from standing(route.routes, table, here)
            before.append(here)


def written(match: Match, node: Node) -> Iterator[ConditionSource]:
    """The conditions of a match beside the nodes that they were made of."""
    keys = _keys(node) if isinstance(node, MappingNode) else ()
    for condition, (at, value) in zip(match.conditions, keys, strict=True):
        yield ConditionSource(condition=condition, at=at, value=value)


def matches(top: Node) -> Iterator[MappingNode]:
    """The `match` of every route in a tree that need not be a rulebook's."""
    node = top.get("routes") if isinstance(top, MappingNode) else None
    for route in node.items if isinstance(node, ListNode) else ():
        match = route.get("match") if isinstance(route, MappingNode) else None
        if isinstance(match, MappingNode):
            yield match
        yield from matches(route)


def readable_conditions(match: MappingNode) -> Iterator[ConditionSource]:
    """The conditions of a match that can be read, whatever is wrong with those beside them."""
    for alone in _one_by_one(match):
        reading = ParseContext(file="")
        read = read_match(alone, reading)
        if not reading.faults:
            yield from written(read, alone)


def _one_by_one(match: MappingNode) -> Iterator[MappingNode]:
    """The match with one of its conditions at a time."""
    for word, value in match.entries:
        if word.text in NAMED and isinstance(value, MappingNode):
            named = (replace(value, entries=(pair,)) for pair in value.entries)
            yield from (replace(match, entries=((word, each),)) for each in named)
        else:
            yield replace(match, entries=((word, value),))


def _keys(match: MappingNode) -> Iterator[tuple[ScalarNode, Node]]:
    for word, value in match.entries:
        if word.text in NAMED:
            yield from value.entries if isinstance(value, MappingNode) else ()
        else:
            yield word, value


def inner(each: ConditionSource) -> Iterator[tuple[ConditionSource, ...]]:
    """The matches inside a condition (`any`, `all`, `not`), however deep, each as its conditions."""
    match each.condition, each.value:
        case ((AnyMatch(matches=matches) | AllMatches(matches=matches)), ListNode(items=items)):
            pairs = list(zip(matches, items, strict=True))
        case NotMatch(match=only), value:
            pairs = [(only, value)]
        case _:
            pairs = []
    for found, node in pairs:
        conditions = tuple(written(found, node))
        yield conditions
        for condition in conditions:
            yield from inner(condition)


def entries(top: MappingNode, key: str) -> Mapping[str, ScalarNode]:
    """What stands in a mapping at the top: each key, and where it is."""
    node = top.get(key)
    return {word.text: word for word, _ in node.entries} if isinstance(node, MappingNode) else {}
