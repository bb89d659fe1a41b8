"""Mentions: who is pinged, by the state of the incident."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from relay.model.incident import State
from relay.model.json_types import JSON

MENTION_KEYS: Final[Mapping[str, str]] = {
    "critical": "the incident is critical",
    "warning": "the incident is in warning",
    "unknown": "the state of the incident is unknown",
    "reopened": "the incident reopens; without this key, the key of its state applies",
    "any": "any other key applies, or none: these targets are always added",
}
"""The keys of `mention`, and when their targets are pinged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Who is pinged, by state; one part for each route that mentions somebody on this card.

    A part maps `MENTION_KEYS` to targets: Slack's ids of user groups (`S...`) and users (`U...`, `W...`), `here` and
    `channel`. Parts stay apart: a part without `reopened` pings the targets of the state at a reopening, whatever
    another part says.
    """

    parts: tuple[Mapping[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        """Whether it can ping anybody."""
        return any(targets for part in self.parts for targets in part.values())

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Everybody whom it may ping."""
        return tuple(dict.fromkeys(target for part in self.parts for each in part.values() for target in each))

    def targets(self, state: State, *, reopened: bool = False) -> tuple[str, ...]:
        """The targets of a ping in a state, each once: those of the state (or of the reopening), and of `any`."""
        targets: dict[str, None] = {}
        for part in self.parts:
            key = "reopened" if reopened and "reopened" in part else state.value
            targets.update(dict.fromkeys((*part.get(key, ()), *part.get("any", ()))))
        return tuple(targets)

    def merged_with(self, other: "Mention") -> "Mention":
        """Combine the mentions of two routes to one channel."""
        return Mention(parts=self.parts + tuple(part for part in other.parts if part not in self.parts))

    def as_json(self) -> list[JSON]:
        """Return a plain JSON array, to be stored with a card."""
        return [{key: list(targets) for key, targets in part.items()} for part in self.parts]

    @classmethod
    def from_json(cls, stored: Sequence[Mapping[str, JSON]]) -> Self:
        """Undo `as_json`."""
        return cls(parts=tuple({key: tuple(targets) for key, targets in part.items()} for part in stored))


NO_MENTION = Mention()
