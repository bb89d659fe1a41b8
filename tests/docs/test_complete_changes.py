"""A change that stops half-way fails here, with the place that is missing; docs/how-to-change.md lists the places."""

import ast
import re
from collections import defaultdict
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import typer.main
from aiohttp import web

import relay
from relay.cards.bulletins import BulletinKind
from relay.cards.tasks import ACTION_KINDS, COMMENT_KINDS
from relay.cli import app
from relay.config.settings import Settings
from relay.metrics import METRICS, Metrics
from relay.model.board_links import PAGE_NAMES
from relay.model.entry_kinds import EntryKind
from relay.rendering.fallback import bulletin_title
from relay.routes.options import HOURS_OPTIONS, Options
from relay.server.board.pages import BoardPages
from relay.server.endpoints import create_app
from relay.tools.check.hours import NEVER_ENDS
from tests.support.document_tables import generated, with_tables
from tests.support.documents import DOCS, check_rows, tables
from tests.support.fake_backend import FakeBackend
from tests.support.source_code import modules_with

PACKAGE = Path(relay.__file__).parent


@cache
def texts():
    """The text of every module. To parse all of them takes a second; a pattern finds what these tests look for."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py"))
    }


@cache
def attributes():
    """The names that are read as attributes (`options.wait`), with the modules that read them."""
    found = defaultdict(set)
    for module, text in texts().items():
        for name in re.findall(r"(?<=[\w)\]])\.(\w+)", text):
            found[name].add(module)
    return found


def unused(names, table):
    """Those of the names that no module but the one with the table reads."""
    return [name for name in names if not attributes()[name] - {table}]


def unnamed_members():
    """The members of all enums that no code names (`Class.MEMBER`)."""
    code = "\n".join(texts().values())
    named = set(re.findall(r"\b(\w+)\.([A-Z]\w*)", code))
    aliases = defaultdict(set, {name: {alias} for name, alias in re.findall(r"\b(\w+) as (\w+)", code)})
    for _, tree in modules_with(PACKAGE, "Enum)"):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(base) for base in node.bases):
                targets = [each.targets[0] for each in node.body if isinstance(each, ast.Assign)]
                names = [each.id for each in targets if isinstance(each, ast.Name) and each.id.isupper()]
                owners = {node.name, "cls", *aliases[node.name]}
                yield from (f"{node.name}.{name}" for name in names if not {(owner, name) for owner in owners} & named)


def test_every_member_of_an_enum_acts_somewhere():
    what_the_others_are_not = {"ValueType.NUMBER", "InDoubtPolicy.HOLD"}
    assert set(unnamed_members()) - what_the_others_are_not == set(), "no code names these"


def test_every_option_of_routes_yaml_acts_somewhere():
    names = (each.name for each in fields(Options))
    assert unused(names, "routes/options.py") == [], "nothing reads these options"


def test_every_option_with_hours_is_checked_for_hours_that_never_end():
    check_rows("NEVER_ENDS in relay/tools/check/hours.py", NEVER_ENDS, HOURS_OPTIONS)


def test_every_setting_is_used():
    assert [name for name in Settings.model_fields if not attributes()[name]] == [], "nothing reads these"


def test_every_metric_is_counted():
    text = texts()["metrics.py"]
    assert [name for name in METRICS if text.count(f'"{name}"') == 1] == [], "no method of Metrics counts these"
    methods = [name for name, value in vars(Metrics).items() if callable(value) and not name.startswith("_")]
    assert unused(methods, "metrics.py") == [], "nobody calls these methods of Metrics"


def test_every_kind_of_bulletin_has_a_built_in_title_of_its_own():
    titles = {kind: bulletin_title(kind.value, {"counts": {"all": 2, "open": 2}}) for kind in BulletinKind}
    alike = [kind for kind, title in titles.items() if list(titles.values()).count(title) > 1]
    assert alike == [], "`bulletin_title` in relay/rendering/fallback.py has no title for one of these kinds"


def test_every_kind_of_entry_is_made_by_a_decision():
    """All but reminders are found by comparing two states of an incident."""
    makers = texts()["cards/diff.py"] + texts()["cards/reminding.py"]
    assert [kind.name for kind in EntryKind if f"EntryKind.{kind.name}," not in makers] == [], (
        "cards/diff.py finds none"
    )


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        ("actions/preflight.py", "nothing prepares the calls of these buttons"),
        ("cards/attribution.py", "nothing says which entry confirms these buttons"),
    ],
)
def test_every_button_that_acts_in_bigpanda_is_prepared_and_confirmed(module, missing):
    named = set(re.findall(r"TaskKind\.(\w+)", texts()[module]))
    kinds = [kind for kind in ACTION_KINDS if module != "cards/attribution.py" or kind not in COMMENT_KINDS]
    assert [kind.name for kind in kinds if kind.name not in named] == [], missing


def test_every_module_of_a_command_is_registered():
    heads = [text.partition("\n")[0] for module, text in texts().items() if module.startswith("cli/")]
    commands = {found[1] for head in heads if (found := re.match(r'"""`relay (\w+)', head))}
    check_rows("relay/cli/__init__.py", typer.main.get_command(app).commands, commands, in_order=False)


@cache
def board_addresses():
    """The addresses of the board's pages that need no id, under the board's own."""
    pages = web.Application()
    BoardPages(None, {}).add_routes(pages)
    found = {route.resource.canonical for route in pages.router.routes() if route.method == "GET"}
    return {path.removeprefix("/board").rstrip("/") for path in found if "{" not in path} - {"/login", "/incidents"}


def test_every_page_of_the_board_is_in_its_navigation_and_in_its_guide():
    check_rows("PAGE_NAMES in relay/model/board_links.py", PAGE_NAMES, board_addresses(), in_order=False)
    [documented] = tables("board.md", "# The board")
    names = ["Incident", *PAGE_NAMES.values()]
    check_rows("docs/board.md", [row[0] for row in documented], names, in_order=False)


def test_every_endpoint_is_in_the_reference():
    """The board is one row there, whatever pages it has."""
    made = create_app(FakeBackend(), keys=["k"], header="X-Key", admin_key="a", signing_secret="s")
    pairs = {(route.method, route.resource.canonical) for route in made.router.routes() if route.method != "HEAD"}
    endpoints = {f"{method} {path.replace('{before}', '').replace('{after}', '')}" for method, path in pairs}
    [documented] = tables("reference.md", "## HTTP")
    rows = [row[0].strip("`") for row in documented]
    check_rows("docs/reference.md (HTTP)", rows, {"GET /board", *endpoints}, in_order=False)


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_the_generated_tables_of_a_page_follow_from_the_code(page):
    text = page.read_text(encoding="utf-8")
    assert with_tables(text) == text, "run `make tables`, and read the difference"


def test_every_generated_table_is_in_one_page():
    marked = [name for page in DOCS.glob("*.md") for name in re.findall(r"<!-- table: (.+) -->", page.read_text())]
    check_rows("the markers in docs/", marked, generated(), in_order=False)


@pytest.mark.parametrize(
    ("written", "known", "message"),
    [
        (["a"], ["a", "b"], r"docs/x.md has no row for \['b'\]"),
        (["a", "b"], ["a"], r"docs/x.md has rows that the code does not know: \['b'\]"),
        (["b", "a"], ["a", "b"], r"the rows of docs/x.md have another order than the code: \['a', 'b'\]"),
        (["a", "a"], ["a"], r"docs/x.md has the row 'a' twice"),
    ],
)
def test_a_difference_names_the_table_and_the_row(written, known, message):
    with pytest.raises(AssertionError, match=message):
        check_rows("docs/x.md", written, known)
