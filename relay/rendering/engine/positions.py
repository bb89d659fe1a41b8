"""Where a template's words stand: Jinja keeps lines alone, and a line may say one word many times.

Each token that Jinja's parser reads takes along the how-manieth of its kind it is in its line, so that whatever is made
of it knows; and the same words are counted once more in the file as it is written, where they have columns.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

from jinja2 import Environment, TemplateSyntaxError
from jinja2.lexer import Token

Columns = Mapping[tuple[int, str], Sequence[int]]
"""By line and word, the columns (from 0) at which the word stands as a name or a sign."""


class TokenLine(int):
    """The number of a line, and which of the line's words a token is."""

    word: str
    index: int

    def __new__(cls, number: int, word: str, index: int) -> Self:
        """The line of the `index`-th (from 0) `word` of it."""
        line = super().__new__(cls, number)
        line.word, line.index = word, index
        return line

    def column(self, columns: Columns) -> int:
        """Where that word stands in the line, counted from 0."""
        known = columns.get((int(self), self.word), ())
        return known[self.index] if self.index < len(known) else 0


def counted(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens of a template, each with its place in place of its line."""
    seen: Counter[tuple[int, str]] = Counter()
    for token in tokens:
        word = str(token.value)
        key = token.lineno, word
        yield Token(TokenLine(token.lineno, word, seen[key]), token.type, token.value)
        seen[key] += token.type not in _OTHER


def columns(environment: Environment, source: str) -> Columns:
    """Where each name and sign of a source stands."""
    found: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    end = 0
    for line, kind, text in _pieces(environment, source):
        at = source.find(text, end)
        if at >= 0:  # else Jinja made it up, at a sign that takes blanks away
            end = at + len(text)
            if kind in _WORDS:
                found[line, text].append(at - source.rfind("\n", 0, at) - 1)
    return found


_WORDS = frozenset({"name", "operator"})
_OTHER = frozenset({"data", "string", "integer", "float"})


def _pieces(environment: Environment, source: str) -> Iterator[tuple[int, str, str]]:
    try:
        yield from environment.lex(source)
    except TemplateSyntaxError:  # what relay lays out for Jinja may be what Jinja alone does not read
        return
