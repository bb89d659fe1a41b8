"""YAML as it is written: a tree of words, lists and tables that know their place.

What YAML would make of a scalar (`no` a boolean, `012` the number 10) is left to those who read the tree.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A scalar. `text` is what was written, `kind` what YAML takes it for (`str`, `bool`, `int`, `null`, ...).

    `trap` says what YAML made of a text that was meant otherwise, and the cure.
    """

    text: str
    kind: str
    line: int
    column: int
    trap: str = ""

    @property
    def is_nothing(self) -> bool:
        """Whether nothing was written at all: `key:`, or `- `."""
        return self.kind == "null" and not self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A sequence."""

    items: "tuple[Node, ...]"
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A mapping, what `<<` brought into it included; no two of its keys are written alike."""

    entries: "tuple[tuple[Word, Node], ...]"
    line: int
    column: int

    def get(self, key: str) -> "Node | None":
        """What stands under that key."""
        return next((value for word, value in self.entries if word.text == key), None)


Node = Word | Items | Table


def as_list(node: Node) -> str:
    """How what was written where a list is expected would be one, as the end of a sentence."""
    if not isinstance(node, Word) or not node.text:
        return ""
    return "; to say nothing, leave the key out" if node.kind == "null" else f"; one alone is written [{written(node)}]"


def written(node: Node) -> str:
    """A node in one line, as it could be written."""
    match node:
        case Word():
            return node.text
        case Items():
            return "[" + ", ".join(written(item) for item in node.items) + "]"
        case Table():
            return "{" + ", ".join(f"{key.text}: {written(value)}" for key, value in node.entries) + "}"


def children(node: Node) -> tuple[Node, ...]:
    """The nodes that are right inside it."""
    match node:
        case Word():
            return ()
        case Items():
            return node.items
        case Table():
            return tuple(value for _, value in node.entries)
