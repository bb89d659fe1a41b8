"""Finds the known word that a misspelt word stands for."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_CHARACTERS_PER_EDIT: Final = 3
"""One wrong character in so many is a slip; more make another word."""

_SHORTEST_BEGINNING: Final = 3
_LONGEST_WORD: Final = 40


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that differs from `word` only by a slip, in any case; empty if there is none.

    A slip is a letter too many, too few, wrong or swapped with its neighbour, or a word that is cut short (`crit`).
    """
    return _nearest(word, tuple(known))


@lru_cache(maxsize=4096)  # aliases in YAML repeat the same words without end
def _nearest(word: str, known: tuple[str, ...]) -> str:
    folded = word.casefold()
    if not folded or len(folded) > _LONGEST_WORD:
        return ""
    choices = [(_distance(folded, each.casefold()), each) for each in known if each and len(each) <= _LONGEST_WORD]
    near = [each for each in choices if each[0] <= max(1, max(len(folded), len(each[1])) // _CHARACTERS_PER_EDIT)]
    if near and (best := min(near))[0] < len(best[1]):
        return best[1]
    begun = [each for _, each in choices if len(folded) >= _SHORTEST_BEGINNING and each.casefold().startswith(folded)]
    return begun[0] if len(begun) == 1 else ""


def _distance(one: str, other: str) -> int:
    """The number of edits (https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance, optimal string alignment)."""
    before, row = [0] * (len(other) + 1), list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        before_last, before, row = before, row, [i]
        for j, wanted in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and wanted == one[i - 2]:
                cost = min(cost, before_last[j - 2] + 1)
            row.append(cost)
    return row[-1]
