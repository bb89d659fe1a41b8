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
    OTHER = "other"

    @property
    def row(self) -> "EntryKindRow":
        """Its row in `ENTRY_KINDS`."""
        return _ROWS[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryKindRow:
    """One name that `thread` or `broadcast` may take.

    `thread` is the name by which `thread` selects the entry: a state change has three kinds, which go together.
    `batched` entries wait for `gather`, so that several become one reply. `template` is the file that renders it,
    without its suffix.
    """

    name: str
    description: str
    thread: str
    template: str
    batched: bool = False

    @property
    def in_thread(self) -> bool:
        """Whether `thread` takes this name."""
        return self.thread == self.name


def _row(name: str, description: str, *, thread: str = "", template: str = "", batched: bool = False) -> EntryKindRow:
    return EntryKindRow(
        name=name, description=description, thread=thread or name, template=template or name, batched=batched
    )


ENTRY_KINDS: Final = (
    _row("status", "the state changed, or the incident started or stopped flapping"),
    _row("comment", "somebody commented in BigPanda or in Slack"),
    _row("assignment", "the incident was assigned or unassigned"),
    _row("snooze", "the incident was snoozed, or its snooze ended"),
    _row("tags", "incident tags changed", batched=True),
    _row("alerts", "alerts joined, resolved, came back or left", batched=True),
    _row("changes", "BigPanda found or confirmed a related change"),
    _row("other", "an event that BigPanda names and relay does not know"),
    _row("rise", "the state became worse than any that the card has shown", thread="status", template="status"),
    _row("resolved", "the incident was resolved", thread="status"),
    _row("reopened", "the incident was reopened", thread="status"),
)
"""All rows. `broadcast` takes every name. `rise` is not a kind: it is a `status` or `reopened` entry that pings."""

_ROWS: Final = {EntryKind(row.name): row for row in ENTRY_KINDS if row.name in list(EntryKind)}

THREAD_NAMES: Final = tuple(row.name for row in ENTRY_KINDS if row.in_thread)
"""What `thread` takes."""

BROADCAST_NAMES: Final = tuple(row.name for row in ENTRY_KINDS)
"""What `broadcast` takes."""

ENTRY_TEMPLATES: Final = tuple(kind.row.template for kind in EntryKind)
"""The template files of entries, without their suffix, in the order of the documents."""
