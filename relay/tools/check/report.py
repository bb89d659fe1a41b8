"""What a check came to, and the lines that people and machines read of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from relay.model.errors import Fault


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What a check came to: the findings, those of routes.yaml first, and how much was looked at."""

    findings: tuple[Fault, ...]
    routes: int = 0
    templates: int = 0

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What has to be mended."""
        return tuple(finding for finding in self.findings if not finding.warning)

    @property
    def warnings(self) -> tuple[Fault, ...]:
        """What deserves a look."""
        return tuple(finding for finding in self.findings if finding.warning)

    def warnings_as_errors(self) -> "CheckReport":
        """The same, with every warning a fault."""
        return replace(self, findings=tuple(replace(finding, warning=False) for finding in self.findings))

    @property
    def summary(self) -> str:
        """It all in a few words."""
        if not self.findings:
            return f"fine: {_counted(self.routes, 'route')}, {_counted(self.templates, 'template file')}"
        parts = ((self.errors, "fault"), (self.warnings, "warning"))
        return ", ".join(_counted(len(found), noun) for found, noun in parts if found)


def format_report(checked: CheckReport, form: Format) -> Iterable[str]:
    """The findings, as lines."""
    return _FORMS[form](checked)


def _as_text(checked: CheckReport) -> Iterator[str]:
    for finding in checked.findings:
        yield str(replace(finding, message=f"warning: {finding.message}") if finding.warning else finding)


def _as_json(checked: CheckReport) -> Iterator[str]:
    document = {
        "ok": not checked.errors,
        "faults": [_plain(finding) for finding in checked.errors],
        "warnings": [_plain(finding) for finding in checked.warnings],
    }
    yield orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def _plain(finding: Fault) -> dict[str, str | int]:
    return {"file": finding.file, "line": finding.line, "column": finding.column, "message": finding.message}


def _as_annotations(checked: CheckReport) -> Iterator[str]:
    """Workflow commands: https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands."""
    for finding in checked.findings:
        level = "warning" if finding.warning else "error"
        place = f"file={_property(finding.file)},line={max(finding.line, 1)},col={max(finding.column, 1)}"
        yield f"::{level} {place}::{_data(finding.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


_FORMS: Mapping[Format, Callable[[CheckReport], Iterator[str]]] = {
    Format.TEXT: _as_text,
    Format.JSON: _as_json,
    Format.GITHUB: _as_annotations,
}


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
