"""Bounded versions of the operators, filters and methods with which a short template could make a huge value."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

from jinja2 import Environment, Undefined, pass_environment
from jinja2.filters import FILTERS, do_indent, make_attrgetter

from relay.rendering.blocks.characters import close_code
from relay.rendering.engine.budget import current_run

_LARGEST_VALUE: Final = 100_000
"""Characters of a text, or entries of a list, that a template may make."""

_LONGEST_RANGE: Final = 1_000
_MOST_BITS: Final = 512
_WIDE_FORMAT: Final = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{3})")


class ValueTooLarge(ValueError):
    """A value that is larger than any message; it costs the tag in which it would be made."""


def printed(value: Any) -> str:
    """What `{{ value }}` prints: nothing for an absent value, a list's entries with commas between them."""
    if isinstance(value, str):
        text = value
    elif value is None or callable(value) or isinstance(value, Undefined):
        return ""
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name}: {printed(part)}" for name, part in value.items())
    elif isinstance(value, Sequence | set | frozenset):
        text = ", ".join(map(printed, value))
    else:
        text = str(value)
    current_run().charge_length(len(text))
    return close_code(text) if "`" in text else text


def bounded_range(*limits: int) -> range:
    """Return a `range` that is short enough to loop over."""
    numbers = range(*limits)
    if len(numbers) > _LONGEST_RANGE:
        raise ValueTooLarge(f"range() of {len(numbers):,} numbers; the limit is {_LONGEST_RANGE:,}")
    return numbers


def charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter or test so that reading its arguments is charged."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja passes its context or environment first

    @wraps(function)
    def charging(*values: Any, **named: Any) -> Any:
        current_run().charge_values(*values[passed:], *named.values())
        return function(*values, **named)

    return charging


def _joined(separator: str, values: Iterable[Any]) -> str:
    texts = [printed(value) for value in values]
    current_run().charge(len(separator) * len(texts))
    return separator.join(texts)


@pass_environment
def _join(environment: Environment, values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    return _joined(str(separator), _attributes(environment, values, attribute))


def _replace(text: Any, old: str, new: str, count: int | None = None) -> str:
    before = str(text)
    _check_length(len(before) + before.count(str(old)) * len(str(new)))
    return before.replace(str(old), str(new), -1 if count is None else count)


def _format(pattern: Any, *values: Any, **named: Any) -> str:
    _check_widths(str(pattern))
    return str(pattern) % (named or values)


def _indent(text: Any, width: int = 4, *, first: bool = False, blank: bool = False) -> str:
    _check_length(len(str(text)) + width * (1 + str(text).count("\n")))
    indented: str = do_indent(str(text), width, first, blank)
    return indented


@pass_environment
def _sum(environment: Environment, values: Iterable[Any], attribute: str | None = None, start: Any = 0) -> Any:
    """Numbers only: adding lists one by one would copy them each time."""
    if not isinstance(start, int | float):
        raise ValueTooLarge("sum adds only numbers; give it a number as start")
    return sum(_attributes(environment, values, attribute), start)


def _attributes(environment: Environment, values: Iterable[Any], attribute: str | None) -> Iterable[Any]:
    return values if attribute is None else map(make_attrgetter(environment, attribute), values)


def _counted(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """`batch` and `slice` make as many entries as a template asks for."""

    @wraps(filter_)
    def bounded(value: Any, count: int, fill_with: Any = None) -> Any:
        _check_length(abs(count) * 100)
        return filter_(value, count, fill_with)

    return bounded


def check_operands(operator: str, left: Any, right: Any) -> None:
    """Check and charge what one of `CHECKED_OPERATORS` is about to make."""
    listed = (str, bytes, list, tuple)
    match operator:
        case "+" if isinstance(left, listed) and isinstance(right, listed):
            _check_length(len(left) + len(right))
        case "*":
            for value, times in ((left, right), (right, left)):
                if isinstance(value, listed):
                    _check_length(len(value) * max(0, int(times)))
                elif isinstance(value, int) and value.bit_length() > _MOST_BITS:
                    raise ValueTooLarge("* makes a number that is too large")
        case "**" if abs(right) * max(1, int(abs(left)).bit_length()) > _MOST_BITS:
            raise ValueTooLarge("** makes a number that is too large")
        case "%" if isinstance(left, str):
            _check_widths(left)
            current_run().charge_values(right)


def _check_widths(pattern: str) -> None:
    if _WIDE_FORMAT.search(pattern):
        raise ValueTooLarge("a format that is 100 characters wide or more; use a smaller width")


def _check_length(length: int) -> None:
    if length > _LARGEST_VALUE:
        raise ValueTooLarge(f"a value of {length:,} characters or entries; the limit is {_LARGEST_VALUE:,}")
    current_run().charge(length)


CHECKED_OPERATORS: Final = frozenset({"+", "*", "**", "%"})
"""The operators whose operands are checked before they make anything."""

BOUNDED_METHODS: Final[Mapping[str, Callable[..., str]]] = {"join": _joined, "replace": _replace}
"""Methods of texts that replace Python's."""

BOUNDED_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "batch": _counted(FILTERS["batch"]),
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "slice": _counted(FILTERS["slice"]),
    "sum": _sum,
}
"""Filters that replace Jinja's."""
