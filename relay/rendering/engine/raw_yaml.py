"""Reads the YAML of `{% blocks %}` before Jinja runs, so that no value can change its structure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from relay.model.json_types import JSON
from relay.rendering.blocks.raw_blocks import BLOCKS, SLOT

_MOST_VALUES: Final = 2_000
"""Values in one `{% blocks %}`; an alias counts each time it is used."""

_MOST_LEVELS: Final = 12
_TOO_LARGE: Final = f"too large: {{% blocks %}} may hold {_MOST_VALUES:,} values in {_MOST_LEVELS} levels"
_FALSE: Final = frozenset({"false", "no", "off"})


class InvalidBlocks(Exception):
    """The YAML is not a list of blocks; `line` counts from 0."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class ParsedBlocks:
    """The blocks with slots in place of the strings that hold Jinja, and those strings with their lines (from 0)."""

    skeleton: JSON = None
    slots: list[tuple[str, int]] = field(default_factory=list)
    values: int = 0


def parse_blocks(text: str) -> ParsedBlocks:
    """Parse the YAML; raises `InvalidBlocks`."""
    try:
        _check_size(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InvalidBlocks(f"not YAML: {error.problem or error.context}", mark.line if mark else 0) from error
    except yaml.YAMLError as error:
        raise InvalidBlocks(f"not YAML: {error}", 0) from error
    parsed = ParsedBlocks()
    listed = root.value if isinstance(root, yaml.SequenceNode) else [root] if root else []
    parsed.skeleton = [_block(node, parsed) for node in listed]
    return parsed


def _check_size(text: str) -> None:
    """Stop at the first event too many: reading all of a long text takes seconds."""
    depth = 0
    event: yaml.Event
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if count > 2 * _MOST_VALUES or depth > 2 * _MOST_LEVELS:
            raise InvalidBlocks(_TOO_LARGE, event.start_mark.line if event.start_mark else 0)


def _block(node: yaml.Node, parsed: ParsedBlocks) -> JSON:
    block = _value(node, parsed, 0)
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str) or kind not in BLOCKS:
        found = f"unknown block type {kind!r}" if isinstance(kind, str) else "a block has no `type`"
        raise InvalidBlocks(f"{found}; expected one of {', '.join(sorted(BLOCKS))}", node.start_mark.line)
    return block


def _value(node: yaml.Node, parsed: ParsedBlocks, depth: int) -> JSON:
    parsed.values += 1
    if parsed.values > _MOST_VALUES or depth > _MOST_LEVELS:
        raise InvalidBlocks(_TOO_LARGE, node.start_mark.line)
    match node:
        case yaml.MappingNode():
            return dict(_entries(node, parsed, depth))
        case yaml.SequenceNode():
            return [_value(part, parsed, depth + 1) for part in node.value]
        case _:
            return _scalar(node, parsed)


def _entries(node: yaml.MappingNode, parsed: ParsedBlocks, depth: int) -> Iterator[tuple[str, JSON]]:
    for key, value in node.value:
        line = key.start_mark.line
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidBlocks('a value that begins with {{ needs quotes: "{{ ... }}"', line)
        if "{{" in key.value or "{%" in key.value or key.value == SLOT:
            raise InvalidBlocks(f"Jinja in the key {key.value!r}; {{% blocks %}} allows Jinja only in values", line)
        yield key.value, _value(value, parsed, depth + 1)


def _scalar(node: Any, parsed: ParsedBlocks) -> JSON:
    _, _, kind = node.tag.rpartition(":")
    if kind == "bool":
        return node.value.lower() not in _FALSE
    if kind == "int" and node.value.lstrip("-").isdecimal():
        return int(node.value)
    if kind == "null":
        return None
    if "{{" in node.value or "{%" in node.value:
        parsed.slots.append((node.value, node.start_mark.line))
        return {SLOT: len(parsed.slots) - 1}
    return str(node.value)
