"""One reading of a file: what is known while it is read, and every fault that is found."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Protocol

from relay.model.errors import Fault

_A_LINE_FULL = 16


class HasPosition(Protocol):
    """Whatever knows where it stands; lines and columns count from 1."""

    @property
    def line(self) -> int:
        """The line in which it begins."""

    @property
    def column(self) -> int:
        """The column in which it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place with nothing at it."""

    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class ParseContext:
    """What reading a file has come upon so far.

    `templates` are the folders that there are, None where that is not known. Of a part that is spoilt no more than one
    fault is told.
    """

    file: str
    templates: Collection[str] | None = None
    _faults: set[Fault] = field(default_factory=set)
    _spoilt: set[tuple[int, int]] = field(default_factory=set)

    @property
    def faults(self) -> list[Fault]:
        """All of them, from the top of the file to its end."""
        return sorted(self._faults)

    def add_fault(self, at: HasPosition, message: str) -> None:
        """Note what is wrong there. What an alias repeats is told once."""
        if (at.line, at.column) not in self._spoilt:
            self._faults.add(Fault(file=self.file, line=at.line, column=at.column, message=message))

    def add_fatal_fault(self, at: HasPosition, message: str) -> None:
        """Note a fault that leaves nothing there to be read."""
        self.add_fault(at, message)
        self._spoilt.add((at.line, at.column))


def suggestion(word: str, known: Iterable[str], *, most: int = _A_LINE_FULL) -> str:
    """What may have been meant, as the end of a sentence; the whole choice, of `most`, where nothing is near."""
    choice = list(known)
    by_folded = {each.casefold(): each for each in choice}
    near = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{by_folded[near[0]]}'?"
    return f"; there are: {', '.join(choice)}" if choice and len(choice) <= most else ""
