"""`relay check`: every fault at once, in the chosen format, and the exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.tools.check.command import run_checks

FINE = """\
version: 1
channels: {noc: C0123456789}
fallback: {channel: noc, mention: {any: [here]}}
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


def write(here: Path, routes: str, *, template: str = "{% section %}{{ incident.title }}{% endsection %}") -> None:
    (here / "routes.yaml").write_text(routes, encoding="utf-8")
    (here / "templates" / "payments" / "card.j2").write_text(template, encoding="utf-8")


def test_all_faults_of_all_files_are_reported_at_once(here):
    write(here, WRONG, template="{% section %}{{ incident.title | capitalise }}{% endsection %}")
    result = run()
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "routes.yaml:5:21: unknown state 'critcal'; did you mean 'critical'?",
        "routes.yaml:5:43: invalid regular expression (RE2): missing ): db-(",
        "routes.yaml:6:12: unknown channel 'nocc'; did you mean 'noc'?",
        "routes.yaml:7:11: duplicate route name 'a', first used in line 4",
        "routes.yaml:8:37: unknown template 'paymets'; did you mean 'payments'?",
        'templates/payments/card.j2:1:34: unknown filter "capitalise"; did you mean "capitalize"?',
    ]
    assert result.stderr == "0 routes, 1 template file: 6 errors, 0 warnings\n"


def test_without_findings_the_summary_says_what_was_checked(here):
    write(here, FINE.replace("post: [noc]", "post: [{channel: noc, template: payments}]"))
    result = run()
    assert (result.exit_code, result.stdout, result.stderr) == (
        0,
        "1 route, 1 template file: 0 errors, 0 warnings\n",
        "",
    )


def test_a_warning_is_an_error_only_with_strict(here):
    write(here, WARNED.replace("post: [noc]", "post: [{channel: noc, template: payments}]"))
    lenient, strict = run(), run("--strict")
    assert lenient.exit_code == 0
    assert lenient.stdout == "routes.yaml:2:30: warning: unused alias 'old': nothing posts to it\n"
    assert strict.exit_code == 1
    assert strict.stdout == "routes.yaml:2:30: unused alias 'old': nothing posts to it\n"


def test_the_projects_own_files_pass_the_strict_check():
    """Its templates are all that relay knows, also those that no route can name."""
    root = Path(__file__).parents[3]
    report = run_checks(root / "routes.yaml", root / "templates")
    assert report.findings == ()


def test_an_unused_template_folder_is_a_warning(here):
    write(here, FINE)
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "templates/payments: warning: unused template: no route and no other template uses it"
    ]


def test_a_folder_from_which_another_template_includes_is_used(here):
    write(here, FINE)
    (here / "templates" / "incident").mkdir()
    (here / "templates" / "incident" / "card.j2").write_text('{% include "payments/card.j2" %}')
    assert run().stdout == "1 route, 2 template files: 0 errors, 0 warnings\n"


def test_json_has_every_fault_as_data(here):
    write(here, WARNED.replace("active: true", "status: ok"))
    result = run("--format", "json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["faults"] == [
        {
            "file": "routes.yaml",
            "line": 5,
            "column": 34,
            "message": "unknown state 'ok'; did you mean 'resolved'?",
        }
    ]
    assert json.loads(run("--json", "--routes", "routes.yaml").stdout) == document


def test_github_annotations_escape_every_message(here):
    write(here, WARNED, template='{% section %}{{ "100%\n::error::" | shuot }}{% endsection %}')
    result = run("--format", "github")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "::warning file=routes.yaml,line=2,col=30::unused alias 'old': nothing posts to it",
        "::warning file=templates/payments,line=1,col=1::unused template: no route and no other template uses it",
        '::error file=templates/payments/card.j2,line=2,col=14::unknown filter "shuot"',
    ]
    (here / "100%,a:b.yaml").write_text(FINE.replace("open", "'50%'").replace("[noc]", "['%\\n']"))
    (here / "none").mkdir()
    (line,) = run("--format", "github", "--routes", "100%,a:b.yaml", "--templates", "none").stdout.splitlines()
    assert line.startswith("::error file=100%25%2Ca%3Ab.yaml,line=5,col=")
    assert "'%25\\n'" in line


@pytest.mark.parametrize(("name", "content"), [("gone.yaml", None), ("latin.yaml", b"version: 1 # caf\xe9\n")])
def test_unreadable_routes_exit_with_2(here, name, content):
    if content is not None:
        (here / name).write_bytes(content)
    result = run("--routes", name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"relay: {name}: ")


def test_an_unreadable_template_is_reported_with_the_other_faults(here):
    write(here, WRONG)
    (here / "templates" / "payments" / "card.j2").write_bytes(b"caf\xe9")
    lines = run().stdout.splitlines()
    assert lines[-1].startswith("templates/payments/card.j2: not UTF-8")
    assert len(lines) == 5  # and no template is reported as unknown


def test_the_settings_name_the_files(here, monkeypatch):
    (here / "other.yaml").write_text(WARNED)
    monkeypatch.setenv("RELAY_ROUTES", "other.yaml")
    monkeypatch.setenv("RELAY_TEMPLATES", "none")
    (here / "none").mkdir()
    assert run().stdout == "other.yaml:2:30: warning: unused alias 'old': nothing posts to it\n"


@pytest.mark.parametrize("named", ["templtaes", "gone/templates", "file", "link", "broken/templates"])
def test_a_template_folder_that_is_named_must_exist(here, monkeypatch, named):
    (here / "routes.yaml").write_text(FINE.replace("post:", "template: gone, post:"))
    (here / "file").touch()
    (here / "link").symlink_to("nowhere")
    (here / "broken").mkdir()
    (here / "broken" / "templates").symlink_to("nowhere")
    problem = "not a folder" if named == "file" else "folder not found"
    for result in (run("--templates", named), run_with(monkeypatch, RELAY_TEMPLATES=named)):
        assert result.exit_code == 1
        [line] = result.stdout.splitlines()  # and no template is reported as unknown
        assert line.startswith(f"{named}: {problem}; set --templates")


def run_with(monkeypatch, **environment):
    with monkeypatch.context() as patched:
        for name, value in environment.items():
            patched.setenv(name, value)
        return run()


def test_the_default_template_folder_may_be_missing(here, monkeypatch):
    (here / "bare").mkdir()
    (here / "bare" / "routes.yaml").write_text(FINE)
    monkeypatch.chdir(here / "bare")
    assert run("--strict").exit_code == 0
    assert run("--strict", "--templates", str(here / "bare" / "templates")).exit_code == 0  # as the image names it


def test_the_projects_own_configuration_has_no_fault(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[3])
    assert run().exit_code == 0
