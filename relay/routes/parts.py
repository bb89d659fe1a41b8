"""Values of routes.yaml that are small mappings (`quiet`, a window of `hours`): one table of keys for each."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, TypeVar

from relay.model.json_types import JSON
from relay.model.nearest import nearest
from relay.model.struct import replace
from relay.routes import json_schema
from relay.routes.json_schema import Schema, closed_object
from relay.routes.key_types import Key, KeyType
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.scalars import describe

T = TypeVar("T")
Parts = Mapping[str, Key[Any]]
"""The keys of such a mapping, by name."""

OFF: Final = "off"
_EXTENSION: Final = "x-"
_OFF_SCHEMA: Final = json_schema.enum([OFF])


def parts(*rows: tuple[str, KeyType[Any], Any, str]) -> Parts:
    """Make the table from its rows: name, type, what a missing key means, and description."""
    return {name: Key(name, (), key_type, default, description) for name, key_type, default, description in rows}


def with_known_keys(
    mapping: MappingNode, known: Collection[str], message: Callable[[str, str], str], context: ParseContext
) -> MappingNode:
    """Add a fault for every key that is not known; `x-...` keys are allowed anywhere.

    `message` makes it from the key and the known key that it was meant to be, or an empty text. Returns the mapping
    with misspelt keys corrected, so that their values are read too.
    """
    entries = []
    for key, value in mapping.entries:
        near = ""
        if key.text not in known and not key.text.startswith(_EXTENSION):
            near = nearest(key.text, known)
            context.add_fault(key, message(key.text, near))
        entries.append((replace(key, text=near) if near and not mapping.get(near) else key, value))
    return replace(mapping, entries=tuple(entries))


def known_parts(mapping: MappingNode, known: Parts, where: str, context: ParseContext) -> MappingNode:
    """The same for a mapping with these keys, which `where` names in messages."""

    def message(name: str, _: str) -> str:
        return f"unknown key '{name}' in {where}{suggestion(name, known)}"

    return with_known_keys(mapping, known, message, context)


def read_parts(mapping: MappingNode, known: Parts, context: ParseContext) -> dict[str, Any]:
    """Read the keys that a mapping sets, without the faulty ones."""
    values = (
        (key.text, known[key.text].type.read(node, context)) for key, node in mapping.entries if key.text in known
    )
    return {name: value for name, value in values if value is not None}


def read_required(  # noqa: PLR0913  each is a property of the mapping
    mapping: MappingNode, known: Parts, where: str, context: ParseContext, *, required: Sequence[str], example: str
) -> dict[str, Any]:
    """The same for a mapping that must set the `required` keys. Every fault is added, also for unknown keys."""
    mapping = known_parts(mapping, known, where, context)
    values = read_parts(mapping, known, context)
    for name in required:
        if mapping.get(name) is None:
            context.add_fault(mapping, f"missing key '{name}' in {where}; write {example}")
    return values


def parts_schema(known: Parts, *required: str) -> Schema:
    """The schema of such a mapping."""
    return closed_object({name: key.schema for name, key in known.items()}, required=required, extensible=True)


def parts_as_yaml(known: Parts, value: object) -> str:
    """The mapping with the keys that differ from their default, as the file writes it."""
    values = ((name, key, getattr(value, name)) for name, key in known.items())
    return (
        "{" + ", ".join(f"{name}: {key.type.as_yaml(each)}" for name, key, each in values if each != key.default) + "}"
    )


def parts_as_json(known: Parts, value: object) -> dict[str, JSON]:
    """The mapping as plain JSON, to be stored."""
    return {name: key.type.as_json(getattr(value, name)) for name, key in known.items()}


def parts_from_json(known: Parts, stored: Mapping[str, JSON]) -> dict[str, Any]:
    """Undo `parts_as_json`. Keys that this version of relay does not know are ignored."""
    return {name: key.type.from_json(stored[name]) for name, key in known.items() if name in stored}


def switchable(  # noqa: PLR0913  each is a property of the type
    what: str, known: Parts, make: Callable[..., T], example: str, *, off: T, required: tuple[str, ...] = ()
) -> KeyType[T]:
    """A mapping with these keys, from which `make` makes the value, or `off`."""

    def read(node: Node, context: ParseContext) -> T | None:
        if isinstance(node, ScalarNode) and node.text == OFF:
            return off
        if not isinstance(node, MappingNode):
            context.add_fault(node, f"expected a mapping such as {example}, or off, found {describe(node)}")
            return None
        values = read_required(node, known, what, context, required=required, example=example)
        return make(**values) if values.keys() >= set(required) else None

    return KeyType(
        f"{what} or `{OFF}`",
        read,
        {"anyOf": [_OFF_SCHEMA, parts_schema(known, *required)]},
        as_yaml=lambda value: OFF if value == off else parts_as_yaml(known, value),
        as_json=lambda value: parts_as_json(known, value),
        from_json=lambda stored: make(**parts_from_json(known, stored)),
    )
