"""`relay test` at a moment: what is held, why and until when, whom relay has pinged, and what storms hold."""

from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent, indent

import pytest

from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.errors import ConfigurationError
from relay.routes.yaml_reader.context import ParseContext
from relay.routes.yaml_reader.nodes import ScalarNode
from relay.tools.testing.grammar import read_tests
from relay.tools.testing.moments import read_moment
from relay.tools.testing.report import result_lines
from relay.tools.testing.runner import run

ROUTES = """
version: 1
zone: Europe/Berlin
hours: {night: {from: "22:00", to: "07:00"}}
storm: {over: 6, within: 5m, by: team}
channels: {noc: C0NOC00001, payments: C0PAY00001, later: C0LATER001}
routes:
  - name: payments
    match: {tags: {team: payments}}
    post: [{channel: payments, quiet: [night], mention: {any: [S0PAYONCALL]}}]
  - name: web
    match: {tags: {team: web}}
    post: [{channel: later, hold: [night], mention: {any: [S0WEBONCALL]}}]
  - name: rest
    post: [noc]
"""
CONFIGURATION = build_configuration(ConfigurationFiles(routes_file="routes.yaml", routes_text=ROUTES))
AT_NIGHT = "{sample: documented, at: 2026-11-30 03:00, state: warning, tags: {team: TEAM}}"


def failures(folder: Path, test: str) -> list[str]:
    """The lines with which a test fails, without its name; empty if it passes."""
    file = folder / "my.test.yaml"
    file.write_text(f"version: 1\ntests:\n- name: one\n{indent(dedent(test), '  ')}")
    [result] = run(CONFIGURATION, read_tests([file], CONFIGURATION.rulebook)).results
    return [line.strip().removeprefix(f"{file}:") for line in result_lines(result)][1:]


def at_night(team: str, *moments: tuple[str, str]) -> str:
    """A test with a warning of that team at three in the night, and what is expected at moments."""
    lines = [f"  shares: [{AT_NIGHT.replace('TEAM', team)}]", "  moments:"]
    return "\n".join([*lines, *(f"  - {{at: {at}, expect: {expected}}}" for at, expected in moments)])


def test_quiet_hours_hold_the_ping_until_the_morning_and_then_the_catch_up_pings(tmp_path):
    held = "{cards: {payments: {says: Warning, pings: [], pinged: [], held_pings: {S0PAYONCALL: UNTIL}}}}"
    morning = "{cards: {payments: {held_pings: {}, pinged: [S0PAYONCALL], catch_up: [S0PAYONCALL]}}}"
    good = held.replace("UNTIL", '{reason: quiet, until: "07:00"}')
    assert failures(tmp_path, at_night("payments", ("1s", good), ('"06:59"', good), ('"07:00"', morning))) == []
    early = failures(tmp_path, at_night("payments", ("1s", held.replace("UNTIL", '{reason: quiet, until: "06:00"}'))))
    [message] = early
    assert message.endswith(
        "the ping of S0PAYONCALL is held: quiet, until Mon 2026-11-30 07:00 Europe/Berlin; "
        "expected: quiet, until Mon 2026-11-30 06:00 Europe/Berlin"
    )
    [message] = failures(tmp_path, at_night("payments", ("1s", held.replace("UNTIL", "snoozed"))))
    assert message.endswith("the ping of S0PAYONCALL is held: quiet; expected: snoozed")


def test_a_held_card_is_expected_with_its_reason_and_its_end(tmp_path):
    held = '{channels: [], cards: {later: {held: {reason: hold, until: "07:00"}, route: web}}}'
    posted = "{channels: [later], cards: {later: {pings: [], pinged: [S0WEBONCALL]}}}"
    assert failures(tmp_path, at_night("web", ("5m", held), ("4h", posted))) == []
    [message] = failures(tmp_path, at_night("web", ('"07:01"', held.replace("channels: [], ", ""))))
    assert message.endswith("expected the card in later to be held (hold), but it is posted")
    [message] = failures(tmp_path, at_night("payments", ("1m", held.replace("channels: [], ", ""))))
    assert message.endswith("expected the card in later to be held (hold), but there is none")
    [message] = failures(tmp_path, at_night("web", ("1m", "{cards: {later: {held: wait}}}")))
    assert message.endswith("the card in later is held: hold; expected: wait")
    assert "the route of the card in later: not as expected" in "".join(
        failures(tmp_path, at_night("web", ("5m", held.replace("route: web", "route: rest"))))
    )


