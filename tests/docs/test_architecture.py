"""The documents for developers describe the code: their paths, imports, states and examples are real."""

import ast
import inspect
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import get_args

import pytest

from relay.cards.model import AttemptState, CardState
from relay.slack.message import EventType

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGES = ["docs/architecture.md", "docs/how-to-change.md", "docs/glossary.md", "docs/behaviour.md", "CONTRIBUTING.md"]
TOPS = ("relay", "tests", "docs", "ops", "templates", "benchmarks")


def section(heading):
    return ARCHITECTURE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]


IMPORT = re.compile(r"^ *from relay(?:\.(\w+)[\w.]*)? import (\([^)]*\)|.*)$", re.MULTILINE)
"""An import of relay's own, on any level: the package it is from, if it names one, and what it imports."""


def imports():
    """The packages of relay that each package of relay imports."""
    imported = defaultdict(set, {path.parent.name: set() for path in (ROOT / "relay").glob("*/__init__.py")})
    for path in (ROOT / "relay").rglob("*.py"):
        package = path.relative_to(ROOT / "relay").parts[0].removesuffix(".py")
        for module, what in IMPORT.findall(path.read_text(encoding="utf-8")):
            names = [module] if module else re.findall(r"\w+", what)
            imported[package] |= {name for name in names if (ROOT / "relay" / name).is_dir()} | {
                name for name in names if (ROOT / "relay" / f"{name}.py").is_file()
            }
    return {package: names - {package} for package, names in imported.items() if not package.startswith("__")}


def test_the_table_of_packages_is_what_the_code_imports():
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]*) \|$", section("Packages"), re.MULTILINE)
    documented = {package: set(re.findall(r"`(\w+)`", names)) for package, names in rows}
    assert documented == imports()


