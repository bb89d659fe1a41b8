"""A table of measured figures and their targets."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure; `met` is None if it has no target. `value` is the number, for comparisons."""

    what: str
    measured: str
    wanted: str = ""
    met: bool | None = None
    note: str = ""
    value: float = 0.0


def table(figures: Iterable[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = ["| what | measured | target | met | |", "|---|---|---|---|---|"]
    rows += [
        f"| {each.what} | {each.measured} | {each.wanted} | {_yes_or_no(each.met)} | {each.note} |" for each in figures
    ]
    return "\n".join(rows)


def _yes_or_no(met: bool | None) -> str:  # noqa: FBT001  the value to format
    return "" if met is None else "yes" if met else "**no**"
