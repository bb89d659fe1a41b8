"""The operators of `match`: one class for each, evaluated on all values of a subject.

If a subject has several values, one matching value is enough. If it has none, every operator fails, except `not` and
`Exists(wanted=False)`. Each part of a mapping is evaluated on its own: `{all: [a, b]}` matches if one value is `a`
and another is `b`. `min` and `max` of one mapping are one range, in which one value must lie.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, assert_never

import re2

from relay.model.incident import State
from relay.routes.match_budget import MOST_AT_ONCE, MatchBudget, Unread, combined

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")

_CACHE_SIZE, _CACHED_LENGTH = 32, 256
"""How many results a pattern caches, and the longest value that it caches: a thousand caches stay small."""

MAX_PATTERN_SIZE = 5_000
"""RE2's instructions of one pattern (https://github.com/google/re2/wiki/WhyRE2). `.{0,500}` has about 4,000."""

PATTERN_MEMORY = 1024**2
"""Bytes that RE2 may use for one pattern, most of them to remember what it has seen
(https://github.com/google/re2/blob/main/re2/re2.h, `max_mem`)."""

_NS_PER_STEP = 7
"""Nanoseconds that a pattern takes for one byte and one of its positions, where the text was written to slow it down.
RE2 is linear in both. Most texts take a hundredth."""

_NS_PER_CHARACTER, _NS_PER_VALUE = 1, 400
"""Nanoseconds that a glob or a range takes for a character and for a value, at the most."""


@dataclass(frozen=True)
class SubjectValues:
    """The values of one subject of an incident, and what comparing them may cost."""

    values: tuple[str, ...]
    budget: MatchBudget = field(default_factory=MatchBudget, compare=False, repr=False)

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The values, casefolded for comparisons."""
        return tuple(value.casefold() for value in self.values)

    @cached_property
    def folded_set(self) -> frozenset[str]:
        """The same without order: looking up one of ten thousand costs as much as one of ten."""
        return frozenset(self.folded)

    @cached_property
    def price(self) -> int:
        """Nanoseconds that it takes at the most to read all values once, without a pattern."""
        return _NS_PER_VALUE * len(self.values) + _NS_PER_CHARACTER * sum(map(len, self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """Exact text, in any case. `text` is casefolded."""

    text: str

    def matches(self, subject: SubjectValues) -> bool:
        """Whether one value is this text."""
        return self.text in subject.folded_set


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """Text with `*` (any characters) and `?` (one character). `text` is casefolded.

    Raises ValueError: it is too large.
    """

    text: str
    compiled: "Callable[[str], bool] | _Pattern" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", _glob(self.text))

    def matches(self, subject: SubjectValues) -> bool:
        """Whether it matches one whole value."""
        compiled = self.compiled
        if isinstance(compiled, _Pattern):
            return compiled.matches(subject.folded, subject.budget)
        return subject.budget.read(subject.price, lambda folded: any(map(compiled, folded)), subject.folded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """An RE2 pattern for the whole value, case-sensitive; `.` matches any character, line ends too.

    Raises ValueError: RE2 rejects the pattern; the message is RE2's. Or it is too large.
    """

    pattern: str
    compiled: "_Pattern" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "compiled", _Pattern(self.pattern))

    def matches(self, subject: SubjectValues) -> bool:
        """Whether it matches one whole value."""
        return self.compiled.matches(subject.values, subject.budget)


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A range that includes both ends. `measure` turns a value into a number, or None if it has none."""

    measure: Callable[[str], float | None]
    least: float = float("-inf")
    most: float = float("inf")

    def matches(self, subject: SubjectValues) -> bool:
        """Whether one value lies in the range."""
        return subject.budget.read(subject.price, self._matches_any, subject.folded)

    def _matches_any(self, folded: Sequence[str]) -> bool:
        return any(each is not None and self.least <= each <= self.most for each in map(self.measure, folded))


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """Presence of any value, or absence."""

    wanted: bool

    def matches(self, subject: SubjectValues) -> bool:
        """Whether presence is as wanted."""
        return bool(subject.values) is self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """Operators of which one (`any`), each (`all`, possibly on different values) or none (`not`) must match.

    `not` has a single part. It matches an absent value if that part does not.
    """

    key: Literal["any", "all", "not"]
    these: "tuple[Wanted, ...]"

    def matches(self, subject: SubjectValues) -> bool:
        """Whether the operators match as the key says."""
        return combined(self.key, self.these, subject)


