"""Values of routes.yaml that are small mappings (`quiet`, a window of `hours`): one table of keys for each."""

from collections.abc import Mapping
from typing import Any, Final

from relay.model.nearest import nearest
from relay.routes.json_schema import Schema, closed_object
from relay.routes.key_types import Key, KeyType
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import MappingNode

Parts = Mapping[str, Key[Any]]
"""The keys of such a mapping, by name."""

_EXTENSION: Final = "x-"


def parts(*rows: tuple[str, KeyType[Any], Any, str]) -> Parts:
    """Make the table from its rows: name, type, what a missing key means, and description."""
    return {name: Key(name, (), key_type, default, description) for name, key_type, default, description in rows}


def read_parts(mapping: MappingNode, known: Parts, where: str, context: ParseContext) -> dict[str, Any]:
    """Read the keys that a mapping sets, without the faulty ones; `where` names the mapping in messages."""
    values = {}
    for key, node in mapping.entries:
        name = key.text
        if name not in known and not name.startswith(_EXTENSION):
            context.add_fault(key, f"unknown key '{name}' in {where}{suggestion(name, known)}")
            near = nearest(name, known)
            name = "" if mapping.get(near) else near
        if name in known and (value := known[name].type.read(node, context)) is not None:
            values[name] = value
    return values


def parts_schema(known: Parts, *required: str) -> Schema:
    """The schema of such a mapping."""
    return closed_object({name: key.schema for name, key in known.items()}, required=required, extensible=True)
