"""The keys of routes.yaml: one table, which the parser, the schema and the documents follow.

The options stand in their own table, `relay.routes.options.Options`; the keys of `match` in `relay.routes.match_keys`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from relay.routes import json_schema
from relay.routes.json_schema import Schema, closed_object, ref
from relay.routes.key_types import DURATION, FLAG, WORD, Key, KeyType, Place
from relay.routes.match import MATCH_ALL
from relay.routes.mention import MENTION_KEYS, NO_MENTION
from relay.routes.options import OPTION_KEYS, OptionValues, read_options
from relay.routes.parser.matches import read_match
from relay.routes.parser.targets import read_aliases, read_mention, read_tag_values, read_users
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.scalars import read_mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureKey:
    """One row of the table for a key that holds a part of the file's structure; `tree` and `parse` read these."""

    name: str
    places: tuple[Place, ...]
    form: Schema
    description: str

    @property
    def schema(self) -> Schema:
        """The schema of its value."""
        return {**self.form, "description": self.description}


def _read_defaults(node: Node, context: ParseContext) -> OptionValues | None:
    mapping = read_mapping(node, context, "options, such as gather: 2m")
    if mapping is None:
        return None
    check_keys(mapping, Place.DEFAULTS, context)
    return read_options(mapping, context)


_ALIAS: Final[Schema] = {
    **json_schema.pattern(r"^((?=.*[0-9]|.{9})[CG][A-Z0-9]+|#\S+)$"),
    "description": "a channel's id (C... or G..., it survives a rename), or its #name",
}
_FALLBACK: Final[Schema] = {
    "anyOf": [
        ref("channel"),
        closed_object(
            {
                "channel": {**ref("channel"), "description": "a channel that does not depend on the incident"},
                "wait": {**DURATION.schema, "description": "post only what is still open after this time"},
            },
            required=["channel"],
        ),
    ]
}
_MENTION: Final = closed_object(
    {key: {**json_schema.array(ref("target")), "description": when} for key, when in MENTION_KEYS.items()}
)

CHANNELS: Final = Key(
    name="channels",
    places=(Place.TOP,),
    type=KeyType(name="mapping", read=read_aliases, schema=json_schema.mapping(_ALIAS)),
    default={},
    description="aliases for channels: alias to id, or to `#name`. An id survives a rename",
)
TAG_VALUES: Final = Key(
    name="tag_values",
    places=(Place.TOP,),
    type=KeyType(
        name="mapping",
        read=read_tag_values,
        schema=json_schema.mapping(json_schema.mapping(json_schema.WORD)),
    ),
    default={},
    description="tag to raw value to the word that relay shows and matches",
)
USERS: Final = Key(
    name="users",
    places=(Place.TOP,),
    type=KeyType(
        name="mapping", read=read_users, schema=json_schema.mapping(json_schema.WORD, json_schema.pattern("@"))
    ),
    default={},
    description="e-mail address in Slack to BigPanda user id, for people whom BigPanda's API does not find",
)
DEFAULTS: Final[Key[OptionValues]] = Key(
    name="defaults",
    places=(Place.TOP,),
    type=KeyType(name="options", read=_read_defaults, schema=ref("defaults")),
    default={},
    description="options for all cards, unless a route or a post item sets them",
)
ENABLED: Final = Key(
    name="enabled",
    places=(Place.ROUTE,),
    type=FLAG,
    default=True,
    description="`false` switches the route and its children off",
)
MATCH: Final = Key(
    name="match",
    places=(Place.ROUTE,),
    type=KeyType(name="match", read=read_match, schema=ref("match")),
    default=MATCH_ALL,
    description="which incidents the route matches; without it, all",
)
CONTINUE: Final = Key(
    name="continue",
    places=(Place.ROUTE,),
    type=FLAG,
    default=False,
    description="`true`: if this route matches, relay also evaluates the routes after it",
)
NOTE: Final = Key(name="note", places=(Place.ROUTE,), type=WORD, default="", description="a note for people")
MENTION: Final = Key(
    name="mention",
    places=(Place.POST,),
    type=KeyType(name="mention", read=read_mention, schema=_MENTION),
    default=NO_MENTION,
    description="who is pinged, by state",
)

KEYS: Final[Mapping[str, Key[Any] | StructureKey]] = {
    key.name: key
    for key in (
        StructureKey(
            name="version",
            places=(Place.TOP,),
            form={"enum": [1, "1"]},
            description="the version of this file's format: `1`",
        ),
        CHANNELS,
        StructureKey(
            name="fallback",
            places=(Place.TOP,),
            form=_FALLBACK,
            description="the channel for incidents that no route matches and for messages that other channels reject; "
            "or `{channel: noc, wait: 3m}`",
        ),
        TAG_VALUES,
        USERS,
        DEFAULTS,
        StructureKey(
            name="routes",
            places=(Place.TOP, Place.ROUTE),
            form=json_schema.array(ref("route")),
            description="the routes, in order; inside a route, its children",
        ),
        StructureKey(
            name="name",
            places=(Place.ROUTE,),
            form=json_schema.WORD,
            description="unique in the file; cards, logs and metrics use it",
        ),
        ENABLED,
        MATCH,
        CONTINUE,
        NOTE,
        StructureKey(
            name="post",
            places=(Place.ROUTE,),
            form=json_schema.array(ref("post")),
            description="the channels; `[]` drops the incident; without it, the route only groups its children",
        ),
        StructureKey(
            name="channel",
            places=(Place.POST,),
            form=ref("channel"),
            description="an alias, an id, `#name`, or Jinja with a fixed beginning",
        ),
        MENTION,
    )
}
"""Every key that is not an option."""


def keys_in(place: Place) -> Mapping[str, Key[Any] | StructureKey]:
    """Every key that may stand in a part of the file."""
    return {name: key for name, key in {**KEYS, **OPTION_KEYS}.items() if place in key.places}


def check_keys(mapping: MappingNode, place: Place, context: ParseContext) -> None:
    """Add a fault for every key that may not stand here; `x-...` keys may stand anywhere."""
    known = keys_in(place)
    for key, _ in mapping.entries:
        if key.text not in known and not key.text.startswith("x-"):
            context.add_fault(key, _misplaced(key, place, list(known)))


def _misplaced(key: ScalarNode, place: Place, known: list[str]) -> str:
    if elsewhere := KEYS.get(key.text) or OPTION_KEYS.get(key.text):
        near = [each for each in known if each in (key.text.removesuffix("s"), f"{key.text}s")]
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"key '{key.text}' is not allowed in {place}, only in {' or '.join(elsewhere.places)}{hint}"
    return f"unknown key '{key.text}' in {place}{suggestion(key.text, known)}"
