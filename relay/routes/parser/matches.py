"""`match` in routes.yaml, compiled to conditions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from relay.routes import json_schema
from relay.routes.json_schema import Schema
from relay.routes.match import AllMatches, AnyMatch, Comparison, Condition, Match, NotMatch
from relay.routes.match_keys import MATCH_KEYS, Subject
from relay.routes.parser.match_values import read_value, value_name
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import ListNode, Node, ScalarNode, as_yaml
from relay.routes.yaml_reader.scalars import describe, read_mapping


def read_match(node: Node, context: ParseContext) -> Match:
    """Read a whole match, without its faulty conditions."""
    mapping = read_mapping(node, context, "conditions, such as {environment: Production, status: critical}")
    conditions: list[Condition] = []
    for word, value in mapping.entries if mapping else ():
        conditions += _conditions(word, value, context)
    return Match(conditions=tuple(conditions))


def _conditions(word: ScalarNode, value: Node, context: ParseContext) -> list[Condition]:
    name = word.text
    if key := MATCH_KEYS.get(name):
        if not key.named:
            return _comparisons([(key.subject(), value)], context)
        names = read_mapping(value, context, f"names to values, such as {name}: {{team: database}}")
        pairs = [(key.subject(each.text), operand) for each, operand in (names.entries if names else ())]
        return _comparisons(pairs, context)
    if name in COMBINATORS:
        return COMBINATORS[name].read(name, value, context)
    known = (*MATCH_KEYS, *COMBINATORS)
    context.add_fault(word, f"unknown key '{name}' in match{suggestion(name, known)}")
    return []


def _comparisons(pairs: list[tuple[Subject, Node]], context: ParseContext) -> list[Condition]:
    return [
        Comparison(subject=subject, wanted=wanted, expected=as_yaml(value))
        for subject, value in pairs
        if (wanted := read_value(value, subject.type, context)) is not None
    ]


def _not(_: str, node: Node, context: ParseContext) -> list[Condition]:
    return [NotMatch(match=read_match(node, context))]


def _several(name: str, node: Node, context: ParseContext) -> list[Condition]:
    if not isinstance(node, ListNode) or not node.items:
        example = f"{name}: [{{status: critical}}]"
        context.add_fault(node, f"expected a list of matches, such as {example}, found {describe(node)}")
        return []
    parts = tuple(read_match(item, context) for item in node.items)
    return [AnyMatch(parts=parts) if name == "any" else AllMatches(parts=parts)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combinator:
    """One row of the keys that combine whole matches."""

    read: Callable[[str, Node, ParseContext], list[Condition]]
    schema: Schema
    description: str


_MATCH: Final = json_schema.ref("match")
_MATCHES: Final = json_schema.array(_MATCH, min_items=1)
COMBINATORS: Final[Mapping[str, Combinator]] = {
    "any": Combinator(read=_several, schema=_MATCHES, description="a list of matches, of which one must match"),
    "all": Combinator(read=_several, schema=_MATCHES, description="a list of matches, which must all match"),
    "not": Combinator(read=_not, schema=_MATCH, description="a match that must not match"),
}


def match_schema() -> Schema:
    """The schema of a match."""
    properties: dict[str, Schema] = {}
    for key in MATCH_KEYS.values():
        value = json_schema.ref(value_name(key.type))
        form = json_schema.mapping(value) if key.named else value
        properties[key.name] = {**form, "description": key.description}
    for name, combinator in COMBINATORS.items():
        properties[name] = {**combinator.schema, "description": combinator.description}
    return json_schema.closed_object(properties)
