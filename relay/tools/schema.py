"""JSON Schema of routes.yaml (draft 2020-12), of the tables that the file is read by: editors complete and check by it.

It never objects to what relay takes. What takes knowledge of the rest of the file (aliases, unique names) or of a
language (regular expressions, Jinja) is `relay check`'s.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from relay.model.buttons import BUTTONS
from relay.model.entry_kinds import BROADCAST_NAMES, THREAD_NAMES
from relay.model.incident import State
from relay.routes.options import InDoubtPolicy
from relay.routes.parser.keys import PLACES, Place
from relay.routes.subjects import NAMED, PLAIN, ValueType

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def schema() -> Schema:
    """The schema, as plain JSON."""
    return {
        "$schema": DRAFT,
        "title": "routes.yaml",
        "description": "Which of BigPanda's incidents go to which Slack channels, and how relay tells of them.",
        **_object(_keys(Place.TOP), required=["version"], free=True),
        "$defs": _definitions(),
    }


def _definitions() -> Schema:
    return {
        "word": _WORD,
        "channel": {**_WORD, "description": 'An alias, an id (C... or G...), #name, or Jinja: "#inc-{{ tags.team }}".'},
        "duration": {"anyOf": [{"type": "string", "pattern": "^([0-9]{1,9}[smhd]|0)$"}, {"const": 0}]},
        "target": {
            "type": "string",
            "pattern": r"^[<>@!]*(subteam\^)?(here|channel|[SUW][A-Z0-9]+)(\|.*)?[<>@!]*$",
            "description": "A user group (S...), a user (U... or W...), here, or channel.",
        },
        "route": _route(),
        "post": {"anyOf": [_ref("channel"), _object(_keys(Place.POST), required=["channel"], free=True)]},
        "match": _match(),
        "targets": _list(_ref("target")),
        **{f"{kind.name.lower()}_value": _value(kind) for kind in ValueType},
    }


# --- what may stand where ---


def _keys(place: Place) -> Schema:
    return {key: _described(key) for key, places in PLACES.items() if place in places}


def _described(key: str) -> Schema:
    form = _object(_keys(Place.DEFAULTS), free=True) if key == "defaults" else _FORMS[key]
    return {**form, "description": _MEANING[key]}


def _object(keys: Mapping[str, Schema], *, required: Iterable[str] = (), free: bool = False) -> Schema:
    made: Schema = {"type": "object", "properties": dict(keys), "additionalProperties": False}
    if free:
        made["patternProperties"] = {"^x-": True}
    if required:
        made["required"] = list(required)
    return made


def _list(item: Schema, *, least: int = 0) -> Schema:
    return {"type": "array", "items": item, **({"minItems": least} if least else {})}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _map(value: Schema, names: Schema | None = None) -> Schema:
    return {"type": "object", "additionalProperties": value, **({"propertyNames": names} if names else {})}


def _one_of(words: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(word) for word in words]}


_WORD: Final[Schema] = {"type": ["string", "number", "boolean"], "minLength": 1}
"""A word: YAML may take it for a number or a truth, relay reads it as it is written."""


def _route() -> Schema:
    children = {"required": ["routes"], "properties": {"routes": {"minItems": 1}}}
    return {
        **_object(_keys(Place.ROUTE), required=["name"], free=True),
        "anyOf": [{"required": ["post"]}, children],
    }


# --- match ---


def _match() -> Schema:
    plain = {key: {**_ref(_value_of(subject.kind)), "description": _SUBJECTS[key]} for key, subject in PLAIN.items()}
    named = {key: {**_map(_ref(_value_of(ValueType.TEXT))), "description": _SUBJECTS[key]} for key in NAMED}
    over = {
        "any": {**_list(_ref("match"), least=1), "description": "One of these matches holds."},
        "all": {**_list(_ref("match"), least=1), "description": "Each of these matches holds."},
        "not": {**_ref("match"), "description": "This match does not hold."},
    }
    return {**_object({**plain, **named, **over}), "description": "Conditions; all of them hold."}


def _value_of(kind: ValueType) -> str:
    return f"{kind.name.lower()}_value"


def _value(kind: ValueType) -> Schema:
    """A word, any of a list, or operators that all hold."""
    itself = _ref(_value_of(kind))
    operators: Schema = {
        "not": {**itself, "description": "The exact opposite; holds where the thing is absent."},
        "any": {**_list(itself, least=1), "description": "Any of these."},
        "all": {**_list(itself, least=1), "description": "All of these, on whichever of the values."},
        "exists": {"type": "boolean", "description": "Whether there is a value at all."},
        "is": {**_LITERAL.get(kind, _LEAF[kind]), "description": "The very text, whatever is in it."},
    }
    if kind in (ValueType.TEXT, ValueType.STATE):
        operators["re"] = {"type": "string", "description": "A regular expression (RE2) over the whole value."}
    if kind is not ValueType.FLAG:
        operators["min"] = {**_BOUND[kind], "description": "At least."}
        operators["max"] = {**_BOUND[kind], "description": "At most."}
    return {"anyOf": [_LEAF[kind], _list(itself, least=1), {**_object(operators), "minProperties": 1}]}


def _in_any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" for letter in word)


_TEXT: Final[Schema] = {
    "type": ["string", "number", "boolean", "null"],
    "description": "Exact, a glob (* and ?), or a regular expression (RE2) between slashes; read as it is written.",
}
_NUMBER: Final[Schema] = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^\s*[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?\s*$"},
    ]
}
_COUNT: Final[Schema] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": r"^\s*[+-]?[0-9]+(\.0+)?([eE][+-]?[0-9]{1,3})?\s*$"},
    ]
}
_STATE: Final[Schema] = {
    "anyOf": [_one_of(State), {"type": "string", "pattern": f"^({'|'.join(map(_in_any_case, State))})$"}]
}
_STATE_OR_PATTERN: Final[Schema] = {"anyOf": [*_STATE["anyOf"], {"type": "string", "pattern": r"[*?]|^/.*/$"}]}
_FLAG: Final[Schema] = {"type": "boolean"}

_LEAF: Final = {
    ValueType.TEXT: _TEXT,
    ValueType.STATE: _STATE_OR_PATTERN,
    ValueType.NUMBER: _COUNT,
    ValueType.FLAG: _FLAG,
}
_LITERAL: Final = {ValueType.TEXT: {"type": ["string", "number", "boolean", "null"]}}
_BOUND: Final = {ValueType.TEXT: _NUMBER, ValueType.STATE: _STATE, ValueType.NUMBER: _COUNT}

_SUBJECTS: Final[Mapping[str, str]] = {
    "environment": "An environment from which the incident was ever shared, by name or id.",
    "status": "Relay's state: resolved < unknown < acknowledged < warning < critical.",
    "severity": "The worst state that the incident ever had.",
    "source": "Where an alert comes from: its sourceSystem.",
    "active": "Whether the incident is open.",
    "flapping": "Whether it flaps.",
    "snoozed": "Whether it is snoozed.",
    "assigned": "Whether somebody has it.",
    "alerts": "How many alerts are active.",
    "tags": "Incident tags, by readable name or id.",
    "alert_tags": "Tags of alerts: one alert that has it is enough.",
    "header": "Custom headers of the webhook.",
}

# --- keys ---

_ALIAS: Final[Schema] = {
    "type": "string",
    "pattern": r"^((?=.*[0-9]|.{9})[CG][A-Z0-9]+|#\S+)$",
    "description": "A channel's id (C... or G..., it survives a rename), or its #name.",
}
_STATES_THAT_PING: Final = {
    "critical": "When it is critical.",
    "warning": "When it is in warning.",
    "unknown": "When its state is unknown.",
    "reopened": "When it is reopened; without this key, those of its state.",
    "any": "Always, besides the others.",
}
_FALLBACK: Final[Schema] = {
    "anyOf": [
        _ref("channel"),
        _object(
            {
                "channel": {**_ref("channel"), "description": "Where it goes; it must not depend on the incident."},
                "wait": {**_ref("duration"), "description": "Post only what is still open after so long."},
            },
            required=["channel"],
        ),
    ]
}
_FORMS: Final[Mapping[str, Schema]] = {
    "version": {"enum": [1, "1"]},
    "channels": _map(_ALIAS),
    "fallback": _FALLBACK,
    "tag_values": _map(_map(_ref("word"))),
    "users": _map(_ref("word"), {"pattern": "@"}),
    "routes": _list(_ref("route")),
    "name": _ref("word"),
    "enabled": _FLAG,
    "match": _ref("match"),
    "continue": _FLAG,
    "note": _ref("word"),
    "post": _list(_ref("post")),
    "channel": _ref("channel"),
    "mention": _object({key: {**_ref("targets"), "description": told} for key, told in _STATES_THAT_PING.items()}),
    "template": {"type": ["string", "number", "boolean"], "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"},
    "thread": _list(_one_of(THREAD_NAMES)),
    "broadcast": _list(_one_of(BROADCAST_NAMES)),
    "gather": _ref("duration"),
    "wait": _ref("duration"),
    "reopen_within": _ref("duration"),
    "show_tags": _list(_ref("word")),
    "runbook_tags": _list(_ref("word")),
    "in_doubt": _one_of(InDoubtPolicy),
    "allow_external": _FLAG,
    "actions": _list(_one_of(BUTTONS)),
    "actors": _list({"type": "string", "pattern": "^S[A-Z0-9]+$"}),
    "sync_replies": _FLAG,
    "stale_after": {"type": "string", "pattern": "^0*([1-9][0-9]*[mhd]|([6-9][0-9]|[1-9][0-9]{2,})s)$"},
}

_MEANING: Final[Mapping[str, str]] = {
    "version": "The version of this file's language: 1.",
    "channels": "Names for channels: alias to id or #name. An id survives a rename.",
    "fallback": "Where goes what no route takes, and what a channel refuses: a channel, or {channel, wait}.",
    "tag_values": "Tag to raw value to the word that is shown and matched.",
    "users": "E-mail address in Slack to BigPanda's user id, for who is assigned where BigPanda's API cannot tell.",
    "defaults": "Options of every card, unless a route or a post item says otherwise.",
    "routes": "Routes, in order; inside a route its children, which take before it does.",
    "name": "The route's name, unique in the file.",
    "enabled": "Whether the route is in force (true).",
    "match": "Which incidents the route takes (all).",
    "continue": "Whether the walk goes on to the next sibling after this route took an incident (false).",
    "note": "For people.",
    "post": "The channels; [] takes the incident and drops it; without it the route only groups its children.",
    "channel": "Where: an alias, an id, #name, or Jinja over the incident with a constant beginning.",
    "mention": "Who is pinged, by state.",
    "template": "The folder under templates/ (incident).",
    "thread": "The kinds of entries that the thread tells (all).",
    "broadcast": "The kinds that are also shown in the channel ([reopened]).",
    "gather": "How long tags and alerts entries wait for company (2m).",
    "wait": "Post only if still open, and still taken there, after so long (0s).",
    "reopen_within": "A reopening later than this is a new episode, with a new card (24h).",
    "show_tags": "The tags that the card shows first ([]; others fill up to six).",
    "runbook_tags": "The tags in which run-books stand ([run-book, runbook, runbook_url]).",
    "in_doubt": "What a lost answer means where relay may not read the channel (repost).",
    "allow_external": "Whether a Slack Connect channel may be posted to (false).",
    "actions": "The buttons of the card, in this order ([]). They need BIGPANDA_API_KEY, and a way from Slack.",
    "actors": "The user groups (S...) that may press the buttons; [] is everyone in the channel ([]).",
    "sync_replies": "Whether replies in the thread become comments in BigPanda (false).",
    "stale_after": "The silence after which BigPanda is asked how things stand, or the card turns grey (6h).",
}
