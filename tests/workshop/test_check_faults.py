"""One fault a file, in `faults/`: each is told, alone, at its place, with what was expected.

The first line of a file says what `relay check` is to say of it, and whether the schema that editors use objects too.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from relay.errors import Fault
from relay.workshop.check import check, check_routes

FAULTS = Path(__file__).parent / "faults"
FIRST_LINE = re.compile(r"\{?# (?P<kind>fault|warning)(, to editors too)?: (?P<told>.*?)( #\})?")

ROUTES = """\
version: 1
channels: {noc: C0123456789}
fallback: noc
routes:
  - {name: open, match: {active: true}, post: [noc]}
"""


def expected(path: Path) -> list[str]:
    first = FIRST_LINE.fullmatch(path.read_text(encoding="utf-8").splitlines()[0])
    assert first, f"{path} does not say what is wrong with it"
    return [f"{first['kind']} {first['told']}"]


def told(findings: Sequence[Fault], path: Path) -> list[str]:
    assert all(finding.file == str(path) for finding in findings)
    return [
        f"{'warning' if finding.warning else 'fault'} {finding.line}:{finding.column}: {finding.message}"
        for finding in findings
    ]


@pytest.mark.parametrize("path", sorted(FAULTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_fault_of_the_routes_is_told_where_it_stands(path):
    _, findings = check_routes(path.read_text(encoding="utf-8"), str(path), ["incident"])
    assert told(findings, path) == expected(path)


@pytest.mark.parametrize("path", sorted((FAULTS / "templates").glob("*.j2")), ids=lambda path: path.stem)
def test_a_fault_of_a_template_is_told_where_it_stands(path, tmp_path):
    routes, card = tmp_path / "routes.yaml", tmp_path / "templates" / "incident" / "card.j2"
    card.parent.mkdir(parents=True)
    routes.write_text(ROUTES, encoding="utf-8")
    card.write_bytes(path.read_bytes())
    assert told(check(routes, tmp_path / "templates").findings, card) == expected(path)
