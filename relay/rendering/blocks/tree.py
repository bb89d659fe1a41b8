"""What a template printed, as a tree of parts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from relay.rendering.blocks.marks import Closes, ItemMark, NodeKind, Opens, Token, scan

DEPTH: Final = 12
"""Parts within parts, at most; what opens deeper counts as part of what surrounds it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One part, with what stands in it."""

    kind: NodeKind
    children: "list[Child]" = field(default_factory=list)

    def parts(self, kind: NodeKind) -> "Iterator[Node]":
        """The parts of that kind that stand directly in it."""
        return (child for child in self.children if isinstance(child, Node) and child.kind is kind)

    def argument(self) -> "list[Child]":
        """What its tag was given as an argument."""
        return next((part.children for part in self.parts(NodeKind.ARGUMENT)), [])

    def body(self) -> "list[Child]":
        """What stands in it, without the argument."""
        return [child for child in self.children if not (isinstance(child, Node) and child.kind is NodeKind.ARGUMENT)]


Child = str | Token | ItemMark | Node


def parse(text: str) -> list[Child]:
    """The tree of a template's output. Parts left open end with the text; marks that close nothing are left out."""
    top: list[Child] = []
    levels = [top]
    deeper = 0
    for mark in scan(text):
        match mark:
            case Opens(kind) if len(levels) <= DEPTH:
                node = Node(kind)
                levels[-1].append(node)
                levels.append(node.children)
            case Opens():
                deeper += 1
            case Closes() if deeper:
                deeper -= 1
            case Closes() if len(levels) > 1:
                levels.pop()
            case Closes():
                pass
            case _:
                levels[-1].append(mark)
    return top
