"""The YAML of `{% blocks %}`: read before Jinja runs, so that nothing a value says can change its shape."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from relay.model.json_types import JSON
from relay.rendering.blocks.rawblocks import BLOCKS, SLOT

_MOST: Final = 2_000
"""Values in one `{% blocks %}`, aliases counted as often as they stand for something."""

_DEPTH: Final = 12
_FALSE: Final = frozenset({"false", "no", "off"})


class BadYaml(Exception):
    """The YAML is not a list of blocks; `line` counts from 0."""

    def __init__(self, message: str, line: int) -> None:
        """Say what is wrong, and in which line."""
        super().__init__(message)
        self.line = line


@dataclass(slots=True)
class RawBlocks:
    """The blocks with slots in place of the strings that hold Jinja, and those strings with their lines (from 0)."""

    shape: JSON = None
    slots: list[tuple[str, int]] = field(default_factory=list)
    values: int = 0


def read_blocks(text: str) -> RawBlocks:
    """Read the YAML; raises `BadYaml`."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BadYaml(f"not YAML: {error.problem or error.context}", mark.line if mark else 0) from error
    except yaml.YAMLError as error:
        raise BadYaml(f"not YAML: {error}", 0) from error
    raw = RawBlocks()
    raw.shape = [_block(node, raw) for node in _listed(root)]
    return raw


def _listed(root: yaml.Node | None) -> list[yaml.Node]:
    match root:
        case None:
            return []
        case yaml.SequenceNode():
            return list(root.value)
        case _:
            return [root]


def _block(node: yaml.Node, raw: RawBlocks) -> JSON:
    shape = _shape(node, raw, 0)
    kind = shape.get("type") if isinstance(shape, dict) else None
    if not isinstance(kind, str) or kind not in BLOCKS:
        found = f"found {kind!r}" if isinstance(kind, str) else "found none"
        raise BadYaml(f"a block needs a `type` of {', '.join(sorted(BLOCKS))}; {found}", node.start_mark.line)
    return shape


def _shape(node: yaml.Node, raw: RawBlocks, depth: int) -> JSON:
    raw.values += 1
    if raw.values > _MOST or depth > _DEPTH:
        raise BadYaml(f"more than {_MOST:,} values, or more than {_DEPTH} levels", node.start_mark.line)
    match node:
        case yaml.MappingNode():
            return dict(_entries(node, raw, depth))
        case yaml.SequenceNode():
            return [_shape(part, raw, depth + 1) for part in node.value]
        case _:
            return _scalar(node, raw)


def _entries(node: yaml.MappingNode, raw: RawBlocks, depth: int) -> Iterator[tuple[str, JSON]]:
    for key, value in node.value:
        line = key.start_mark.line
        if not isinstance(key, yaml.ScalarNode):
            raise BadYaml("a string that begins with {{ has to stand in quotes", line)
        if "{{" in key.value or "{%" in key.value or key.value == SLOT:
            raise BadYaml("Jinja runs in the strings of blocks, not in their keys", line)
        yield key.value, _shape(value, raw, depth + 1)


def _scalar(node: Any, raw: RawBlocks) -> JSON:
    _, _, kind = node.tag.rpartition(":")
    if kind == "bool":
        return node.value.lower() not in _FALSE
    if kind == "int" and node.value.lstrip("-").isdecimal():
        return int(node.value)
    if kind == "null":
        return None
    if "{{" in node.value or "{%" in node.value:
        raw.slots.append((node.value, node.start_mark.line))
        return {SLOT: len(raw.slots) - 1}
    return str(node.value)
