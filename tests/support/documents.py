"""Reads the reference pages: their examples, and the first column of their tables, which are compared with the code."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
_FENCE = re.compile(r"^```(?P<language>[a-z]+)(?: (?P<name>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """A fenced block; `name` is the file that it is, empty for one that stands for itself."""

    language: str
    name: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"line {self.line}"


def text_of(page: str) -> str:
    return (DOCS / page).read_text()


def examples(page: str, language: str) -> list[Example]:
    text = text_of(page)
    return [
        Example(found["language"], found["name"] or "", found["text"], text[: found.start()].count("\n") + 1)
        for found in _FENCE.finditer(text)
        if found["language"] == language
    ]


def section(page: str, heading: str) -> str:
    """What stands below a heading, up to the next one of any level."""
    after = f"\n{text_of(page)}".partition(f"\n{heading}\n")[2]
    assert after, f"{page} has no heading {heading!r}"
    return re.split(r"^#+ ", after, maxsplit=1, flags=re.MULTILINE)[0]


def tables(page: str, heading: str) -> list[list[list[str]]]:
    """The tables below a heading, without their heads: rows of cells."""
    found = re.findall(r"(?:^\|.*\n)+", section(page, heading), flags=re.MULTILINE)
    return [[_cells(row) for row in table.splitlines()[2:]] for table in found]


def words(table: list[list[str]]) -> list[str]:
    """The first word in backticks of each row's first cell, without arguments."""
    return [match[1] for row in table if (match := re.match(r"`(\w+)", row[0]))]


def check_rows(place: str, written: Iterable[object], known: Iterable[object], *, in_order: bool = True) -> None:
    """Fail unless `place` has one row for each thing that the code knows; say which row is missing, and where."""
    written, known = list(written), list(known)
    missing, unknown = [row for row in known if row not in written], [row for row in written if row not in known]
    assert not missing, f"{place} has no row for {missing}"
    assert not unknown, f"{place} has rows that the code does not know: {unknown}"
    for row in written:
        assert written.count(row) == 1, f"{place} has the row {row!r} twice"
    assert written == known or not in_order, f"the rows of {place} have another order than the code: {known}"


def _cells(row: str) -> list[str]:
    return [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
