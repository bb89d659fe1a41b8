"""Finds the tags of a source that may not parse: where each begins, and where it ends, if it is ever closed."""

import re
from collections.abc import Iterator
from typing import Final

from relay.model.struct import Struct

_OPEN: Final = re.compile(r"\{[{%][-+]?\s*(?P<name>\w*)")
_NEXT: Final = re.compile(r"(?P<close>[%}]\})|(?P<quote>[\"'])|\{[{%]")
_INSIDE: Final = {quote: re.compile(rf"(?:\\.|[^{quote}\\\n]+)*", re.DOTALL) for quote in ("'", '"')}
"""What a string consists of, by its quote; it ends with the line at the latest."""

RAW_BLOCKS: Final = re.compile(r"\{%-?\s*blocks\s*-?%\}(?P<yaml>.*?)(?:(?P<end>\{%-?\s*endblocks)|\Z)", re.DOTALL)
"""`{% blocks %}` with its YAML; `end` is None if it is never closed: then it goes on to the end of the source."""

_UNCLOSED_END: Final = re.compile(r"\n|\{[{%]")


class SourceTag(Struct, frozen=True, kw_only=True):
    """A tag; places count from 0. One that is never closed ends with its line or before the next tag, without a name.

    The name is the word after the opening sign; it may be empty.
    """

    start: int
    text: str
    name: str = ""
    name_start: int = 0
    closed: bool = False

    @property
    def end(self) -> int:
        """The position of the next character after it."""
        return self.start + len(self.text)

    @property
    def name_end(self) -> int:
        """The position of the next character after its name."""
        return self.name_start + len(self.name)


def source_tags(source: str) -> Iterator[SourceTag]:
    """Every tag of a source, from top to bottom."""
    end = 0
    search = _CloseSearch(source)
    while opened := _OPEN.search(source, end):
        start, close = opened.start(), search.close_after(opened.end())
        if close is None:
            after = _UNCLOSED_END.search(source, start + 2)
            end = after.start() if after else len(source)
            yield SourceTag(start=start, text=source[start:end])
        else:
            end, name_start = close, opened.start("name")
            yield SourceTag(
                start=start, text=source[start:end], name=opened["name"], name_start=name_start, closed=True
            )


class _CloseSearch:
    """Finds where the tags of a source end, in time in proportion to its length.

    A quote begins a string, or if that leads to no end, it is a sign of its own: the choices double with each quote.
    But what follows a place is the same for every tag that is open there, so no place is `looked` at twice.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._looked: set[int] = set()
        self._strings = dict.fromkeys(_INSIDE, (0, 0))

    def close_after(self, at: int) -> int | None:
        """Where the tag that is open here ends; None if another one opens before."""
        places = [at]
        while places:
            if (place := places.pop()) in self._looked:
                continue
            self._looked.add(place)
            found = _NEXT.search(self._source, place)
            if found and found["close"]:
                return found.end()
            if found and found["quote"]:
                places.append(found.end())
                if end := self._string_end(found.start()):
                    places.append(end)  # the last one is tried first
        return None

    def _string_end(self, at: int) -> int:
        """Where the string ends that begins with the quote here; 0 if nothing ends it.

        The last string of each kind is kept, with where it begins and where its inside ends. The quotes inside are
        escaped, so a string that begins with one of them has the same end.
        """
        quote = self._source[at]
        first, last = self._strings[quote]
        if not first <= at < last:
            inside = _INSIDE[quote].match(self._source, at + 1)
            last = inside.end() if inside else at + 1
            self._strings[quote] = at, last
        return last + 1 if self._source.startswith(quote, last) else 0
