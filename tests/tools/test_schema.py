"""The schema that editors check routes.yaml by: it objects to what is misshapen, and never to what relay takes."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from relay.cli import app
from relay.model.errors import ConfigurationError
from relay.routes.parser.keys import PLACES, Place
from relay.routes.parser.parse import parse_rulebook
from relay.routes.subjects import NAMED, PLAIN
from relay.tools.schema import schema
from tests.support import editor_yaml
from tests.support.condition_samples import matches

ROOT = Path(__file__).parents[2]
FAULTS = sorted((Path(__file__).parent / "check" / "faults").glob("*.yaml"))
VALIDATOR = Draft202012Validator(schema())


def objections(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(editor_yaml.read(text))]


def is_told(path: Path, beginning: str) -> bool:
    return path.read_text(encoding="utf-8").startswith(beginning)


def is_yaml(path: Path) -> bool:
    try:
        editor_yaml.read(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return False
    return True


SHAPES = [path for path in FAULTS if is_told(path, "# fault, to editors too: ")]
OTHERS = [path for path in FAULTS if path not in SHAPES and is_yaml(path)]


def test_it_is_a_schema_of_its_draft():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_command_prints_it_and_the_repository_keeps_it():
    result = CliRunner().invoke(app, ["schema"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, schema())
    assert (ROOT / "ops" / "routes.schema.json").read_text(encoding="utf-8") == result.stdout


def test_the_projects_own_routes_name_it_where_editors_look_and_pass():
    text = (ROOT / "routes.yaml").read_text(encoding="utf-8")
    marker, _, place = text.partition("\n")[0].partition("$schema=")
    assert marker == "# yaml-language-server: "
    assert (ROOT / place).is_file()
    assert objections(text) == []


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
def test_what_is_misshapen_is_seen_in_the_editor_already(path):
    assert objections(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_what_takes_more_than_shapes_to_see_is_left_to_the_check(path):
    assert objections(path.read_text(encoding="utf-8")) == []


def test_there_are_faults_of_both_kinds():
    assert min(len(SHAPES), len(OTHERS)) > 20


EVERYTHING = """\
version: 1
x-anchors: &loud {gather: 30s, x-why: they asked}
channels: {noc: C0123456789, 7: "#Real", odd: GABCDEFGHI}
fallback: {channel: "#noc", wait: 3m}
tag_values: {itd_priority_1: {1000: P1, 012: no}, other: {no: 2026-01-01}}
users: {ann@example.org: 012}
defaults: {<<: *loud, show_tags: [no, 012, 2026-01-01], wait: 0, stale_after: 060s, template: 7}
routes:
  - name: 012
    <<: *loud
    enabled: true
    continue: false
    note: no
    x-owner: ann
    match:
      environment: [Production, "Payments *", 12, null, no]
      status: {min: Warning, not: [Critical, "/c.*/", "crit*", {any: [resolved]}]}
      severity: critical
      tags: {team: no, size: {min: 5, max: "7.5", not: "6"}, gone: {exists: false}, exact: {is: "*"}, re: {re: a+}}
      alert_tags: {host: {any: [a, [b, c]], all: [/d.*/]}}
      source: 2026-01-01
      active: true
      flapping: [true, false]
      snoozed: {not: true}
      assigned: {is: false, exists: true}
      alerts: {min: 1, max: "3", not: 2}
      header: {X-Team: {not: {not: a}}}
      any: [{status: critical}, {}]
      all: [{not: {not: {active: true}}}]
    post:
      - noc
      - "#inc-{{ tags.team }}"
      - 7
      - channel: noc
        x-why: it is loud
        mention: {critical: [S0AAA, U0AAA, here, "<!subteam^S0AAA|@oncall>"], any: ["@channel"], reopened: []}
        template: payments
        thread: [status, comment]
        broadcast: [rise, resolved, reopened, comment]
        gather: 0s
        wait: 5m
        reopen_within: 7d
        runbook_tags: []
        in_doubt: hold
        allow_external: true
        actions: [assign, comment, snooze, resolve]
        actors: [S0AAAA]
        sync_replies: true
        stale_after: 24h
    routes:
      - {name: inner, post: []}
"""


def test_everything_that_can_be_written_passes():
    assert parse_rulebook(EVERYTHING)
    assert objections(EVERYTHING) == []


@settings(max_examples=60)
@given(match=matches)
def test_any_match_that_relay_takes_passes(match):
    text = yaml.safe_dump({"version": 1, "routes": [{"name": "a", "match": match, "post": []}]})
    assert parse_rulebook(text)
    assert objections(text) == []


LINES = EVERYTHING.splitlines()


@settings(max_examples=80)
@given(st.data())
def test_what_relay_takes_passes_whatever_is_left_out_or_changed(data):
    """Words are dropped or swapped for others; of what is still a rulebook no editor may complain."""
    place = data.draw(st.integers(1, len(LINES) - 1))
    words = ["7", "no", "true", "[]", "{}", '"a"', "5m", "critical", "noc", "[critical]", "null", "{min: 1}"]
    key, colon, _ = LINES[place].partition(": ")
    changed = data.draw(st.sampled_from(["", *(f"{key}{colon}{word}" for word in words if colon)]))
    text = "\n".join([*LINES[:place], changed, *LINES[place + 1 :]])
    try:
        parse_rulebook(text)
    except ConfigurationError:  # relay does not take it, so that nothing is promised
        return
    assert objections(text) == []


@pytest.mark.parametrize("place", Place)
def test_every_key_stands_where_relay_looks_for_it_and_says_what_it_means(place):
    made = schema()
    properties = {
        Place.TOP: made["properties"],
        Place.DEFAULTS: made["properties"]["defaults"]["properties"],
        Place.ROUTE: made["$defs"]["route"]["properties"],
        Place.POST: made["$defs"]["post"]["anyOf"][1]["properties"],
    }[place]
    assert set(properties) == {key for key, places in PLACES.items() if place in places}
    assert all(each["description"] for each in properties.values())


def test_every_condition_of_a_match_is_known_to_it():
    assert set(schema()["$defs"]["match"]["properties"]) == {*PLAIN, *NAMED, "any", "all", "not"}
