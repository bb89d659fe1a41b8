"""The block tags: each runs its body, marks what came of it, and keeps a failure inside.

    {% section %} ... {% endsection %}        summary, header, accessory, fields, context, quote, pre, actions too
    {% bar COLOUR %} ... {% endbar %}         field LABEL and button URL too
    {% image URL, "read out for it" %}        the second argument may be left out
    {% divider %}                             mentions and relay_actions too
    {% blocks %} ... {% endblocks %}          raw Block Kit as YAML (`relay.rendering.engine.rawyaml`)

An argument is run like a body, so that a failing one costs the argument alone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from typing import Any, Final, TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser

from relay.rendering.blocks import marks
from relay.rendering.blocks.marks import NodeKind
from relay.rendering.context import Item, without_marks
from relay.rendering.engine.budget import Spent, watch
from relay.rendering.engine.layout import laid_out
from relay.rendering.engine.positions import counted
from relay.rendering.engine.rawyaml import BadYaml, read_blocks

_WITH_BODY: Final = frozenset(
    {
        *(NodeKind.SUMMARY, NodeKind.HEADER, NodeKind.SECTION, NodeKind.ACCESSORY, NodeKind.FIELDS),
        *(NodeKind.CONTEXT, NodeKind.QUOTE, NodeKind.PRE, NodeKind.ACTIONS),
    }
)
_ARGUMENTS: Final = {
    NodeKind.FIELD: "a label",
    NodeKind.BUTTON: "a url",
    NodeKind.BAR: "a colour",
    NodeKind.IMAGE: "a url",
}
PARAGRAPH: Final = frozenset(
    {NodeKind.SUMMARY, NodeKind.SECTION, NodeKind.CONTEXT, NodeKind.QUOTE, NodeKind.PRE, NodeKind.MENTIONS}
)
"""What makes the paragraph that an entry is."""
_INSIDE: Final = frozenset({NodeKind.FIELD, NodeKind.BUTTON, NodeKind.RELAY_ACTIONS, NodeKind.ARGUMENT, NodeKind.SLOT})
"""What stands inside of others only, so that they are told of."""
T = TypeVar("T")
_ALONE: Final = frozenset({NodeKind.DIVIDER, NodeKind.MENTIONS, NodeKind.RELAY_ACTIONS})
ALONE: Final = frozenset(kind.value for kind in (*_ALONE, NodeKind.IMAGE))
"""The tags that have no end."""


def out_of_place(tree: nodes.Template) -> Iterator[tuple[int, NodeKind]]:
    """The tags of a template that make more than a paragraph, with their lines."""
    for node in tree.find_all(nodes.CallBlock):
        called, arguments = node.call.node, node.call.args
        if isinstance(called, nodes.ExtensionAttribute) and called.identifier == BlockTags.identifier:
            kind = NodeKind(arguments[0].as_const())
            if kind not in PARAGRAPH | _INSIDE:
                yield node.lineno, kind


class BlockTags(Extension):
    """Relay's tags, for Jinja's parser; and what the code of a template calls for them while it runs."""

    tags = {kind.value for kind in NodeKind} - {NodeKind.ARGUMENT.value, NodeKind.SLOT.value}

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002  Jinja's
        """Take away what is layout of the file, and marks that somebody typed into it."""
        return laid_out(without_marks(source))

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        """Let every token know its place, so that faults stand at theirs."""
        return counted(stream)

    def parse(self, parser: Parser) -> nodes.Node:
        """One tag, from its name on."""
        token = next(parser.stream)
        kind = NodeKind(token.value)
        if kind in _WITH_BODY:
            return self._part(kind, token.lineno, self._body(parser, kind))
        if kind in _ARGUMENTS and parser.stream.current.type == "block_end":
            wanted = _ARGUMENTS[kind]
            parser.fail(f"{kind.value} needs {wanted}: {{% {kind.value} {wanted.split()[-1].upper()} %}}", token.lineno)
        if kind in _ARGUMENTS and kind is not NodeKind.IMAGE:
            argument = self._argument(parser.parse_expression())
            return self._part(kind, token.lineno, [argument, *self._body(parser, kind)])
        if kind in _ALONE:
            return self._part(kind, token.lineno, [])
        if kind is NodeKind.IMAGE:
            return self._part(kind, token.lineno, self._arguments(parser))
        return self._raw(parser, token.lineno)

    def part(self, kind: str, caller: Callable[[], str]) -> str:
        """Run a part; one that fails is left out, and the rest of the template goes on."""
        try:
            return marks.part(NodeKind(kind), caller())
        except Spent:
            raise
        except Exception as error:  # noqa: BLE001  whatever a value does to a template costs that part alone
            watch().failed(error)
            return ""

    def pay(self, amount: int) -> None:
        """A turn of a loop or a call of a macro is about to be run."""
        watch().spend(amount)

    def read(self, value: T) -> T:
        """The value, which is about to be compared or looked up with all that is in it."""
        watch().read(value)
        return value

    def sliced(self, value: T) -> T:
        """The value, of which a part is about to be taken."""
        watch().glance(len(value) if isinstance(value, Sized) else 0)
        return value

    def listed(self, item: Any) -> str:
        """The mark before an item of a list."""
        if not isinstance(item, Item):
            return ""
        mark = marks.item(item.noun, str(item.get("state", "")))
        watch().listing |= bool(mark)
        return mark

    def list_ended(self) -> str:
        """The mark after a list, where there was one."""
        listing, watch().listing = watch().listing, False
        return marks.list_end() if listing else ""

    def concat(self, values: Sequence[Any]) -> str:
        """What `~` makes of these."""
        watch().read(*values)
        texts = [str(value) for value in values if value is not None]
        watch().spend(sum(map(len, texts)))
        return "".join(texts)

    def _part(self, kind: NodeKind, lineno: int, body: list[nodes.Node]) -> nodes.Node:
        call = self.call_method("part", [nodes.Const(kind.value)])
        return nodes.CallBlock(call, [], [], body).set_lineno(lineno)

    def _body(self, parser: Parser, kind: NodeKind) -> list[nodes.Node]:
        return parser.parse_statements((f"name:end{kind.value}",), drop_needle=True)

    def _argument(self, expression: nodes.Expr) -> nodes.Node:
        output = nodes.Output([expression]).set_lineno(expression.lineno)
        return self._part(NodeKind.ARGUMENT, expression.lineno, [output])

    def _arguments(self, parser: Parser) -> list[nodes.Node]:
        arguments = [self._argument(parser.parse_expression())]
        if parser.stream.skip_if("comma"):
            arguments.append(self._argument(parser.parse_expression()))
        return arguments

    def _raw(self, parser: Parser, lineno: int) -> nodes.Node:
        """What stands in `blocks` arrives as one text (`laid_out` sees to it)."""
        parser.stream.expect("block_end")
        data = parser.stream.next_if("data")
        parser.stream.expect("block_begin")
        parser.stream.expect("name:endblocks")
        if data is None:
            return self._part(NodeKind.BLOCKS, lineno, [])
        try:
            raw = read_blocks(data.value)
        except BadYaml as error:
            parser.fail(str(error), data.lineno + error.line)
        shape = nodes.Output([nodes.TemplateData(marks.skeleton(raw.shape))]).set_lineno(lineno)
        slots = [self._slot(parser, source, data.lineno + line) for source, line in raw.slots]
        return self._part(NodeKind.BLOCKS, lineno, [shape, *slots])

    def _slot(self, parser: Parser, source: str, lineno: int) -> nodes.Node:
        """A string of the YAML, as a template of its own."""
        try:
            template = Parser(self.environment, source, parser.name, parser.filename).parse()
        except TemplateSyntaxError as error:
            parser.fail(error.message or "", lineno + error.lineno - 1)
        for node in template.find_all(nodes.Node):
            node.lineno = lineno + (node.lineno or 1) - 1
        return self._part(NodeKind.SLOT, lineno, template.body)
