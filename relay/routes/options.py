"""How a card is made and kept: the options of routes.yaml, and who is pinged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

from relay.model.entry_kinds import THREAD_NAMES
from relay.model.incident import State
from relay.model.json_types import JSON

_MINUTE, _HOUR = 60.0, 3600.0


class InDoubtPolicy(StrEnum):
    """What a lost answer means where relay may not read the channel."""

    REPOST = "repost"
    HOLD = "hold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One card's options, fully resolved; durations are seconds. The defaults are the built-in ones."""

    template: str = "incident"
    thread: tuple[str, ...] = THREAD_NAMES
    broadcast: tuple[str, ...] = ("reopened",)
    gather: float = 2 * _MINUTE
    wait: float = 0.0
    reopen_within: float = 24 * _HOUR
    show_tags: tuple[str, ...] = ()
    runbook_tags: tuple[str, ...] = ("run-book", "runbook", "runbook_url")
    in_doubt: InDoubtPolicy = InDoubtPolicy.REPOST
    allow_external: bool = False
    actions: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    sync_replies: bool = False
    stale_after: float = 6 * _HOUR

    def as_json(self) -> dict[str, JSON]:
        """A plain JSON object, to be stored with a card."""
        return {option.name: _frozen(getattr(self, option.name)) for option in fields(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, JSON]) -> Self:
        """Undo `as_json`. What another version of relay stored is read as far as it is known here."""
        known = {option.name for option in fields(cls)} & stored.keys()
        values: dict[str, Any] = {name: _thawed(stored[name]) for name in known}
        if "in_doubt" in values:
            values["in_doubt"] = InDoubtPolicy(values["in_doubt"])
        return cls(**values)


def _frozen(value: Any) -> JSON:
    return list(value) if isinstance(value, tuple) else value


def _thawed(value: JSON) -> Any:
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """Who is pinged, by state; one part for each route that mentions somebody on this card.

    A part's keys are `critical`, `warning`, `unknown`, `reopened` and `any`; its targets are Slack's ids of user groups
    (`S...`) and users (`U...`, `W...`), `here` and `channel`. Parts stay apart, because a part without `reopened` pings
    its state's people at a reopening, whatever another part says.
    """

    parts: tuple[Mapping[str, tuple[str, ...]], ...] = ()

    def __bool__(self) -> bool:
        """Whether it can ever ping anybody."""
        return any(targets for part in self.parts for targets in part.values())

    def targets(self, state: State, *, reopened: bool = False) -> tuple[str, ...]:
        """Whom a ping in that state reaches, each once: the state's people (or the reopening's), and `any`'s."""
        found: dict[str, None] = {}
        for part in self.parts:
            word = "reopened" if reopened and "reopened" in part else state.value
            found.update(dict.fromkeys((*part.get(word, ()), *part.get("any", ()))))
        return tuple(found)

    def merged_with(self, other: "Mention") -> "Mention":
        """Both together: what two routes to one channel make."""
        return Mention(parts=self.parts + tuple(part for part in other.parts if part not in self.parts))

    def as_json(self) -> list[JSON]:
        """A plain JSON array, to be stored with a card."""
        return [{word: list(targets) for word, targets in part.items()} for part in self.parts]

    @classmethod
    def from_json(cls, stored: Sequence[Mapping[str, JSON]]) -> Self:
        """Undo `as_json`."""
        return cls(parts=tuple({word: tuple(targets) for word, targets in part.items()} for part in stored))


NO_MENTION = Mention()
