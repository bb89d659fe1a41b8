"""Rewrites a template's syntax tree so that its loops are charged and the items that they list are marked."""

from collections.abc import Sequence
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.visitor import NodeTransformer

from relay.rendering.engine.budget import TURN_COST

_MEMBERSHIP: Final = ("in", "notin")
_EXPRESSIONS_FOR_ONE: Final = 4
"""How many expressions a turn may have for the price of one character."""


class Metering(NodeTransformer):
    """Rewrites the tree of one template; the calls that it adds go to methods of `TagExtension`."""

    def __init__(self, extension: Extension) -> None:
        self._extension = extension
        self._captures = 0

    def visit_For(self, node: nodes.For) -> list[nodes.Node]:  # noqa: N802  Jinja's own
        """Charge each turn and mark its item; a `set` block holds no list that a cut could count."""
        self.generic_visit(node)
        item: nodes.Expr = nodes.Const(None)
        if isinstance(node.target, nodes.Name) and not self._captures:
            item = nodes.Name(node.target.name, "load")
        node.body = [self._charge(node, node.body), self._print(self._call("mark_item", node.lineno, item)), *node.body]
        if isinstance(node.test, nodes.Expr):  # an item that it rejects has no turn
            cost = 1 + sum(1 for _ in node.test.find_all(nodes.Expr)) // _EXPRESSIONS_FOR_ONE
            node.test = self._call("charge", node.lineno, nodes.Const(cost), node.test)
        return [node, self._print(self._call("mark_list_end", node.lineno))]

    def visit_Macro(self, node: nodes.Macro | nodes.Block | nodes.Template) -> nodes.Node:  # noqa: N802  Jinja's own
        """Charge each call of a macro or block, and each run of a file: it may call, or include, itself."""
        self.generic_visit(node)
        node.body = [self._charge(node, node.body), *node.body]
        return node

    def visit_Include(self, node: nodes.Include | nodes.Import | nodes.FromImport) -> list[nodes.Node]:  # noqa: N802  Jinja's own
        """Charge it: a template that includes or imports itself twice would never end."""
        return [self._charge(node), node]

    visit_Block = visit_Template = visit_Macro  # noqa: N815  Jinja's own
    visit_Import = visit_FromImport = visit_Include  # noqa: N815  Jinja's own

    def visit_AssignBlock(self, node: nodes.AssignBlock) -> nodes.Node:  # noqa: N802  Jinja's own
        """Keep marks out of it: they would make an empty `set` block true."""
        self._captures += 1
        self.generic_visit(node)
        self._captures -= 1
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802  Jinja's own
        """Charge for both sides: lists are compared entry by entry. A constant ends a comparison soon, unless `in`."""
        self.generic_visit(node)
        sides = [node.expr, *(each.expr for each in node.ops)]
        constants = sum(isinstance(each, nodes.Const) for each in sides)
        if len(sides) > constants + 1 or node.ops[0].op in _MEMBERSHIP:
            node.expr = self._charge_value(node.expr)
            for each in node.ops:
                each.expr = self._charge_value(each.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802  Jinja's own
        """Charge a slice for the copy that it makes; the sandbox charges any other lookup."""
        self.generic_visit(node)
        if isinstance(node.arg, nodes.Slice):
            node.node = self._call("charge_slice", node.lineno, node.node)
        return node

    def visit_List(self, node: nodes.List | nodes.Tuple | nodes.Dict) -> nodes.Expr:  # noqa: N802  Jinja's own
        """Bound what the template writes as a list: an entry may be another list."""
        self.generic_visit(node)
        is_target = isinstance(node, nodes.Tuple) and node.ctx != "load"
        fixed = is_target or all(isinstance(each, nodes.Const) for each in node.iter_child_nodes())
        return node if fixed else self._call("made", node.lineno, node)

    visit_Tuple = visit_Dict = visit_List  # noqa: N815  Jinja's own

    def visit_ScopedEvalContextModifier(self, node: nodes.ScopedEvalContextModifier) -> nodes.Node:  # noqa: N802  Jinja's own
        """Reject `autoescape`: what it prints has methods that nothing bounds."""
        raise TemplateSyntaxError('"autoescape" is not available: everything printed is already escaped', node.lineno)

    def visit_Pair(self, node: nodes.Pair) -> nodes.Node:  # noqa: N802  Jinja's own
        """Charge for hashing the key."""
        self.generic_visit(node)
        node.key = self._charge_value(node.key)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  Jinja's own
        """Charge for the text that `~` makes."""
        self.generic_visit(node)
        return self._call("concat", node.lineno, nodes.List(node.nodes))

    def _charge(self, node: nodes.Node, body: Sequence[nodes.Node] = ()) -> nodes.Node:
        """A statement that charges the base cost, the fixed text, and a part of the expressions."""
        texts = sum(len(data.data) for each in body for data in each.find_all(nodes.TemplateData))
        expressions = sum(1 for each in body for _ in each.find_all(nodes.Expr))
        cost = nodes.Const(TURN_COST + texts + expressions // _EXPRESSIONS_FOR_ONE)
        return nodes.ExprStmt(self._call("charge", node.lineno, cost)).set_lineno(node.lineno)

    def _charge_value(self, value: nodes.Expr) -> nodes.Expr:
        return value if isinstance(value, nodes.Const) else self._call("charge_value", value.lineno, value)

    def _print(self, call: nodes.Expr) -> nodes.Node:
        return nodes.Output([call]).set_lineno(call.lineno)

    def _call(self, name: str, lineno: int, *arguments: nodes.Expr) -> nodes.Expr:
        call = self._extension.call_method(name, list(arguments), lineno=lineno)
        call.set_lineno(lineno)
        return call
