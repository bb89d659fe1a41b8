"""YAML as it is written: a tree of words, lists and tables that know their place.

What YAML would make of a scalar (`no` a boolean, `012` the number 10) is left to those who read the tree.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """A scalar. `text` is what was written, `kind` what YAML takes it for (`str`, `bool`, `int`, `null`, ...).

    `trap` says what YAML made of a text that was meant otherwise, and the cure.
    """

    text: str
    yaml_type: str
    line: int
    column: int
    hint: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written at all: `key:`, or `- `."""
        return self.yaml_type == "null" and not self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNode:
    """A sequence."""

    items: "tuple[Node, ...]"
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode:
    """A mapping, what `<<` brought into it included; no two of its keys are written alike."""

    entries: "tuple[tuple[ScalarNode, Node], ...]"
    line: int
    column: int

    def get(self, key: str) -> "Node | None":
        """What stands under that key."""
        return next((value for word, value in self.entries if word.text == key), None)


Node = ScalarNode | ListNode | MappingNode


def list_hint(node: Node) -> str:
    """How what was written where a list is expected would be one, as the end of a sentence."""
    if not isinstance(node, ScalarNode) or not node.text:
        return ""
    return (
        "; to say nothing, leave the key out"
        if node.yaml_type == "null"
        else f"; one alone is written [{as_yaml(node)}]"
    )


def as_yaml(node: Node) -> str:
    """A node in one line, as it could be written."""
    match node:
        case ScalarNode():
            return node.text
        case ListNode():
            return "[" + ", ".join(as_yaml(item) for item in node.items) + "]"
        case MappingNode():
            return "{" + ", ".join(f"{key.text}: {as_yaml(value)}" for key, value in node.entries) + "}"


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that are right inside it."""
    match node:
        case ScalarNode():
            return ()
        case ListNode():
            return node.items
        case MappingNode():
            return tuple(value for _, value in node.entries)
