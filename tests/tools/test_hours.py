"""`relay explain --hours`: the week of the hours, in words, and how the other commands name them."""

import json

import pytest
from typer.testing import CliRunner

from relay.cli import app
from relay.routes.hour_types import days_text
from relay.routes.parser.parse import parse_rulebook
from relay.tools.hours import definition, week

ROUTES = """\
version: 1
zone: Europe/Berlin
hours:
  night: {from: "22:00", to: "07:00"}
  office: {days: [mon-fri], from: "09:00", to: "18:00", except: [holidays]}
  holidays: {dates: [2026-03-30, 2026-12-25..2026-12-26]}
  there: {days: [mon, wed-fri], from: "09:00", to: "17:30", zone: America/New_York}
  silent: [night, holidays]
  always: {}
defaults: {quiet: [silent]}
routes:
  - {name: databases, post: [C0DB000001], quiet: {outside: [office]}, hold: [night]}
  - {name: web, post: [{channel: C0WEB00001, hold: [there]}]}
"""


@pytest.fixture
def shown(tmp_path):
    """The output of a command about the file."""
    (tmp_path / "routes.yaml").write_text(ROUTES)

    def run(*command: str) -> str:
        result = CliRunner().invoke(app, [*command, "--routes", str(tmp_path / "routes.yaml")])
        assert (result.exit_code, result.stderr) == (0, "")
        return result.stdout

    return run


def test_the_week_shows_complete_periods_the_current_state_and_the_uses_of_hours(shown):
    text = shown("explain", "--hours", "--at", "2026-03-27T12:00+01:00")
    head, *parts = text.split("\n\n")
    assert head.splitlines()[0].startswith("Fri 2026-03-27 12:00 in Europe/Berlin (UTC+01:00), time zone data 20")
    assert head.splitlines()[1:] == ["clocks go forward on Sun 29 Mar from 02:00 to 03:00"]
    night, office, holidays, _, silent, always = (part.splitlines() for part in parts)
    assert night == [
        "night: every day 22:00 until 07:00 the next day",
        "  now off, until Fri 2026-03-27 22:00",
        *(
            f"  {begins} 22:00 to {ends} 07:00"
            for begins, ends in [
                ("Thu 26 Mar", "Fri"),
                ("Fri 27 Mar", "Sat"),
                ("Sat 28 Mar", "Sun"),
                ("Sun 29 Mar", "Mon"),
                ("Mon 30 Mar", "Tue"),
                ("Tue 31 Mar", "Wed"),
                ("Wed 01 Apr", "Thu"),
                ("Thu 02 Apr", "Fri"),
            ]
        ),
        "  used by hold of databases, hours silent",
    ]
    assert office[:2] == [
        "office: mon-fri 09:00 until 18:00, except holidays",
        "  now on, until Fri 2026-03-27 18:00",
    ]
    assert not any("30 Mar" in line for line in office)
    assert holidays[-1] == "  used by hours office, hours silent"
    assert "  Sun 29 Mar 22:00 to Tue 07:00" in silent
    assert always == ["always: every day", "  now on, without an end", "  used by nothing"]


def test_the_week_in_which_clocks_change_says_so(shown):
    text = shown("explain", "--hours", "--at", "2026-10-25")
    assert "clocks go back on Sun 25 Oct from 03:00 to 02:00" in text


def test_as_json_moments_have_their_offset(shown):
    document = json.loads(shown("explain", "--hours", "--at", "2026-03-28T12:00", "--json"))
    assert document["clock_changes"] == ["2026-03-29T03:00:00+02:00"]
    assert document["hours"]["night"]["periods"][1] == {
        "from": "2026-03-28T22:00:00+01:00",
        "to": "2026-03-29T07:00:00+02:00",
    }
    assert document["hours"]["holidays"]["used_by"] == ["hours office", "hours silent"]


def test_the_definition_names_a_zone_that_is_not_the_files():
    rulebook = parse_rulebook(ROUTES)
    assert definition(rulebook, "there") == "mon, wed-fri 09:00 until 17:30 (America/New_York)"
    assert definition(rulebook, "silent") == "night or holidays"
    assert definition(rulebook, "holidays") == "2026-03-30, 2026-12-25 to 2026-12-26"


def test_an_option_of_the_defaults_is_reported_once():
    assert week(parse_rulebook(ROUTES), 0.0).hours[4].users == ("quiet of defaults",)


@pytest.mark.parametrize(
    ("days", "text"),
    [
        ((0, 1, 2, 3, 4), "[mon-fri]"),
        ((5, 6), "[sat, sun]"),
        ((0, 4, 5, 6), "[fri-mon]"),
        ((0, 2, 4), "[mon, wed, fri]"),
        ((0, 6), "[sun, mon]"),
        (tuple(range(7)), "[mon-sun]"),
    ],
)
def test_weekdays_are_printed_in_the_short_form_of_the_file(days, text):
    assert days_text(days) == text


def test_the_tree_of_routes_names_the_hours_and_the_options_that_use_them(shown):
    lines = shown("routes").splitlines()
    assert "hours office: mon-fri 09:00 until 18:00, except holidays" in lines
    assert "defaults: quiet: [silent]" in lines
    assert "└── → C0DB000001: pings nobody; quiet: {outside: [office]}, hold: [night]" in lines
    assert json.loads(shown("routes", "--json"))["hours"]["silent"] == "night or holidays"


def test_a_file_without_hours_is_reported(tmp_path):
    (tmp_path / "routes.yaml").write_text("version: 1\nroutes: []\n")
    result = CliRunner().invoke(app, ["explain", "--hours", "--routes", str(tmp_path / "routes.yaml")])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "defines no hours" in result.stderr


def test_the_week_ends_with_the_next_time_of_each_summary(tmp_path):
    (tmp_path / "routes.yaml").write_text(
        ROUTES
        + """\
summaries:
  - {title: Morning, channel: C0DB000001, at: "09:00", days: [mon-fri], except: [holidays]}
  - {title: Never, channel: C0DB000001, at: "12:00", except: [always]}
"""
    )
    command = ["explain", "--hours", "--at", "2026-03-27T12:00+01:00", "--routes", str(tmp_path / "routes.yaml")]
    *_, morning, never = CliRunner().invoke(app, command).stdout.splitlines()
    # on Monday there is a holiday
    assert morning == (
        "summary Morning in C0DB000001: mon-fri 09:00 Europe/Berlin, except holidays; next Tue 2026-03-31 09:00"
    )
    assert never.endswith("next none within a year")
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [each["next"] for each in found["summaries"]] == ["2026-03-31T09:00:00+02:00", None]
