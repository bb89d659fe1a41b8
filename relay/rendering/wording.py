"""The words, signs and colours that relay adds to what a template prints."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from relay.model.counting import plural
from relay.model.incident import State

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_WITHOUT_SECONDS: Final = 600

_LOOKS: Final = {
    State.CRITICAL: ("🔴", "#d72638"),
    State.WARNING: ("🟠", "#f0a202"),
    State.UNKNOWN: ("🟣", "#7a5cad"),
    State.ACKNOWLEDGED: ("🔵", "#2d7dd2"),
    State.RESOLVED: ("✅", "#2eb67d"),
}
EMOJI: Final = {state.value: sign for state, (sign, _) in _LOOKS.items()}
COLORS: Final = {state.value: color for state, (_, color) in _LOOKS.items()}

OUTDATED_EMOJI: Final = "⚪"
OUTDATED_COLOR: Final = "#8d99ae"
"""Grey means that the card may be outdated, and nothing else: no state is grey."""

LINK_TOO_LONG: Final = "(link too long)"
"""Follows the text of a link whose address does not fit."""


def and_more(items: Iterable[tuple[str, str]]) -> str:
    """Count what a list leaves out, from the (noun, state) of each item: `and 17 more alerts, 3 critical`.

    A mapping holds the number of items of each noun and state.
    """
    tally: dict[str, dict[str, int]] = {}
    for (noun, state), number in Counter(items).items():
        tally.setdefault(noun, {})[state] = number
    return ", ".join(_counted(noun, states) for noun, states in tally.items())


def _counted(noun: str, states: Mapping[str, int]) -> str:
    count = sum(states.values())
    words = f"and {count} more {noun}{plural(count)}"
    worst = max((State(state) for state in states if state), key=lambda state: state.rank, default=None)
    if worst is None:
        return words
    if count == 1:
        return f"{words} ({worst})"
    as_bad = states[worst]
    return f"{words}, {'all' if as_bad == count else as_bad} {worst}"


def more_characters(count: int) -> str:
    """Say how much of a text was cut."""
    return f"… ({count:,} more character{plural(count)})"


def more_blocks(count: int) -> str:
    """Say how many blocks were left out of a message, beside those that a list counts."""
    return f"and {count} more part{plural(count)}"


def duration(seconds: float) -> str:
    """Write a span of time in its two largest units: `1 h 12 min`. Beyond ten minutes, it has no seconds."""
    left = max(0, round(seconds))
    if left >= _WITHOUT_SECONDS:
        left = round(left / 60) * 60
    words = []
    for unit, length in _UNITS:
        number, left = divmod(left, length)
        if number:
            words.append(f"{number} {unit}")
        elif words:
            break
    return " ".join(words[:2]) or "0 s"