def test_the_bands_are_the_layers_that_import_linter_enforces():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = next(each["layers"] for each in settings["contracts"] if each["type"] == "layers")
    rows = re.findall(r"^\| \w+ \| (.+?) \| .+ \|$", section("Bands"), re.MULTILINE)
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows if "`" in row] == [
        set(re.findall(r"\w+", layer)) for layer in layers
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_named_path_exists(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    paths = {path for path in re.findall(r"`([\w./-]+/[\w./-]*)`", text) if path.split("/")[0] in TOPS}
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []


def rows_of_changes():
    text = (ROOT / "docs" / "how-to-change.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", rows_of_changes(), ids=lambda row: row.split(" | ")[0])
def test_every_name_in_how_to_change_occurs_in_a_file_of_its_row(row):
    words = re.findall(r"`([^`]+)`", row)
    places = [ROOT / word for word in words if word.split("/")[0] in TOPS and "/" in word]
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*.py"))]
    texts = [file.read_text(encoding="utf-8") for file in files if file.suffix == ".py"]
    names = [word for word in words if re.fullmatch(r"_?[A-Z]\w+(\.\w+)?|_\w+|\w+_\w+", word)]
    for name in names:
        parts = name.split(".")
        assert any(all(re.search(rf"\b{part}\b", text) for part in parts) for text in texts), name


def test_every_module_in_a_walk_through_is_a_module_of_relay():
    """Bare names such as `merge.py` belong to the folder of the path before them."""
    modules = {path.name for path in (ROOT / "relay").rglob("*.py")}
    assert set(re.findall(r"`(\w+\.py)`", ARCHITECTURE)) <= modules


def test_the_tables_of_states_equal_those_of_the_code():
    for heading, states in (("States of a card", CardState), ("States of an attempt", AttemptState)):
        assert re.findall(r"^\| `(\w+)` \|", section(heading), re.MULTILINE) == [str(state) for state in states]


def next_states(states: type[CardState | AttemptState]) -> dict[str, set[str]]:
    """Read the column `next` of the table in a docstring; a row may go on in further lines."""
    heading, *lines = (inspect.getdoc(states) or "").split("\n\n")[1].splitlines()
    column, rows, state = heading.index("next"), {}, ""
    for line in lines:
        state = line.split()[0] if line[0] != " " else state
        rows.setdefault(state, set()).update(set(re.findall(r"\w+", line[column:])) & set(map(str, states)))
    return rows


def test_the_guide_and_the_code_name_the_same_next_states():
    for heading, states in (("States of a card", CardState), ("States of an attempt", AttemptState)):
        rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|$", section(heading), re.MULTILINE)
        assert {state: set(re.findall(r"`(\w+)`", following)) for state, following in rows} == next_states(states)


def test_the_lines_for_the_python_prompt_work(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (lines,) = re.findall(r"^```python\n(.*?)^```$", ARCHITECTURE, re.MULTILINE | re.DOTALL)
    exec(compile(lines, "architecture.md", "exec"), {})
    assert capsys.readouterr().out == "Critical · database · Incident 1\n"


def test_one_public_class_name_is_defined_in_one_module():
    places = defaultdict(list)
    for path in (ROOT / "relay").rglob("*.py"):
        for name in re.findall(r"^class ([a-zA-Z]\w*)", path.read_text(encoding="utf-8"), re.MULTILINE):
            places[name].append(path.relative_to(ROOT).as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_at_most_three_modules_are_beside_app_at_the_top():
    loose = {path.stem for path in (ROOT / "relay").glob("*.py")} - {"__init__", "__main__", "app"}
    assert len(loose) <= 3, loose


PACKAGES = sorted(path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "relay").rglob("__init__.py"))


def docstring(path):
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def listed(package):
    """The names in the list of a package's docstring: `name, name ... what they are for; name: what it is for`."""
    lines = re.findall(r"^ *((?:\w+, )*\w+) (?:\.{2,}| ) *\S", docstring(ROOT / package / "__init__.py"), re.MULTILINE)
    others = re.findall(r"(?:; |^ {20,})(\w+): ", docstring(ROOT / package / "__init__.py"), re.MULTILINE)
    return {name for line in lines for name in line.split(", ")} | set(others)


def contents(package):
    """The modules and folders in a package; not the commands of `relay/cli`, which are named after what people type."""
    modules = {path.stem for path in (ROOT / package).glob("*.py")}
    if package == "relay/cli":
        modules -= {name for name in modules if docstring(ROOT / package / f"{name}.py").startswith("`relay ")}
    folders = {path.name for path in (ROOT / package).iterdir() if path.is_dir()}
    return (modules | folders) - {"__init__", "__main__", "__pycache__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_says_what_it_holds(package):
    assert docstring(ROOT / package / "__init__.py").partition("\n")[0].endswith((".", ":"))


@pytest.mark.parametrize("package", sorted({*PACKAGES} - {"relay", "relay/samples", "relay/store/migrations/versions"}))
def test_the_docstring_of_a_package_lists_all_that_is_in_it(package):
    """What is in `relay` itself stands in docs/architecture.md. Migrations have numbers, and samples are no modules."""
    names = listed(package) if len(contents(package)) > 1 else contents(package)
    assert contents(package) - names == set(), f"{package}/__init__.py does not say what these are for"
    assert names - contents(package) == set(), f"{package}/__init__.py lists what is not there"


def test_the_rules_name_every_type_of_message_that_relay_posts():
    text = (ROOT / "docs" / "behaviour.md").read_text(encoding="utf-8")
    assert [name for name in get_args(EventType) if f"`{name}`" not in text] == []


def bullet(begins):
    """A point of a list in CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition(f"\n* {begins}")[2].partition("\n* ")[0]


def test_tests_mirror_the_packages_but_for_what_the_guide_names():
    beside = set(re.findall(r"`tests/([a-z/]+)/`", bullet("Tests mirror the packages")))
    folders = {path.parent.relative_to(ROOT / "tests").as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    packages = {package.removeprefix("relay").strip("/") or "." for package in PACKAGES}
    assert folders - packages - beside == set(), "no package has these tests, and CONTRIBUTING.md does not name them"
    assert [name for name in sorted(beside) if not (ROOT / "tests" / name).is_dir()] == []


def test_every_package_has_tests_of_its_own_or_the_guide_says_where_they_are():
    elsewhere = set(re.findall(r"`(relay/[a-z_/]+)/`", bullet("Some packages are tested through")))
    without = {each for each in PACKAGES if not list((ROOT / f"tests{each.removeprefix('relay')}").glob("test_*.py"))}
    assert without - elsewhere - {"relay/store/migrations/versions"} == set(), "say in CONTRIBUTING.md where they are"
    assert elsewhere - without == set(), "these have tests of their own"


def test_a_test_module_beside_the_folders_belongs_to_a_module_at_the_top():
    names = {path.stem.removeprefix("test_") for path in (ROOT / "tests").glob("test_*.py")}
    assert names <= {path.stem for path in (ROOT / "relay").glob("*.py")}
