"""The plain values of routes.yaml: words, truths, durations and lists of them.

Each reader takes a node and gives its value; where the node is not such a value it notes the fault and gives None.
"""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from relay.routes.parser.faults import Reading, alternatives
from relay.routes.parser.yaml_nodes import Items, Node, Table, Word, as_list

T = TypeVar("T")
Reader = Callable[[Node, Reading], T | None]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<number>[0-9]{1,9})(?P<unit>[smhd])|0")
_LONGEST = 3650 * 86400


def found(node: Node) -> str:
    """What stands there, as the end of a sentence."""
    match node:
        case Word():
            cure = f" ({node.trap})" if node.trap else ""
            return ("nothing" if node.is_nothing else f"'{node.text}'") + cure
        case Items():
            return "a list"
        case Table():
            return "a mapping"


def text(node: Node, reading: Reading) -> str | None:
    """A word as it was written; never empty."""
    if isinstance(node, Word) and node.text and node.kind != "null":
        return node.text
    reading.fault(node, f"expected a word, found {found(node)}")
    return None


_MEANT = {**dict.fromkeys(("yes", "on", "y"), "true"), **dict.fromkeys(("no", "off", "n"), "false")}


def truth(node: Node, reading: Reading) -> bool | None:
    """A plain `true` or `false`."""
    if isinstance(node, Word) and node.kind == "bool" and node.text.lower() in ("true", "false"):
        return node.text.lower() == "true"
    word = node.text.lower() if isinstance(node, Word) else ""
    cure = "; leave out the quotes" if word in ("true", "false") else ""
    cure = f"; write {_MEANT[word]}" if word in _MEANT else cure
    reading.fault(node, f"expected true or false, found {found(node)}{cure}")
    return None


def duration(node: Node, reading: Reading) -> float | None:
    """A length of time, in seconds: a number and a unit."""
    match = _DURATION.fullmatch(node.text) if isinstance(node, Word) else None
    if match is None:
        reading.fault(node, f"expected a duration such as 90s, 15m, 24h or 7d, found {found(node)}")
        return None
    seconds = int(match["number"]) * _SECONDS[match["unit"]] if match["unit"] else 0
    if seconds > _LONGEST:
        reading.fault(node, f"a duration is at most ten years (3650d), found {found(node)}")
        return None
    return float(seconds)


def one_of(*known: str) -> Reader[str]:
    """One of a few words."""

    def read(node: Node, reading: Reading) -> str | None:
        if isinstance(node, Word) and node.text in known:
            return node.text
        hint = alternatives(node.text, known) if isinstance(node, Word) else f"; there are: {', '.join(known)}"
        reading.fault(node, f"{found(node)} is not known here{hint}")
        return None

    return read


def list_of(read: Reader[T]) -> Reader[tuple[T, ...]]:
    """A list whose items `read` reads; what stands there twice counts once."""

    def read_all(node: Node, reading: Reading) -> tuple[T, ...] | None:
        if not isinstance(node, Items):
            reading.fault(node, f"expected a list, found {found(node)}{as_list(node)}")
            return None
        return unique(read(item, reading) for item in node.items)

    return read_all


def unique(values: Iterable[T | None]) -> tuple[T, ...]:
    """Those that could be read, each once, in order."""
    return tuple(dict.fromkeys(value for value in values if value is not None))


def standing(table: Table, key: str, read: Reader[T], reading: Reading, default: T) -> T:
    """What stands under a key; the default where nothing does, or where it is faulty."""
    node = table.get(key)
    value = None if node is None else read(node, reading)
    return default if value is None else value


def table(node: Node, reading: Reading, what: str) -> Table | None:
    """A mapping; `what` says of what."""
    if isinstance(node, Table):
        return node
    reading.fault(node, f"expected a mapping of {what}, found {found(node)}")
    return None
