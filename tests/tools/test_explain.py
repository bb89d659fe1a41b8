"""`relay explain`: every route with every condition and the value that it saw, and where the incident goes."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.routes.evaluate import RouteOutcome
from relay.routes.parser.parse import parse_rulebook
from relay.store.types import ShareBody
from relay.tools.explain import explained_shares

ROUTES = """\
version: 1
channels: {noc: C0123456789, payments: C0PAYMENTS1}
fallback: noc
routes:
  - name: payments-critical
    match:
      status: critical
      tags: {team: payments, service: {not: "*-canary"}}
      header: {X-Team: sre}
      any: [{environment: Stag*}, {not: {snoozed: true}}]
    post:
      - {channel: payments, wait: 5m, mention: {critical: [S0PAYONCALL]}}
    continue: true
    routes:
      - {name: quiet, match: {flapping: true}, post: []}
  - name: "off"
    enabled: false
    post: [noc]
  - name: group
    routes:
      - {name: inner, match: {alerts: {min: 9}}, post: [noc]}
  - name: also-payments
    match: {tags: {team: payments}}
    post: [C0PAYMENTS1, "#inc-{{ tags.owner }}"]
  - {name: rest, post: [noc]}
"""
SHARE = {
    "incident": {
        "id": "i1",
        "status": "critical",
        "severity": "critical",
        "alerts": [{"id": "a1", "status": "critical", "source_system": "nagios.x", "primary_property": "host"}],
    },
    "incidentTags": [{"id": "itd_team_1", "values": ["payments", "core"]}, {"id": "service", "value": "web"}],
}
WORDS = {"service": "web"}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RELAY_ROUTES", raising=False)
    (tmp_path / "routes.yaml").write_text(ROUTES, encoding="utf-8")
    write_share(tmp_path)
    return tmp_path


def write_share(here: Path, **incident: object) -> None:
    body = {**SHARE, "incident": {**SHARE["incident"], **incident}}
    (here / "share.json").write_text(json.dumps({"received": 1_700_000_000, "headers": {}, "body": body}))


def run(*arguments: str):
    return CliRunner().invoke(app, ["explain", *arguments])


def explained(*arguments: str) -> dict:
    result = run("share.json", "--json", "--header", "X-Team=sre", *arguments)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def outcomes(document: dict) -> dict[str, str]:
    return {each["route"]: each["outcome"] for each in document["tree"]}


def test_each_route_is_listed_with_its_outcome(here):
    assert outcomes(explained()) == {
        "payments-critical": RouteOutcome.MATCHED,
        "quiet": RouteOutcome.NO_MATCH,
        "off": RouteOutcome.DISABLED,
        "group": RouteOutcome.NO_CHILD_MATCHED,
        "inner": RouteOutcome.NO_MATCH,
        "also-payments": RouteOutcome.MATCHED,
        "rest": RouteOutcome.NOT_REACHED,
    }


def test_each_condition_is_listed_with_the_actual_value(here):
    (route,) = [each for each in explained()["tree"] if each["route"] == "payments-critical"]
    conditions = {each["key"]: each for each in route["conditions"]}
    assert conditions["tags.team"] == {
        "key": "tags.team",
        "expected": "payments",
        "actual": ["payments", "core"],
        "matched": True,
    }
    assert conditions["header.X-Team"]["actual"] == ["sre"]
    either = conditions["any"]["parts"]
    assert [each["matched"] for each in either] == [False, True]
    assert either[0]["parts"] == [{"key": "environment", "expected": "Stag*", "actual": [], "matched": False}]


def test_the_headers_are_those_of_the_options(here):
    without = json.loads(run("share.json", "--json").stdout)
    assert outcomes(without)["payments-critical"] == RouteOutcome.NO_MATCH
    assert without["routes"] == ["also-payments"]


def test_each_channel_is_listed_with_its_routes_and_pings(here):
    document = explained()
    assert document["outcome"] == "first"
    assert [
        (each["channel"], each["route"], each["routes"], each["pings"], each["wait"]) for each in document["cards"]
    ] == [
        ("C0PAYMENTS1", "payments-critical", ["payments-critical", "also-payments"], ["S0PAYONCALL"], 300),
        ("C0123456789", "also-payments", [], [], 0),
    ]
    assert document["cards"][1]["why"] == (
        "also-payments names no channel for this incident, so it goes to the fallback channel"
    )
    assert [(each["route"], each["channel"]) for each in document["failures"]] == [
        ("also-payments", "#inc-{{ tags.owner }}")
    ]


def test_an_unmatched_incident_goes_to_the_fallback_channel(here):
    (here / "routes.yaml").write_text(ROUTES.replace("  - {name: rest, post: [noc]}\n", ""), encoding="utf-8")
    body = {"incident": {"id": "i1", "status": "warning"}}
    (here / "share.json").write_text(json.dumps(body))
    document = explained()
    assert document["routes"] == []
    assert [(each["channel"], each["why"]) for each in document["cards"]] == [
        ("C0123456789", "no route matches, so it goes to the fallback channel")
    ]


def test_a_dropped_incident_is_reported_as_dropped(here):
    write_share(here, flapping=True)
    document = explained("--routes", "routes.yaml")
    assert outcomes(document)["payments-critical"] == RouteOutcome.CHILD_MATCHED
    assert outcomes(document)["quiet"] == RouteOutcome.DROPPED
    assert document["dropped"] == ["quiet"]
    assert "dropped by quiet, which has post: []" in run("share.json", "--header", "x-team=sre").stdout


def test_outside_a_terminal_it_is_a_tree_without_colours(here):
    result = run("share.json", "--header", "X-Team=sre")
    assert result.exit_code == 0
    assert "\x1b" not in result.stdout
    lines = result.stdout.splitlines()
    start = lines.index("payments-critical (line 5): matched")
    assert lines[start : start + 10] == [
        "payments-critical (line 5): matched",
        "├── status: critical matches: it is 'critical'",
        "├── tags.team: payments matches: it is 'payments', 'core'",
        "├── tags.service: {not: *-canary} matches: it is 'web'",
        "├── header.X-Team: sre matches: it is 'sre'",
        "├── any of these: matches",
        "├──   environment: Stag* does not match: it is absent",
        "├──   not all of these: matches",
        "├──     snoozed: true does not match: it is 'false'",
        "└── quiet (line 15): no match",
    ]
    assert lines[-3:] == [
        (
            "meant for #inc-{{ tags.owner }}, which names no channel (the incident has no tag owner): "
            "route also-payments"
        ),
        (
            "→ payments (C0PAYMENTS1): matched by payments-critical, and by also-payments; template incident; "
            "pings S0PAYONCALL; waits 300 s, and is posted only if it is still open and still matches; "
            "counts towards the storm limit of payments (C0PAYMENTS1): 30 in 5m"
        ),
        (
            "→ noc (C0123456789): also-payments names no channel for this incident, so it goes to the fallback channel"
            "; template incident; pings nobody; counts towards the storm limit of noc (C0123456789): 30 in 5m"
        ),
    ]


def test_a_value_cannot_colour_the_terminal_and_is_shortened(here):
    body = {**SHARE, "incidentTags": [{"id": "team", "values": ["[red]\x1b[31m" + "x" * 500, *"abcdefgh"]}]}
    (here / "share.json").write_text(json.dumps(body))
    (line,) = [line for line in run("share.json").stdout.splitlines() if "tags.team" in line][:1]
    assert "\x1b" not in line
    assert "and 4 more" in line
    assert len(line) < 250


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.json", None, "gone.json cannot be read"),
        ("text.json", "no json", "text.json does not contain a share"),
        ("empty.json", "{}", "empty.json does not contain a share"),
    ],
)
def test_a_file_without_a_share_exits_with_2(here, name, content, message):
    if content is not None:
        (here / name).write_text(content)
    result = run(name)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_invalid_routes_exit_with_2(here):
    (here / "routes.yaml").write_text(ROUTES.replace("status: critical", "status: critcal"), encoding="utf-8")
    result = run("share.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "routes.yaml:7:15: unknown state 'critcal'; did you mean 'critical'?" in result.stderr


def test_each_stored_share_is_explained_with_the_incident_at_that_time():
    rulebook = parse_rulebook(ROUTES)
    second = {"incident": {"id": "i1", "status": "warning", "severity": "critical"}}
    bodies = [json.dumps(each).encode() for each in (SHARE, second)]
    shares = [
        ShareBody(id=number, received=1_700_000_000 + number, headers={"X-Team": "sre"}, body=body)
        for number, body in enumerate(bodies, 7)
    ]
    first, then = explained_shares(rulebook, shares)["shares"]
    assert (first["id"], first["received"], first["body"]) == (7, 1_700_000_007, bodies[0].decode())
    assert outcomes(first)["payments-critical"] == RouteOutcome.MATCHED
    assert outcomes(then)["payments-critical"] == RouteOutcome.NO_MATCH
    assert outcomes(then)["also-payments"] == RouteOutcome.MATCHED  # the second share does not repeat the tags
    [status] = [each for each in then["tree"][0]["conditions"] if each["key"] == "status"]
    assert status == {"key": "status", "expected": "critical", "actual": ["warning"], "matched": False}


SILENT = """\
version: 1
zone: Europe/Berlin
hours: {night: {from: "22:00", to: "07:00"}, weekend: {days: [sat, sun]}}
routes:
  - name: nights
    match: {tags: {team: payments}}
    continue: true
    post: [{channel: C0PAYMENTS1, quiet: [night], mention: {any: [S0NIGHTS01]}}]
  - name: always
    post: [{channel: C0PAYMENTS1, mention: {any: [S0ALWAYS01]}}, {channel: C0WEEKEND01, hold: [weekend]}]
