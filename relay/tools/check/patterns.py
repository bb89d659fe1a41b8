"""Which values a subject can have at all: whether any of them is what is wanted and nothing that is not.

Texts are without number, so that a language of texts is asked for with a small automaton; states, truths and numbers of
alerts are tried one by one, by the very judgement that incidents meet. Every answer errs to one side: `False` says that
nothing could be shown.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from functools import lru_cache
from math import floor, isfinite
from typing import Final

from relay.model.incident import State
from relay.routes.operators import AllOf, AnyOf, Between, Exactly, Exists, Glob, Opposite, Regex, SubjectValues, Wanted
from relay.routes.subjects import ValueType

MOST_STATES: Final = 300
"""How far an automaton is followed before nothing counts as shown."""
MOST_PATTERNS: Final = 3
"""How many patterns may cover another one together; where there are more, one of them has to do it alone."""
_EXACT: Final = 2**53
"""Beyond it a float is no whole number of its own."""


# --- one value out of a few ---


def no_value(kind: ValueType, claims: Sequence[tuple[Wanted, bool]]) -> bool:
    """Whether no single value makes each claim come out as it says."""
    values = _values(kind, [wanted for wanted, _ in claims])
    if values is None:
        return False
    return not any(all(wanted.holds(seen) is positive for wanted, positive in claims) for seen in values)


def _values(kind: ValueType, wanted: Sequence[Wanted]) -> Iterable[SubjectValues] | None:
    """Every value that can make a difference; None where they cannot be listed."""
    match kind:
        case ValueType.STATE:
            return [SubjectValues((state.value,)) for state in State]
        case ValueType.FLAG:
            return [SubjectValues(("true",)), SubjectValues(("false",))]
        case ValueType.NUMBER:
            return _counts([bound for each in wanted for bound in _bounds(each)])
        case ValueType.TEXT:
            return None


def _counts(bounds: Sequence[float]) -> list[SubjectValues] | None:
    """Zero, and what lies at and beside each bound: between those nothing changes."""
    finite = [bound for bound in bounds if isfinite(bound)]
    if any(abs(bound) >= _EXACT for bound in finite):
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


def no_text(wanted: Wanted, banned: Sequence[Wanted]) -> bool:
    """Whether no text at all is `wanted` and nothing of `banned`; each is a leaf: no list, no mapping, no `not`."""
    if wanted in banned:
        return True
    match wanted:
        case Exactly(text=text):
            return any(_surely_is(text, each) for each in banned)
        case Glob():
            return _covered(_tokens(wanted), banned)
        case Between():
            return any(_within(wanted, each) for each in banned) or _covered((_Wild.MANY,), banned)
        case _:
            return _covered((_Wild.MANY,), banned)


def _surely_is(folded: str, wanted: Wanted) -> bool:
    """Whether each spelling of a casefolded text is what is wanted; case matters to regular expressions alone."""
    if isinstance(wanted, Regex) and not (folded.isascii() and folded.upper() == folded):
        return False
    return wanted.holds(SubjectValues((folded,)))


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
_Places = frozenset[int]

_STRANGE: Final = "\x00"
_WILD: Final = {"?": _Wild.ONE, "*": _Wild.MANY}


def _tokens(wanted: Wanted) -> _Pattern:
    """The pattern of a text, a glob, or of any text at all; none where it is none of these."""
    match wanted:
        case Exactly(text=text):
            return tuple(text)
        case Glob(text=text):
            return tuple(_WILD.get(character, character) for character in text)
        case _:
            return (_Wild.MANY,)


def _covered(pattern: _Pattern, banned: Sequence[Wanted]) -> bool:
    """Whether whatever fits the pattern fits one of those."""
    known = [each for each in banned if isinstance(each, Exactly | Glob | Exists)]
    if any(_slips_through(SubjectValues((text,)), known) for text in _examples(pattern)):
        return False
    patterns = [_tokens(each) for each in known]
    together = len(patterns) <= MOST_PATTERNS and _fits_one_of(pattern, tuple(patterns))
    return together or any(_fits_one_of(pattern, (each,)) for each in patterns)


@lru_cache(maxsize=10_000)
def _fits_one_of(pattern: _Pattern, patterns: tuple[_Pattern, ...]) -> bool:
    """The same of patterns, walking all of them side by side over any text."""
    every = (pattern, *patterns)
    letters = {token for each in every for token in each if isinstance(token, str)}
    alphabet = ("", *sorted(letters))  # the empty one stands for every letter that no pattern names
    start = tuple(_reached(each, {0}) for each in every)
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        ends = [len(each) in places for each, places in zip(every, here, strict=True)]
        if ends[0] and not any(ends[1:]):
            return False
        for letter in alphabet:
            there = tuple(_step(each, places, letter) for each, places in zip(every, here, strict=True))
            if there[0] and there not in seen:
                seen.add(there)
                todo.append(there)
        if len(seen) > MOST_STATES:
            return False
    return True


def _examples(pattern: _Pattern) -> Iterator[str]:
    """Two texts that fit: mostly one of them shows at once that there is nothing to be shown."""
    for run in ("", _STRANGE):
        stands_for = {_Wild.ONE: _STRANGE, _Wild.MANY: run}
        yield "".join(token if isinstance(token, str) else stands_for[token] for token in pattern)


def _slips_through(text: SubjectValues, banned: Sequence[Wanted]) -> bool:
    return not any(each.holds(text) for each in banned)


def _reached(pattern: _Pattern, places: Iterable[int]) -> _Places:
    """Those places, and the ones behind a run that may be empty."""
    reached: set[int] = set()
    for place in places:
        reached.add(place)
        while place < len(pattern) and pattern[place] is _Wild.MANY:
            place += 1  # noqa: PLW2901  a run of stars is walked through
            reached.add(place)
    return frozenset(reached)


def _step(pattern: _Pattern, places: _Places, letter: str) -> _Places:
    moved: set[int] = set()
    for place in places:
        token = pattern[place] if place < len(pattern) else None
        if token is _Wild.MANY:
            moved.add(place)
        elif token is _Wild.ONE or (token is not None and token == letter):
            moved.add(place + 1)
    return _reached(pattern, moved)
