"""`relay routes`: what the file does, as a tree."""

import json

import pytest
from typer.testing import CliRunner

from relay.cli import app

ROUTES = """\
version: 1
channels: {noc: C0123456789}
people: {noc-oncall: S0NOC}
fallback: {channel: noc, wait: 3m, mention: {critical: [noc-oncall]}}
defaults: {gather: 5m}
routes:
  - name: production
    match: {environment: Production, any: [{status: critical}, {tags: {priority: P1}, flapping: true}]}
    continue: true
    routes:
      - name: databases
        match: {tags: {team: database}}
        post:
          - "#db"
          - {channel: "#inc-{{ tags.team }}", mention: {critical: [S0DB], any: [here]}, gather: 2m}
  - {name: noise, enabled: false, match: {source: "synthetic*"}, post: []}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "routes.yaml"
    path.write_text(ROUTES)
    return path


def test_the_tree_has_conditions_channels_mentions_and_differing_options(file):
    result = CliRunner().invoke(app, ["routes", "--routes", str(file)])
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "fallback: noc (C0123456789): critical pings noc-oncall (S0NOC); wait: 3m",
        "defaults: gather: 5m",
        "production (line 7), continues with the next route",
        "├── environment: Production",
        "├── any: (status: critical); (tags.priority: P1, flapping: true)",
        "└── databases (line 11)",
        "    ├── tags.team: database",
        "    ├── → #db: pings nobody",
        "    └── → #inc-{{ tags.team }}: critical pings S0DB; any pings here; gather: 2m",
        "noise (line 16), disabled",
        "├── source: synthetic*",
        "└── → drops the incident",
    ]


def test_json_has_the_same_as_the_tree(file):
    document = json.loads(CliRunner().invoke(app, ["routes", "--routes", str(file), "--json"]).stdout)
    assert document["fallback"] == {
        "channel": "C0123456789",
        "source": "noc",
        "mention": {"critical": ["S0NOC"]},
        "options": {"wait": "3m"},
    }
    assert document["defaults"] == {"gather": "5m"}
    [production, noise] = document["routes"]
    assert (noise["enabled"], noise["drops"], production["drops"]) == (False, True, False)
    [databases] = production["routes"]
    assert [post["ref"] for post in databases["post"]] == ["#db", None]
    assert databases["post"][1]["mention"] == {"critical": ["S0DB"], "any": ["here"]}


def test_a_faulty_or_missing_file_exits_with_2(file):
    file.write_text(ROUTES.replace("noc:", "nox:"))
    for path in (file, file.with_name("none.yaml")):
        result = CliRunner().invoke(app, ["routes", "--routes", str(path), "--json"])
        assert (result.exit_code, result.stdout) == (2, "")
        assert str(path) in result.stderr