"""


def at(moment: str, state: str = "warning") -> tuple[dict, str]:
    """What is explained for a moment (with its offset): as JSON, and as text."""
    options = ("--state", state, "--tag", "team=payments", "--at", moment)
    return json.loads(run(*options, "--json").stdout), " ".join(run(*options).stdout.split())


def test_explain_shows_whose_pings_quiet_hours_hold_and_who_is_still_pinged(here):
    (here / "routes.yaml").write_text(SILENT)
    document, text = at("2026-12-01T03:00+01:00")
    card = document["cards"][0]
    assert card["pings"] == ["S0ALWAYS01"]
    assert [(each["target"], each["hold"]["reason"]) for each in card["held_pings"]] == [("S0NIGHTS01", "quiet")]
    assert "pings S0ALWAYS01" in text
    assert "does not ping S0NIGHTS01 until Tue 2026-12-01 07:00 Europe/Berlin (quiet)" in text
    assert at("2026-12-01T03:00+01:00", "critical")[0]["cards"][0]["held_pings"] == []
    assert at("2026-12-01T12:00+01:00")[0]["cards"][0]["pings"] == ["S0NIGHTS01", "S0ALWAYS01"]


def test_explain_shows_until_when_a_card_is_held(here):
    (here / "routes.yaml").write_text(SILENT)
    document, text = at("2026-12-05T03:00+01:00")
    assert document["cards"][1]["held"]["reason"] == "hold"
    assert "held until Mon 2026-12-07 00:00 Europe/Berlin (hold), and then posted if it is still open" in text
    assert at("2026-12-05T03:00+01:00", "critical")[0]["cards"][1]["held"] is None


def test_explain_shows_the_storm_limit_and_the_group_of_the_incident(here):
    """A route with `storm: off` counts towards none, and in a channel without storms nothing is counted."""
    routes = """\
