"""Prove that no value of a subject matches what is wanted and nothing that is excluded.

Texts are infinite, so patterns of texts are compared by a small automaton. States, flags and numbers of alerts are
tried one by one with the operators themselves. `False` only means that nothing was proven.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from math import floor, isfinite
from typing import Final

from relay.model.incident import State
from relay.routes.match_keys import ValueType
from relay.routes.operators import AllOf, AnyOf, Between, Exactly, Exists, Glob, Opposite, Regex, SubjectValues, Wanted

MAX_STATES: Final = 300
"""How many states of an automaton are visited before the proof is given up."""
MAX_PATTERNS: Final = 3
"""How many patterns may cover another one together; if there are more, only single patterns are tried."""
_MAX_EXACT: Final = 2**53
"""Above this, floats do not represent all whole numbers."""


# --- one value of a finite set ---


def no_value(value_type: ValueType, claims: Sequence[tuple[Wanted, bool]]) -> bool:
    """Whether no single value gives each operator the result that its claim says."""
    values = _values(value_type, [wanted for wanted, _ in claims])
    if values is None:
        return False
    return not any(all(wanted.matches(value) is positive for wanted, positive in claims) for value in values)


def _values(value_type: ValueType, wanted: Sequence[Wanted]) -> Iterable[SubjectValues] | None:
    """Every value that can make a difference; None if they cannot be listed."""
    match value_type:
        case ValueType.STATE:
            return [SubjectValues((state.value,)) for state in State]
        case ValueType.FLAG:
            return [SubjectValues(("true",)), SubjectValues(("false",))]
        case ValueType.NUMBER:
            return _counts([bound for each in wanted for bound in _bounds(each)])
        case ValueType.TEXT:
            return None


def _counts(bounds: Sequence[float]) -> list[SubjectValues] | None:
    """Zero, and the numbers at and beside each bound: between bounds nothing changes."""
    finite = [bound for bound in bounds if isfinite(bound)]
    if any(abs(bound) >= _MAX_EXACT for bound in finite):
        return None
    near = {floor(bound) + step for bound in finite for step in (-1, 0, 1)}
    return [SubjectValues((str(count),)) for count in sorted({0, *near}) if count >= 0]


def _bounds(wanted: Wanted) -> Iterator[float]:
    match wanted:
        case Between(least=least, most=most):
            yield from (least, most)
        case Opposite(of=of):
            yield from _bounds(of)
        case AnyOf(these=these) | AllOf(these=these):
            for each in these:
                yield from _bounds(each)
        case Exactly() | Glob() | Regex() | Exists():
            pass


# --- texts ---


def no_text(wanted: Wanted, excluded: Sequence[Wanted]) -> bool:
    """Whether no text matches `wanted` and nothing in `excluded`. None of them may be a list, a mapping or `not`."""
    if wanted in excluded:
        return True
    match wanted:
        case Exactly(text=text):
            return any(_matches_any_case(text, each) for each in excluded)
        case Glob():
            return _covered(_tokens(wanted), excluded)
        case Between():
            return any(_within(wanted, each) for each in excluded) or _covered((_Wild.MANY,), excluded)
        case _:
            return _covered((_Wild.MANY,), excluded)


def _matches_any_case(folded: str, wanted: Wanted) -> bool:
    """Whether every spelling of a casefolded text matches; only regular expressions are case-sensitive."""
    if isinstance(wanted, Regex) and not (folded.isascii() and folded.upper() == folded):
        return False
    return wanted.matches(SubjectValues((folded,)))


def _within(inner: Between, outer: Wanted) -> bool:
    return (
        isinstance(outer, Between)
        and inner.measure is outer.measure
        and outer.least <= inner.least
        and inner.most <= outer.most
    )


class _Wild(Enum):
    ONE = auto()
    MANY = auto()


_Token = str | _Wild
_Pattern = tuple[_Token, ...]
_Positions = frozenset[int]

_UNUSED: Final = "\x00"
_WILD: Final = {"?": _Wild.ONE, "*": _Wild.MANY}


def _tokens(wanted: Wanted) -> _Pattern:
    """The pattern of an exact text, of a glob, or of any text."""
    match wanted:
        case Exactly(text=text):
            return tuple(text)
        case Glob(text=text):
            return tuple(_WILD.get(character, character) for character in text)
        case _:
            return (_Wild.MANY,)


def _covered(pattern: _Pattern, excluded: Sequence[Wanted]) -> bool:
    """Whether every text of the pattern matches one of `excluded`."""
    known = [each for each in excluded if isinstance(each, Exactly | Glob | Exists)]
    if any(not any(each.matches(SubjectValues((text,))) for each in known) for text in _examples(pattern)):
        return False
    patterns = [_tokens(each) for each in known]
    together = len(patterns) <= MAX_PATTERNS and _is_subset(pattern, tuple(patterns))
    return together or any(_is_subset(pattern, (each,)) for each in patterns)


@lru_cache(maxsize=10_000)
def _is_subset(pattern: _Pattern, patterns: tuple[_Pattern, ...]) -> bool:
    """The same for patterns: run all automata side by side over any text."""
    every = (pattern, *patterns)
    letters = {token for each in every for token in each if isinstance(token, str)}
    alphabet = ("", *sorted(letters))  # the empty one stands for every letter that no pattern names
    start = tuple(_closure(each, {0}) for each in every)
    seen, todo = {start}, [start]
    while todo:
        state = todo.pop()
        ends = [len(each) in positions for each, positions in zip(every, state, strict=True)]
        if ends[0] and not any(ends[1:]):
            return False
        for letter in alphabet:
            after = tuple(_step(each, positions, letter) for each, positions in zip(every, state, strict=True))
            if after[0] and after not in seen:
                seen.add(after)
                todo.append(after)
        if len(seen) > MAX_STATES:
            return False
    return True


def _examples(pattern: _Pattern) -> Iterator[str]:
    """Two texts of the pattern: usually one of them disproves the claim at once."""
    for run in ("", _UNUSED):
        stands_for = {_Wild.ONE: _UNUSED, _Wild.MANY: run}
        yield "".join(token if isinstance(token, str) else stands_for[token] for token in pattern)


def _closure(pattern: _Pattern, positions: Iterable[int]) -> _Positions:
    """These positions, and those after a `*` that may be empty."""
    reached: set[int] = set()
    for position in positions:
        reached.add(position)
        while position < len(pattern) and pattern[position] is _Wild.MANY:
            position += 1  # noqa: PLW2901  passes a run of stars
            reached.add(position)
    return frozenset(reached)


def _step(pattern: _Pattern, positions: _Positions, letter: str) -> _Positions:
    moved: set[int] = set()
    for position in positions:
        token = pattern[position] if position < len(pattern) else None
        if token is _Wild.MANY:
            moved.add(position)
        elif token is _Wild.ONE or (token is not None and token == letter):
            moved.add(position + 1)
    return _closure(pattern, moved)
