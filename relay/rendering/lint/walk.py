"""Walks the tree of a template, and knows around each node which of relay's tags stand there."""

from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import nodes

from relay.rendering.blocks.tags import NodeKind
from relay.rendering.engine.tag_extension import TagExtension


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node, and the tags around it, the outermost first.

    `elsewhere` says that it may be printed inside other tags too: in a macro, a `set`, or a block of another file.
    """

    node: nodes.Node
    around: tuple[NodeKind, ...] = ()
    elsewhere: bool = False


def tag_kind(node: nodes.Node) -> NodeKind | None:
    """The tag that a node is, if it is one of relay's."""
    if isinstance(node, nodes.CallBlock):
        called, arguments = node.call.node, node.call.args
        if isinstance(called, nodes.ExtensionAttribute) and called.identifier == TagExtension.identifier:
            return NodeKind[arguments[0].as_const()]
    return None


def places(tree: nodes.Template) -> Iterator[NodePlace]:
    """Every node of a tree, in reading order."""
    extends = tree.find(nodes.Extends) is not None
    pending = [NodePlace(tree)]
    while pending:
        place = pending.pop()
        yield place
        node, kind = place.node, tag_kind(place.node)
        detached = isinstance(node, nodes.Macro | nodes.AssignBlock) or (extends and isinstance(node, nodes.Block))
        is_call = isinstance(node, nodes.CallBlock) and kind is None
        around = (*place.around, kind) if kind else place.around
        inner = [NodePlace(each, around, place.elsewhere or detached or is_call) for each in node.iter_child_nodes()]
        pending += reversed(inner)
