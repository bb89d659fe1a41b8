"""Prove that no value of a subject matches all wanted patterns and no excluded one.

Texts are infinite, so patterns of texts are compared by a small automaton. States, flags and numbers of alerts are
tried one by one with the operators themselves. `False` only means that nothing was proven.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from math import floor, isfinite
from typing import Final

from relay.model.incident import State
from relay.routes.match_keys import ValueType
from relay.routes.operators import Between, Combined, Exactly, Exists, Glob, Regex, SubjectValues, Wanted

MAX_STATES: Final = 300
"""How many states of an automaton are visited before the proof is given up."""
MAX_PATTERNS: Final = 3
"""How many patterns may cover another one together; if there are more, only single patterns are tried."""
_MAX_EXACT: Final = 2**53
"""Above this, floats do not represent all whole numbers."""


# --- one value of a finite set ---

_VALUES: Final[Mapping[ValueType, Sequence[SubjectValues]]] = {
    ValueType.STATE: [SubjectValues((state.value,)) for state in State],
    ValueType.FLAG: [SubjectValues((text,)) for text in ("true", "false")],
}


def no_value(value_type: ValueType, claims: Sequence[tuple[Wanted, bool]]) -> bool:
    """Whether no single value gives each operator the result that its claim says."""
    if value_type is ValueType.TEXT:
        return False
    values = _VALUES.get(value_type) or _numbers(claims)
    return bool(values) and not any(
        all(wanted.matches(value) is positive for wanted, positive in claims) for value in values
    )


def _numbers(claims: Sequence[tuple[Wanted, bool]]) -> Sequence[SubjectValues]:
    """Zero, and the numbers at and beside each bound: between bounds nothing changes. None if one is too large."""
    bounds = [bound for wanted, _ in claims for bound in _bounds(wanted) if isfinite(bound)]
    if any(abs(bound) >= _MAX_EXACT for bound in bounds):
        return ()
    counts = {0, *(floor(bound) + step for bound in bounds for step in (-1, 0, 1))}
    return [SubjectValues((str(count),)) for count in counts if count >= 0]


def _bounds(wanted: Wanted) -> Sequence[float]:
    match wanted:
        case Between(least=least, most=most):
            return least, most
        case Combined(these=these):
            return [bound for each in these for bound in _bounds(each)]
        case Exactly() | Glob() | Regex() | Exists():
            return ()


# --- texts ---


def no_text(wanted: Wanted, excluded: Sequence[Wanted]) -> bool:
    """Whether no text matches `wanted` and nothing in `excluded`. None of them may be a list, a mapping or `not`."""
    if wanted in excluded:
        return True
    match wanted:
        case Exactly(text=text):
            value = SubjectValues((text,))
            # Only regular expressions are case-sensitive: they must match every spelling.
            one_spelling = text.isascii() and text.upper() == text
            return any(each.matches(value) for each in excluded if one_spelling or not isinstance(each, Regex))
        case Glob():
            return _covered(_tokens(wanted), excluded)
        case Between(measure=measure, least=least, most=most):
            ranges = [each for each in excluded if isinstance(each, Between) and each.measure is measure]
            if any(each.least <= least and most <= each.most for each in ranges):
                return True
    return _covered((_Wild.MANY,), excluded)


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
    for run in ("", _UNUSED):  # two texts of the pattern: usually one of them disproves the claim at once
        stands_for = {_Wild.ONE: _UNUSED, _Wild.MANY: run}
        text = "".join(token if isinstance(token, str) else stands_for[token] for token in pattern)
        if not any(each.matches(SubjectValues((text,))) for each in known):
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


def _closure(pattern: _Pattern, positions: Iterable[int]) -> _Positions:
    """These positions, and those after a `*` that may be empty."""
    reached = set(positions)
    for position, token in enumerate(pattern):
        if token is _Wild.MANY and position in reached:
            reached.add(position + 1)
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
