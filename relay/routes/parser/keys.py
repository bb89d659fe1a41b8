"""The keys of routes.yaml: one table, which the parser, the schema and the documents follow.

The options stand in their own table, `relay.routes.options.Options`; the keys of `match` in `relay.routes.match_keys`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from relay.routes import json_schema
from relay.routes.hour_types import ZONE as TIME_ZONE
from relay.routes.json_schema import Schema, ref
from relay.routes.key_types import FLAG, WORD, Key, KeyType, Place, list_of
from relay.routes.match import MATCH_ALL
from relay.routes.match_keys import MATCH_KEYS
from relay.routes.mention import MENTION_KEYS, NO_MENTION
from relay.routes.mutes import MUTES as MUTES_TYPE
from relay.routes.mutes import MutePolicy
from relay.routes.options import OPTION_KEYS, OptionValues, read_options
from relay.routes.parser.foreign_words import FOREIGN_KEYS
from relay.routes.parser.hours import HOURS_SCHEMA, read_hours
from relay.routes.parser.matches import read_match
from relay.routes.parts import with_known_keys
from relay.routes.people import PERSON_SCHEMA, read_people
from relay.routes.storm import STORM as STORM_TYPE
from relay.routes.storm import Storm
from relay.routes.summary import SUMMARIES as SUMMARIES_TYPE
from relay.routes.targets import CHANNELS_SCHEMA, read_aliases, read_channel_glob, read_tag_values, read_users
from relay.routes.targets import MENTION as MENTION_TYPE
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


_TOP, _ROUTE, _POST = (Place.TOP,), (Place.ROUTE,), (Place.POST,)

CHANNELS: Final = Key(
    "channels",
    _TOP,
    KeyType("mapping", read_aliases, CHANNELS_SCHEMA),
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
    "named parts of the week or of the year, for `quiet` and `hold`",
)
STORM: Final = Key(
    "storm",
    _TOP,
    STORM_TYPE,
    Storm(),
    "how many new cards of a channel are a storm: `{over: 30, within: 5m, by: service}`, or `off`",
)
SUMMARIES: Final = Key("summaries", _TOP, SUMMARIES_TYPE, (), "messages at fixed times about what is open in a channel")
MUTES: Final = Key("mutes", _TOP, MUTES_TYPE, MutePolicy(), "who may mute from Slack, and for how long")
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
    "tag to raw value to the label that relay shows and matches",
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
    "the incidents that the route matches; without it, all",
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
    MENTION_TYPE,
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
            "the channel where relay reports its own problems; without it, the fallback's",
        ),
        CHANNELS_ALLOWED,
        PEOPLE,
        ZONE,
        HOURS,
        STORM,
        SUMMARIES,
        MUTES,
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
    """Every key that is allowed in a part of the file."""
    return {name: key for keys in (KEYS, OPTION_KEYS) for name, key in keys.items() if place in key.places}


def known_keys(mapping: MappingNode, place: Place, context: ParseContext) -> MappingNode:
    """Add a fault for every key that is not allowed here. Returns the mapping with misspelt keys as they were meant."""
    known = keys_in(place)
    return with_known_keys(mapping, known, partial(_unknown_key, place, known), context)


_IN_A_POST_ITEM: Final = "; write it in an item of post, as in post: [{channel: ...}]"


def _unknown_key(place: Place, known: Collection[str], name: str, near: str) -> str:
    hint = f"; did you mean '{near}'?" if near else ""
    if elsewhere := _places_of(name):
        hint = hint or (_IN_A_POST_ITEM if place == "route" and "post item" in elsewhere else "")
        return f"key '{name}' is not allowed in {place}, only in {' or '.join(elsewhere)}{hint}"
    return f"unknown key '{name}' in {place}{hint or FOREIGN_KEYS.get(name) or suggestion(name, known)}"


def _places_of(name: str) -> Sequence[str]:
    """The parts of the file that have this key."""
    if places := [place for keys in (KEYS, OPTION_KEYS) if name in keys for place in keys[name].places]:
        return places
    return ("match",) if name in MATCH_KEYS else ("mention",) if name in MENTION_KEYS else ()
