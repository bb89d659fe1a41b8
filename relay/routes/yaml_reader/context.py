"""The state of parsing one file: what the parser already knows, and every fault it finds."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from relay.model.errors import Fault

_MAX_CHOICES = 16
"""The longest list of choices that a message names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in a file, or what begins there; lines and columns count from 1."""

    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class ParseContext:
    """The state of parsing one file.

    `templates` are the known template folders, or None if they are unknown. A part that cannot be read gets one fault.
    """

    file: str
    templates: Collection[str] | None = None
    _faults: set[Fault] = field(default_factory=set)
    _unreadable: set[tuple[int, int]] = field(default_factory=set)

    @property
    def faults(self) -> list[Fault]:
        """All faults, from the top of the file to its end."""
        return sorted(self._faults)

    def add_fault(self, at: Position, message: str) -> None:
        """Add a fault. A part that several aliases repeat gets it once."""
        if (at.line, at.column) not in self._unreadable:
            self._faults.add(Fault(file=self.file, line=at.line, column=at.column, message=message))

    def add_fatal_fault(self, at: Position, message: str) -> None:
        """Add a fault after which nothing at this place can be read: later faults there are ignored."""
        self.add_fault(at, message)
        self._unreadable.add((at.line, at.column))


def suggestion(word: str, known: Iterable[str], *, most: int = _MAX_CHOICES) -> str:
    """The end of a message: the nearest known word, or else all of them if there are at most `most`."""
    choices = list(known)
    by_folded = {each.casefold(): each for each in choices}
    near = get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{by_folded[near[0]]}'?"
    return f"; expected one of: {', '.join(choices)}" if choices and len(choices) <= most else ""
