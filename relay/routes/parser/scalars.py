"""The plain values of routes.yaml: words, truths, durations and lists of them.

Each reader takes a node and gives its value; where the node is not such a value it notes the fault and gives None.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from relay.routes.parser.context import ParseContext, suggestion
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode, list_hint

T = TypeVar("T")
NodeReader = Callable[[Node, ParseContext], T | None]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])|0")
_LONGEST = 3650 * 86400


def describe(node: Node) -> str:
    """What stands there, as the end of a sentence."""
    match node:
        case ScalarNode():
            cure = f" ({node.hint})" if node.hint else ""
            return ("nothing" if node.is_empty else f"'{node.text}'") + cure
        case ListNode():
            return "a list"
        case MappingNode():
            return "a mapping"


def read_word(node: Node, reading: ParseContext) -> str | None:
    """A word as it was written; never empty."""
    if isinstance(node, ScalarNode) and node.text and node.yaml_type != "null":
        return node.text
    reading.add_fault(node, f"expected a word, found {describe(node)}")
    return None


_MEANT = {**dict.fromkeys(("yes", "on", "y"), "true"), **dict.fromkeys(("no", "off", "n"), "false")}


def read_bool(node: Node, reading: ParseContext) -> bool | None:
    """A plain `true` or `false`."""
    if isinstance(node, ScalarNode) and node.yaml_type == "bool" and node.text.lower() in ("true", "false"):
        return node.text.lower() == "true"
    word = node.text.lower() if isinstance(node, ScalarNode) else ""
    cure = "; leave out the quotes" if word in ("true", "false") else ""
    cure = f"; write {_MEANT[word]}" if word in _MEANT else cure
    reading.add_fault(node, f"expected true or false, found {describe(node)}{cure}")
    return None


def read_duration(node: Node, reading: ParseContext) -> float | None:
    """A length of time, in seconds: a number and a unit."""
    match = _DURATION.fullmatch(node.text) if isinstance(node, ScalarNode) else None
    if match is None:
        reading.add_fault(node, f"expected a duration such as 90s, 15m, 24h or 7d, found {describe(node)}")
        return None
    seconds = int(match["number"]) * _SECONDS[match["unit"]] if match["unit"] else 0
    if seconds > _LONGEST:
        reading.add_fault(node, f"a duration is at most ten years (3650d), found {describe(node)}")
        return None
    return float(seconds)


def choice_of(*known: str) -> NodeReader[str]:
    """One of a few words."""

    def read(node: Node, reading: ParseContext) -> str | None:
        if isinstance(node, ScalarNode) and node.text in known:
            return node.text
        hint = suggestion(node.text, known) if isinstance(node, ScalarNode) else f"; there are: {', '.join(known)}"
        reading.add_fault(node, f"{describe(node)} is not known here{hint}")
        return None

    return read


def list_of(read: NodeReader[T]) -> NodeReader[tuple[T, ...]]:
    """A list whose items `read` reads; what stands there twice counts once."""

    def read_all(node: Node, reading: ParseContext) -> tuple[T, ...] | None:
        if not isinstance(node, ListNode):
            reading.add_fault(node, f"expected a list, found {describe(node)}{list_hint(node)}")
            return None
        return unique(read(item, reading) for item in node.items)

    return read_all


def unique(values: Iterable[T | None]) -> tuple[T, ...]:
    """Those that could be read, each once, in order."""
    return tuple(dict.fromkeys(value for value in values if value is not None))


def read_key(table: MappingNode, key: str, read: NodeReader[T], reading: ParseContext, default: T) -> T:
    """What stands under a key; the default where nothing does, or where it is faulty."""
    node = table.get(key)
    value = None if node is None else read(node, reading)
    return default if value is None else value


def read_mapping(node: Node, reading: ParseContext, what: str) -> MappingNode | None:
    """A mapping; `what` says of what."""
    if isinstance(node, MappingNode):
        return node
    reading.add_fault(node, f"expected a mapping of {what}, found {describe(node)}")
    return None
