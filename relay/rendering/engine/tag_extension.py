"""The Jinja extension of the block tags: each runs its body, marks the result, and fails alone.

    {% section %} ... {% endsection %}        a tag with an end
    {% bar COLOUR %} ... {% endbar %}         a tag with an argument and an end
    {% image URL, "what it shows" %}          a tag without an end; the second argument is optional
    {% blocks %} ... {% endblocks %}          Block Kit as YAML (`relay.rendering.engine.raw_yaml`)

`relay.rendering.blocks.tags` lists them all. An argument runs like a body, so that one that fails costs only itself.

A template can be indented as its tags nest, and `{% for %}` can have a line of its own: indentation is removed, and so
are line breaks after lines that hold only tags. Inside `{% raw %}`, `{% pre %}` and `{% blocks %}` every blank counts.
No line moves, so that faults name the right line.
"""

import re
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, Final, TypeVar

from jinja2 import TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.parser import Parser

from relay.rendering.blocks import marks
from relay.rendering.blocks.marks import ItemMark, Skeleton
from relay.rendering.blocks.tags import BLOCK_TAGS, NodeKind
from relay.rendering.context import Item, without_marks
from relay.rendering.engine.budget import BudgetExceeded, current_run
from relay.rendering.engine.positions import with_positions
from relay.rendering.engine.raw_yaml import InvalidBlocks, parse_blocks

_TAG: Final = r"\{%(?!-?\s*(?:raw|pre|blocks)\b)(?:(?!%\}).)*%\}|\{#(?:(?!#\}).)*#\}"
_LAYOUT: Final = re.compile(
    r"(?P<blocks>\{%-?\s*blocks\s*-?%\})(?P<yaml>.*?)(?=\{%-?\s*endblocks\b|(?P<unclosed>\Z))"
    r"|(?P<kept>\{%-?\s*raw\s*-?%\}.*?(?:\{%-?\s*endraw\b|\Z)|\{%-?\s*pre\s*-?%\}.*?(?:\{%-?\s*endpre\b|\Z))"
    rf"|(?P<line>^[ \t]*(?:(?:{_TAG})[ \t]*)+\n)"
    r"|(?P<comment>\{#.*?(?:#\}|\Z))"
    r"|(?P<tag>\{%(?!-?\s*(?:raw|pre|blocks)\b)(?:(?!%\}).)*(?:%\}|\Z))"  # else each line in it is read to its end
    r"|(?P<indentation>^[ \t]+)",
    re.MULTILINE | re.DOTALL,
)
_LAST_END: Final = re.compile(r"([-+]?[%#]\})[ \t]*\n\Z")

_MOST_TOKENS: Final = 10_000
"""Words and signs inside the tags of one file; relay's own card has about 1,200."""

T = TypeVar("T")


