"""Walks the tree of a template once for all rules, and knows which of relay's tags are around each node."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

from jinja2 import nodes

from relay.rendering.blocks.tags import NodeKind
from relay.rendering.engine.syntax_tree import children
from relay.rendering.engine.tag_extension import TagExtension

_DETACHING: Final = (nodes.Macro, nodes.AssignBlock)
NodeT = TypeVar("NodeT", bound=nodes.Node)


class NodePlace(NamedTuple):
    """A node, the tag that it is, and the tags around it, the outermost first.

    `detached` says that it is in a macro, a `set` or a call, `in_block` that it is in a block.
    """

    node: nodes.Node
    kind: NodeKind | None
    around: tuple[NodeKind, ...]
    detached: bool
    in_block: bool


class TemplateNodes:
    """The nodes of the tree of a template; rules may rename nodes, but neither add nor remove any."""

    def __init__(self, tree: nodes.Template) -> None:
        self.tree = tree

    def of(self, *classes: type[NodeT]) -> list[NodeT]:
        """Return the nodes of these classes, in reading order."""
        return [place.node for place in self.places if isinstance(place.node, classes)]

    def may_be_elsewhere(self, place: NodePlace) -> bool:
        """Whether it may be printed inside other tags too: in a macro, a `set`, or a block of another file."""
        return place.detached or (place.in_block and self._extends)

    @cached_property
    def _extends(self) -> bool:
        return bool(self.of(nodes.Extends))

    @cached_property
    def places(self) -> Sequence[NodePlace]:
        """Every node, in reading order."""
        found = []
        pending: list[tuple[nodes.Node, tuple[NodeKind, ...], bool, bool]] = [(self.tree, (), False, False)]
        while pending:
            node, around, detached, in_block = pending.pop()
            kind = tag_kind(node)
            found.append(NodePlace(node, kind, around, detached, in_block))
            if below := children(node):
                around = (*around, kind) if kind else around
                detached = detached or isinstance(node, _DETACHING) or (isinstance(node, nodes.CallBlock) and not kind)
                in_block = in_block or isinstance(node, nodes.Block)
                pending += [(each, around, detached, in_block) for each in reversed(below)]
        return found


def tag_kind(node: nodes.Node) -> NodeKind | None:
    """The tag that a node is, if it is one of relay's."""
    if isinstance(node, nodes.CallBlock):
        called, arguments = node.call.node, node.call.args
        if isinstance(called, nodes.ExtensionAttribute) and called.identifier == TagExtension.identifier:
            return NodeKind[arguments[0].as_const()]
    return None
