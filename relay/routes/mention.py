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
    "reminder": "a reminder says that nobody has the incident; without this key, the key of its state applies",
    "any": "any other key applies, or none: these targets are always added",
}
"""The keys of `mention`, and when their targets are pinged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MentionPart:
    """Whom one route pings on a card: `MENTION_KEYS` to targets, and the name of the route (empty: the fallback).

    Targets are Slack's ids of user groups (`S...`) and users (`U...`, `W...`), `here` and `channel`.
    """

    targets: Mapping[str, tuple[str, ...]]
    route: str = ""

    def __hash__(self) -> int:
        """Options that are equal have one text in the database: they are looked up by their hash."""
        return hash((self.route, tuple(self.targets.items())))

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Everybody whom it may ping."""
        return tuple(dict.fromkeys(target for each in self.targets.values() for target in each))

    def pinged(self, state: State, *, occasion: str = "") -> tuple[str, ...]:
        """The targets of a ping in a state: those of the state (or of the occasion), and of `any`."""
        key = occasion if occasion in self.targets else state.value
        return (*self.targets.get(key, ()), *self.targets.get("any", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Who is pinged, by state; one part for each route that mentions somebody on this card.

    Parts stay apart. At a reopening, a part without `reopened` pings the targets of the state, even if another part has
    `reopened`. Each route has its own quiet hours. An `occasion` is `reopened` or `reminder`; without one, only the
    state counts.
    """

    parts: tuple[MentionPart, ...] = ()

    def __bool__(self) -> bool:
        """Whether it can ping anybody."""
        return bool(self.all_targets)

    @classmethod
    def of(cls, targets: Mapping[str, tuple[str, ...]]) -> Self:
        """A mention of one part, or of none without a key."""
        return cls(parts=(MentionPart(targets=targets),) if targets else ())

    def by_route(self, route: str) -> "Mention":
        """The same mention, of that route."""
        return Mention(parts=tuple(MentionPart(targets=part.targets, route=route) for part in self.parts))

    @property
    def all_targets(self) -> tuple[str, ...]:
        """Everybody whom it may ping."""
        return tuple(dict.fromkeys(target for part in self.parts for target in part.all_targets))

    def targets(self, state: State, *, occasion: str = "") -> tuple[str, ...]:
        """The targets of a ping in a state, each once: those of the state (or of the occasion), and of `any`."""
        return tuple(dict.fromkeys(target for part in self.parts for target in part.pinged(state, occasion=occasion)))

    def routes_to(self, target: str, state: State | None = None, *, occasion: str = "") -> tuple[str, ...]:
        """The routes that ping this target on the card, in that state (or for the occasion), or in any (None)."""
        return tuple(
            dict.fromkeys(
                part.route
                for part in self.parts
                if (target in part.all_targets if state is None else target in part.pinged(state, occasion=occasion))
            )
        )

    def merged_with(self, other: "Mention") -> "Mention":
        """Combine the mentions of two routes to one channel."""
        return Mention(parts=self.parts + tuple(part for part in other.parts if part not in self.parts))

    def as_json(self) -> list[JSON]:
        """Return a plain JSON array, to be stored with a card."""
        return [
            {"route": part.route, "targets": {key: list(targets) for key, targets in part.targets.items()}}
            for part in self.parts
        ]

    @classmethod
    def from_json(cls, stored: Sequence[Mapping[str, JSON]]) -> Self:
        """Undo `as_json`."""
        return cls(
            parts=tuple(
                MentionPart(
                    route=part["route"], targets={key: tuple(targets) for key, targets in part["targets"].items()}
                )
                for part in stored
            )
        )


NO_MENTION = Mention()
