"""`relay test`: the operators' own tests."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.config.files import ConfigurationFiles, build_configuration, load_configuration
from relay.model.errors import ConfigurationError
from relay.routes.yaml_reader.context import Position
from relay.tools.testing.grammar import read_tests
from relay.tools.testing.model import ShareSpec
from relay.tools.testing.moments import WrittenMoment
from relay.tools.testing.report import junit, result_lines
from relay.tools.testing.runner import OperatorTestRun, run
from relay.tools.testing.steps import StepError, build_shares

HERE = Path(__file__).resolve().parents[3]
ROUTES = """
version: 1
channels: {noc: C0NOC00001, payments: C0PAY00001}
fallback: noc
routes:
  - name: payments
    match: {tags: {team: payments}}
    post: [{channel: payments, mention: {critical: [S0PAYONCALL]}}]
  - name: nobody-tests-this
    match: {tags: {team: web}}
    post: [noc]
"""
CONFIGURATION = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES))
SAMPLE = "sample: documented, tags: {team: payments}"


def run_file(tmp_path: Path, tests: str) -> OperatorTestRun:
    """Run the tests of a file."""
    file = tmp_path / "my.test.yaml"
    file.write_text(f"version: 1\ntests:\n{dedent(tests)}")
    return run(CONFIGURATION, read_tests([file], CONFIGURATION.rulebook))


def failures_of(tmp_path: Path, expected: str, shares: str = f"[{{{SAMPLE}}}]") -> list[str]:
    """The lines with which a test with this expectation fails; empty if it passes."""
    result = run_file(tmp_path, f"- {{name: one, shares: {shares}, expect: {expected}}}").results[0]
    return [line.strip() for line in result_lines(result)][1:]


# --- the project's own ---


def test_the_tests_of_the_packaged_routes_pass():
    configuration = load_configuration(HERE / "routes.yaml", HERE / "templates")
    ran = run(configuration, read_tests([HERE / "routes.test.yaml"], configuration.rulebook))
    assert ran.failed == ()
    assert (ran.missed, ran.fallback) == ((), True)


# --- what is expected ---


@pytest.mark.parametrize(
    "expected",
    [
        "{routes: [payments], channels: [payments]}",
        "{cards: {payments: {route: payments, says: [Critical, 'run-book', '/CPU is \\d+%/'], lacks: Resolved}}}",
        "{cards: {C0PAY00001: {notification: 'Critical', pings: [S0PAYONCALL], entries: 0, thread: []}}}",
    ],
)
def test_a_test_whose_expectations_are_met_passes(tmp_path, expected):
    assert failures_of(tmp_path, expected) == []


def test_the_pings_of_a_catch_up_can_be_expected(tmp_path):
    snoozed, awake = (f"with: {{incident: {{snooze: {{snoozed: {value}}}}}}}" for value in ("true", "false"))
    shares = f"[{{{SAMPLE}, {snoozed}}}, {{{awake}, at: 10m}}]"
    held = "{cards: {payments: {pings: [], catch_up: [S0PAYONCALL]}}}"
    assert failures_of(tmp_path, held, shares) == []
    assert failures_of(tmp_path, "{cards: {payments: {catch_up: []}}}") == []
    [message, *_] = failures_of(tmp_path, "{cards: {payments: {catch_up: []}}}", shares)
    assert message.endswith("the catch-up for the card in payments: not as expected")


@pytest.mark.parametrize(
    ("expected", "message", "diff"),
    [
        ("{routes: []}", "the routes that matched the last share: not as expected", ["+ payments"]),
        (
            "{channels: [noc, payments]}",
            "the channels with a card: not as expected",
            ["- noc (C0NOC00001)", "payments (C0PAY00001)"],
        ),
        ("{cards: {noc: {}}}", "expected a card in noc; found cards in: payments (C0PAY00001)", []),
        ("{cards: {payments: {pings: []}}}", "the pings of the card in payments: not as expected", ["+ S0PAYONCALL"]),
        ("{cards: {payments: {route: nobody-tests-this}}}", "the route of the card in payments: not as expected", None),
        (
            "{cards: {payments: {entries: 2}}}",
            "expected 2 entries in the thread of the card in payments, found 0",
            [],
        ),
        ("{cards: {payments: {thread: [x]}}}", "expected 1 reply to the card in payments, found 0", []),
        ("{cards: {payments: {says: '/CPU is \\d%/'}}}", "the card in payments does not say '/CPU is \\\\d%/'", None),
        ("{cards: {payments: {lacks: CPU is}}}", "the card in payments says 'CPU is'", None),
        (
            "{cards: {payments: {notification: Resolved}}}",
            "the notification of the card in payments does not say 'Resolved'",
            None,
        ),
    ],
)
def test_a_failed_expectation_is_reported_with_its_position_and_the_difference(tmp_path, expected, message, diff):
    first, *rest = failures_of(tmp_path, expected)
    place, _, said = first.partition(": ")
    assert said == message
    assert place.startswith(f"{tmp_path}/my.test.yaml:3:")
    assert diff is None or rest == diff


def test_a_missing_text_is_shown_beside_the_most_similar_line(tmp_path):
    lines = failures_of(tmp_path, "{cards: {payments: {says: 'Team payment!'}}}")
    assert "- Team payment!" in lines
    assert lines[lines.index("- Team payment!") + 1].startswith("+ ")
    assert "payments" in lines[lines.index("- Team payment!") + 1]


def test_replies_are_checked_one_by_one(tmp_path):
    shares = f"[{{{SAMPLE}, state: warning}}, {{at: 3m, state: critical}}, {{at: 9m, state: resolved}}]"
    good = "[{says: 'Warning → Critical', kinds: [status], pings: [S0PAYONCALL], broadcast: false}, Resolved after]"
    assert failures_of(tmp_path, f"{{cards: {{payments: {{entries: 2, thread: {good}}}}}}}", shares) == []
    bad = "[{kinds: [comment], pings: []}, {broadcast: true}]"
    lines = failures_of(tmp_path, f"{{cards: {{payments: {{thread: {bad}}}}}}}", shares)
    assert [line.partition(": ")[2] for line in lines if line.startswith(str(tmp_path))] == [
        "the entries of reply 1 in payments: not as expected",
        "the pings of reply 1 in payments: not as expected",
        "reply 2 in payments: expected broadcast: true, found false",
    ]


def test_the_expectation_of_a_share_is_checked_at_its_time(tmp_path):
    shares = f"[{{{SAMPLE}, expect: {{cards: {{payments: {{says: Critical}}}}}}}}, {{at: 9m, state: resolved}}]"
    assert failures_of(tmp_path, "{cards: {payments: {says: Resolved, lacks: Critical}}}", shares) == []
    late = shares.replace("says: Critical", "says: Resolved")
    assert "does not say 'Resolved'" in failures_of(tmp_path, "{routes: [payments]}", late)[0]


def test_a_failing_template_or_a_message_that_is_too_large_fails_every_test(tmp_path, monkeypatch):
    broken = build_configuration(
        ConfigurationFiles(
            routes_file="routes.yaml", routes_text=ROUTES, templates={"incident/card.j2": "{{ 1 // 0 }}"}
        )
    )
    file = tmp_path / "my.test.yaml"
    file.write_text("version: 1\ntests: [{name: one, shares: [{sample: documented}], expect: {channels: [noc]}}]")
    (result,) = run(broken, read_tests([file], broken.rulebook)).results
    assert "a template failed for a message in noc (C0NOC00001): incident/card.j2:1" in result.failures[0].message
    monkeypatch.setattr("relay.slack.limits.ALL_BLOCKS_REJECTED", 10)
    (result,) = run(CONFIGURATION, read_tests([file], CONFIGURATION.rulebook)).results
    assert "Slack would reject a message in noc (C0NOC00001): msg_blocks_too_long" in result.failures[0].message


# --- faults of the file ---

GOOD = "- {name: one, shares: [{sample: documented}], expect: {channels: [noc]}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty; write version: 1 in its first line"),
        ("tests: []", "1:1: expected version: 1, found no version"),
        ("version: 2\ntests: []", "1:10: expected version: 1, found '2'"),
        ("version: 1", "1:1: the file has no tests"),
        ("version: 1\ntests: []", "2:8: the file has no tests"),
        ("version: 1\ntests:", "2:7: expected a list of tests, found nothing"),
        ("version: 1\ntest: []", "2:1: unknown key 'test' in a test file; did you mean 'tests'?"),
        (f"version: 1\ntests:\n{GOOD}\n{GOOD}", "4:10: the test 'one' exists already in line 3; choose another name"),
    ],
)
def test_a_fault_of_the_file_is_reported_with_its_position(tmp_path, text, message):
    assert message in faults_of(tmp_path, text)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{shares: [{sample: documented}], expect: {channels: []}}", "3:3: the test has no name"),
        ("{name: one, expect: {channels: []}}", "3:3: the test has no shares"),
        ("{name: one, shares: [], expect: {channels: []}}", "3:23: the test has no shares"),
        ("{name: one, shares: [{sample: documented}]}", "3:3: the test expects nothing"),
        ("{name: one, shares: [{sample: documented}], expect: {}}", "3:55: nothing is expected"),
        ("{name: one, shares: [{sample: documented}], expect: {cards: {}}}", "3:55: nothing is expected"),
        ("{name: one, shares: [{sample: documented}], expect: {x-why: a}}", "3:55: nothing is expected"),
        ("{name: one, shares: {}, expect: {channels: []}}", "3:23: expected a list of shares, found a mapping"),
    ],
)
def test_an_invalid_test_is_a_fault(tmp_path, wrong, message):
    assert message in faults_of(tmp_path, f"version: 1\ntests:\n- {wrong}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("at: 1m", "3:24: the first share needs a source"),
        ("sample: documentd", "3:33: unknown value 'documentd'; did you mean 'documented'?"),
        ("file: nope.json", "nope.json cannot be read: No such file or directory"),
        ("file: empty.json", "empty.json does not contain a share. The body has no incident.id"),
        ("file: empty.json, sample: documented", "3:31: expected either sample or file, found both"),
        ("sample: documented, state: ok", "unknown value 'ok'"),
        ("sample: documented, at: soon", "expected a time after the first share such as 3m"),
        ("sample: documented, at: 2026-11-31 09:00", "2026-11-31 is not a day of the calendar"),
        ("sample: documented, copies: 0", "expected a number from 1 to 1000, found '0'"),
        ("sample: documented, tag: {}", "unknown key 'tag' in a share; did you mean 'tags'?"),
        ("sample: documented, with: {a: 0x1f}", "'0x1f' is not a decimal number"),
        ("sample: documented, headers: [a]", "expected a mapping of headers to their values"),
    ],
)
def test_an_invalid_share_is_a_fault(tmp_path, wrong, message):
    (tmp_path / "empty.json").write_text("{}")
    assert message in faults_of(tmp_path, f"version: 1\ntests:\n{GOOD.replace('sample: documented', wrong)}")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("", "3:55: nothing is expected; write one of: routes, channels, cards, storms"),
        ("channels: [paymets]", "3:67: unknown channel 'paymets'; did you mean 'payments'?"),
        ("channels: noc", "3:66: expected a list of channels, found 'noc'"),
        ("routes: [payment]", "3:65: unknown route 'payment'; did you mean 'payments'?"),
        ("cards: {noc: {say: x}}", "unknown key 'say' in a card; did you mean 'says'?"),
        ("cards: {noc: {says: /(/}}", "'/(/' is not a valid regular expression (RE2): missing ): ("),
        ("cards: {noc: {pings: [bob]}}", "invalid target 'bob'"),
        ("cards: {noc: {entries: two}}", "expected a number, found 'two'"),
        ("cards: {noc: {held: hald}}", "unknown value 'hald'; did you mean 'hold'?"),
        ("cards: {noc: {held: {until: 3m}}}", "missing key 'reason'; write {reason: quiet, until:"),
        ("cards: {noc: {held: []}}", "expected a mapping of the keys of what holds it, such as reason, until"),
        ("cards: {noc: {held: hold, says: x}}", "a card that is held has no message yet, so remove 'says' or 'held'"),
        ("cards: {noc: {held_pings: {bob: quiet}}}", "invalid target 'bob'"),
        ("cards: {noc: {held_pings: [S0PAY]}}", "expected a mapping of targets to what holds their pings"),
        ("storms: {nac: 1}", "unknown channel 'nac'"),
        ("storms: {noc: many}", "expected a number, found 'many'"),
        ("cards: {noc: {thread: [{kind: []}]}}", "unknown key 'kind' in a reply; did you mean 'kinds'?"),
    ],
)
def test_an_invalid_expectation_is_a_fault(tmp_path, wrong, message):
    assert message in faults_of(tmp_path, f"version: 1\ntests:\n{GOOD.replace('channels: [noc]', wrong)}")


def faults_of(tmp_path: Path, text: str) -> str:
    """Every fault of a file, each with its position."""
    file = tmp_path / "my.test.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_tests([file], CONFIGURATION.rulebook)
    assert all(fault.file == str(file) for fault in raised.value.faults)
    return str(raised.value)


# --- shares ---


def build(*parts: dict[str, Any]) -> list[Any]:
    made = [ShareSpec(position=Position(line=1, column=1), **part) for part in parts]
    return [(share.received, orjson.loads(share.body), share) for share in build_shares(made)]


BODY = {
    "incident": {"id": "i1", "status": "Critical", "changedOn": 1000},
    "incidentTags": [{"id": "itd_priority_1", "value": 1000}],
    "metadata": {"comment": {"comment": "first"}, "environment": "All", "environment_id": "x"},
    "event_types": [{"event": "incident#new", "time": 1000}],
}
DOCUMENT = orjson.dumps(BODY)


def test_the_next_share_is_a_minute_later_or_at_its_own_time():
    assert [at for at, _, _ in build({"document": DOCUMENT}, {}, {"at": WrittenMoment(source="5m", after=300.0)})] == [
        1000,
        1060,
        1300,
    ]
    recorded = orjson.dumps({"received": 5000, "headers": {"X-Team": "a"}, "body": BODY})
    ((at, _, share),) = build({"document": recorded})
    assert (at, share.headers) == (5000, {"x-team": "a"})


def test_a_share_that_changes_another_drops_its_comment_and_events():
    _, (_, body, share) = build(
        {"document": DOCUMENT}, {"at": WrittenMoment(source="5m", after=300.0), "state": "warning"}
    )
    assert body["incident"] | {"changedOn": 1300, "updatedOn": 1300, "status": "Warning"} == body["incident"]
    assert (share.comment, share.events, share.as_of) == (None, (), 1300)
    assert share.environment.name == "All"


def test_changes_are_applied_in_order():
    changes = {
        "environment": "Production",
        "tags": {"priority": 2000, "team": ["a", "b"]},
        "comment": "second",
        "headers": {"X-Team": "b"},
        "overrides": {"incident": {"snooze": {"snoozed": True}}},
        "without": ("metadata.sender", "incident.nothing.there"),
    }
    ((_, body, share),) = build({"document": DOCUMENT, **changes})
    assert body["incidentTags"] == [{"id": "itd_priority_1", "value": 2000}, {"id": "team", "value": ["a", "b"]}]
    assert (share.environment.name, share.environment.id, share.comment) == ("Production", "", "second")
    assert (share.headers, body["incident"]["snooze"]) == ({"x-team": "b"}, {"snoozed": True})
    ((_, body, _),) = build({"document": DOCUMENT, "tags": {"priority": None}, "without": ("metadata",)})
    assert (body["incidentTags"], "metadata" in body) == ([], False)


def test_a_share_cannot_be_earlier_than_the_one_before_it():
    with pytest.raises(StepError, match="is before the time of the share before it"):
        build(
            {"document": DOCUMENT},
            {"at": WrittenMoment(source="1m", after=60.0)},
            {"at": WrittenMoment(source="30s", after=30.0)},
        )


def test_an_equal_share_is_a_repeat(tmp_path):
    shares = f"[{{{SAMPLE}}}, {{{SAMPLE}}}]"
    assert failures_of(tmp_path, "{cards: {payments: {thread: []}}}", shares) == []


# --- reports ---


def test_coverage_lists_the_routes_that_no_test_reaches(tmp_path):
    ran = run_file(tmp_path, f"- {{name: one, shares: [{{{SAMPLE}}}], expect: {{routes: [payments]}}}}")
    assert (ran.reached, ran.missed) == (("payments",), (("nobody-tests-this", 9),))
    assert ran.fallback is False


def test_junit_xml_contains_each_test_and_its_failures(tmp_path):
    ran = run_file(
        tmp_path,
        """
        - {name: "fine <&>", shares: [{sample: documented}], expect: {channels: [noc]}}
        - {name: "not \\x01 fine", shares: [{sample: documented}], expect: {channels: []}}
        """,
    )
    root = ET.fromstring(junit(ran).partition("\n")[2])
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "2", "1")
    fine, failed = root.iter("testcase")
    assert (fine.get("name"), fine.find("failure")) == ("fine <&>", None)
    assert "the channels with a card" in failed.find("failure").get("message")
    assert "+ noc (C0NOC00001)" in failed.find("failure").text


WHOLE, SECONDS = r"\d+", r"\d+\.\d{3}"
COUNTS = {"tests": WHOLE, "failures": WHOLE, "errors": WHOLE, "skipped": WHOLE, "time": SECONDS}
JUNIT = {
    "testsuites": ({"name": ".+", **COUNTS}, {"testsuite"}),
    "testsuite": ({"name": ".+", **COUNTS}, {"testcase"}),
    "testcase": ({"name": ".+", "classname": ".+", "file": ".+", "line": WHOLE, "time": SECONDS}, {"failure"}),
    "failure": ({"type": ".+", "message": ".*"}, set()),
}
"""Each element with its attributes and its possible children: https://github.com/testmoapp/junitxml."""


