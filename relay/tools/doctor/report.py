"""The doctor's findings: each with its level and a remedy."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from typing import Any

from rich.padding import Padding
from rich.text import Text

from relay.model.counting import counted


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing, or impossible to check from here."""
    WARNING = "warning"
    """Something will not work as intended, but every message arrives."""
    ERROR = "error"
    """Messages would not arrive where they should."""


_STYLES = {
    Level.OK: ("✓", "green"),
    Level.NOTE: ("·", "dim"),
    Level.WARNING: ("!", "yellow"),
    Level.ERROR: ("✗", "red"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: what was checked, what is so, and what to do about it."""

    level: Level
    subject: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings, in the order of the checks."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return all(finding.level is not Level.ERROR for finding in self.findings)

    def lines(self) -> Iterator[Text | Padding]:
        """The findings with their remedies, and the summary, for people."""
        for finding in self.findings:
            yield Text.assemble(_STYLES[finding.level], " ", (finding.subject, "bold"), f": {finding.message}")
            if finding.remedy:
                yield Padding(Text(finding.remedy), (0, 0, 0, 2), expand=False)
        levels = [finding.level for finding in self.findings]
        counts = {"check": len(levels), "error": levels.count(Level.ERROR), "warning": levels.count(Level.WARNING)}
        checks, errors, warnings = (counted(number, noun) for noun, number in counts.items())
        yield Text(f"{checks}: {errors}, {warnings}", "green" if self.ok else "red")

    def as_json(self) -> dict[str, Any]:
        """Convert to a plain JSON object."""
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}


ok = partial(Finding, Level.OK)
note = partial(Finding, Level.NOTE)
warning = partial(Finding, Level.WARNING)
error = partial(Finding, Level.ERROR)


_MAX_NAMES = 5
"""How many names a finding lists."""


def join_names(names: Iterable[str]) -> str:
    """Join names with commas, and count those after the first few."""
    unique = list(dict.fromkeys(names))
    more = f" and {len(unique) - _MAX_NAMES} more" if len(unique) > _MAX_NAMES else ""
    return ", ".join(unique[:_MAX_NAMES]) + more
