"""Read fields of JSON whose shape is not trusted: a missing value, or one of an unexpected type, is empty."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from relay.http.lenient_json import parse_strict_json
from relay.model.errors import NotJson

JsonObject: TypeAlias = Mapping[str, Any]


def parse_object(text: object) -> JsonObject:
    """Parse a JSON object; empty for anything else. Every string in it is clean (`relay.http.lenient_json`)."""
    body = text.encode(errors="replace") if isinstance(text, str) else text
    try:
        return as_object(parse_strict_json(body)) if isinstance(body, bytes) else {}
    except NotJson:
        return {}


def as_object(value: object) -> JsonObject:
    """Return an object."""
    return value if isinstance(value, Mapping) else {}


def object_field(source: JsonObject, name: str) -> JsonObject:
    """Return an object's field that is an object."""
    return as_object(source.get(name))


def objects_field(source: JsonObject, name: str) -> Iterator[JsonObject]:
    """Yield the objects of a field that is a list."""
    return objects(source.get(name))


def objects(value: object) -> Iterator[JsonObject]:
    """Yield the objects of a list."""
    return (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else iter(())


def text_field(source: JsonObject, name: str) -> str:
    """Return an object's field that is a string."""
    value = source.get(name)
    return value if isinstance(value, str) else ""