def junit_errors(element: ET.Element) -> Iterator[str]:
    attributes, children = JUNIT.get(element.tag, ({}, set()))
    if set(element.attrib) != set(attributes):
        yield f"{element.tag} has {sorted(element.attrib)}"
    yield from (
        f"{element.tag}: {name}={value!r}"
        for name, value in element.items()
        if not re.fullmatch(attributes.get(name, ""), value, re.DOTALL)
    )
    for each in element:
        if each.tag not in children:
            yield f"{each.tag} in {element.tag}"
        yield from junit_errors(each)
    if element.tag.startswith("testsuite"):
        cases = list(element.iter("testcase"))
        failed = [case for case in cases if case.find("failure") is not None]
        if (element.get("tests"), element.get("failures")) != (str(len(cases)), str(len(failed))):
            yield f"{element.tag} counts wrongly"


def test_junit_xml_has_the_format_that_ci_systems_read(tmp_path):
    for name, channels in (("one", "[noc]"), ("two", "[]")):
        (tmp_path / f"{name}.test.yaml").write_text(
            "version: 1\ntests:\n"
            f'- {{name: "{name} \\x00 ]]>", shares: [{{sample: documented}}], expect: {{channels: {channels}}}}}\n'
            f"- {{name: fine {name}, shares: [{{sample: documented}}], expect: {{channels: [noc]}}}}\n"
        )
    (tmp_path / "routes.yaml").write_text(ROUTES)
    result = run_command(tmp_path, "--junit", str(tmp_path / "out.xml"))
    assert result.exit_code == 1
    root = ET.parse(tmp_path / "out.xml").getroot()
    assert list(junit_errors(root)) == []
    assert [suite.get("failures") for suite in root] == ["0", "1"]


