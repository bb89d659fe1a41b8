"""The types of the keys of routes.yaml: how a value is read, what editors check, and how documents write it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, TypeVar

from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.routes import json_schema
from relay.routes.json_schema import Schema
from relay.routes.yaml_reader import scalars
from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.scalars import NodeReader, describe, read_bool, read_duration, read_key, read_word

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

BUILT_IN_TEMPLATE: Final = "incident"
MIN_DURATION: Final = 60.0
"""Seconds: a shorter silence says nothing, and would make relay ask BigPanda or remind people all the time."""
SLACK_ID: Final = re.compile(r"(?=.*[0-9]|.{9})[A-Z][A-Z0-9]+")
"""A Slack id. It has a digit or is long, so a word in capitals is not an id."""
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


class Place(StrEnum):
    """The parts of the file that have their own keys; the value names the part in messages."""

    TOP = "the top level"
    DEFAULTS = "defaults"
    ROUTE = "route"
    POST = "post item"
    FALLBACK = "fallback"
    NOTICES = "notices"


CARD_PLACES: Final = (Place.DEFAULTS, Place.ROUTE, Place.POST)
"""Where an option is allowed, unless its row says otherwise."""


@dataclass(frozen=True, slots=True)
class KeyType(Generic[T]):
    """One type of value.

    `name` and `as_yaml` are for the documents, `schema` is for editors. `as_json` makes a plain value to be stored, and
    `from_json` restores it; in JSON a tuple is a list.
    """

    name: str
    read: NodeReader[T]
    schema: Schema
    as_yaml: Callable[[T], str] = str
    from_json: Callable[[Any], T] = lambda value: value
    as_json: Callable[[T], JSON] = lambda value: value


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """One row of the table of keys. `default` is what a missing key means."""

    name: str
    places: tuple[Place, ...]
    type: KeyType[T]
    default: T
    description: str

    @property
    def schema(self) -> Schema:
        """The schema of its value."""
        return {**self.type.schema, "description": self.description}

    def read(self, mapping: MappingNode, context: ParseContext) -> T:
        """Read the value of this key in a mapping, or return the default."""
        return read_key(mapping, self.name, self.type.read, context, self.default)


def list_of(item: KeyType[T]) -> KeyType[tuple[T, ...]]:
    """A list of values of one type."""
    return KeyType(
        f"list of {item.name}",
        scalars.list_of(item.read),
        json_schema.array(item.schema),
        as_yaml=lambda values: f"[{', '.join(map(item.as_yaml, values))}]",
        from_json=lambda values: tuple(map(item.from_json, values)),
        as_json=lambda values: [item.as_json(each) for each in values],
    )


def choice_of(*choices: str, name: str) -> KeyType[str]:
    """One of these words, which `name` names in the documents."""
    return KeyType(name, scalars.choice_of(*choices), json_schema.enum(choices))


def member_of(choices: type[E], *some: E) -> KeyType[E]:
    """One member of an enumeration, or of some of its members."""
    allowed = some or tuple(choices)
    name = " or ".join(f"`{choice}`" for choice in allowed)
    return KeyType(name, scalars.choice_of(*allowed), json_schema.enum(allowed), from_json=choices)


def whole_number(least: int, most: int) -> KeyType[int]:
    """A number without a fraction, in a range."""

    def read(node: Node, context: ParseContext) -> int | None:
        text = node.text if isinstance(node, ScalarNode) else ""
        if text.isascii() and text.isdecimal() and len(text) < _DIGITS and least <= int(text) <= most:
            return int(text)
        context.add_fault(node, f"expected a number from {least} to {most}, found {describe(node)}")
        return None

    return KeyType("number", read, {"anyOf": [{"type": "integer", "minimum": least, "maximum": most}, _DECIMAL]})


_DIGITS: Final = 10
_DECIMAL: Final = json_schema.pattern("^[0-9]+$")


def _read_template(node: Node, context: ParseContext) -> str | None:
    name = read_word(node, context)
    if name is None:
        return None
    if not _FOLDER.fullmatch(name):
        context.add_fault(node, f"expected the name of a folder under templates/, found {describe(node)}")
        return None
    if context.templates is not None and name not in (BUILT_IN_TEMPLATE, *context.templates):
        context.add_fault(node, f"unknown template '{name}'{suggestion(name, sorted(context.templates))}")
        return None
    return name


def _at_least_a_minute(hint: str = "") -> NodeReader[float]:
    def read(node: Node, context: ParseContext) -> float | None:
        seconds = read_duration(node, context)
        if seconds is not None and seconds < MIN_DURATION:
            context.add_fault(node, f"expected a duration of at least 1m, found {describe(node)}{hint}")
            return None
        return seconds

    return read


def duration_in(least: float, most: float) -> KeyType[float]:
    """A duration of so many seconds, in a range."""

    def read(node: Node, context: ParseContext) -> float | None:
        seconds = read_duration(node, context)
        if seconds is None or least <= seconds <= most:
            return seconds
        context.add_fault(
            node, f"expected a duration from {_duration(least)} to {_duration(most)}, found {describe(node)}"
        )
        return None

    return replace(DURATION, read=read)


def _duration(seconds: float) -> str:
    unit, length = next((each for each in (("h", 3600), ("m", 60)) if seconds and not seconds % each[1]), ("s", 1))
    return f"{seconds / length:.0f}{unit}"


WORD: Final = KeyType("text", read_word, json_schema.WORD)
FLAG: Final = KeyType("`true` or `false`", read_bool, json_schema.FLAG, as_yaml=lambda flag: str(flag).lower())


def _read_switch(node: Node, context: ParseContext) -> bool | None:
    word = scalars.choice_of("on", "off")(node, context)
    return None if word is None else word == "on"


SWITCH: Final = KeyType(
    "`on` or `off`", _read_switch, json_schema.enum(("on", "off")), as_yaml=lambda flag: "on" if flag else "off"
)
DURATION: Final = KeyType(
    "duration",
    read_duration,
    {"anyOf": [json_schema.pattern("^([0-9]{1,9}[smhd]|0)$"), {"const": 0}]},
    as_yaml=_duration,
)
AT_LEAST_A_MINUTE: Final = KeyType(
    "duration",
    _at_least_a_minute(),
    json_schema.pattern("^0*([1-9][0-9]*[mhd]|([6-9][0-9]|[1-9][0-9]{2,})s)$"),
    as_yaml=_duration,
)
SILENCE: Final = replace(
    AT_LEAST_A_MINUTE, read=_at_least_a_minute("; to switch this off, write a long duration such as 365d")
)
TEMPLATE: Final = KeyType(
    "folder", _read_template, {"type": ["string", "number", "boolean"], "pattern": f"^{_FOLDER.pattern}$"}
)
