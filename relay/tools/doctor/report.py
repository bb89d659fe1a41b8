"""What the doctor finds: each finding with how bad it is and what to do about it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad a finding is."""

    OK = "fine"
    NOTE = "note"
    """Worth knowing, or not to be seen from here."""
    WARNING = "warning"
    """Something will not work as it is meant to, but every message arrives."""
    ERROR = "loss"
    """Messages would not arrive where they are meant to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: `about` names it, `message` says what is so, `remedy` what to do."""

    level: Level
    about: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """All findings, in the order in which they were made."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing would lose messages."""
        return not self.of(Level.ERROR)

    def of(self, level: Level) -> tuple[Finding, ...]:
        """The findings of that level."""
        return tuple(finding for finding in self.findings if finding.level is level)

    @property
    def summary(self) -> str:
        """It all in one line."""
        losses, warnings = len(self.of(Level.ERROR)), len(self.of(Level.WARNING))
        if not losses and not warnings:
            return f"Fine: {len(self.findings)} things were looked at."
        return f"{losses} that would lose messages, {warnings} to look at, of {len(self.findings)}."

    def as_json(self) -> dict[str, Any]:
        """A plain JSON object."""
        return {"ok": self.ok, "findings": [asdict(finding) for finding in self.findings]}


def ok(about: str, message: str) -> Finding:
    """All is as it should be."""
    return Finding(level=Level.OK, about=about, message=message)


def note(about: str, message: str, remedy: str = "") -> Finding:
    """Worth knowing."""
    return Finding(level=Level.NOTE, about=about, message=message, remedy=remedy)


def warning(about: str, message: str, remedy: str) -> Finding:
    """Works, but not as it is meant to."""
    return Finding(level=Level.WARNING, about=about, message=message, remedy=remedy)


def error(about: str, message: str, remedy: str) -> Finding:
    """Would lose messages."""
    return Finding(level=Level.ERROR, about=about, message=message, remedy=remedy)


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names in a row, the rest counted."""
    known = list(dict.fromkeys(names))
    more = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + more
