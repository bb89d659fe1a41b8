"""`match` in routes.yaml, compiled to conditions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from relay.model.nearest import nearest
from relay.routes import json_schema
from relay.routes.json_schema import Schema
from relay.routes.match import Combination, Comparison, Condition, Match
from relay.routes.match_keys import MATCH_KEYS, Subject
from relay.routes.parser.foreign_words import FOREIGN_KEYS
from relay.routes.parser.match_values import read_value, value_ref
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import ListNode, Node, ScalarNode, as_yaml
from relay.routes.yaml_reader.scalars import describe, read_entries


def read_match(node: Node, context: ParseContext) -> Match:
    """Read a whole match, without its faulty conditions."""
    entries = read_entries(node, context, "conditions, such as {environment: Production, status: critical}")
    return Match(conditions=tuple(each for word, value in entries for each in _conditions(word, value, context)))


def _conditions(word: ScalarNode, value: Node, context: ParseContext) -> list[Condition]:
    name = word.text
    if name not in _keys():
        context.add_fault(word, _unknown_key(name, value))
        name = nearest(name, _keys())  # to find the faults of what it holds
    if combinator := COMBINATORS.get(name):
        return _combination(combinator, value, context)
    key = MATCH_KEYS.get(name)
    if key is None:
        return []
    pairs: Sequence[tuple[Subject, Node]] = [(key.subject(), value)]
    if key.named:
        entries = read_entries(value, context, f"names to values, such as {name}: {{team: database}}")
        pairs = [(key.subject(each.text), operand) for each, operand in entries]
    return [
        Comparison(subject=subject, wanted=wanted, expected=as_yaml(operand))
        for subject, operand in pairs
        if (wanted := read_value(operand, subject.type, context)) is not None
    ]


def _unknown_key(name: str, value: Node) -> str:
    hint = suggestion(name, _keys())
    if not nearest(name, _keys()):
        hint = FOREIGN_KEYS.get(name, hint)
        hint += f"; for a tag write tags: {{{name}: {as_yaml(value)}}}" if isinstance(value, ScalarNode) else ""
    return f"unknown key '{name}' in match{hint}"


def _combination(combinator: "Combinator", node: Node, context: ParseContext) -> list[Condition]:
    name = combinator.name
    if name == "not":
        return [Combination(key=name, parts=(read_match(node, context),))]
    if not isinstance(node, ListNode) or not node.items:
        example = f"{name}: [{{status: critical}}]"
        context.add_fault(node, f"expected a list of matches, such as {example}, found {describe(node)}")
        return []
    return [Combination(key=name, parts=tuple(read_match(item, context) for item in node.items))]


@dataclass(frozen=True, slots=True)
class Combinator:
    """One row of the keys that combine whole matches."""

    name: Literal["any", "all", "not"]
    schema: Schema
    description: str


_MATCH: Final = json_schema.ref("match")
_MATCHES: Final = json_schema.array(_MATCH, min_items=1)
COMBINATORS: Final[Mapping[str, Combinator]] = {
    row.name: row
    for row in (
        Combinator("any", _MATCHES, "a list of matches, of which one must match"),
        Combinator("all", _MATCHES, "a list of matches, which must all match"),
        Combinator("not", _MATCH, "a match that must not match"),
    )
}


def _keys() -> tuple[str, ...]:
    return (*MATCH_KEYS, *COMBINATORS)


def match_schema() -> Schema:
    """The schema of a match."""
    properties: dict[str, Schema] = {}
    for key in MATCH_KEYS.values():
        value = value_ref(key.type)
        form = json_schema.mapping(value) if key.named else value
        properties[key.name] = {**form, "description": key.description}
    for name, combinator in COMBINATORS.items():
        properties[name] = {**combinator.schema, "description": combinator.description}
    return json_schema.closed_object(properties)