class TagExtension(Extension):
    """Parses relay's tags, and has the methods that the compiled template calls while it runs."""

    tags = set(BLOCK_TAGS)  # noqa: RUF012  Jinja's

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002  Jinja's
        """Remove the layout of the file, and characters that relay's marks are made of."""
        return _LAYOUT.sub(_without_layout, without_marks(source))

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        """Give every token its position, so that faults can name it; a file with too many takes seconds to compile."""
        for count, token in enumerate(with_positions(stream)):
            if count > _MOST_TOKENS:
                message = (
                    f"more than {_MOST_TOKENS:,} words and signs inside tags; move a part of the file into another"
                )
                raise TemplateSyntaxError(message, token.lineno, stream.name, stream.filename)
            yield token

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse one tag, from its name on."""
        token = next(parser.stream)
        kind = BLOCK_TAGS[token.value]
        if kind is NodeKind.BLOCKS:
            return self._blocks(parser, token.lineno)
        tag = kind.value
        body = []
        if tag.argument:
            if parser.stream.current.type == "block_end":
                parser.fail(f"{tag.name} needs {tag.argument}: {{% {tag.usage} %}}", token.lineno)
            body.append(self._argument(parser))
        if tag.optional_argument and parser.stream.skip_if("comma"):
            body.append(self._argument(parser))
        if tag.has_end:
            body += parser.parse_statements((f"name:end{tag.name}",), drop_needle=True)
        return self._part(kind, token.lineno, body)

    def part(self, kind: str, caller: Callable[[], str]) -> str:
        """Run a tag's body. One that fails is left out, and the rest of the template is rendered."""
        try:
            return marks.part(NodeKind[kind], caller())
        except BudgetExceeded:
            raise
        except Exception as error:  # noqa: BLE001  whatever a value does to a template costs this tag alone
            current_run().record(error)
            return ""

    def charge(self, amount: int, value: T | None = None) -> T | None:
        """Charge for a turn of a loop, a call of a macro or a test of an item; return the value."""
        current_run().charge(amount)
        return value

    def made(self, value: Any) -> Any:
        """Bound and charge a list, tuple or dict that the template writes, and return it."""
        return current_run().made(value)

    def charge_value(self, value: T) -> T:
        """Charge for comparing or looking up this value, and return it."""
        current_run().charge_values(value)
        return value

    def charge_slice(self, value: T) -> T:
        """Charge for slicing this value, and return it."""
        current_run().charge_length(len(value) if isinstance(value, Sized) else 0)
        return value

    def mark_item(self, item: Any) -> str:
        """Return the mark before an item of a list; nothing before any other value."""
        if not isinstance(item, Item) or item.noun not in marks.COUNTED_NOUNS:
            return ""
        current_run().in_list = True
        state = str(item.get("state", ""))
        return marks.token(ItemMark(item.noun, state if state in marks.STATES else ""))

    def mark_list_end(self) -> str:
        """Return the mark after a list, if there was one."""
        run = current_run()
        in_list, run.in_list = run.in_list, False
        return marks.token(marks.LIST_END) if in_list else ""

    def concat(self, values: Sequence[Any]) -> str:
        """Join the operands of `~`."""
        current_run().charge_values(*values)
        texts = [str(value) for value in values if value is not None]
        current_run().charge(sum(map(len, texts)))
        return "".join(texts)

    def _part(self, kind: NodeKind, lineno: int, body: list[nodes.Node]) -> nodes.Node:
        call = self.call_method("part", [nodes.Const(kind.name)])
        return nodes.CallBlock(call, [], [], body).set_lineno(lineno)

    def _argument(self, parser: Parser) -> nodes.Node:
        expression = parser.parse_expression()
        output = nodes.Output([expression]).set_lineno(expression.lineno)
        return self._part(NodeKind.ARGUMENT, expression.lineno, [output])

    def _blocks(self, parser: Parser, lineno: int) -> nodes.Node:
        """The content of `blocks` arrives as one text, because `_without_layout` makes it raw."""
        parser.stream.expect("block_end")
        data = parser.stream.next_if("data")
        parser.stream.expect("block_begin")
        parser.stream.expect("name:endblocks")
        if data is None:
            return self._part(NodeKind.BLOCKS, lineno, [])
        try:
            parsed = parse_blocks(data.value)
        except InvalidBlocks as error:
            parser.fail(str(error), data.lineno + error.line)
        skeleton = nodes.Output([nodes.TemplateData(marks.token(Skeleton(parsed.skeleton)))]).set_lineno(lineno)
        slots = [self._slot(parser, source, data.lineno + line) for source, line in parsed.slots]
        return self._part(NodeKind.BLOCKS, lineno, [skeleton, *slots])

    def _slot(self, parser: Parser, source: str, lineno: int) -> nodes.Node:
        """A string of the YAML, as a template of its own."""
        try:
            template = Parser(self.environment, source, parser.name, parser.filename).parse()
        except TemplateSyntaxError as error:
            parser.fail(error.message or "", lineno + error.lineno - 1)
        for node in template.find_all(nodes.Node):
            node.lineno = lineno + (node.lineno or 1) - 1
        return self._part(NodeKind.SLOT, lineno, template.body)


def _without_layout(match: re.Match[str]) -> str:
    if match["blocks"] and match["unclosed"] is None:
        return f"{match['blocks']}{{% raw %}}{match['yaml']}{{% endraw %}}"
    if match["line"]:
        # The line break moves into the last tag: it prints nothing there, and still counts as a line.
        return _LAST_END.sub(r"\n\1", match["line"].lstrip(" \t"))
    return "" if match["indentation"] else match.group()
