"""What a value under `match` asks for: one class for each form, judged on all the values that are seen.

Where several values are seen, one that matches is enough; where none is seen, the thing is absent, and everything but
`Opposite` and `Exists(wanted=False)` fails. Each part of a mapping is judged on its own, so `{all: [a, b]}` holds where
one value is `a` and another is `b`; `min` and `max` of one mapping are one range, in which one value must lie.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, assert_never

import re2

from relay.model.incident import State

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")

_REMEMBERED, _SHORT = 32, 256
"""How many answers a pattern remembers, and about values of what length at most: a thousand of them stay small."""


@dataclass(frozen=True)
class SubjectValues:
    """The values that an incident has for one thing, as they are and without regard to case."""

    values: tuple[str, ...]

    @cached_property
    def folded(self) -> tuple[str, ...]:
        """The same, as they are compared."""
        return tuple(value.casefold() for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exactly:
    """That very text, in any case. `text` is casefolded."""

    text: str

    def holds(self, seen: SubjectValues) -> bool:
        """Whether one value is it."""
        return self.text in seen.folded


@dataclass(frozen=True, slots=True, kw_only=True)
class Glob:
    """A text with `*` (any run of characters) and `?` (any one). `text` is casefolded."""

    text: str
    fits: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile it: the usual shapes need no regular expression."""
        object.__setattr__(self, "fits", _glob(self.text))

    def holds(self, seen: SubjectValues) -> bool:
        """Whether one value fits it as a whole."""
        return any(map(self.fits, seen.folded))


@dataclass(frozen=True, slots=True, kw_only=True)
class Regex:
    """An RE2 pattern over the whole value, in its own case; `.` is any character, a line's end too.

    Raises:
        ValueError: RE2 does not take the pattern; why, in its words.
    """

    pattern: str
    fits: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Compile it."""
        object.__setattr__(self, "fits", _compiled(self.pattern))

    def holds(self, seen: SubjectValues) -> bool:
        """Whether one value fits it as a whole."""
        return any(map(self.fits, seen.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """From `least` to `most`, both included, as `measure` reads a value (None: it has no measure, and does not fit)."""

    measure: Callable[[str], float | None]
    least: float = float("-inf")
    most: float = float("inf")

    def holds(self, seen: SubjectValues) -> bool:
        """Whether one value lies there."""
        measured = map(self.measure, seen.folded)
        return any(each is not None and self.least <= each <= self.most for each in measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """Whether there is a value at all."""

    wanted: bool

    def holds(self, seen: SubjectValues) -> bool:
        """Whether that is so."""
        return bool(seen.values) is self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Opposite:
    """The exact opposite: it holds where `of` does not, absence included."""

    of: "Wanted"

    def holds(self, seen: SubjectValues) -> bool:
        """Whether `of` fails."""
        return not self.of.holds(seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """One of them is enough."""

    these: "tuple[Wanted, ...]"

    def holds(self, seen: SubjectValues) -> bool:
        """Whether one of them holds."""
        return any(each.holds(seen) for each in self.these)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllOf:
    """Each of them, on whichever of the values."""

    these: "tuple[Wanted, ...]"

    def holds(self, seen: SubjectValues) -> bool:
        """Whether all of them hold."""
        return all(each.holds(seen) for each in self.these)


Wanted = Exactly | Glob | Regex | Between | Exists | Opposite | AnyOf | AllOf


def words_of(wanted: Wanted) -> frozenset[str] | None:
    """The casefolded values of which one must be seen for it to hold; None where nothing so plain can be said."""
    match wanted:
        case Exactly(text=text):
            return frozenset({text})
        case AnyOf(these=these):
            each = [words_of(one) for one in these]
            return frozenset().union(*(words for words in each if words is not None)) if None not in each else None
        case AllOf(these=these):
            known = [words for one in these if (words := words_of(one)) is not None]
            return min(known, key=len, default=None)
        case Glob() | Regex() | Between() | Exists() | Opposite():
            return None
        case _:
            assert_never(wanted)


def number_of(text: str) -> float | None:
    """The number that a text is, if it is one."""
    stripped = text.strip()
    return float(stripped) if _NUMBER.fullmatch(stripped) else None


def rank_of(text: str) -> float | None:
    """Where a state's word stands, from `resolved` (0) to `critical` (4); None for any other word."""
    return _RANKS.get(text)


_RANKS: dict[str, float] = {state.value: state.rank for state in State}


def _glob(text: str) -> Callable[[str], bool]:
    """Test whole casefolded values; linear in their length, whatever the pattern."""
    middle = text.strip("*")
    if "*" not in middle and "?" not in text:
        if text.startswith("*"):
            return (lambda value: middle in value) if text.endswith("*") else (lambda value: value.endswith(middle))
        return lambda value: value.startswith(middle)
    wild = {"*": ".*", "?": "."}
    return _compiled("".join(wild.get(character) or re2.escape(character) for character in text))


def re2_reason(error: Exception) -> str:
    """What RE2 has against a pattern, in its words, which come as bytes."""
    told = error.args[0]
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


def _compiled(pattern: str) -> Callable[[str], bool]:
    """Test whole values. RE2 takes bytes at less cost than text, and the same few values come again and again."""
    options: Any = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.dot_nl = True
    try:
        fullmatch = re2.compile(pattern, options).fullmatch
    except re2.error as error:
        raise ValueError(re2_reason(error)) from error

    def fits(value: str) -> bool:
        return fullmatch(value.encode(errors="replace")) is not None

    remembered = lru_cache(maxsize=_REMEMBERED)(fits)
    return lambda value: remembered(value) if len(value) <= _SHORT else fits(value)
