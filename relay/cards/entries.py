"""One thing that happened, as a thread reports it."""

from collections.abc import Mapping

from msgspec import field

from relay.model.entry_kinds import EntryKind
from relay.model.json_types import JSON
from relay.model.struct import Struct


class Entry(Struct, frozen=True, kw_only=True):
    """One thing that happened. `seq` counts within the incident, `key` identifies it, `at` is Unix seconds.

    `data` holds plain values for the template; `diff` lists them by kind.
    """

    seq: int
    key: str
    kind: EntryKind
    at: float
    data: Mapping[str, JSON] = field(default_factory=dict)
