"""The kinds of thread entries, one row each: where routes.yaml may name them, and which template renders them.

`thread` in routes.yaml selects what a thread reports. `broadcast` selects what the channel shows as well. The two take
the names of the rows below.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class EntryKind(StrEnum):
    """What an entry reports. Each kind has a template file of its own, named after it."""

    STATUS = "status"
    COMMENT = "comment"
    ASSIGNMENT = "assignment"
    SNOOZE = "snooze"
    TAGS = "tags"
    ALERTS = "alerts"
    CHANGES = "changes"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    REMINDER = "reminder"
    OTHER = "other"

    @property
    def row(self) -> "EntryKindRow":
        """Its row in `ENTRY_KINDS`."""
        return _ROWS[self]


@dataclass(frozen=True, slots=True)
class EntryKindRow:
    """One name that `thread` or `broadcast` may take.

    `thread` is the name by which `thread` selects the entry: a state change has three kinds, which go together. It is
    empty if another option decides about the entry. `batched` entries wait for `gather`, so that several become one
    reply; an `alone` entry has a reply of its own.
    """

    name: str
    description: str
    thread: str
    batched: bool = False
    alone: bool = False


ENTRY_KINDS: Final = (
    EntryKindRow("status", "the state changed, or the incident started or stopped flapping", "status"),
    EntryKindRow("comment", "somebody commented in BigPanda or in Slack", "comment"),
    EntryKindRow("assignment", "the incident was assigned or unassigned", "assignment"),
    EntryKindRow("snooze", "the incident was snoozed, or its snooze ended", "snooze"),
    EntryKindRow("tags", "incident tags changed", "tags", batched=True),
    EntryKindRow("alerts", "alerts joined, resolved, came back or left", "alerts", batched=True),
    EntryKindRow("changes", "BigPanda found or confirmed a related change", "changes"),
    EntryKindRow("reminder", "nobody has had the incident for a while; the last reminder always is", "", alone=True),
    EntryKindRow("other", "an event that BigPanda names and relay does not know", "other"),
    EntryKindRow("rise", "the state became worse than any that the card has shown", "status"),
    EntryKindRow("resolved", "the incident was resolved", "status"),
    EntryKindRow("reopened", "the incident was reopened", "status"),
)
"""All rows. `broadcast` takes every name. `rise` is not a kind: it is a `status` or `reopened` entry that pings."""

_ROWS: Final = {EntryKind(row.name): row for row in ENTRY_KINDS if row.name in list(EntryKind)}

THREAD_NAMES: Final = tuple(row.name for row in ENTRY_KINDS if row.thread == row.name)
"""What `thread` takes."""

BROADCAST_NAMES: Final = tuple(row.name for row in ENTRY_KINDS)
"""What `broadcast` takes."""

ENTRY_TEMPLATES: Final = tuple(str(kind) for kind in EntryKind)
"""The template files of entries, without their suffix, in the order of the documents."""
