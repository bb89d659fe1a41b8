"""What one run of a template may cost, and what failed in it.

One budget is charged for every turn of a loop, every macro call, and every character that is made, read or printed. So
each run ends soon. No clock is used: a card must not depend on how busy the machine is. A run that exceeds its
budget fails as a whole; any other failure costs only the tag in which it happens.

A value that a template makes is also bounded in size and depth (`made`). Python hashes, compares and prints a value in
one step that nothing can interrupt, and reads an inner list as often as it occurs.
"""

from collections.abc import ItemsView, Iterable, Iterator, KeysView, Sized, ValuesView
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import islice
from typing import Any, Final, TypeAlias

from jinja2.runtime import LoopContext

from relay.rendering.engine.failures import failure_of
from relay.rendering.request import TemplateFailure

RUN_BUDGET: Final = 300_000
"""What a run may cost, in characters made: enough to list 300 alerts with twenty tags, more than a message holds."""

CHARACTERS_READ_FOR_ONE: Final = 8
"""How many characters may be read or printed for the price of one that is made. The slowest filter needs half a
microsecond for each, so that a whole budget lasts about a second."""

TURN_COST: Final = 20
"""What a turn of a loop or a call of a macro costs, beside what it prints."""

LARGEST_VALUE: Final = 100_000
"""Characters of a text, or entries of a list with everything inside it, that a template may make."""

_MOST_LEVELS: Final = 20
"""How deeply lists may nest: Python hashes, compares and prints a list by recursion, without a check of its depth."""

_MOST_BITS: Final = 1_024
_MOST_FAILURES: Final = 20
_CONTAINERS: Final = (list, tuple, set, frozenset, dict, KeysView, ValuesView, ItemsView)


class ValueTooLarge(ValueError):
    """A value that is larger than any message; it costs the tag in which it would be made."""


class BudgetExceeded(Exception):
    """The run costs too much."""


class TemplateRun:
    """The budget and the failures of one run."""

    def __init__(self) -> None:
        self.remaining = RUN_BUDGET
        self.failures: list[TemplateFailure] = []
        self.in_list = False

    def charge(self, amount: int) -> None:
        """Take from the budget, never add to it; raises `BudgetExceeded` when it is used up."""
        self.remaining -= max(0, amount)
        if self.remaining < 0:
            raise BudgetExceeded(f"the template loops or prints too much; the limit is {RUN_BUDGET:,} steps")

    def charge_values(self, *values: Any) -> None:
        """Charge for reading, comparing or printing these values with everything inside them."""
        most = self.remaining * CHARACTERS_READ_FOR_ONE
        self.charge_length(sum(_value_size(value, most) for value in values))

    def charge_length(self, length: int) -> None:
        """Charge for reading so many characters or entries."""
        self.charge(-(-length // CHARACTERS_READ_FOR_ONE))

    def made(self, value: Any) -> Any:
        """Bound and charge a value that the template has made; an iterator becomes a list.

        Raises:
            ValueTooLarge: it has too many entries or levels, or is a number with too many digits.
        """
        if isinstance(value, str):  # almost every value; whatever made it has bounded and charged its length
            return value
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueTooLarge("a number with too many digits")
        if isinstance(value, Iterator) and not isinstance(value, LoopContext):
            value = list(islice(value, LARGEST_VALUE + 1))
        if isinstance(value, _CONTAINERS):
            try:
                entries = _entries_within(value)
            except ValueTooLarge:
                self.charge_length(LARGEST_VALUE)  # so many were counted
                raise
            self.charge_length(entries)
        return value

    def record(self, error: Exception) -> None:
        """Keep a failure; only the first few of many are kept."""
        if len(self.failures) < _MOST_FAILURES:
            self.failures.append(failure_of(error))


_CURRENT: ContextVar[TemplateRun | None] = ContextVar("relay_template_run", default=None)


@contextmanager
def start_run() -> Iterator[TemplateRun]:
    """Make a new run the current one."""
    run = TemplateRun()
    token = _CURRENT.set(run)
    try:
        yield run
    finally:
        _CURRENT.reset(token)


def current_run() -> TemplateRun:
    """The run in progress; a new one while a template is only being compiled."""
    return _CURRENT.get() or TemplateRun()


_Level: TypeAlias = dict[int, tuple[Any, int]]
"""By identity, the containers on one level of a value, each with how often Python would read it."""


def _value_size(value: Any, limit: int) -> int:
    """Count the characters and entries in a value and everything inside it; stop soon after `limit`.

    A list that holds one other list a thousand times is as large as it is to read, although it takes little memory.
    A sequence that makes its entries on demand counts by its length.
    """
    if isinstance(value, str):  # almost every value
        return 1 + len(value)
    total = 0
    level: _Level = {0: ((value,), 1)}
    while level and total <= limit:
        inner: _Level = {}
        for container, times in level.values():
            for each in _entries(container):
                is_sized, is_container = _shape(each.__class__)
                total += times * (1 + len(each)) if is_sized else times
                if is_container:
                    _add(inner, each, times)
        level = inner
    return total


def _entries_within(value: Any) -> int:
    """Count the entries of a container and of everything inside it, each as often as Python would read it."""
    total = 0
    level: _Level = {0: (value, 1)}
    for _ in range(_MOST_LEVELS):
        total += sum(len(container) * times for container, times in level.values())
        if total > LARGEST_VALUE:
            raise ValueTooLarge(f"a list of more than {LARGEST_VALUE:,} entries with everything inside it")
        inner: _Level = {}
        for container, times in level.values():
            for each in _entries(container):
                if _shape(each.__class__)[1]:
                    _add(inner, each, times)
        if not inner:
            return total
        level = inner
    raise ValueTooLarge(f"lists inside lists, more than {_MOST_LEVELS} levels deep")


def _add(level: _Level, container: Any, times: int) -> None:
    """Add a container that is read so often; one that is there already is not read again, only counted."""
    _, before = level.get(id(container), (container, 0))
    level[id(container)] = container, before + times


def _entries(container: Any) -> Iterable[Any]:
    return (*container.keys(), *container.values()) if isinstance(container, dict) else container


@cache
def _shape(kind: type) -> tuple[bool, bool]:
    """Whether values of a type have a length, and whether they are containers; `isinstance` is slow for views."""
    return issubclass(kind, Sized), issubclass(kind, _CONTAINERS)
