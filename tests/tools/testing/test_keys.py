"""The JSON Schema of test files: it knows every key, and accepts every file that relay accepts."""

import json
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from relay.cli import app
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.errors import ConfigurationError
from relay.samples import STARTER, read_starter
from relay.tools.schema import tests_schema as schema_of_tests
from relay.tools.testing.grammar import read_tests
from relay.tools.testing.keys import KEYS, FilePart
from tests.support import editor_yaml

ROOT = Path(__file__).parents[3]
VALIDATOR = Draft202012Validator(schema_of_tests())
ROUTES = """
version: 1
channels: {noc: C0NOC00001}
routes: [{name: all, post: [noc]}]
"""
RULEBOOK = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES)).rulebook

EVERYTHING = """\
version: 1
x-shares: &share {sample: documented, at: 3m, state: critical, environment: 12, tags: {team: [a, b], gone: null}}
tests:
  - name: every key
    note: for people
    x-owner: ann
    shares:
      - {sample: documented, at: 2026-11-30 03:00, copies: 40}
      - {<<: *share, comment: looking, headers: {X-Team: 7}, with: {incident: {alerts: []}}, without: incident.snooze}
      - {file: share.json, at: 0, without: [incident.snooze, links], expect: {channels: []}}
    expect:
      routes: [all]
      channels: [noc, C0NOC00001]
      cards:
        noc:
          says: [Critical, "/CPU .*/", 12, true]
          lacks: Resolved
          notification: {says: Critical, lacks: [a, b]}
          route: all
          pings: [S0PAY, "<!subteam^S0PAY|@pay>", here]
          catch_up: [S0PAY]
          held_pings: {S0PAY: quiet, here: {reason: mute, until: "07:00"}}
          pinged: []
          entries: 0
          thread: [Resolved, {says: a, lacks: b, kinds: [resolved], pings: [], broadcast: false}]
        C0NOC00001: {notification: Critical}
      storms: {noc: 10}
    moments:
      - {at: "07:30", expect: {cards: {noc: {held: hold}}}}
      - {at: 9h, expect: {cards: {noc: {held: {reason: storm, until: 2026-11-30 04:00}}}}}
"""


def parse(text: str, folder: Path) -> None:
    """Parse a test file as `relay test` does. Raises ConfigurationError."""
    (folder / "share.json").write_text('{"incident": {"id": "i1"}}')
    (folder / "my.test.yaml").write_text(text, encoding="utf-8")
    read_tests([folder / "my.test.yaml"], RULEBOOK)


def errors(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(editor_yaml.read(text))]


def names_in(document: object) -> set[str]:
    match document:
        case dict():
            return set(document) | {name for value in document.values() for name in names_in(value)}
        case list():
            return {name for value in document for name in names_in(value)}
        case _:
            return set()


def test_a_file_with_every_key_is_accepted_by_the_parser_and_the_schema(tmp_path):
    parse(EVERYTHING, tmp_path)
    assert errors(EVERYTHING) == []
    assert {name for keys in KEYS.values() for name in keys} <= names_in(yaml.safe_load(EVERYTHING))


def test_the_command_prints_the_schema_that_the_repository_has():
    result = CliRunner().invoke(app, ["schema", "--tests"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, schema_of_tests())
    assert (ROOT / "ops" / "tests.schema.json").read_text(encoding="utf-8") == result.stdout, "run `make tables`"
    Draft202012Validator.check_schema(schema_of_tests())


@pytest.mark.parametrize("text", [(ROOT / "routes.test.yaml").read_text(encoding="utf-8"), read_starter(STARTER[1])])
def test_the_projects_own_test_files_pass(text):
    assert errors(text) == []


@pytest.mark.parametrize("part", FilePart)
def test_an_unknown_key_is_a_fault_in_each_part_for_both(tmp_path, part):
    anchors = {
        FilePart.FILE: "version: 1",
        FilePart.TEST: "  - name: every key",
        FilePart.SHARE: "file: share.json",
        FilePart.EXPECT: "      routes: [all]",
        FilePart.CARD: "          entries: 0",
        FilePart.REPLY: "broadcast: false",
        FilePart.NOTIFICATION: "notification: {says: Critical",
        FilePart.MOMENT: '{at: "07:30"',
        FilePart.HELD: "{reason: mute",
    }
    anchor = anchors[part]
    inline = part in (FilePart.SHARE, FilePart.REPLY, FilePart.NOTIFICATION, FilePart.MOMENT, FilePart.HELD)
    indent = " " * (len(anchor) - len(anchor.lstrip(" -")))
    text = EVERYTHING.replace(anchor, f"{anchor}, opne: 1" if inline else f"{anchor}\n{indent}opne: 1", 1)
    with pytest.raises(ConfigurationError, match=f"unknown key 'opne' in {part}"):
        parse(text, tmp_path)
    assert errors(text)


VALUES = st.sampled_from(
    [
        *(None, "", "noc", "all", "documented", "share.json", "critical", "3m", "false", 0, 1, -1, 1.5, True),
        *(
            [],
            ["noc"],
            ["all"],
            [7],
            ["S0PAY"],
            ["here"],
            ["resolved"],
            [{"broadcast": False}],
            [{"sample": "documented"}],
        ),
        *({}, {"says": "x"}, {"lacks": 7}, {"noc": {}}, {"noc": {"thread": []}}, {"a": None}, {"channels": ["noc"]}),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    part=st.sampled_from([FilePart.SHARE, FilePart.EXPECT, FilePart.CARD, FilePart.REPLY, FilePart.TEST]),
    data=st.data(),
)
def test_the_schema_accepts_everything_that_the_parser_accepts(part, data):
    name = data.draw(st.sampled_from(sorted(KEYS[part])))
    value = data.draw(VALUES)
    share = {"sample": "documented"}
    test = {"name": "one", "shares": [share], "expect": {"channels": ["noc"], "cards": {"noc": {"thread": [{}]}}}}
    card = test["expect"]["cards"]["noc"]
    changed = {
        FilePart.SHARE: share,
        FilePart.EXPECT: test["expect"],
        FilePart.CARD: card,
        FilePart.REPLY: card["thread"][0],
    }
    changed.get(part, test)[name] = value
    text = yaml.safe_dump({"version": 1, "tests": [test]})
    with tempfile.TemporaryDirectory() as folder:
        try:
            parse(text, Path(folder))
        except ConfigurationError:
            return
    assert errors(text) == []
