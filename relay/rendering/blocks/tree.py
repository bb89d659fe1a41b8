"""Parses a template's output into a tree of nodes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from relay.rendering.blocks.marks import Token, scan
from relay.rendering.blocks.tags import NodeKind

_MOST_LEVELS: Final = 12
"""A node that opens deeper than this becomes part of the node around it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One node and its content."""

    kind: NodeKind
    children: "list[Child]" = field(default_factory=list)

    def nodes(self, kind: NodeKind) -> "Iterator[Node]":
        """The nodes of this kind directly inside."""
        return (child for child in self.children if isinstance(child, Node) and child.kind is kind)

    def argument(self) -> "list[Child]":
        """The first argument of its tag."""
        return next((node.children for node in self.nodes(NodeKind.ARGUMENT)), [])

    def body(self) -> "list[Child]":
        """Its content without arguments."""
        return [child for child in self.children if not (isinstance(child, Node) and child.kind is NodeKind.ARGUMENT)]


Child = str | Token | Node


def parse(text: str) -> list[Child]:
    """Parse a template's output. An unclosed node ends with the text; a mark that closes nothing is dropped."""
    top: list[Child] = []
    levels = [top]
    too_deep = 0
    for mark in scan(text):
        match mark:
            case NodeKind() as kind if len(levels) <= _MOST_LEVELS:
                node = Node(kind)
                levels[-1].append(node)
                levels.append(node.children)
            case NodeKind():
                too_deep += 1
            case None if too_deep:
                too_deep -= 1
            case None if len(levels) > 1:
                levels.pop()
            case None:
                pass
            case _:
                levels[-1].append(mark)
    return top
