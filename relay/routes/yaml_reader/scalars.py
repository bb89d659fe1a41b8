"""Readers for the plain values of routes.yaml: text, booleans, durations, choices and lists.

A reader takes a node and returns its value. If the node has no such value, the reader adds a fault and returns None.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from relay.routes.yaml_reader.context import ParseContext, suggestion
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode, list_hint

T = TypeVar("T")
C = TypeVar("C", bound=str)
NodeReader = Callable[[Node, ParseContext], T | None]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SPELLED_DURATION = re.compile(
    r"(?P<number>\d{1,9})\s*(?P<unit>s|m|h|d)(?:econds?|ecs?|inutes?|ins?|ours?|rs?|ays?)?", re.IGNORECASE | re.ASCII
)
_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])|0")
_LONGEST = 3650 * 86400
_BOOLEANS = {**dict.fromkeys(("yes", "on", "y"), "true"), **dict.fromkeys(("no", "off", "n"), "false")}
"""What YAML 1.1 calls a boolean, and relay's word for it."""


def describe(node: Node) -> str:
    """What a node holds, for "found ..." in a message."""
    match node:
        case ScalarNode():
            hint = f" ({node.hint})" if node.hint else ""
            return ("nothing" if node.is_empty else f"'{node.text}'") + hint
        case ListNode(items=items):
            return "a list" if items else "an empty list"
        case MappingNode():
            return "a mapping"


def read_word(node: Node, context: ParseContext) -> str | None:
    """Read a scalar as it is written; never empty."""
    if isinstance(node, ScalarNode) and node.text and node.yaml_type != "null":
        return node.text
    context.add_fault(node, f"expected text, found {describe(node)}")
    return None


def read_bool(node: Node, context: ParseContext) -> bool | None:
    """Read `true` or `false`."""
    word = node.text.lower() if isinstance(node, ScalarNode) else ""
    if isinstance(node, ScalarNode) and node.yaml_type == "bool" and word in ("true", "false"):
        return word == "true"
    hint = "; remove the quotes" if word in ("true", "false") else ""
    hint = f"; write {_BOOLEANS[word]}" if word in _BOOLEANS else hint
    context.add_fault(node, f"expected true or false, found {describe(node)}{hint}")
    return None


def parse_duration(text: str) -> float | None:
    """Parse a duration such as `90s`, `15m`, `24h` or `7d`; returns seconds, None for any other text."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not match["unit"]:
        return None
    seconds = float(int(match["number"]) * _SECONDS[match["unit"]])
    return seconds if seconds <= _LONGEST else None


def read_duration(node: Node, context: ParseContext) -> float | None:
    """Read a number with a unit (`s`, `m`, `h` or `d`), in seconds."""
    match = _DURATION.fullmatch(node.text) if isinstance(node, ScalarNode) else None
    if match is None:
        hint = _duration_hint(node.text) if isinstance(node, ScalarNode) else ""
        context.add_fault(node, f"expected a duration such as 90s, 15m, 24h or 7d, found {describe(node)}{hint}")
        return None
    seconds = int(match["number"]) * _SECONDS[match["unit"]] if match["unit"] else 0
    if seconds > _LONGEST:
        context.add_fault(node, f"expected a duration of at most 3650d, found {describe(node)}")
        return None
    return float(seconds)


def _duration_hint(text: str) -> str:
    """The end of a message: the duration that was meant (`5 minutes`)."""
    if spelled := _SPELLED_DURATION.fullmatch(text.strip()):
        return f"; write {spelled['number']}{spelled['unit'].lower()}"
    return f"; write {text}s for seconds, {text}m for minutes" if text.isascii() and text.isdecimal() else ""


def choice_of(*choices: C) -> NodeReader[C]:
    """Make a reader of one of these words, or members of an enumeration."""

    def read(node: Node, context: ParseContext) -> C | None:
        text = node.text if isinstance(node, ScalarNode) else ""
        choice = next((each for each in choices if each == text), None)
        if choice is None and text:
            context.add_fault(node, f"unknown value {describe(node)}{suggestion(text, choices)}")
        elif choice is None:
            context.add_fault(node, f"expected one of: {', '.join(choices)}; found {describe(node)}")
        return choice

    return read


def list_of(read: NodeReader[T]) -> NodeReader[tuple[T, ...]]:
    """Make a reader of a list whose items `read` reads. Repeated items count once."""

    def read_all(node: Node, context: ParseContext) -> tuple[T, ...] | None:
        items = read_items(node, context)
        if items is None:
            return None
        values = (read(item, context) for item in items)
        return tuple(dict.fromkeys(value for value in values if value is not None))

    return read_all


def read_items(node: Node, context: ParseContext, what: str = "a list") -> tuple[Node, ...] | None:
    """Read the items of a list; `what` names the list in the message."""
    if isinstance(node, ListNode):
        return node.items
    context.add_fault(node, f"expected {what}, found {describe(node)}{list_hint(node)}")
    return None


def read_key(mapping: MappingNode, key: str, read: NodeReader[T], context: ParseContext, default: T) -> T:
    """Read the value of a key; the default if the key is missing or its value is faulty."""
    node = mapping.get(key)
    value = None if node is None else read(node, context)
    return default if value is None else value


def read_mapping(node: Node, context: ParseContext, what: str) -> MappingNode | None:
    """Check that a node is a mapping; `what` says of what, for the message."""
    if isinstance(node, MappingNode):
        return node
    context.add_fault(node, f"expected a mapping of {what}, found {describe(node)}")
    return None


def read_entries(node: Node, context: ParseContext, what: str) -> tuple[tuple[ScalarNode, Node], ...]:
    """Read the entries of a mapping; none if it is not a mapping."""
    mapping = read_mapping(node, context, what)
    return mapping.entries if mapping else ()