version: 1
storm: {over: 12, within: 10m, by: team}
channels: {calm: {id: C0CALM0001, storm: off}}
routes: [{name: all, post: [C0PAYMENTS1, calm, {channel: C0NOSTORM1, storm: off}, {channel: C0NOGROUP1}]}]
"""
    (here / "routes.yaml").write_text(routes)
    document, text = at("2026-12-01T12:00+01:00")
    storm = {"over": 12, "within": 600.0, "by": "team"}
    cards = {card["channel"]: card for card in document["cards"]}
    assert (cards["C0PAYMENTS1"]["storm"], cards["C0PAYMENTS1"]["storm_group"]) == (storm, "payments")
    assert [cards[channel]["storm"] for channel in ("C0CALM0001", "C0NOSTORM1")] == [None, None]
    assert "counts towards the storm limit of C0PAYMENTS1: 12 in 10m, by team (payments)" in text
    assert text.count("storm limit") == 2
    (here / "routes.yaml").write_text(routes.replace(", by: team", "") + "defaults: {show_tags: [service, team]}\n")
    document, text = at("2026-12-01T12:00+01:00")
    assert "12 in 10m, by team (payments)" in text, "the first of show_tags that the incident has"


def test_explain_shows_the_times_of_reminders_and_the_escalation(here):
    then = "then: {channel: C0MANAGERS1, mention: {any: [S0MANAGERS]}}"
    routes = f"""\
version: 1
defaults: {{remind: {{after: 15m, every: 30m, times: 3, {then}}}}}
routes: [{{name: all, post: [C0PAYMENTS1]}}]
"""
    (here / "routes.yaml").write_text(routes)
    document, text = at("2026-12-01T12:00+01:00", "critical")
    assert document["cards"][0]["remind"]["times"] == 3
    assert "while nobody has it, reminders 15, 45, 75 minutes after the ping, if BigPanda says so, too" in text
    assert "then C0MANAGERS1 after 105 minutes, which pings S0MANAGERS" in text
    document, text = at("2026-12-01T12:00+01:00", "warning")
    assert document["cards"][0]["remind"] is None
    assert "reminders" not in text
