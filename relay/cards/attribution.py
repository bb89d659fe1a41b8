"""Who did what a share confirms: an entry names the person who did it through relay, once.

Relay's user in BigPanda did all of it, as far as BigPanda knows; so what people do through relay is noted as a deed
before BigPanda is called, and the first entry that fits takes its name.
"""

from collections.abc import Sequence
from dataclasses import replace

from relay.cards.merge import comment_hash
from relay.cards.model import Entry, EntryKind, TaskKind
from relay.model.incident import Incident, PendingAction, Record

ACTION_EXPIRES_AFTER = 3600.0
"""Seconds after which a deed that nothing confirmed is forgotten."""

_SNOOZE_OFF_BY = 120
"""Seconds by which BigPanda may round the end of a snooze."""


def attribute_entries(
    entries: Sequence[Entry], record: Record, new: Incident, now: float
) -> tuple[Sequence[Entry], Record]:
    """The entries with the people who did what they tell, and the record without the deeds that are confirmed by it."""
    waiting = [deed for deed in record.pending_actions if now - deed.at <= ACTION_EXPIRES_AFTER]
    told: list[Entry] = []
    for entry in entries:
        confirmed = [deed for deed in waiting if _confirms(entry, deed, new)]
        waiting = [rest for deed in waiting for rest in (_rest(entry, deed) if deed in confirmed else [deed])]
        if not any(_is_echo(entry, deed) for deed in confirmed):
            told.append(_named(entry, confirmed[-1]) if confirmed else entry)
    if tuple(waiting) == record.pending_actions:
        return entries, record
    return told, replace(record, pending_actions=tuple(waiting))


_ECHO = "echo"
"""What is left of a resolution that was told with its note: the note may yet come as a comment of its own."""


def _is_echo(entry: Entry, deed: PendingAction) -> bool:
    """Whether the comment says nothing but what the resolution itself tells: its note, or that somebody did it."""
    without_note = entry.kind is EntryKind.COMMENT and deed.kind == TaskKind.RESOLVE and not deed.text
    return deed.kind == _ECHO or without_note


def _confirms(entry: Entry, deed: PendingAction, new: Incident) -> bool:
    match entry.kind, deed.kind:
        case EntryKind.ASSIGNMENT, TaskKind.ASSIGN:
            return new.assignee is not None and deed.assignee_id in {new.assignee.id, new.assignee.email}
        case EntryKind.SNOOZE, TaskKind.SNOOZE:
            until = entry.data.get("new")
            near = until is None or deed.until is None or abs(until - deed.until) <= _SNOOZE_OFF_BY
            return bool(entry.data.get("snoozed")) and near
        case EntryKind.RESOLVED, TaskKind.RESOLVE:
            return True
        case EntryKind.COMMENT, _:
            return bool(deed.sent_hash) and comment_hash(str(entry.data.get("text", ""))) == deed.sent_hash
        case _:
            return False


def _rest(entry: Entry, deed: PendingAction) -> list[PendingAction]:
    """What of a deed is still to be confirmed: a resolution and its note may come one by one, in either order."""
    match entry.kind, deed.kind:
        case EntryKind.RESOLVED, TaskKind.RESOLVE if deed.sent_hash:
            return [replace(deed, kind=_ECHO)]
        case EntryKind.COMMENT, TaskKind.RESOLVE:
            return [replace(deed, text="", sent_hash="")]
        case _:
            return []


def _named(entry: Entry, deed: PendingAction) -> Entry:
    match entry.kind:
        case EntryKind.COMMENT:
            posted_in = [deed.channel] if deed.kind == TaskKind.REPLY else []
            return replace(entry, data={**entry.data, "text": deed.text, "actor": deed.actor, "posted_in": posted_in})
        case EntryKind.ASSIGNMENT:
            itself = str(entry.data.get("new", "")).casefold() == deed.actor.casefold()
            return replace(entry, data={**entry.data, "actor": "" if itself else deed.actor})
        case _:
            return replace(entry, data={**entry.data, "actor": deed.actor, "text": deed.text or None})
