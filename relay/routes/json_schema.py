"""Parts of a JSON Schema (draft 2020-12), as plain values."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Schema = dict[str, Any]

WORD: Final[Schema] = {"type": ["string", "number", "boolean"], "minLength": 1}
"""A scalar: YAML may make it a number or a boolean, relay reads its text."""
FLAG: Final[Schema] = {"type": "boolean"}


def ref(name: str) -> Schema:
    """A reference to one of the schema's own definitions."""
    return {"$ref": f"#/$defs/{name}"}


def pattern(regex: str) -> Schema:
    """A string that a regular expression matches."""
    return {"type": "string", "pattern": regex}


def enum(words: Iterable[str]) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": [str(word) for word in words]}


def array(item: Schema, *, min_items: int = 0) -> Schema:
    """A list."""
    return {"type": "array", "items": item, **({"minItems": min_items} if min_items else {})}


def mapping(value: Schema, names: Schema | None = None) -> Schema:
    """An object with any keys."""
    return {"type": "object", "additionalProperties": value, **({"propertyNames": names} if names else {})}


def closed_object(
    properties: Mapping[str, Schema], *, required: Iterable[str] = (), extensible: bool = False
) -> Schema:
    """An object with these keys only; if it is extensible, with any `x-...` key too."""
    return {
        "type": "object",
        "properties": dict(properties),
        "additionalProperties": False,
        **({"patternProperties": {"^x-": True}} if extensible else {}),
        **({"required": list(required)} if required else {}),
    }
