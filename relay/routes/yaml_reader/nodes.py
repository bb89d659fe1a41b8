"""YAML as it is written: a tree of scalars, lists and mappings with their places.

A scalar keeps its text. Its readers decide what it means, not YAML (which makes `no` a boolean and `012` the number
10).
"""

from typing import Final

from relay.routes.yaml_reader.context import Position


class ScalarNode(Position, frozen=True, kw_only=True):
    """A scalar: its `text`, and the type that YAML gives it (`str`, `bool`, `int`, `null`, ...).

    `hint` says what YAML made of a value that was meant as text, and what to write.
    """

    text: str
    yaml_type: str
    hint: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is no text at all: `key:`, or `- `."""
        return self.yaml_type == "null" and not self.text


class ListNode(Position, frozen=True, kw_only=True):
    """A sequence."""

    items: "tuple[Node, ...]"


class MappingNode(Position, frozen=True, kw_only=True):
    """A mapping, with what `<<` merged into it; each key occurs once."""

    entries: "tuple[tuple[ScalarNode, Node], ...]"

    def get(self, key: str) -> "Node | None":
        """The value of a key, or None."""
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> ScalarNode | None:
        """The node of a key itself, or None."""
        return next((name for name, _ in self.entries if name.text == key), None)


Node = ScalarNode | ListNode | MappingNode


_NONE: Final = frozenset({"false", "no", "off", "none"})


def list_hint(node: Node) -> str:
    """The end of a message: how to write a value as a list."""
    if not isinstance(node, ScalarNode) or not node.text:
        return ""
    if node.yaml_type == "null":
        return "; to set nothing, remove the key"
    return "; for none write []" if node.text.lower() in _NONE else f"; write [{as_yaml(node)}]"


def as_yaml(node: Node) -> str:
    """A node as YAML in one line."""
    match node:
        case ScalarNode():
            return node.text
        case ListNode():
            return "[" + ", ".join(as_yaml(item) for item in node.items) + "]"
        case MappingNode():
            return "{" + ", ".join(f"{key.text}: {as_yaml(value)}" for key, value in node.entries) + "}"


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly inside a node."""
    match node:
        case ScalarNode():
            return ()
        case ListNode():
            return node.items
        case MappingNode():
            return tuple(value for _, value in node.entries)
