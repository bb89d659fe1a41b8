"""Finds the tags of a source that may not parse: where each begins, and where it ends, if it is ever closed."""

import re
from collections.abc import Iterator
from typing import Final

from relay.model.struct import Struct

_OPEN: Final = re.compile(r"\{[{%][-+]?\s*(?P<name>\w*)")
_NEXT: Final = re.compile(r"(?P<close>[%}]\})|(?P<quote>[\"'])|\{[{%]")
_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
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
    tried: set[int] = set()
    while opened := _OPEN.search(source, end):
        start, close = opened.start(), _close(source, opened.end(), tried)
        if close is None:
            after = _UNCLOSED_END.search(source, start + 2)
            end = after.start() if after else len(source)
            yield SourceTag(start=start, text=source[start:end])
        else:
            end, name_start = close, opened.start("name")
            yield SourceTag(
                start=start, text=source[start:end], name=opened["name"], name_start=name_start, closed=True
            )


def _close(source: str, at: int, tried: set[int]) -> int | None:
    """Where the tag that is open here ends; None if another one opens before.

    A quote begins a string, or if that leads to no end, it is a sign of its own. What follows is the same for every tag
    that is open there, so that each quote is `tried` once: the choices would double with each string.
    """
    others = [at]
    while others:
        found = _NEXT.search(source, others.pop())
        while found and found["quote"] and found.start() not in tried:
            tried.add(found.start())
            string = _STRING.match(source, found.start())
            if string:
                others.append(found.end())
            found = _NEXT.search(source, (string or found).end())
        if found and found["close"]:
            return found.end()
    return None
