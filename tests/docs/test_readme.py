"""README.md and docs/reference.md describe the code: their tables are compared with it."""

import re
from pathlib import Path

import pytest
import typer.main

from relay.cli import app
from relay.config.settings import Settings
from relay.routes.parser.parse import parse_rulebook
from tests.support.documents import check_rows

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md"))
)


def first_cells(heading):
    """The first cells of the table under a heading of the reference, without their backticks."""
    section = REFERENCE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `([^`]+)`", section, re.MULTILINE)


def test_every_setting_is_in_the_table_with_its_default():
    fields = {str(field.validation_alias): field for field in Settings.model_fields.values()}
    check_rows("docs/reference.md (Settings)", first_cells("Settings"), fields, in_order=False)
    defaults = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^`|]+?)`? \|", REFERENCE, re.MULTILINE))
    settings = Settings.from_env({})
    for name, field in fields.items():
        value = getattr(settings, next(each for each, known in Settings.model_fields.items() if known is field))
        text = value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
        assert defaults[name].rstrip("/") == ("none" if not value else text.rstrip("/")), name


def test_every_command_is_in_the_table():
    commands = {f"relay {name}" for name in typer.main.get_command(app).commands}
    check_rows("docs/reference.md (Commands)", first_cells("Commands"), commands, in_order=False)


@pytest.mark.parametrize("page", PAGES)
def test_a_list_of_contents_names_every_section_in_order(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    contents = re.findall(r"^- \[([^\]]+)\]\(#", text, re.MULTILINE)
    assert contents in ([], re.findall(r"^## (.+)$", text, re.MULTILINE))


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        if target.startswith("http"):
            continue
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}#{anchor}"


def test_each_example_of_routes_in_the_readme_has_no_fault():
    yaml_examples = re.findall(r"^```yaml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert yaml_examples
    assert all(list(parse_rulebook(example).routes.flatten()) for example in yaml_examples)


def test_the_readme_can_be_read_in_three_minutes():
    """Count 250 words a minute, without the code."""
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"\w+", prose)) < 750
