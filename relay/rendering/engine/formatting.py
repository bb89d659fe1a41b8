"""Marks the formatting that a template's author wrote, so that no value formats anything.

Stars, underscores, tildes and backticks format words in the text of a file, and in a constant that is printed as it is
(`{{ "*new*" if incident.active }}`). In everything else that a template prints they are characters like any other.
"""

from jinja2 import nodes
from jinja2.visitor import NodeVisitor

from relay.rendering.blocks.marks import formatted


class FormattingMarks(NodeVisitor):
    """Rewrites the texts of one template's tree."""

    def visit_TemplateData(self, node: nodes.TemplateData) -> None:  # noqa: N802  Jinja's own
        """Mark the formatting in a text of the file."""
        node.data = formatted(node.data)

    def visit_Output(self, node: nodes.Output) -> None:  # noqa: N802  Jinja's own
        """Mark the constants that are printed."""
        for each in node.nodes:
            _mark_constants(each)
        self.generic_visit(node)


def _mark_constants(node: nodes.Expr) -> None:
    match node:
        case nodes.Const(value=str(text)):
            node.value = formatted(text)
        case nodes.CondExpr(expr1=first, expr2=second):
            _mark_constants(first)
            if second is not None:
                _mark_constants(second)
        case nodes.Or(left=first, right=second) | nodes.And(left=first, right=second):
            _mark_constants(first)
            _mark_constants(second)
        case nodes.Concat(nodes=parts):
            for part in parts:
                _mark_constants(part)
