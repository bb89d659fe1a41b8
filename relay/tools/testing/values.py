"""Parses the values of a `*.test.yaml`: phrases, numbers, headers, and JSON that is written as YAML."""

from collections.abc import Mapping
from typing import Any

import re2

from relay.model.json_types import JSON
from relay.routes.operators import re2_reason
from relay.routes.yaml_reader.context import ParseContext, Position
from relay.routes.yaml_reader.nodes import ListNode, MappingNode, Node, ScalarNode
from relay.routes.yaml_reader.scalars import describe, read_mapping, read_word
from relay.tools.testing.model import Phrase


def read_phrase(node: Node, context: ParseContext) -> Phrase | None:
    """Parse a text to find in a message; between slashes it is a regular expression."""
    source = read_word(node, context)
    if source is None:
        return None
    if len(source) > 2 and source.startswith("/") and source.endswith("/"):  # noqa: PLR2004  slashes and something
        options: Any = re2.Options()
        options.log_errors = False
        try:
            search = re2.compile(source[1:-1], options).search
        except re2.error as error:
            context.add_fault(node, f"{source!r} is not a valid regular expression (RE2): {re2_reason(error)}")
            return None
        return Phrase(source=source, position=position_of(node), is_in=lambda text: search(text) is not None)
    return Phrase(source=source, position=position_of(node), is_in=lambda text: source in text)


def read_count(node: Node, context: ParseContext) -> tuple[int, Position] | None:
    """Parse a whole number, at least 0; return it with its position."""
    if isinstance(node, ScalarNode) and node.yaml_type == "int" and node.text.isdecimal():
        return int(node.text), position_of(node)
    context.add_fault(node, f"expected a number, found {describe(node)}")
    return None


def read_words(node: Node, context: ParseContext) -> tuple[str, ...] | None:
    """Parse one word, or a list of words."""
    items = node.items if isinstance(node, ListNode) else (node,)
    words = tuple(word for item in items if (word := read_word(item, context)) is not None)
    if not words:
        context.add_fault(node, f"expected parts of a body, such as incident.snooze, found {describe(node)}")
    return words


def read_headers(node: Node, context: ParseContext) -> dict[str, str] | None:
    """Parse a mapping of headers."""
    mapping = read_mapping(node, context, "headers to their values")
    if mapping is None:
        return None
    return {key.text: text for key, value in mapping.entries if (text := read_word(value, context)) is not None}


def read_json_object(node: Node, context: ParseContext) -> Mapping[str, JSON] | None:
    """Parse a mapping as JSON."""
    mapping = read_mapping(node, context, "names to values")
    return None if mapping is None else {key.text: _to_json(value, context) for key, value in mapping.entries}


def _to_json(node: Node, context: ParseContext) -> JSON:
    """A scalar is a text, unless it is written as in JSON: true, 12, 0.5, null."""
    match node:
        case ListNode():
            return [_to_json(item, context) for item in node.items]
        case MappingNode():
            return {key.text: _to_json(value, context) for key, value in node.entries}
        case ScalarNode(yaml_type="null"):
            return None
        case ScalarNode(yaml_type="bool", text=text) if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        case ScalarNode(yaml_type="int" | "float" as kind, text=text):
            try:
                return int(text) if kind == "int" else float(text)
            except ValueError:
                context.add_fault(node, f"{describe(node)} is not a decimal number; quote it if it is a text")
    return node.text


def position_of(node: Position) -> Position:
    """The position of a node."""
    return Position(line=node.line, column=node.column)
