"""Decide what a thread has reported, from the metadata of its replies: for a database that does not contain them.

An entry has facts: a subject and a value. Two databases that saw different shares find the same facts in the same news:
`state=critical`, for any earlier state and from any share. A fact is old news if the thread's newest value of that
subject is the same. A comment is a subject of its own, and its value is when it was made.

    state=critical          a new state, an end, a reopening
    comment:1a2b3c4d=17...  hash of the text, and Unix seconds
    tag:1a2b3c4d=9f8e7d6c   hashes of the label and of the new value
    line:1a2b3c4d=1         hash of the line's key in a bulletin
    snooze=9f8e7d6c         and the like: the hash of the new value

Names and texts are hashed to be short, not to be secret: they are in the thread.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from relay.cards.bulletins import BulletinLine
from relay.cards.merge import REPEAT_WINDOW, comment_hash
from relay.cards.model import Entry
from relay.cards.replies import WorstShown
from relay.model.entry_kinds import EntryKind
from relay.model.incident import State, worst_of
from relay.model.json_types import JSON
from relay.slack.message import MAX_ENTRIES

_HASH_LENGTH = 8
_STATE = "state"
_COMMENT = f"{EntryKind.COMMENT}:"

Fact = tuple[str, str]


def facts(entry: Entry) -> Iterator[Fact]:
    """The facts of an entry, at least one."""
    data, kind = entry.data, entry.kind
    if isinstance(entry, BulletinLine):
        yield f"line:{_hash(entry.key)}", str(entry.episode)
        return
    if items := [item for item in data.get("items", ()) if kind in _FACTS_OF_ITEMS]:
        yield from (_FACTS_OF_ITEMS[kind](item) for item in items)
    elif "flapping" in data:
        yield "flapping", str(bool(data["flapping"])).lower()
    elif kind.row.thread == EntryKind.STATUS and data.get("new"):
        yield _STATE, str(data["new"])
    elif kind in {EntryKind.COMMENT, EntryKind.OTHER}:
        text = str(data.get("text", ""))
        yield f"{kind}:{comment_hash(text)[:_HASH_LENGTH]}", f"{entry.at:.0f}"
    elif kind is EntryKind.REMINDER:
        yield str(kind), f"{entry.at:.0f}"
    else:
        yield str(kind), _hash(*(data.get(name) for name in _VALUES))


_FACTS_OF_ITEMS: Mapping[EntryKind, Callable[[Mapping[str, JSON]], Fact]] = {
    EntryKind.TAGS: lambda tag: (f"tag:{_hash(tag['label'])}", _hash(tag["new"])),
    EntryKind.CHANGES: lambda each: (f"change:{_hash(each['identifier'], each['summary'])}", _hash(each["certainty"])),
}
_VALUES = ("new", "snoozed", "joined", "resolved", "returned", "left", "total")
"""The data that distinguish other entries from each other."""


def entries_digest(entries: Sequence[Entry]) -> str:
    """What all these entries report, as one hash: the same in every database."""
    return hashlib.sha256("\n".join(_lines(entries)).encode()).hexdigest()[:16]


def entries_text(entries: Sequence[Entry]) -> str:
    """What these entries report, for the metadata of their reply; the oldest facts that do not fit are left out."""
    text = " ".join(_lines(entries))
    return text if len(text) <= MAX_ENTRIES else text[-MAX_ENTRIES:].partition(" ")[2]


def _lines(entries: Sequence[Entry]) -> list[str]:
    return [f"{subject}={value}" for entry in entries for subject, value in facts(entry)]


def _hash(*values: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, values)).encode()).hexdigest()[:_HASH_LENGTH]


@dataclass(slots=True)
class ReportedFacts:
    """What a thread has reported: the newest value of each subject, the states in order, the moment of each fact.

    Moments are Unix seconds; `newest` is the moment of the newest reply.
    """

    values: dict[str, str] = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    reported_at: dict[Fact, float] = field(default_factory=dict)
    newest: float = 0.0

    @classmethod
    def of(cls, replies: Iterable[tuple[float, str]]) -> "ReportedFacts":
        """What replies have reported, in the order of the thread: the moment and the `entries_text` of each."""
        reported = cls()
        for at, text in replies:
            reported.newest = at
            for subject, equals, value in (fact.partition("=") for fact in text.split()):
                if equals:
                    reported.add(subject, value)
                    reported.reported_at[subject, value] = at
        return reported

    def add(self, subject: str, value: str) -> None:
        """One more fact is reported."""
        self.values[subject] = value
        if subject == _STATE and value in _STATES:
            self.states.append(State(value))

    def is_reported(self, entry: Entry) -> bool:
        """Whether the thread's newest facts, or a later reply, say the same as the entry.

        If not, the entry's facts are the newest from now on.
        """
        found = list(facts(entry))
        if all(self._is_known(fact, entry.at) for fact in found):
            return True
        for subject, value in found:
            self.add(subject, value)
        return False

    def _is_known(self, fact: Fact, at: float) -> bool:
        subject, value = fact
        return _same(subject, self.values.get(subject), value) or self.reported_at.get(fact, -1.0) >= at

    @property
    def worst(self) -> WorstShown:
        """The worst that the thread has shown, by the states that it reported."""
        worst = WorstShown()
        for before, state in zip([None, *self.states], self.states, strict=False):
            recent = state if before is State.RESOLVED else worst_of(worst.recent, state)
            worst = WorstShown(recent=recent, episode=worst_of(worst.episode, state))
        return worst


_STATES = frozenset(map(str, State))


def _same(subject: str, known: str | None, value: str) -> bool:
    if known is None or not subject.startswith(_COMMENT):
        return known == value
    return known.isdecimal() and abs(int(known) - int(value)) <= REPEAT_WINDOW