def test_pings_that_are_held_or_sent_unexpectedly_are_named(tmp_path):
    lines = failures(tmp_path, at_night("payments", ("1s", "{cards: {payments: {held_pings: {}}}}")))
    assert lines[0].endswith("the held pings of the card in payments: not as expected")
    assert lines[1:] == ["+ S0PAYONCALL"]
    lines = failures(tmp_path, at_night("payments", ("5h", "{cards: {payments: {pinged: []}}}")))
    assert lines[0].endswith("those whom the card in payments has pinged: not as expected")
    assert lines[1:] == ["+ S0PAYONCALL"]


def test_the_state_at_a_moment_does_not_know_of_later_shares(tmp_path):
    test = f"""\
      shares:
      - {AT_NIGHT.replace("TEAM", "payments")}
      - {{at: 40m, state: critical}}
      moments:
      - {{at: 39m, expect: {{cards: {{payments: {{says: Warning, pinged: []}}}}}}}}
      - {{at: 40m, expect: {{cards: {{payments: {{says: Critical, pinged: [S0PAYONCALL]}}}}}}}}
    """
    assert failures(tmp_path, test) == []


def test_copies_make_a_storm_and_the_cards_that_it_holds_are_counted(tmp_path):
    test = """\
      shares: [{sample: documented, copies: 10, state: warning, tags: {team: database}}]
      moments: [{at: 5s, expect: {storms: {}}}, {at: 7s, expect: {storms: {noc: 2}}}]
      expect: {storms: {noc: 4}, channels: [noc]}
    """
    assert failures(tmp_path, test) == []
    lines = failures(tmp_path, test.replace("{noc: 4}", "{noc: 3}"))
    assert lines[0].endswith("the new cards that storms hold: not as expected")
    assert lines[1:] == ["- noc (C0NOC00001): 3", "+ noc (C0NOC00001): 4"]


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        (("2h", "1h"), "1h is before the moment before it; write the moments in their order"),
        (("2026-11-30 02:00",), "2026-11-30 02:00 is before the first share; write the moments in their order"),
    ],
)
def test_moments_in_the_wrong_order_fail_the_test(tmp_path, moments, message):
    [line] = failures(tmp_path, at_night("web", *((at, "{channels: []}") for at in moments)))
    assert line.endswith(message)


@pytest.mark.parametrize(
    ("moments", "message"),
    [
        ("[]", "expected moments such as {at: 30m, expect: {...}}, found none"),
        ("[{at: 3m}]", "missing key 'expect'; write {at: 30m, expect: {...}}"),
        ("[{expect: {channels: []}}]", "missing key 'at'; write {at: 30m, expect: {...}}"),
        ("[{at: noon, expect: {channels: []}}]", 'a time of the day such as "07:00", or 2026-11-30 07:00; found'),
    ],
)
def test_a_faulty_moment_is_reported_with_its_correction(tmp_path, moments, message):
    with pytest.raises(ConfigurationError) as raised:
        failures(tmp_path, f"  shares: [{{sample: documented}}]\n  moments: {moments}")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("written", "previous", "moment"),
    [
        ("0", "2026-11-30T03:00Z", "2026-11-30T02:00Z"),
        ("90m", "2026-11-30T03:00Z", "2026-11-30T03:30Z"),
        ("07:00", "2026-11-30T05:59Z", "2026-11-30T06:00Z"),
        ("07:00", "2026-11-30T06:00Z", "2026-12-01T06:00Z"),  # the next one
        ("2026-12-24 18:30", "2026-11-30T06:00Z", "2026-12-24T17:30Z"),
        ("2:30", "2027-03-28T00:30Z", "2027-03-28T01:00Z"),  # skipped: the moment of the jump
        ("02:30", "2026-10-24T23:00Z", "2026-10-25T00:30Z"),  # repeated: the first
        ("02:30", "2026-10-25T00:30Z", "2026-10-26T01:30Z"),  # and never the second
    ],
)
def test_moments_count_from_the_first_share_or_are_times_in_the_zone_of_the_routes(written, previous, moment):
    def seconds(text: str) -> float:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()

    found = read_moment(ScalarNode(text=written, yaml_type="str", line=1, column=1), ParseContext(file="a.test.yaml"))
    assert found is not None
    resolved = found.resolve(seconds("2026-11-30T02:00Z"), seconds(previous), "Europe/Berlin")
    assert datetime.fromtimestamp(resolved, UTC) == datetime.fromisoformat(moment)
