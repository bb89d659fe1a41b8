"""The sandbox in which templates run: what they may call and how much they may cost.

Jinja's own sandbox keeps templates away from Python, but limits neither the size of a value nor the length of a run.
Here methods and filters are on a list, operators are checked before they make a value (`safe_ops`), and every loop,
macro and value that is made, read, compared or printed is charged (`metering`, `budget`).
"""

from collections.abc import Callable
from typing import Any, Final

from jinja2 import ChainableUndefined, nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Cycler, Joiner, Namespace

from relay.rendering.engine.budget import current_run
from relay.rendering.engine.filters import FILTERS
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
from relay.rendering.engine.tag_extension import TagExtension

_STR_METHODS: Final = frozenset(
    "capitalize casefold count endswith find index isalnum isalpha isdecimal isdigit islower isnumeric "  # noqa: SIM905
    "isspace istitle isupper join lower lstrip partition removeprefix removesuffix replace rfind rindex rpartition "
    "rsplit rstrip split splitlines startswith strip swapcase title upper".split()
)
JINJA_FILTERS: Final = frozenset(
    "abs capitalize count d default dictsort filesizeformat first float groupby int items last length "  # noqa: SIM905
    "list lower map max min reject rejectattr reverse round select selectattr sort string title trim truncate unique "
    "upper urlencode wordcount".split()
)
"""Jinja's own filters that templates may use as they are."""


class TemplateSandbox(ImmutableSandboxedEnvironment):
    """The Jinja environment of all templates of one library."""

    intercepted_binops = CHECKED_OPERATORS

    def __init__(self, **options: Any) -> None:
        super().__init__(
            undefined=ChainableUndefined, finalize=printed, extensions=[TagExtension], autoescape=False, **options
        )
        filters = {**{name: JINJA[name] for name in JINJA_FILTERS}, **BOUNDED_FILTERS, **FILTERS}
        self.filters = {name: charged(filter_) for name, filter_ in filters.items()}
        self.tests = {name: charged(test) for name, test in dict[str, Any](self.tests).items()}
        self.globals = {"range": bounded_range, "namespace": Namespace, "cycler": Cycler, "joiner": Joiner}

    def join_path(self, template: str, parent: str) -> str:
        """Find a bare name beside the file that names it."""
        return template if "/" in template else f"{parent.rpartition('/')[0]}/{template}"

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a mapping's entries to its methods: `entry.items` is the entry's `items`."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

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
            return obj(*args, **{name: value for name, value in kwargs.items() if name == "caller"})
        if isinstance(owner, str):
            current_run().charge_values(owner, *args)
            if bounded := BOUNDED_METHODS.get(getattr(obj, "__name__", "")):
                return bounded(owner, *args, **kwargs)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Check the operands, then calculate."""
        check_operands(operator, left, right)
        return super().call_binop(context, operator, left, right)

    def _generate(self, source: nodes.Template, *args: Any, **kwargs: Any) -> str:
        """Add the metering before Jinja turns the template into code."""
        extension: Any = self.extensions[TagExtension.identifier]
        Metering(extension).visit(source)
        source.set_environment(self)
        return super()._generate(source, *args, **kwargs)
