"""The state of parsing one file: what the parser already knows, and every fault it finds."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from relay.model.errors import Fault
from relay.model.nearest import nearest
from relay.model.struct import Struct
from relay.routes.channel_template import FixedChannel

_MAX_CHOICES = 40
"""The longest list of choices that a message names."""


class Position(Struct, frozen=True, kw_only=True):
    """A place in a file, or what begins there; lines and columns count from 1."""

    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class ParseContext:
    """The state of parsing one file.

    `templates` are the known template folders, or None if they are unknown; `channels` and `people` are the aliases of
    channels and people, `channels_allowed` the globs of channels that may be made from an incident; `zone` is the time
    zone of hours that name none, `hours` are the names of hours. A part that cannot be read gets one fault.
    """

    file: str
    templates: Collection[str] | None = None
    channels: Mapping[str, FixedChannel] = field(default_factory=dict)
    people: Mapping[str, str] = field(default_factory=dict)
    channels_allowed: tuple[str, ...] = ()
    zone: str = ""
    hours: Collection[str] = ()
    _faults: set[Fault] = field(default_factory=set)
    _causes: set[Fault] = field(default_factory=set)
    _unreadable: set[tuple[int, int]] = field(default_factory=set)

    @property
    def faults(self) -> list[Fault]:
        """All faults, from the top of the file to its end."""
        return sorted(self._faults | self._causes) if self._faults else []

    def add_fault(self, at: Position, message: str) -> None:
        """Add a fault. A part that several aliases repeat gets it once."""
        if (at.line, at.column) not in self._unreadable:
            self._faults.add(Fault(file=self.file, line=at.line, column=at.column, message=message))

    def add_cause(self, at: Position, message: str) -> None:
        """Add what is strange but valid, as a fault that counts only if there is another fault."""
        self._causes.add(Fault(file=self.file, line=at.line, column=at.column, message=message))

    def add_fatal_fault(self, at: Position, message: str) -> None:
        """Add a fault after which nothing at this place can be read: later faults there are ignored."""
        self.add_fault(at, message)
        self.ignore(at)

    def ignore(self, at: Position) -> None:
        """Ignore later faults at a place."""
        self._unreadable.add((at.line, at.column))


def suggestion(word: str, known: Iterable[str], *, most: int = _MAX_CHOICES) -> str:
    """The end of a message: the known word that was meant, or else all of them if there are at most `most`."""
    choices = list(known)
    if near := nearest(word, choices):
        return f"; did you mean '{near}'?"
    return f"; expected one of: {', '.join(choices)}" if choices and len(choices) <= most else ""