def run_command(folder: Path, *arguments: str) -> Any:
    return CliRunner().invoke(
        app, ["test", "--routes", str(folder / "routes.yaml"), "--templates", str(folder), *arguments]
    )


def test_the_command_finds_the_tests_beside_the_routes_and_exits_with_their_result(tmp_path):
    (tmp_path / "routes.yaml").write_text(ROUTES)
    missing = run_command(tmp_path)
    said = "".join(missing.output.replace("│", " ").split())  # a long path breaks the line
    assert (missing.exit_code, "containsnofile*.test.yaml" in said) == (2, True)
    file = tmp_path / "routes.test.yaml"
    file.write_text(f"version: 1\ntests:\n{GOOD}\n")
    fine = run_command(tmp_path, "--coverage", "--junit", str(tmp_path / "out.xml"))
    assert (fine.exit_code, fine.output.splitlines()[0]) == (0, "ok     one")
    assert "tests reach 0 of 2 routes" in fine.output
    assert f"{tmp_path}/routes.yaml:6: no test reaches the route 'payments'" in fine.output
    assert ET.parse(tmp_path / "out.xml").getroot().get("failures") == "0"
    file.write_text(f"version: 1\ntests:\n{GOOD.replace('[noc]', '[]')}\n")
    failed = run_command(tmp_path, str(file))
    assert (failed.exit_code, failed.output.splitlines()[-1]) == (1, "1 test: 1 failed")
    file.write_text(f"version: 1\ntests:\n{GOOD.replace('[noc]', '[nok]')}\n")
    faulty = run_command(tmp_path)
    assert (faulty.exit_code, f"{file}:3:67: unknown channel 'nok'" in faulty.output) == (2, True)
