"""The operators of `match`: one class for each, evaluated on all values of a subject.

If a subject has several values, one matching value is enough. If it has none, every operator fails, except `not` and
`Exists(wanted=False)`. Each part of a mapping is evaluated on its own: `{all: [a, b]}` matches if one value is `a`
and another is `b`. `min` and `max` of one mapping are one range, in which one value must lie.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, assert_never

import re2

from relay.model.incident import State

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")

_CACHE_SIZE, _CACHED_LENGTH = 32, 256
"""How many results a pattern caches, and the longest value that it caches: a thousand caches stay small."""


@dataclass(frozen=True)
class SubjectValues:
    """The values of one subject of an incident."""

    values: tuple[str, ...]

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The values, casefolded for comparisons."""
        return tuple(value.casefold() for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """Exact text, in any case. `text` is casefolded."""

    text: str

    def matches(self, subject: SubjectValues) -> bool:
        """Whether one value is this text."""
        return self.text in subject.folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """Text with `*` (any characters) and `?` (one character). `text` is casefolded."""

    text: str
    matches_value: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches_value", _glob(self.text))

    def matches(self, subject: SubjectValues) -> bool:
        """Whether it matches one whole value."""
        return any(map(self.matches_value, subject.folded))


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """An RE2 pattern for the whole value, case-sensitive; `.` matches any character, line ends too.

    Raises ValueError: RE2 rejects the pattern; the message is RE2's.
    """

    pattern: str
    matches_value: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "matches_value", _compiled(self.pattern))

    def matches(self, subject: SubjectValues) -> bool:
        """Whether it matches one whole value."""
        return any(map(self.matches_value, subject.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """A range that includes both ends. `measure` turns a value into a number, or None if it has none."""

    measure: Callable[[str], float | None]
    least: float = float("-inf")
    most: float = float("inf")

    def matches(self, subject: SubjectValues) -> bool:
        """Whether one value lies in the range."""
        measured = map(self.measure, subject.folded)
        return any(each is not None and self.least <= each <= self.most for each in measured)


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
        results = (each.matches(subject) for each in self.these)
        return all(results) if self.key == "all" else any(results) is (self.key == "any")


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


def _glob(text: str) -> Callable[[str], bool]:
    """Test whole casefolded values, in linear time for every pattern. The usual shapes need no regular expression."""
    middle = text.strip("*")
    if "*" not in middle and "?" not in text:
        if text.startswith("*"):
            return (lambda value: middle in value) if text.endswith("*") else (lambda value: value.endswith(middle))
        return lambda value: value.startswith(middle)
    wild = {"*": ".*", "?": "."}
    return _compiled("".join(wild.get(character) or re2.escape(character) for character in text))


def re2_reason(error: Exception) -> str:
    """The message of an RE2 error, which may be bytes."""
    message = error.args[0]
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)


def _compiled(pattern: str) -> Callable[[str], bool]:
    """Test whole values. RE2 is faster on bytes than on text, and a few values come again and again."""
    options: Any = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.dot_nl = True
    try:
        fullmatch = re2.compile(pattern, options).fullmatch
    except re2.error as error:
        raise ValueError(re2_reason(error)) from error

    def matches(value: str) -> bool:
        return fullmatch(value.encode(errors="replace")) is not None

    cached = lru_cache(maxsize=_CACHE_SIZE)(matches)
    return lambda value: cached(value) if len(value) <= _CACHED_LENGTH else matches(value)
