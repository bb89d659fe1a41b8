"""`relay check`: every fault at once, in the form that is asked for, and the exit code that goes with it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.cli import app

FINE = """\
version: 1
channels: {noc: C0123456789}
fallback: noc
routes:
  - {name: open, match: {active: true}, post: [noc]}
"""
WARNED = FINE.replace("{noc: C0123456789}", "{noc: C0123456789, old: C0999999999}")
WRONG = """\
version: 1
channels: {noc: C0123456789}
routes:
  - name: a
    match: {status: critcal, tags: {host: /db-(/}}
    post: [nocc]
  - name: a
    post: [{channel: noc, template: paymets}]
"""


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("RELAY_ROUTES", "RELAY_TEMPLATES"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "templates" / "payments").mkdir(parents=True)
    (tmp_path / "templates" / "payments" / "card.j2").write_text("{% section %}{{ incident.title | shuot }}")
    return tmp_path


def run(*arguments: str):
    return CliRunner().invoke(app, ["check", *arguments])


def written(here: Path, routes: str, *, template: str = "{% section %}{{ incident.title }}{% endsection %}") -> None:
    (here / "routes.yaml").write_text(routes, encoding="utf-8")
    (here / "templates" / "payments" / "card.j2").write_text(template, encoding="utf-8")


def test_all_faults_of_all_files_are_told_at_once(here):
    written(here, WRONG, template="{% section %}{{ incident.title | capitalise }}{% endsection %}")
    result = run()
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "routes.yaml:5:21: 'critcal' is not a state; did you mean 'critical'?",
        "routes.yaml:5:43: this is not a regular expression that RE2 takes: missing ): db-(",
        "routes.yaml:6:12: the channel 'nocc' is not known; did you mean 'noc'?",
        "routes.yaml:7:11: there is a route 'a' in line 4 already; names are unique",
        "routes.yaml:8:37: there is no template 'paymets'; did you mean 'payments'?",
        'templates/payments/card.j2:1:34: unknown filter "capitalise"; did you mean "capitalize"?',
    ]
    assert result.stderr == "6 faults\n"


def test_what_is_fine_is_said_to_be_fine(here):
    written(here, FINE.replace("post: [noc]", "post: [{channel: noc, template: payments}]"))
    result = run()
    assert (result.exit_code, result.stdout, result.stderr) == (0, "fine: 1 route, 1 template file\n", "")


def test_a_warning_is_told_and_is_no_fault_unless_strictness_is_asked_for(here):
    written(here, WARNED.replace("post: [noc]", "post: [{channel: noc, template: payments}]"))
    lenient, strict = run(), run("--strict")
    assert lenient.exit_code == 0
    assert lenient.stdout == "routes.yaml:2:30: warning: nothing posts to 'old'\n"
    assert strict.exit_code == 1
    assert strict.stdout == "routes.yaml:2:30: nothing posts to 'old'\n"


def test_a_folder_of_templates_that_nothing_uses_is_a_warning(here):
    written(here, FINE)
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "templates/payments:0:0: warning: no route names this template, and no other template uses it"
    ]


def test_a_folder_that_another_template_includes_from_is_used(here):
    written(here, FINE)
    (here / "templates" / "incident").mkdir()
    (here / "templates" / "incident" / "card.j2").write_text('{% include "payments/card.j2" %}')
    assert run().stdout == "fine: 1 route, 2 template files\n"


def test_a_fault_as_json_is_data(here):
    written(here, WARNED.replace("active: true", "status: ok"))
    result = run("--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["faults"] == [
        {
            "file": "routes.yaml",
            "line": 5,
            "column": 34,
            "message": "'ok' is not a state; did you mean 'resolved'?",
        }
    ]
    assert json.loads(run("--format", "json", "--routes", "routes.yaml").stdout) == document


def test_a_fault_for_github_is_an_annotation_that_no_message_can_break_out_of(here):
    written(here, WARNED, template='{% section %}{{ "100%\n::error::" | shuot }}{% endsection %}')
    result = run("--format", "github")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "::warning file=routes.yaml,line=2,col=30::nothing posts to 'old'",
        "::warning file=templates/payments,line=1,col=1::no route names this template, and no other template uses it",
        '::error file=templates/payments/card.j2,line=2,col=14::unknown filter "shuot"',
    ]
    (here / "100%,a:b.yaml").write_text(FINE.replace("open", "'50%'").replace("[noc]", "['%\\n']"))
    (here / "none").mkdir()
    (line,) = run("--format", "github", "--routes", "100%,a:b.yaml", "--templates", "none").stdout.splitlines()
    assert line.startswith("::error file=100%25%2Ca%3Ab.yaml,line=5,col=")
    assert "'%25\\n'" in line


@pytest.mark.parametrize(("name", "content"), [("gone.yaml", None), ("latin.yaml", b"version: 1 # caf\xe9\n")])
def test_routes_that_cannot_be_read_are_another_matter(here, name, content):
    if content is not None:
        (here / name).write_bytes(content)
    result = run("--routes", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"relay: {name}:0:0: ")


def test_a_template_that_cannot_be_read_is_told_beside_the_rest(here):
    written(here, WRONG)
    (here / "templates" / "payments" / "card.j2").write_bytes(b"caf\xe9")
    lines = run().stdout.splitlines()
    assert lines[-1].startswith("templates/payments/card.j2:0:0: not UTF-8")
    assert len(lines) == 5  # and nobody says that a template is missing


def test_the_files_are_those_of_the_settings(here, monkeypatch):
    (here / "other.yaml").write_text(WARNED)
    monkeypatch.setenv("RELAY_ROUTES", "other.yaml")
    monkeypatch.setenv("RELAY_TEMPLATES", "none")
    (here / "none").mkdir()
    assert run().stdout == "other.yaml:2:30: warning: nothing posts to 'old'\n"


@pytest.mark.parametrize("named", ["templtaes", "gone/templates", "file", "link", "broken/templates"])
def test_a_folder_of_templates_that_somebody_named_must_be_there(here, monkeypatch, named):
    (here / "routes.yaml").write_text(FINE.replace("post:", "template: gone, post:"))
    (here / "file").touch()
    (here / "link").symlink_to("nowhere")
    (here / "broken").mkdir()
    (here / "broken" / "templates").symlink_to("nowhere")
    what = "this is no folder" if named == "file" else "there is no such folder"
    for result in (run("--templates", named), run_with(monkeypatch, RELAY_TEMPLATES=named)):
        assert result.exit_code == 1
        [line] = result.stdout.splitlines()  # and nobody says that a template is missing
        assert line.startswith(f"{named}:0:0: {what}; set RELAY_TEMPLATES")


def run_with(monkeypatch, **environment):
    with monkeypatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        return run()


def test_the_usual_folder_of_templates_need_not_be_there(here, monkeypatch):
    (here / "bare").mkdir()
    (here / "bare" / "routes.yaml").write_text(FINE)
    monkeypatch.chdir(here / "bare")
    assert run("--strict").exit_code == 0
    assert run("--strict", "--templates", str(here / "bare" / "templates")).exit_code == 0  # as the image names it


def test_the_projects_own_configuration_has_no_fault(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3])
    assert run().exit_code == 0
