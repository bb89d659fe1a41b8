"""The report of a check: its findings, and their forms for people and for machines."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import orjson

from relay.model.counting import counted
from relay.model.errors import Fault
from relay.model.struct import replace


class Format(StrEnum):
    """The form in which findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The findings, those of routes.yaml first, and the number of checked routes and template files.

    `notes` say what the files need that a check of files cannot see.
    """

    findings: tuple[Fault, ...]
    routes: int = 0
    templates: int = 0
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Fault, ...]:
        """The findings that must be fixed."""
        return tuple(finding for finding in self.findings if not finding.warning)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """The findings that work, but are probably not intended."""
        return tuple(finding for finding in self.findings if finding.warning)

    def with_findings(self, more: Iterable[Fault]) -> "CheckReport":
        """Return the same report with more findings."""
        return replace(self, findings=(*self.findings, *more))

    def warnings_as_errors(self) -> "CheckReport":
        """Return the same report with every warning as an error."""
        return replace(self, findings=tuple(replace(finding, warning=False) for finding in self.findings))

    @property
    def summary(self) -> str:
        """One line: what was checked, and how many errors and warnings there are."""
        checked = f"{counted(self.routes, 'route')}, {counted(self.templates, 'template file')}"
        return f"{checked}: {counted(len(self.errors), 'error')}, {counted(len(self.warnings), 'warning')}"


def format_report(report: CheckReport, form: Format) -> list[str]:
    """Format the findings as lines."""
    match form:
        case Format.TEXT:
            return [
                str(replace(each, message=f"warning: {each.message}") if each.warning else each)
                for each in report.findings
            ]
        case Format.JSON:
            document = {
                "ok": not report.errors,
                "faults": [_plain(each) for each in report.errors],
                "warnings": [_plain(each) for each in report.warnings],
                "notes": list(report.notes),
            }
            return [orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()]
        case Format.GITHUB:
            return [_annotation(each) for each in report.findings]


def _plain(finding: Fault) -> dict[str, str | int]:
    return {"file": finding.file, "line": finding.line, "column": finding.column, "message": finding.message}


def _annotation(finding: Fault) -> str:
    """A workflow command: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands."""
    level = "warning" if finding.warning else "error"
    file = _data(finding.file).replace(":", "%3A").replace(",", "%2C")
    place = f"file={file},line={max(finding.line, 1)},col={max(finding.column, 1)}"
    return f"::{level} {place}::{_data(finding.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
