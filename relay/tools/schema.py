"""The JSON Schemas of routes.yaml and of `*.test.yaml` (draft 2020-12); editors complete and check with them.

They are built from the tables of keys, and accept every file that relay accepts. `relay check` and `relay test` find
the rest: what depends on other parts of the file (aliases, unique names) or on a language (regular expressions, Jinja).
"""

from typing import Final

from relay.routes import json_schema
from relay.routes.hour_types import SILENT_HOURS_SCHEMA
from relay.routes.json_schema import Schema, closed_object, ref
from relay.routes.key_types import Place
from relay.routes.match_keys import ValueType
from relay.routes.options import OPTION_KEYS
from relay.routes.parser.keys import keys_in
from relay.routes.parser.match_values import value_name, value_schema
from relay.routes.parser.matches import match_schema
from relay.routes.people import TARGET_SCHEMA
from relay.tools.testing.keys import FilePart, part_schema

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

_CHANNEL: Final[Schema] = {
    **json_schema.WORD,
    "description": 'an alias, an id (C... or G...), #name, or Jinja: "#inc-{{ tags.team }}"',
}
_HAS_CHILDREN: Final[Schema] = {"required": ["routes"], "properties": {"routes": {"minItems": 1}}}


def schema() -> Schema:
    """Return the schema as plain JSON."""
    return {
        "$schema": DRAFT,
        "title": "routes.yaml",
        "description": "Which incidents from BigPanda go to which Slack channels, and how relay reports them.",
        **_part(Place.TOP, "version"),
        "$defs": {
            "channel": _CHANNEL,
            "target": TARGET_SCHEMA,
            "silent_hours": SILENT_HOURS_SCHEMA,
            "fallback": _part(Place.FALLBACK, "channel"),
            "notices": _part(Place.NOTICES, "channel"),
            "defaults": _part(Place.DEFAULTS),
            "route": {**_part(Place.ROUTE, "name"), "anyOf": [{"required": ["post"]}, _HAS_CHILDREN]},
            "post": {"anyOf": [ref("channel"), _part(Place.POST, "channel")]},
            "match": match_schema(),
            **{value_name(value_type): value_schema(value_type) for value_type in ValueType},
        },
    }


def tests_schema() -> Schema:
    """Return the schema of `*.test.yaml` as plain JSON. It accepts every file that `relay test` accepts."""
    return {
        "$schema": DRAFT,
        "title": "*.test.yaml",
        "description": "Tests of routes.yaml and its templates, which `relay test` runs.",
        **part_schema(FilePart.FILE),
        "$defs": {
            "target": TARGET_SCHEMA,
            **{part.name.lower(): part_schema(part) for part in FilePart if part is not FilePart.FILE},
        },
    }


def _part(place: Place, *required: str) -> Schema:
    properties = {name: key.schema for name, key in keys_in(place).items()}
    for name in properties.keys() & OPTION_KEYS:
        option = OPTION_KEYS[name]
        properties[name]["description"] += f" (default: `{option.type.as_yaml(option.default)}`)"
    return closed_object(properties, required=required, extensible=True)
