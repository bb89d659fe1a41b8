"""The keys of routes.yaml: one table, which the parser, the schema and the documents follow.

The options stand in their own table, `relay.routes.options.Options`; the keys of `match` in `relay.routes.match_keys`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from relay.model.nearest import nearest
from relay.routes import json_schema
from relay.routes.hour_types import ZONE as TIME_ZONE
from relay.routes.json_schema import Schema, closed_object, ref
from relay.routes.key_types import FLAG, WORD, Key, KeyType, Place, list_of
from relay.routes.match import MATCH_ALL
from relay.routes.match_keys import MATCH_KEYS
from relay.routes.mention import MENTION_KEYS, NO_MENTION
from relay.routes.options import OPTION_KEYS, OptionValues, read_options
from relay.routes.parser.foreign_words import FOREIGN_KEYS
from relay.routes.parser.hours import HOURS_SCHEMA, read_hours
from relay.routes.parser.matches import read_match
from relay.routes.parser.targets import read_aliases, read_channel_glob, read_mention, read_tag_values, read_users
from relay.routes.people import PERSON_SCHEMA, read_people
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import MappingNode, Node
from relay.routes.yaml_reader.scalars import read_mapping


@dataclass(frozen=True, slots=True)
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
    return read_options(known_keys(mapping, Place.DEFAULTS, context), context, Place.DEFAULTS)


_ALIAS: Final[Schema] = {
    **json_schema.pattern(r"^((?=.*[0-9]|.{9})[CG][A-Z0-9]+|#\S+)$"),
    "description": "a channel's id (C... or G..., it survives a rename), or its #name",
}
_MENTION: Final = closed_object(
    {key: {**json_schema.array(ref("target")), "description": when} for key, when in MENTION_KEYS.items()}
)

_TOP, _ROUTE, _POST = (Place.TOP,), (Place.ROUTE,), (Place.POST,)

CHANNELS: Final = Key(
    "channels",
    _TOP,
    KeyType("mapping", read_aliases, json_schema.mapping(_ALIAS)),
    {},
    "aliases for channels: alias to id, or to `#name`. An id survives a rename",
)
PEOPLE: Final = Key(
    "people",
    _TOP,
    KeyType("mapping", read_people, json_schema.mapping(PERSON_SCHEMA, json_schema.pattern("^[^@<>{}|^]+$"))),
    {},
    "aliases for `mention` and `actors`: alias to the id of a user group or of a user",
)
_GLOB: Final = KeyType("channel names", read_channel_glob, json_schema.pattern(r"^#\S*[^\s*_-]\S*$"))
ZONE: Final = Key("zone", _TOP, TIME_ZONE, "", "the time zone of `hours`, such as `Europe/Berlin`")
HOURS: Final = Key(
    "hours",
    _TOP,
    KeyType("mapping", read_hours, HOURS_SCHEMA),
    {},
    "parts of the week or of the year, by name, for `quiet` and `hold`",
)
CHANNELS_ALLOWED: Final = Key(
    "channels_allowed",
    _TOP,
    list_of(_GLOB),
    (),
    "the names of channels that may be made from an incident, with `*` for any text; then they need no fixed beginning",
)
TAG_VALUES: Final = Key(
    "tag_values",
    _TOP,
    KeyType("mapping", read_tag_values, json_schema.mapping(json_schema.mapping(json_schema.WORD))),
    {},
    "tag to raw value to the word that relay shows and matches",
)
USERS: Final = Key(
    "users",
    _TOP,
    KeyType("mapping", read_users, json_schema.mapping(json_schema.WORD, json_schema.pattern("@"))),
    {},
    "e-mail address in Slack to BigPanda user id, for people whom BigPanda's API does not find",
)
DEFAULTS: Final[Key[OptionValues]] = Key(
    "defaults",
    _TOP,
    KeyType("options", _read_defaults, ref("defaults")),
    {},
    "options for all cards, unless a route or a post item sets them",
)
ENABLED: Final = Key(
    "enabled", _ROUTE, FLAG, default=True, description="`false` switches the route and its children off"
)
MATCH: Final = Key(
    "match",
    _ROUTE,
    KeyType("match", read_match, ref("match")),
    MATCH_ALL,
    "which incidents the route matches; without it, all",
)
CONTINUE: Final = Key(
    "continue",
    _ROUTE,
    FLAG,
    default=False,
    description="`true`: if this route matches, relay also evaluates the routes after it",
)
NOTE: Final = Key("note", _ROUTE, WORD, "", "a note for people")
MENTION: Final = Key(
    "mention",
    (Place.POST, Place.FALLBACK),
    KeyType("mention", read_mention, _MENTION),
    NO_MENTION,
    "who is pinged, by state",
)

KEYS: Final[Mapping[str, Key[Any] | StructureKey]] = {
    key.name: key
    for key in (
        StructureKey("version", _TOP, {"enum": [1, "1"]}, "the version of this file's format: `1`"),
        CHANNELS,
        StructureKey(
            "fallback",
            _TOP,
            {"anyOf": [ref("channel"), ref("fallback")]},
            "the channel for incidents that no route matches and for messages that other channels reject; "
            "or `{channel: noc, wait: 3m, mention: {any: [S0NOC]}}`",
        ),
        StructureKey(
            "notices",
            _TOP,
            {"anyOf": [ref("channel"), ref("notices")]},
            "the channel where relay reports what is wrong with itself; without it, the fallback's",
        ),
        CHANNELS_ALLOWED,
        PEOPLE,
        ZONE,
        HOURS,
        TAG_VALUES,
        USERS,
        DEFAULTS,
        StructureKey(
            "routes",
            (Place.TOP, Place.ROUTE),
            json_schema.array(ref("route")),
            "the routes, in order; inside a route, its children",
        ),
        StructureKey("name", _ROUTE, json_schema.WORD, "unique in the file; cards, logs and metrics use it"),
        ENABLED,
        MATCH,
        CONTINUE,
        NOTE,
        StructureKey(
            "post",
            _ROUTE,
            json_schema.array(ref("post")),
            "the channels; `[]` drops the incident; without it, the route only groups its children",
        ),
        StructureKey(
            "channel",
            (Place.POST, Place.FALLBACK, Place.NOTICES),
            ref("channel"),
            "an alias, an id or `#name`; in a post item also Jinja with a fixed beginning",
        ),
        MENTION,
    )
}
"""Every key that is not an option."""


def keys_in(place: Place) -> Mapping[str, Key[Any] | StructureKey]:
    """Every key that may stand in a part of the file."""
    return {name: key for name, key in {**KEYS, **OPTION_KEYS}.items() if place in key.places}


def known_keys(mapping: MappingNode, place: Place, context: ParseContext) -> MappingNode:
    """Add a fault for every key that may not stand here; `x-...` keys may stand anywhere.

    Returns the mapping with misspelt keys as they were meant, so that what they hold is read too.
    """
    known = keys_in(place)
    entries = []
    for key, value in mapping.entries:
        near = ""
        if key.text not in known and not key.text.startswith("x-"):
            near = nearest(key.text, known)
            context.add_fault(key, _unknown_key(key.text, place, near))
        entries.append((replace(key, text=near) if near and not mapping.get(near) else key, value))
    return replace(mapping, entries=tuple(entries))


_IN_A_POST_ITEM: Final = "; write it in an item of post, as in post: [{channel: ...}]"


def _unknown_key(name: str, place: Place, near: str) -> str:
    hint = f"; did you mean '{near}'?" if near else ""
    if elsewhere := _places_of(name):
        hint = hint or (_IN_A_POST_ITEM if place == "route" and "post item" in elsewhere else "")
        return f"key '{name}' is not allowed in {place}, only in {' or '.join(elsewhere)}{hint}"
    return f"unknown key '{name}' in {place}{hint or FOREIGN_KEYS.get(name) or suggestion(name, keys_in(place))}"


def _places_of(name: str) -> Sequence[str]:
    """The parts of the file that have this key."""
    if key := KEYS.get(name) or OPTION_KEYS.get(name):
        return key.places
    return ("match",) if name in MATCH_KEYS else ("mention",) if name in MENTION_KEYS else ()
