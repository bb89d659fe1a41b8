"""The README says what the code does: its tables are read beside it."""

import re
from pathlib import Path

import pytest
import typer.main

from relay.cli import app
from relay.config.settings import Settings
from relay.routes.parser.parse import parse_rulebook

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def rows(heading):
    """The first cells of the table under a heading, without their ticks."""
    section = README.split(f"### {heading}\n", 1)[1].split("\n#", 1)[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_every_setting_is_in_the_table_with_its_default():
    fields = {str(field.validation_alias): field for field in Settings.model_fields.values()}
    assert rows("Settings") == [name for name in rows("Settings") if name in fields]
    assert set(rows("Settings")) == set(fields)
    defaults = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^`|]+?)`? \|", README, re.MULTILINE))
    settings = Settings.from_env({})
    for name, field in fields.items():
        value = getattr(settings, next(each for each, known in Settings.model_fields.items() if known is field))
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        assert defaults[name].rstrip("/") == ("none" if not value else text.rstrip("/")), name


def test_every_command_is_in_the_table():
    commands = {f"relay {name}" for name in typer.main.get_command(app).commands}
    assert set(rows("Commands")) == commands


@pytest.mark.parametrize("page", ["README.md", "docs/routes.md", "docs/templates.md", "docs/operating.md"])
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target


def test_each_example_of_routes_is_one_without_a_fault():
    found = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert found
    assert all(list(parse_rulebook(example).routes.flatten()) for example in found)
