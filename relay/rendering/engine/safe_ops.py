"""Bounded versions of the operators, filters and methods with which a short template could make a huge value."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import Any, Final

from jinja2 import Environment, Undefined, pass_environment
from jinja2.filters import FILTERS, do_indent, make_attrgetter

from relay.rendering.engine.budget import LARGEST_VALUE, ValueTooLarge, current_run

_LONGEST_RANGE: Final = 1_000
_MOST_BITS: Final = 512
_MOST_DIGITS: Final = 20
"""To how many digits `round` rounds."""

_STEPS_FOR_ONE: Final = 2_000
"""How many characters may be compared in a search for the price of one that is made."""

_WIDTHS: Final = re.compile(r"[%)][-#0 +]*([0-9]+|\*)?(?:\.([0-9]+|\*))?")
"""What widens a conversion of `%`: a width and a precision, after the sign or after the name in brackets.

https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting
"""

_WIDEST: Final = 99


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
    return text


def bounded_range(*limits: int) -> range:
    """Return a `range` that is short enough to loop over."""
    numbers = range(*limits)
    if len(numbers) > _LONGEST_RANGE:
        raise ValueTooLarge(f"range() of {len(numbers):,} numbers; the limit is {_LONGEST_RANGE:,}")
    return numbers


def charged(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a filter or test so that reading its arguments is charged, and its result is bounded."""
    passed = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja passes its context or environment first

    @wraps(function)
    def charging(*values: Any, **named: Any) -> Any:
        run = current_run()
        run.charge_values(*values[passed:], *named.values())
        return run.made(function(*values, **named))

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
    _check_format(str(pattern), named or values)
    return str(pattern) % (named or values)


def _round(value: Any, precision: int = 0, method: Any = "common") -> Any:
    if abs(precision) > _MOST_DIGITS:
        raise ValueTooLarge(f"round() to {precision:,} digits; the limit is {_MOST_DIGITS}")
    return FILTERS["round"](value, precision, method)


def _charge_search(text: str, sought: str) -> None:
    """Charge for a search that may compare each character of the one with each of the other."""
    current_run().charge(len(text) * len(sought) // _STEPS_FOR_ONE)


def _searching(name: str) -> Callable[..., Any]:
    """A method of texts that may compare each character of its text with each of its argument."""
    method = getattr(str, name)

    @wraps(method)
    def bounded(text: str, *arguments: Any) -> Any:
        _charge_search(text, next((each for each in arguments if isinstance(each, str)), ""))
        return current_run().made(method(text, *arguments))

    return bounded


def _trim(value: Any, chars: str | None = None) -> str:
    text = str(value)
    _charge_search(text, chars or "")
    return text.strip(chars)


def _indent(text: Any, width: int = 4, *, first: bool = False, blank: bool = False) -> str:
    _check_length(len(str(text)) + max(0, width) * (1 + str(text).count("\n")))
    indented: str = do_indent(str(text), width, first, blank)
    return indented


@pass_environment
def _sum(environment: Environment, values: Iterable[Any], attribute: str | None = None, start: Any = 0) -> Any:
    """Numbers only: adding lists one by one would copy them each time."""
    if not isinstance(start, int | float):
        raise ValueTooLarge("sum adds only numbers; give it a number as start")
    return sum(_attributes(environment, values, attribute), start)


@pass_environment
def _groupby(
    environment: Environment, values: Iterable[Any], attribute: Any, default: Any = None, case_sensitive: Any = None
) -> Any:
    """Bound the keys: Jinja makes one in lower case for each entry, and each may be the default."""
    entries = list(values)
    length = len(entries) * (len(default) if isinstance(default, str) else 1)
    if length > LARGEST_VALUE:
        raise ValueTooLarge(f"groupby with keys of {length:,} characters; the limit is {LARGEST_VALUE:,}")
    current_run().charge_length(length)
    return FILTERS["groupby"](environment, entries, attribute, default, bool(case_sensitive))


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
            _check_format(left, right)


def _check_format(pattern: str, values: Any) -> None:
    """Check and charge what a format makes: it may use a named value as often as it has signs."""
    run = current_run()
    run.charge_values(values)
    widths = [width for found in _WIDTHS.finditer(pattern) for width in found.groups() if width]
    if any(len(width) > len(str(_WIDEST)) or width == "*" for width in widths):
        raise ValueTooLarge(f"a format that is wider than {_WIDEST} characters; use a smaller width")
    if isinstance(values, Mapping):
        uses = pattern.count("%")
        run.charge(uses * max((_printed_length(value) for value in values.values()), default=0))
    run.charge(len(pattern) + _WIDEST * len(widths))


def _printed_length(value: Any) -> int:
    return len(value) if isinstance(value, str) else len(str(value))


def _check_length(length: int) -> None:
    if length > LARGEST_VALUE:
        raise ValueTooLarge(f"a value of {length:,} characters or entries; the limit is {LARGEST_VALUE:,}")
    current_run().charge(length)


CHECKED_OPERATORS: Final = frozenset({"+", "*", "**", "%"})
"""The operators whose operands are checked before they make anything."""

BOUNDED_METHODS: Final[Mapping[str, Callable[..., Any]]] = {
    "join": _joined,
    "replace": _replace,
    **{name: _searching(name) for name in ("strip", "lstrip", "rstrip", "rfind", "rindex", "rpartition", "rsplit")},
}
"""Methods of texts that replace Python's."""

BOUNDED_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "batch": _counted(FILTERS["batch"]),
    "format": _format,
    "groupby": _groupby,
    "indent": _indent,
    "join": _join,
    "replace": _replace,
    "round": _round,
    "slice": _counted(FILTERS["slice"]),
    "sum": _sum,
    "trim": _trim,
}
"""Filters that replace Jinja's."""
