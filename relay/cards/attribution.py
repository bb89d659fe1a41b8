"""Decide who did what a share confirms: an entry names the person who did it through relay, once.

For BigPanda, relay's own user did it. So relay stores each action of a person before it calls BigPanda, and the first
entry that confirms the action names that person.
"""

from collections.abc import Sequence

from relay.cards.merge import comment_hash
from relay.cards.model import Entry, TaskKind
from relay.model.bounds import LONGEST_TEXT, bound_text
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident
from relay.model.json_types import JSON
from relay.model.record import ECHO, PendingAction, Record
from relay.model.struct import replace

ACTION_EXPIRES_AFTER = 3600.0
"""Seconds after which an action that no share confirmed is forgotten."""

_SNOOZE_TOLERANCE = 120
"""Seconds by which BigPanda may round the end of a snooze."""


def attribute_entries(
    entries: Sequence[Entry], record: Record, new: Incident, now: float
) -> tuple[Sequence[Entry], Record]:
    """The entries with the names of those who did it, and the record without the actions that they confirm.

    The record keeps the note of a resolution until the incident is open again.
    """
    waiting = [action for action in record.pending_actions if now - action.at <= ACTION_EXPIRES_AFTER]
    named: list[Entry] = []
    note = "" if new.active else record.note
    for entry in entries:
        confirmed = [action for action in waiting if _confirms(entry, action, new)]
        waiting = [rest for action in waiting for rest in (_rest(entry, action) if action in confirmed else [action])]
        if not any(_is_echo(entry, action) for action in confirmed):
            named.append(_name_actor(entry, confirmed[-1]) if confirmed else entry)
        if entry.kind is EntryKind.RESOLVED:
            note = bound_text(confirmed[-1].text, LONGEST_TEXT) if confirmed else ""
    if tuple(waiting) == record.pending_actions and note == record.note:
        return entries, record
    return named, replace(record, pending_actions=tuple(waiting), note=note)


def is_awaited(record: Record, key: str) -> bool:
    """Whether an action is still to show: no share has confirmed it, and the incident is not as the person wants it.

    Two people may snooze an incident at the same time, until the same time: nothing changes by the second one.
    """
    return any(
        action.key == key and not (action.confirmed or _is_shown(record, action)) for action in record.pending_actions
    )


def _is_shown(record: Record, action: PendingAction) -> bool:
    snooze = record.value("snooze") or {}
    return action.kind == TaskKind.SNOOZE and bool(snooze.get("snoozed")) and _is_near(snooze.get("wake"), action)


def _is_near(until: float | None, action: PendingAction) -> bool:
    return until is None or action.until is None or abs(until - action.until) <= _SNOOZE_TOLERANCE


def _is_echo(entry: Entry, action: PendingAction) -> bool:
    """Whether the comment says only what the resolution itself reports: its note, or that somebody did it."""
    without_note = entry.kind is EntryKind.COMMENT and action.kind == TaskKind.RESOLVE and not action.text
    return action.confirmed or without_note


def _confirms(entry: Entry, action: PendingAction, new: Incident) -> bool:
    match entry.kind, action.kind:
        case EntryKind.ASSIGNMENT, TaskKind.ASSIGN | TaskKind.UNASSIGN:
            ids = {new.assignee.id, new.assignee.email} if new.assignee else {""}
            return action.assignee_id in ids  # unassigning gives it to nobody
        case EntryKind.SNOOZE, TaskKind.SNOOZE:
            return bool(entry.data.get("snoozed")) and _is_near(entry.data.get("new"), action)
        case EntryKind.SNOOZE, TaskKind.END_SNOOZE:
            return not entry.data.get("snoozed")
        case EntryKind.RESOLVED, TaskKind.RESOLVE:
            return True
        case EntryKind.COMMENT, _:
            return bool(action.sent_hash) and comment_hash(str(entry.data.get("text", ""))) == action.sent_hash
        case _:
            return False


def _rest(entry: Entry, action: PendingAction) -> list[PendingAction]:
    """What is still to be confirmed: a resolution and its note may come one by one, in either order."""
    match entry.kind, action.kind:
        case EntryKind.RESOLVED, TaskKind.RESOLVE if action.sent_hash:
            return [replace(action, kind=ECHO)]
        case EntryKind.COMMENT, TaskKind.RESOLVE:
            return [replace(action, sent_hash="")]
        case _:
            return []


def _name_actor(entry: Entry, action: PendingAction) -> Entry:
    match entry.kind:
        case EntryKind.COMMENT:
            posted_in = [action.channel] if action.kind == TaskKind.REPLY else []
            values: dict[str, JSON] = {"text": action.text, "actor": action.actor, "posted_in": posted_in}
        case EntryKind.ASSIGNMENT:
            new, old = (str(entry.data.get(name, "")) for name in ("new", "old"))
            by_themselves = (new or old).casefold() == action.actor.casefold()
            values = {"actor": "" if by_themselves else action.actor, "taken_over": bool(new and old) and by_themselves}
            if action.replaced_user:
                values |= {"ping": action.replaced_user, "ping_in": action.channel}
        case EntryKind.RESOLVED if not action.sent_hash:
            values = {"actor": action.actor, "text": None}  # the comment has reported the note
        case _:
            values = {"actor": action.actor, "text": action.text or None}
    return replace(entry, data={**entry.data, **values})
