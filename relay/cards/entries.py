"""One thing that happened, as a thread reports it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay.model.entry_kinds import EntryKind
from relay.model.json_types import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened. `seq` counts within the incident, `key` identifies it, `at` is Unix seconds.

    `data` holds plain values for the template; `diff` lists them by kind.
    """

    seq: int
    key: str
    kind: EntryKind
    at: float
    data: Mapping[str, JSON] = field(default_factory=dict)
