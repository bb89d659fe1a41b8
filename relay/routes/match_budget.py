"""What comparing one incident with all routes may cost, since senders decide how much there is to read.

Routes are evaluated in a transaction that writes: it stores the share, or follows later if many arrive. No
other share is stored meanwhile, so one incident delays all others by what it costs. Each comparison has a price: the
nanoseconds that it takes at most. They follow from the length of the text and, for a pattern, from its size. Small
readings are paid in advance. Large ones are timed, since most take a hundredth of their price. What costs too much is
not read, and nobody knows then whether it matches: `Unread` says so.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, Protocol, TypeVar

T = TypeVar("T")
Facts = TypeVar("Facts", contravariant=True)  # noqa: PLC0105  the usual suffix says less

MATCH_SECONDS: Final = 0.02
"""Processor time for the large readings of one incident. The largest record has some 600,000 characters;
`.*error.{0,200}timeout.*` reads them in 10 ms, and in 0.3 s where the text was written to slow it down."""

MOST_AT_ONCE: Final = 22_000_000
"""Nanoseconds that one reading may take. A pattern cannot be interrupted."""

SMALL: Final = 20_000
"""Nanoseconds up to which a reading is paid in advance: timing it would cost more than most of them take."""

PREPAID: Final = 5_000_000
"""Nanoseconds for all small readings."""

ProcessorTime = Callable[[], float]
"""Returns the processor time of this thread in seconds (`time.thread_time`)."""


def untimed() -> float:
    """A processor time that never passes: only `MOST_AT_ONCE` limits what is read."""
    return 0.0


class Unread(Exception):
    """Comparing this would take too long, so nobody knows whether it matches."""


class MatchBudget:
    """What is left for comparisons with one incident: `MATCH_SECONDS`, `PREPAID` and one last reading at the most."""

    __slots__ = ("_now", "_prepaid", "_seconds")

    def __init__(self, now: ProcessorTime = untimed, seconds: float = MATCH_SECONDS) -> None:
        self._now = now
        self._seconds = seconds
        self._prepaid = PREPAID

    def read(self, price: int, read: Callable[[T], bool], value: T) -> bool:
        """Return `read(value)`, which takes at most `price` nanoseconds.

        Raises Unread: it costs more than is left.
        """
        if price <= SMALL and price <= self._prepaid:
            self._prepaid -= price
            return read(value)
        if price > MOST_AT_ONCE or self._seconds <= 0:
            raise Unread
        began = self._now()
        result = read(value)
        self._seconds -= self._now() - began
        return result


class Matcher(Protocol[Facts]):
    """A condition, or an operator of one."""

    def matches(self, facts: Facts, /) -> bool:
        """Whether these facts match."""


def combined(key: Literal["any", "all", "not"], parts: Iterable[Matcher[Any]], facts: Any) -> bool:
    """Whether one of the parts matches (`any`), each (`all`) or none (`not`).

    Raises Unread: a part was not read, and the others do not decide.
    """
    decisive, unread = key != "all", False
    for part in parts:
        try:
            if part.matches(facts) is decisive:
                return key == "any"
        except Unread:
            unread = True
    if unread:
        raise Unread
    return key != "any"
