"""The sandbox in which templates run: what they may call and how much they may cost.

Jinja's own sandbox keeps templates away from Python, but limits neither the size of a value nor the length of a run.
Here methods and filters are on a list, and operators are checked before they make a value (`safe_ops`). Every loop and
macro is charged, and every value that is made, read, compared or printed (`metering`, `budget`). Jinja computes nothing
while it compiles, because no run is charged for that.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from jinja2 import ChainableUndefined, TemplateSyntaxError, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace, missing

from relay.rendering.context import TAG_LISTS, AlertList, Tags
from relay.rendering.engine.budget import current_run
from relay.rendering.engine.code_cache import CodeCache
from relay.rendering.engine.filters import FILTERS
from relay.rendering.engine.formatting import FormattingMarks
from relay.rendering.engine.metering import Metering
from relay.rendering.engine.safe_ops import (
    BOUNDED_FILTERS,
    BOUNDED_METHODS,
    CHECKED_OPERATORS,
    bounded_range,
    charged,
    check_operands,
    printed,
)
from relay.rendering.engine.syntax_tree import children
from relay.rendering.engine.tag_extension import TagExtension

_STR_METHODS: Final = frozenset(
    "capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric "  # noqa: SIM905
    "isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition "
    "rsplit rstrip split splitlines startswith strip swapcase title upper".split()
)
JINJA_FILTERS: Final = frozenset(
    "abs capitalize count d default dictsort filesizeformat first float int items last length "  # noqa: SIM905
    "list lower map max min reject rejectattr reverse select selectattr sort string title truncate unique "
    "upper urlencode wordcount".split()
)
"""Jinja's own filters that templates may use as they are."""


_MOST_LEVELS: Final = 60
"""How deeply tags and expressions may nest: Python's compiler takes 100 levels of indentation and 200 of brackets."""

_TOO_DEEP: Final = "tags or expressions are nested too deeply; move a part of the file into a macro"
_LONGEST_NAME: Final = 100

_COMPILED: Final = CodeCache(most=128)
"""Shared by all libraries: their environments differ only in where they find a template."""

_OWNERS_READ: Final = (str, list, tuple)
"""The types whose methods read all of the value."""


class AbsentValue(ChainableUndefined):
    """A value that the incident does not have. Its error does not print the key of the lookup, which may be large."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name = self._undefined_name
        shown = repr(name[:_LONGEST_NAME]) if isinstance(name, str) else "'[...]'"
        owner = "" if isinstance(self._undefined_obj, type(missing)) else type(self._undefined_obj).__name__
        return f"{owner} has no attribute {shown}" if owner else f"{shown} is undefined"


class TemplateNamespace(Namespace):
    """Jinja's namespace, which prints nothing: it can hold itself."""

    def __repr__(self) -> str:
        """Print nothing."""
        return ""


class RuntimeCodeGenerator(CodeGenerator):
    """Computes nothing while it compiles."""

    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if not isinstance(node, nodes.TemplateData):
            raise nodes.Impossible
        return super()._output_child_to_const(node, frame, finalize)


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The Jinja environment of all templates of one library."""

    intercepted_binops = CHECKED_OPERATORS
    code_generator_class = RuntimeCodeGenerator

    def __init__(self, **options: Any) -> None:
        super().__init__(
            undefined=AbsentValue,
            finalize=printed,
            extensions=[TagExtension],
            autoescape=False,
            optimized=False,
            bytecode_cache=_COMPILED,
            **options,
        )
        filters = {**{name: JINJA[name] for name in JINJA_FILTERS}, **BOUNDED_FILTERS, **FILTERS}
        self.filters = {name: charged(filter_) for name, filter_ in filters.items()}
        self.tests = {name: charged(test) for name, test in dict[str, Any](self.tests).items()}
        self.globals = {"range": bounded_range, "namespace": TemplateNamespace, "cycler": Cycler, "joiner": Joiner}

    def join_path(self, template: str, parent: str) -> str:
        """Find a bare name beside the file that names it."""
        return template if "/" in template else f"{parent.rpartition('/')[0]}/{template}"

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a mapping's entries to its methods: `tags.items` is the tag of that name, if there is one."""
        is_list = isinstance(obj, Tags) and attribute in TAG_LISTS
        if isinstance(obj, Mapping) and not is_list and attribute in obj:
            return obj[attribute]
        if isinstance(obj, AlertList):  # its attributes are made of all its alerts
            current_run().charge(len(obj))
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Charge a lookup for hashing its key, and for each part of a path such as `map(attribute="a.b")`.

        A text that is found is charged too: `sort` and `groupby` keep a copy of it in lower case for each lookup.
        """
        run = current_run()
        run.charge_values(argument)
        is_attribute = isinstance(obj, AlertList) and isinstance(argument, str)
        found = self.getattr(obj, argument) if is_attribute else super().getitem(obj, argument)
        if isinstance(found, str):
            run.charge_length(len(found))
        return found

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow only cheap methods of plain values."""
        if isinstance(obj, str) and hasattr(str, attr):
            return attr in _STR_METHODS
        if isinstance(obj, int | float | bytes):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """Replace `str.format`, which can print any number of blanks."""

        def fail(*_: Any, **__: Any) -> str:
            raise SecurityError('the method "format" is not available; use the filter: "%s is %s" | format(a, b)')

        return fail if super().wrap_str_format(value) is not None else None

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls. Relay's tags are called directly; methods of texts are charged or replaced."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, TagExtension):
            # Jinja's code adds its own variables (`_loop_vars`, `_block_vars`), which only `Context.call` accepts.
            return obj(*args, **{name: value for name, value in kwargs.items() if name == "caller"})
        run = current_run()
        run.made((args, kwargs))  # a macro can keep them
        if owner is not None:
            run.charge_values(*((owner,) if isinstance(owner, _OWNERS_READ) else ()), *args, *kwargs.values())
        if isinstance(owner, str) and (bounded := BOUNDED_METHODS.get(getattr(obj, "__name__", ""))):
            return bounded(owner, *args, **kwargs)
        return run.made(super().call(context, obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Check the operands, then calculate."""
        check_operands(operator, left, right)
        return current_run().made(super().call_binop(context, operator, left, right))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Parse a source; whatever stops the parser becomes a fault with a line."""
        parser = None
        try:
            parser = Parser(self, source, name, filename)
            tree = parser.parse()
        except (RecursionError, ValueError) as error:
            message = _TOO_DEEP if isinstance(error, RecursionError) else "a number with too many digits"
            raise TemplateSyntaxError(message, parser.stream.current.lineno if parser else 1, name, filename) from error
        if too_deep := _below(tree, _MOST_LEVELS):
            raise TemplateSyntaxError(_TOO_DEEP, too_deep.lineno, name, filename)
        return tree

    def _compile(self, source: str, filename: str) -> Any:
        """Compile the code that Jinja has made. Python's compiler has limits too, as 20 loops inside each other."""
        try:
            return super()._compile(source, filename)
        except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
            raise TemplateSyntaxError(_TOO_DEEP, 1, filename, filename) from error

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        """Add the metering before Jinja turns the template into code."""
        extension: Any = self.extensions[TagExtension.identifier]
        FormattingMarks().visit(source)
        Metering(extension).visit(source)
        source.set_environment(self)
        return super()._generate(source, *args, **kwargs)


def _below(tree: nodes.Node, levels: int) -> nodes.Node | None:
    """The last node that is deeper than so many levels, if there is one; found without recursion."""
    level = [tree]
    for _ in range(levels + 1):
        level = [child for node in level for child in children(node)]
    return level[-1] if level else None
