"""The JSON Schema of routes.yaml: it rejects what has a wrong shape, and accepts every file that relay accepts."""

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
from relay.routes.key_types import Place
from relay.routes.match_keys import MATCH_KEYS
from relay.routes.parser.keys import keys_in
from relay.routes.parser.parse import parse_rulebook
from relay.tools.schema import schema
from tests.support import editor_yaml
from tests.support.condition_samples import matches

ROOT = Path(__file__).parents[2]
FAULTS = sorted((Path(__file__).parent / "check" / "faults").glob("*.yaml"))
VALIDATOR = Draft202012Validator(schema())


def errors(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(editor_yaml.read(text))]


def is_reported_by_editors(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith("# fault, also in editors: ")


def is_yaml(path: Path) -> bool:
    try:
        editor_yaml.read(path.read_text(encoding="utf-8"))
    except yaml.YAMLError:
        return False
    return True


SHAPES = [path for path in FAULTS if is_reported_by_editors(path)]
OTHERS = [path for path in FAULTS if path not in SHAPES]


def test_the_schema_is_valid():
    Draft202012Validator.check_schema(schema())
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_command_prints_the_schema_that_the_repository_has():
    result = CliRunner().invoke(app, ["schema"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, schema())
    assert (ROOT / "ops" / "routes.schema.json").read_text(encoding="utf-8") == result.stdout, "run `make tables`"


def test_the_projects_own_routes_name_the_schema_and_pass():
    text = (ROOT / "routes.yaml").read_text(encoding="utf-8")
    marker, _, place = text.partition("\n")[0].partition("$schema=")
    assert marker == "# yaml-language-server: "
    assert (ROOT / place).is_file()
    assert errors(text) == []


@pytest.mark.parametrize("path", SHAPES, ids=lambda path: path.stem)
def test_the_schema_rejects_a_wrong_shape(path):
    assert errors(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.stem)
def test_other_faults_are_found_only_by_relay_check(path):
    assert not is_yaml(path) or errors(path.read_text(encoding="utf-8")) == []


def test_the_samples_contain_many_faults_of_both_kinds():
    assert min(len(SHAPES), sum(map(is_yaml, OTHERS))) > 20


EVERYTHING = """\
version: 1
x-anchors: &loud {gather: 30s, x-why: they asked}
channels: {noc: C0123456789, 7: "#Real", odd: GABCDEFGHI, many: {id: C0MANY0001, storm: {over: "9", within: 2m, by: 7}}}
storm: {over: 30, within: 300s, by: service}
people: {ops: S0OPS, ann: "<@U0ANN|ann>", 7: "<!subteam^S0AAA|@oncall>"}
fallback: {channel: "#noc", wait: 3m, mention: {critical: [ann]}, x-why: they watch}
notices: {channel: noc, x-why: ours}
channels_allowed: ["#*-oncall", "#INC-*"]
tag_values: {itd_priority_1: {1000: P1, 012: no}, other: {no: 2026-01-01}}
users: {ann@example.org: 012}
zone: Europe/Berlin
hours:
  night: {from: 22:00, to: "7:00"}
  weekend: {days: [sat, sun], zone: America/New_York, x-why: they asked}
  office: {days: [mon-fri], from: "09:00", to: 24:00, except: [holidays]}
  holidays: {dates: [2026-12-24, "2026-12-25..2026-12-26"]}
  7: {any: [night, weekend], except: [holidays]}
  silent: [night, weekend, 7]
mutes: {actors: [ops, S0AAA], max: 24h, x-why: they asked}
summaries:
  - {title: Morning, channel: noc, at: 9:00, days: [mon-fri], except: [holidays], x-why: they asked}
  - {title: 7, channel: "#noc", at: "00:00", zone: America/New_York, always: true}
defaults: {<<: *loud, quiet: [night, 7], show_tags: [no, 012, 2026-01-01], wait: 0, stale_after: 060s, template: 7}
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
        mention:
          critical: [S0AAA, U0AAA, here, "<!subteam^S0AAA|@oncall>"]
          any: ["@channel", ops, 7]
          reopened: []
          reminder: [7]
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
        actors: [S0AAAA, ops, 7, "<!subteam^S0BBB|@b>"]
        sync_replies: true
        stale_after: 24h
        quiet: {during: [silent], outside: [office], unless: never, x-why: they asked}
        hold: {outside: [office]}
        shadow: true
        storm: off
        remind: {after: 15m, every: "90s", times: 3, state: warning, then: {channel: noc, mention: {any: [7]}}}
    routes:
      - {name: inner, post: []}
"""


def test_a_file_with_everything_passes():
    assert parse_rulebook(EVERYTHING)
    assert errors(EVERYTHING) == []


@settings(max_examples=60)
@given(match=matches)
def test_every_match_that_relay_accepts_passes(match):
    text = yaml.safe_dump({"version": 1, "routes": [{"name": "a", "match": match, "post": []}]})
    assert parse_rulebook(text)
    assert errors(text) == []


LINES = EVERYTHING.splitlines()


@settings(max_examples=80)
@given(st.data())
def test_every_changed_file_that_relay_accepts_passes(data):
    """Values are removed or replaced. If relay still accepts the file, the schema must too."""
    place = data.draw(st.integers(1, len(LINES) - 1))
    words = ["7", "no", "true", "[]", "{}", '"a"', "5m", "critical", "noc", "[critical]", "null", "{min: 1}"]
    key, colon, _ = LINES[place].partition(": ")
    changed = data.draw(st.sampled_from(["", *(f"{key}{colon}{word}" for word in words if colon)]))
    text = "\n".join([*LINES[:place], changed, *LINES[place + 1 :]])
    try:
        parse_rulebook(text)
    except ConfigurationError:  # relay rejects it, so the schema may do either
        return
    assert errors(text) == []


@pytest.mark.parametrize("place", Place)
def test_every_key_is_in_its_place_with_a_description(place):
    made = schema()
    properties = {
        Place.TOP: made["properties"],
        Place.DEFAULTS: made["$defs"]["defaults"]["properties"],
        Place.ROUTE: made["$defs"]["route"]["properties"],
        Place.POST: made["$defs"]["post"]["anyOf"][1]["properties"],
        Place.FALLBACK: made["$defs"]["fallback"]["properties"],
        Place.NOTICES: made["$defs"]["notices"]["properties"],
    }[place]
    assert set(properties) == set(keys_in(place))
    assert all(each["description"] for each in properties.values())


def test_every_match_key_is_in_the_schema():
    assert set(schema()["$defs"]["match"]["properties"]) == {*MATCH_KEYS, "any", "all", "not"}
