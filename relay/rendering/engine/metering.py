"""Adds to a template, before it becomes code, what pays for its loops and marks the items that they list."""

from collections.abc import Sequence
from typing import Final

from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.visitor import NodeTransformer

from relay.rendering.engine.budget import TURN

_LOOKING: Final = ("in", "notin")
_DONE: Final = 4
"""How many expressions a turn may have for the price of one character."""


class Prices(NodeTransformer):
    """Rewrites the tree of one template; the calls that it adds go to methods of `BlockTags`."""

    def __init__(self, tags: Extension) -> None:
        """Let these tags be called."""
        self._tags = tags
        self._caught = 0

    def visit_For(self, node: nodes.For) -> list[nodes.Node]:  # noqa: N802  Jinja's own
        """A turn is paid for, and says which item it is; what a `set` catches is no list that a cut could count."""
        self.generic_visit(node)
        item: nodes.Expr = nodes.Const(None)
        if isinstance(node.target, nodes.Name) and not self._caught:
            item = nodes.Name(node.target.name, "load")
        added = [self._paying(node, node.body), self._printing(self._call("listed", node.lineno, item))]
        node.body = [*added, *node.body]
        return [node, self._printing(self._call("list_ended", node.lineno))]

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:  # noqa: N802  Jinja's own
        """A call is paid for: it may call itself."""
        self.generic_visit(node)
        node.body = [self._paying(node, node.body), *node.body]
        return node

    def visit_Block(self, node: nodes.Block) -> nodes.Node:  # noqa: N802  Jinja's own
        """So may a block."""
        self.generic_visit(node)
        node.body = [self._paying(node, node.body), *node.body]
        return node

    def visit_Include(self, node: nodes.Include) -> list[nodes.Node]:  # noqa: N802  Jinja's own
        """A template that includes itself twice would never end."""
        return [self._paying(node), node]

    def visit_Import(self, node: nodes.Import) -> list[nodes.Node]:  # noqa: N802  Jinja's own
        """The same for one that imports itself."""
        return [self._paying(node), node]

    def visit_FromImport(self, node: nodes.FromImport) -> list[nodes.Node]:  # noqa: N802  Jinja's own
        """The same."""
        return [self._paying(node), node]

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802  Jinja's own
        """Marks in what a `set` catches would make it true where it is empty."""
        self._caught += 1
        self.generic_visit(node)
        self._caught -= 1
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  Jinja's own
        """Lists are compared entry by entry. With a constant nothing is compared for long, except to look for it."""
        self.generic_visit(node)
        sides = [node.expr, *(each.expr for each in node.ops)]
        if len(sides) > sum(isinstance(each, nodes.Const) for each in sides) + 1 or node.ops[0].op in _LOOKING:
            node.expr = self._read(node.expr)
            for each in node.ops:
                each.expr = self._read(each.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  Jinja's own
        """A slice is a copy; and to look something up is to look through it."""
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self._call("sliced", node.lineno, node.node)
        else:
            node.arg = self._read(node.arg)
        return node

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802  Jinja's own
        """So it is with what becomes a key."""
        self.generic_visit(node)
        node.key = self._read(node.key)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  Jinja's own
        """`~` makes strings, too."""
        self.generic_visit(node)
        return self._call("concat", node.lineno, nodes.List(node.nodes))

    def _paying(self, node: nodes.Node, body: Sequence[nodes.Node] = ()) -> nodes.Node:
        """A turn costs something by itself, and as much as the text and a part of what is done in it."""
        texts = sum(len(data.data) for each in body for data in each.find_all(nodes.TemplateData))
        done = sum(1 for each in body for _ in each.find_all(nodes.Expr))
        price = nodes.Const(TURN + texts + done // _DONE)
        return nodes.ExprStmt(self._call("pay", node.lineno, price)).set_lineno(node.lineno)

    def _read(self, value: nodes.Expr) -> nodes.Expr:
        if isinstance(value, nodes.Const):
            return value
        return self._call("read", value.lineno, value)

    def _printing(self, call: nodes.Expr) -> nodes.Node:
        return nodes.Output([call]).set_lineno(call.lineno)

    def _call(self, name: str, lineno: int, *arguments: nodes.Expr) -> nodes.Expr:
        call = self._tags.call_method(name, list(arguments), lineno=lineno)
        call.set_lineno(lineno)
        return call
