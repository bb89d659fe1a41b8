"""The values of a `*.test.yaml`: texts to be found, numbers, headers, and JSON as it is written in YAML."""

from collections.abc import Mapping
from typing import Any

import re2

from relay.model.incident import JSON
from relay.routes.operators import reason
from relay.routes.parser.faults import Placed, Reading, Spot
from relay.routes.parser.scalars import found, table, text
from relay.routes.parser.yaml_nodes import Items, Node, Table, Word
from relay.tools.testing.model import Phrase


def phrase(node: Node, reading: Reading) -> Phrase | None:
    """A text to be found in a message; between slashes a regular expression."""
    written = text(node, reading)
    if written is None:
        return None
    spot = spot_of(node)
    if len(written) > 2 and written.startswith("/") and written.endswith("/"):  # noqa: PLR2004  slashes and something
        options: Any = re2.Options()
        options.log_errors = False
        try:
            search = re2.compile(written[1:-1], options).search
        except re2.error as error:
            reading.fault(node, f"this is not a regular expression that RE2 takes: {reason(error)}")
            return None
        return Phrase(written=written, spot=spot, found_in=lambda shown: search(shown) is not None)
    return Phrase(written=written, spot=spot, found_in=lambda shown: written in shown)


def count(node: Node, reading: Reading) -> int | None:
    """A whole number from 0 on."""
    if isinstance(node, Word) and node.kind == "int" and node.text.isdecimal():
        return int(node.text)
    reading.fault(node, f"expected a number, found {found(node)}")
    return None


def words_of(what: str, node: Node, reading: Reading) -> tuple[str, ...] | None:
    """One word, or a list of them."""
    items = node.items if isinstance(node, Items) else (node,)
    words = tuple(word for item in items if (word := text(item, reading)) is not None)
    if not words:
        reading.fault(node, f"expected {what}, found {found(node)}")
    return words


def headers(node: Node, reading: Reading) -> dict[str, str] | None:
    """Headers by name."""
    made = table(node, reading, "headers to their values")
    if made is None:
        return None
    return {word.text: value for word, each in made.entries if (value := text(each, reading)) is not None}


def values(node: Node, reading: Reading) -> Mapping[str, JSON] | None:
    """A mapping, as the JSON that its YAML stands for."""
    made = table(node, reading, "names to values")
    return None if made is None else {word.text: plain(value, reading) for word, value in made.entries}


def plain(node: Node, reading: Reading) -> JSON:
    """A node as the JSON that its YAML stands for."""
    match node:
        case Items():
            return [plain(item, reading) for item in node.items]
        case Table():
            return {word.text: plain(value, reading) for word, value in node.entries}
        case Word():
            return _scalar(node, reading)


def _scalar(word: Word, reading: Reading) -> JSON:
    """What YAML takes for a word is left a word, unless it is written as JSON has it: true, 12, 0.5, null."""
    if word.kind == "null":
        return None
    if word.kind == "bool" and word.text.lower() in {"true", "false"}:
        return word.text.lower() == "true"
    try:
        if word.kind == "int":
            return int(word.text)
        if word.kind == "float":
            return float(word.text)
    except ValueError:
        reading.fault(word, f"{found(word)} is no plain number; quote it if it is a text")
    return word.text


def spot_of(node: Placed | None) -> Spot:
    """Where it stands; the whole file where there is nothing."""
    return Spot(line=node.line, column=node.column) if node else Spot(line=0, column=0)