def longest_read(wanted: Glob | Regex) -> int | None:
    """The most bytes of a value that relay compares with a pattern; None if there is no such limit."""
    pattern = wanted.compiled
    return pattern.longest if isinstance(pattern, _Pattern) else None


Wanted = Exactly | Glob | Regex | Between | Exists | Combined


def required_words(wanted: Wanted) -> frozenset[str] | None:
    """Casefolded values of which a subject must have one for a match; None if there is no such set."""
    match wanted:
        case Exactly(text=text):
            return frozenset({text})
        case Combined(key="any", these=these):
            each = [required_words(one) for one in these]
            return frozenset().union(*(words for words in each if words is not None)) if None not in each else None
        case Combined(key="all", these=these):
            known = [words for one in these if (words := required_words(one)) is not None]
            return min(known, key=len, default=None)
        case Glob() | Regex() | Between() | Exists() | Combined():
            return None
        case _:
            assert_never(wanted)


def number_of(text: str) -> float | None:
    """The number in a text, or None."""
    stripped = text.strip()
    return float(stripped) if _NUMBER.fullmatch(stripped) else None


def rank_of(text: str) -> float | None:
    """The rank of a state, from `resolved` (0) to `critical` (4); None for any other word."""
    return _RANKS.get(text)


_RANKS: dict[str, float] = {state.value: state.rank for state in State}


def _glob(text: str) -> "Callable[[str], bool] | _Pattern":
    """Test whole casefolded values, in linear time for every pattern. The usual shapes need no regular expression."""
    middle = text.strip("*")
    if "*" not in middle and "?" not in text:
        if text.startswith("*"):
            return (lambda value: middle in value) if text.endswith("*") else (lambda value: value.endswith(middle))
        return lambda value: value.startswith(middle)
    wild = {"*": ".*", "?": "."}
    return _Pattern("".join(wild.get(character) or re2.escape(character) for character in text))


def re2_reason(error: Exception) -> str:
    """The message of an RE2 error, which may be bytes."""
    message = error.args[0]
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)


class _Pattern:
    """A compiled pattern for whole values. RE2 is faster on bytes than on text; a few values come again and again.

    Raises ValueError: RE2 rejects the pattern, or it is too large.
    """

    def __init__(self, pattern: str) -> None:
        options: Any = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.dot_nl = True
        options.max_mem = PATTERN_MEMORY
        try:
            compiled = re2.compile(pattern, options)
        except re2.error as error:
            reason = re2_reason(error)
            raise ValueError(_TOO_LARGE if reason.startswith("pattern too large") else reason) from error
        if compiled.programsize > MAX_PATTERN_SIZE:
            raise ValueError(_TOO_LARGE)
        self.price_per_byte: int = _positions(pattern, options, compiled.programsize) * _NS_PER_STEP
        self._fullmatch = compiled.fullmatch
        self._cached = lru_cache(maxsize=_CACHE_SIZE)(self._matches)

    def matches(self, values: Sequence[str], budget: MatchBudget) -> bool:
        """Whether it matches one whole value. Raises Unread: it could not read all, and what it read does not match."""
        unread = False
        for value in values:
            try:
                if budget.read(self._price(value), self._matches_value, value):
                    return True
            except Unread:
                unread = True
        if unread:
            raise Unread
        return False

    @property
    def longest(self) -> int:
        """The most bytes of a value that it reads."""
        return MOST_AT_ONCE // self.price_per_byte

    def _price(self, value: str) -> int:
        length = len(value) if value.isascii() else len(value.encode(errors="replace"))
        return length * self.price_per_byte

    def _matches_value(self, value: str) -> bool:
        return self._cached(value) if len(value) <= _CACHED_LENGTH else self._matches(value)

    def _matches(self, value: str) -> bool:
        return self._fullmatch(value.encode(errors="replace")) is not None


def _positions(pattern: str, options: Any, most: int) -> int:
    """How many places of a pattern RE2 may have to follow at a time: its size where each character is one byte.

    In UTF-8, `.` has eight instructions, of which a text is at one. Characters beyond Latin-1 count as its last one.
    """
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        positions: int = re2.compile(_BEYOND_LATIN_1.sub("\xff", pattern).encode("latin-1"), options).programsize
    except re2.error:
        return most
    return min(positions, most)


_BEYOND_LATIN_1 = re.compile("[^\x00-\xff]")

_TOO_LARGE = (
    "the pattern is too large to be fast; write .* for a long gap such as .{0,900}, and fewer or shorter repeats"
)
