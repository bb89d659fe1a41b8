"""The values of a `*.test.yaml`: texts to be found, numbers, headers, and JSON as it is written in YAML."""

from collections.abc import Mapping
from typing import Any

import re2

from relay.model.json_types import JSON
from relay.routes.operators import re2_reason
from relay.routes.parser.context import HasPosition, ParseContext, Position
from relay.routes.parser.scalars import describe, read_mapping, read_word
from relay.routes.parser.yaml_nodes import ListNode, MappingNode, Node, ScalarNode
from relay.tools.testing.model import Phrase


def phrase(node: Node, reading: ParseContext) -> Phrase | None:
    """A text to be found in a message; between slashes a regular expression."""
    written = read_word(node, reading)
    if written is None:
        return None
    spot = spot_of(node)
    if len(written) > 2 and written.startswith("/") and written.endswith("/"):  # noqa: PLR2004  slashes and something
        options: Any = re2.Options()
        options.log_errors = False
        try:
            search = re2.compile(written[1:-1], options).search
        except re2.error as error:
            reading.add_fault(node, f"this is not a regular expression that RE2 takes: {re2_reason(error)}")
            return None
        return Phrase(written=written, spot=spot, found_in=lambda shown: search(shown) is not None)
    return Phrase(written=written, spot=spot, found_in=lambda shown: written in shown)


def count(node: Node, reading: ParseContext) -> int | None:
    """A whole number from 0 on."""
    if isinstance(node, ScalarNode) and node.yaml_type == "int" and node.text.isdecimal():
        return int(node.text)
    reading.add_fault(node, f"expected a number, found {describe(node)}")
    return None


def words_of(what: str, node: Node, reading: ParseContext) -> tuple[str, ...] | None:
    """One word, or a list of them."""
    items = node.items if isinstance(node, ListNode) else (node,)
    words = tuple(word for item in items if (word := read_word(item, reading)) is not None)
    if not words:
        reading.add_fault(node, f"expected {what}, found {describe(node)}")
    return words


def headers(node: Node, reading: ParseContext) -> dict[str, str] | None:
    """Headers by name."""
    made = read_mapping(node, reading, "headers to their values")
    if made is None:
        return None
    return {word.text: value for word, each in made.entries if (value := read_word(each, reading)) is not None}


def values(node: Node, reading: ParseContext) -> Mapping[str, JSON] | None:
    """A mapping, as the JSON that its YAML stands for."""
    made = read_mapping(node, reading, "names to values")
    return None if made is None else {word.text: plain(value, reading) for word, value in made.entries}


def plain(node: Node, reading: ParseContext) -> JSON:
    """A node as the JSON that its YAML stands for."""
    match node:
        case ListNode():
            return [plain(item, reading) for item in node.items]
        case MappingNode():
            return {word.text: plain(value, reading) for word, value in node.entries}
        case ScalarNode():
            return _scalar(node, reading)


def _scalar(word: ScalarNode, reading: ParseContext) -> JSON:
    """What YAML takes for a word is left a word, unless it is written as JSON has it: true, 12, 0.5, null."""
    if word.yaml_type == "null":
        return None
    if word.yaml_type == "bool" and word.text.lower() in {"true", "false"}:
        return word.text.lower() == "true"
    try:
        if word.yaml_type == "int":
            return int(word.text)
        if word.yaml_type == "float":
            return float(word.text)
    except ValueError:
        reading.add_fault(word, f"{describe(word)} is no plain number; quote it if it is a text")
    return word.text


def spot_of(node: HasPosition | None) -> Position:
    """Where it stands; the whole file where there is nothing."""
    return Position(line=node.line, column=node.column) if node else Position(line=0, column=0)
