"""Bounded versions of what makes much of little: operators, filters and methods that a short template could abuse."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

from jinja2 import Environment, Undefined, pass_environment
from jinja2.filters import FILTERS, do_indent, make_attrgetter

from relay.rendering.blocks.characters import balanced
from relay.rendering.engine.budget import watch

LONGEST: Final = 100_000
"""Characters of a string, or entries of a list, that a template may make."""

_RANGE: Final = 1_000
_BITS: Final = 512
_WIDTHS: Final = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{3})")


class TooLarge(ValueError):
    """A value that no message has room for; it costs the part in which it was to be made."""


def printed(value: Any) -> str:
    """What `{{ value }}` prints: nothing for what is absent, a list's entries with commas between them."""
    if value is None or isinstance(value, Undefined):
        return ""
    text = value if isinstance(value, str) else _as_text(value)
    watch().glance(len(text))
    return balanced(text) if "`" in text else text


def bounded_range(*limits: int) -> range:
    """A `range` that a template may run through."""
    numbers = range(*limits)
    if len(numbers) > _RANGE:
        raise TooLarge(f"range() of {len(numbers):,} numbers: a template counts to {_RANGE:,} at most")
    return numbers


def _as_text(value: Any) -> str:
    if callable(value):
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {printed(part)}" for name, part in value.items())
    if isinstance(value, Sequence | set | frozenset):
        return ", ".join(map(printed, value))
    return str(value)


def _joined(separator: str, values: Iterable[Any]) -> str:
    texts = [printed(value) for value in values]
    watch().spend(len(separator) * len(texts))
    return separator.join(texts)


@pass_environment
def _join(environment: Environment, values: Iterable[Any], separator: str = "", attribute: str | None = None) -> str:
    found = values if attribute is None else map(make_attrgetter(environment, attribute), values)
    return _joined(str(separator), found)


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
    """Numbers alone: lists that are added up one by one are copied each time."""
    if not isinstance(start, int | float):
        raise TooLarge("sum adds up numbers, and begins with one")
    return sum(values if attribute is None else map(make_attrgetter(environment, attribute), values), start)


def paid(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same filter or test, for the price of reading what it is given."""
    given = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja's own context or environment comes first

    @wraps(function)
    def reading(*values: Any, **named: Any) -> Any:
        watch().read(*values[given:], *named.values())
        return function(*values, **named)

    return reading


def _counted(filter_: Callable[..., Any]) -> Callable[..., Any]:
    """`batch` and `slice` make as many entries as they are told to."""

    @wraps(filter_)
    def bounded(value: Any, count: int, fill_with: Any = None) -> Any:
        _check_length(abs(count) * 100)
        return filter_(value, count, fill_with)

    return bounded


def _check_power(base: Any, exponent: Any) -> None:
    if abs(exponent) * max(1, int(abs(base)).bit_length()) > _BITS:
        raise TooLarge("** makes a number that is too large")


def _check_product(left: Any, right: Any) -> None:
    for value, times in ((left, right), (right, left)):
        if isinstance(value, str | bytes | list | tuple):
            _check_length(len(value) * max(0, int(times)))
        elif isinstance(value, int) and value.bit_length() > _BITS:
            raise TooLarge("* makes a number that is too large")


def _check_sum(left: Any, right: Any) -> None:
    if isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
        _check_length(len(left) + len(right))


def _check_modulo(left: Any, right: Any) -> None:
    if isinstance(left, str):
        _check_widths(left)
        watch().read(right)


def _check_widths(pattern: str) -> None:
    if _WIDTHS.search(pattern):
        raise TooLarge("a format of a hundred characters' width or more")


def _check_length(length: int) -> None:
    if length > LONGEST:
        raise TooLarge(f"a value of {length:,} characters or entries: the limit is {LONGEST:,}")
    watch().spend(length)


OPERATORS: Final[Mapping[str, Callable[[Any, Any], None]]] = {
    "+": _check_sum,
    "*": _check_product,
    "**": _check_power,
    "%": _check_modulo,
}
"""What is looked at before an operator makes anything."""

METHODS: Final[Mapping[str, Callable[..., str]]] = {"join": _joined, "replace": _replace}
"""Methods of text that are called in place of Python's."""

BOUNDED_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "batch": _counted(FILTERS["batch"]),
    "format": _format,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "slice": _counted(FILTERS["slice"]),
    "sum": _sum,
}
"""Filters in place of Jinja's."""
