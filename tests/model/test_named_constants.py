"""The constants that tests give other values by their names (`tests/support/intervals.py`, `monkeypatch`) exist."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
NAME = re.compile(r'"(relay(?:\.[a-z_]+)+)\.(_?[A-Z][A-Z_]+)"')


def test_every_constant_that_a_test_names_exists():
    named = {found for file in TESTS.rglob("*.py") for found in NAME.findall(file.read_text())}
    assert len(named) > 10
    assert [f"{module}.{name}" for module, name in sorted(named) if name not in constants(module)] == []


def constants(module):
    """The names that a module of relay assigns."""
    tree = ast.parse((TESTS.parent / module.replace(".", "/")).with_suffix(".py").read_text())
    return {each.id for each in ast.walk(tree) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
