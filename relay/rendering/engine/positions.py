"""Finds the columns of words in a template: Jinja keeps only lines, and a line may hold one word many times.

Each token of Jinja's parser carries its count among the same words of its line. The same words are counted again in the
source, where they have columns.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from jinja2 import Environment, TemplateSyntaxError
from jinja2.lexer import Token

WordColumns = Mapping[tuple[int, str], Sequence[int]]
"""By line and word: the columns (from 0) at which the word stands as a name or an operator."""

_WORDS: Final = frozenset({"name", "operator"})
_NOT_COUNTED: Final = frozenset({"data", "string", "integer", "float"})


class TokenLine(int):
    """A line number that also knows the token's word, and its count (from 0) among the same words of the line."""

    word: str
    index: int

    def column(self, columns: WordColumns) -> int:
        """The word's column in its line, from 0."""
        known = columns.get((int(self), self.word), ())
        return known[self.index] if self.index < len(known) else 0


def with_positions(tokens: Iterable[Token]) -> Iterator[Token]:
    """Give each token of a template a `TokenLine` in place of its line number."""
    counts: dict[tuple[int, str], int] = {}
    for lineno, kind, value in tokens:
        line, word = TokenLine(lineno), str(value)
        key = lineno, word
        line.word, line.index = word, counts.get(key, 0)
        yield Token(line, kind, value)
        if kind not in _NOT_COUNTED:
            counts[key] = line.index + 1


def word_columns(environment: Environment, source: str) -> WordColumns:
    """Find the columns of all names and operators of a source."""
    columns: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    end = 0
    with suppress(TemplateSyntaxError):  # Jinja alone may not read what relay's layout step makes readable
        for line, kind, text in environment.lex(source):
            at = source.find(text, end)
            if at >= 0:  # else Jinja added it, at a sign that strips blanks
                end = at + len(text)
                if kind in _WORDS:
                    columns[line, text].append(at - source.rfind("\n", 0, at) - 1)
    return columns
