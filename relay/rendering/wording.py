"""The few words that relay itself adds to what a template prints."""

from collections.abc import Mapping, Sequence
from typing import Final

from relay.model.incident import State

_SECONDS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_WITHOUT_SECONDS: Final = 600

EMOJI: Final[Mapping[str, str]] = {
    State.CRITICAL.value: "🔴",
    State.WARNING.value: "🟠",
    State.UNKNOWN.value: "⚪",
    State.ACKNOWLEDGED.value: "🔵",
    State.RESOLVED.value: "✅",
}
COLORS: Final[Mapping[str, str]] = {
    State.CRITICAL.value: "#d72638",
    State.WARNING.value: "#f0a202",
    State.UNKNOWN.value: "#8d99ae",
    State.ACKNOWLEDGED.value: "#2d7dd2",
    State.RESOLVED.value: "#2eb67d",
}

LINK_IS_TOO_LONG: Final = "(its link is too long)"
"""Behind what would be a link."""


def and_more(items: Sequence[tuple[str, str]]) -> str:
    """What a list leaves out, from the (noun, state) of each: `and 17 more alerts, 3 critical`."""
    nouns = list(dict.fromkeys(noun for noun, _ in items))
    return ", ".join(_counted(noun, [state for each, state in items if each == noun]) for noun in nouns)


def _counted(noun: str, states: Sequence[str]) -> str:
    count = len(states)
    told = f"and {count} more {noun}{'' if count == 1 else 's'}"
    worst = max((State(state) for state in states if state), key=lambda state: state.rank, default=None)
    if worst is None:
        return told
    if count == 1:
        return f"{told} ({worst})"
    alike = states.count(worst)
    return f"{told}, {'all' if alike == count else alike} {worst}"


def more_characters(count: int) -> str:
    """What a text leaves out."""
    return f"… ({count:,} more character{'' if count == 1 else 's'})"


def duration(seconds: float) -> str:
    """A span of time in its two largest units: `1 h 12 min`. From ten minutes on nobody counts the seconds."""
    left = max(0, round(seconds))
    if left >= _WITHOUT_SECONDS:
        left = round(left / 60) * 60
    words = []
    for unit, length in _SECONDS:
        number, left = divmod(left, length)
        if number:
            words.append(f"{number} {unit}")
        elif words:
            break
    if len(words) > 1:
        words = words[:2]
    return " ".join(words) or "0 s"


def more_blocks(count: int) -> str:
    """What a message leaves out that no list counts."""
    return f"and {count} more part{'' if count == 1 else 's'}"
