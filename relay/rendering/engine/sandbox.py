"""The sandbox that templates run in: what they may call, and how much they may cost.

Jinja's own sandbox keeps templates away from Python; it bounds neither the size of a value nor the length of a run.
Here methods and filters are allow-listed, operators look at what they would make before they make it (`bounds`), and
every loop and macro, and every value that is made, read, compared or printed, is paid for (`prices`, `watch`).
"""

from collections.abc import Callable
from typing import Any, Final, NoReturn

from jinja2 import ChainableUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from relay.rendering.engine.budget import watch
from relay.rendering.engine.filters import FILTERS
from relay.rendering.engine.metering import Prices
from relay.rendering.engine.safe_ops import BOUNDED_FILTERS, METHODS, OPERATORS, bounded_range, paid, printed
from relay.rendering.engine.tags import BlockTags


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STR_METHODS: Final = _words(
    "capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle "
    "isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition rsplit rstrip split "
    "splitlines startswith strip swapcase title upper"
)
JINJA_FILTERS: Final = _words(
    "abs capitalize count d default dictsort filesizeformat first float groupby int items last length list lower map "
    "max min reject rejectattr reverse round select selectattr sort string sum title trim truncate unique upper "
    "urlencode wordcount"
)


class Sandbox(ImmutableSandboxedEnvironment):
    """The environment of all templates of one library."""

    intercepted_binops = frozenset(OPERATORS)

    def __init__(self, **options: Any) -> None:
        """Allow what is listed above, and nothing that Jinja may add."""
        super().__init__(
            undefined=ChainableUndefined, finalize=printed, extensions=[BlockTags], autoescape=False, **options
        )
        filters = {**{name: JINJA[name] for name in JINJA_FILTERS}, **BOUNDED_FILTERS, **FILTERS}
        self.filters = {name: paid(filter_) for name, filter_ in filters.items()}
        tests: dict[str, Any] = self.tests
        self.tests = {name: paid(test) for name, test in tests.items()}
        self.globals = {"range": bounded_range, "namespace": Namespace, "cycler": Cycler, "joiner": Joiner}

    def join_path(self, template: str, parent: str) -> str:
        """A bare name is a file beside the one that names it."""
        return template if "/" in template else f"{parent.rpartition('/')[0]}/{template}"

    def getattr(self, obj: Any, attribute: str) -> Any:
        """What a mapping holds goes before its methods: `entry.items` are the items of the entry."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Of plain values, only methods that cannot cost much."""
        if isinstance(obj, str) and hasattr(str, attr):
            return attr in _STR_METHODS
        if isinstance(obj, int | float | bytes):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format` can print any number of blanks; the filter `format` is there instead."""
        return _no_format if super().wrap_str_format(value) is not None else None

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls. Relay's tags are called often and safe; some methods of text are measured."""
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, BlockTags):
            return obj(*args, **{name: value for name, value in kwargs.items() if name == "caller"})
        if isinstance(owner, str):
            watch().read(owner, *args)
            if measured := METHODS.get(getattr(obj, "__name__", "")):
                return measured(owner, *args, **kwargs)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute, where the outcome is of a size that a message can need."""
        OPERATORS[operator](left, right)
        return super().call_binop(context, operator, left, right)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        """Put a price on loops and macros before the template becomes code (a hook of Jinja's)."""
        tags: Any = self.extensions[BlockTags.identifier]
        Prices(tags).visit(source)
        source.set_environment(self)
        return super()._generate(source, *args, **kwargs)


def _no_format(*_: Any, **__: Any) -> NoReturn:
    raise SecurityError('text has no method "format" here: use the filter, "%s is %s" | format(a, b)')
