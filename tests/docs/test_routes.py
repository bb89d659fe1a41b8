"""docs/routes.md agrees with the code: its tables follow from the code, its examples load, its tutorial works."""

import re

import pytest
from typer.testing import CliRunner

from relay.actions import messages
from relay.actions.interaction_handler import NOTIFY_AFTER
from relay.actions.modal_parts import LENGTHS
from relay.actions.people import GROUP_MEMBERS_TTL
from relay.cards.draw import notice_lines
from relay.cards.model import Card, TaskKind
from relay.cards.notices import Notice, NoticeKind
from relay.cards.tasks import ACTION_KINDS, CONFIRMATION_CHECKS, MAX_SEARCHES, TASK_TIMEOUTS
from relay.cli import app
from relay.model.buttons import ACTION_WORDS, BUTTONS
from relay.model.entry_kinds import BROADCAST_NAMES, THREAD_NAMES
from relay.routes.options import InDoubtPolicy, Options
from relay.routes.parser.parse import parse_rulebook
from tests.support.documents import DOCS, examples, section, tables, text_of, words

PAGE = "routes.md"
ALONE = [example for example in examples(PAGE, "yaml") if not example.name]


@pytest.mark.parametrize("example", ALONE, ids=str)
def test_every_example_is_a_valid_routes_file(example):
    assert list(parse_rulebook(example.text, file=PAGE).routes.flatten())


def test_the_default_of_every_option_is_valid_in_a_file():
    [table] = tables(PAGE, "### Options")
    defaults = "".join(f"  {word}: {row[2].strip('`')}\n" for word, row in zip(words(table), table, strict=True))
    assert parse_rulebook(f"version: 1\ndefaults:\n{defaults}").defaults == Options()


def test_every_value_of_an_option_is_documented():
    [table] = tables(PAGE, "### Options")
    rows = {word: " ".join(row[1:]) for word, row in zip(words(table), table, strict=True)}
    others = set(BROADCAST_NAMES) - set(THREAD_NAMES)
    values = {"thread": THREAD_NAMES, "broadcast": others, "in_doubt": InDoubtPolicy, "actions": ACTION_WORDS}
    missing = [
        word for option, known in values.items() for word in known if not re.search(rf"\b{word}\b", rows[option])
    ]
    assert missing == [], "the description of the option in relay/routes/options.py names them"


def test_values_of_match_keep_their_text():
    example = next(each for each in ALONE if "as-it-is-written" in each.text)
    [route] = parse_rulebook(example.text).routes
    assert [condition.expected for condition in route.match.conditions] == ["no", "012", "2026-01-01"]


def test_the_row_of_the_button_snooze_says_how_long_it_can_last():
    assert [words for words in LENGTHS.values() if words.removeprefix("until ") not in BUTTONS["snooze"].asks] == []


def test_the_page_quotes_the_messages_to_a_user():
    [*_, quoted] = tables(PAGE, "## Act from Slack")
    for _, message in quoted:
        assert message.replace("@pay-oncall", "<!subteam^S0PAYONCALL>") in ephemerals()


def ephemerals():
    reasons = ["in_progress", "already_resolved", "unknown_user", "key_invalid"]
    return {
        *(button.started for button in BUTTONS.values()),
        *(messages.rejected(kind, reason) for kind in BUTTONS for reason in reasons),
        *(messages.denied(kind, "not_allowed", ["S0PAYONCALL"]) for kind in BUTTONS),
        *(messages.given_up(kind, "timed_out") for kind in BUTTONS),
        *(messages.in_doubt(kind) for kind in (TaskKind.COMMENT, TaskKind.REPLY)),
    }


def test_the_page_says_how_long_relay_retries():
    text = text_of(PAGE)
    assert {TASK_TIMEOUTS[kind] for kind in ACTION_KINDS} == {15 * 60}
    assert "retries an action for 15 minutes" in text
    assert TASK_TIMEOUTS[TaskKind.REPLY] == 24 * 3600
    assert "retries a reply for a day" in text
    assert CONFIRMATION_CHECKS == (0, 3, 10, 30, 90)
    assert "asks again after 3, 10, 30 and 90 seconds" in text
    assert NOTIFY_AFTER == 5
    assert "longer than 5 seconds" in text
    assert (MAX_SEARCHES, GROUP_MEMBERS_TTL) == (3, 5 * 60)
    assert "three times within a minute" in text
    assert "takes effect within five minutes" in text


def test_the_page_quotes_the_notices_of_a_grey_card():
    notices = (Notice(kind=NoticeKind.STALE), Notice(kind=NoticeKind.GONE))
    card = Card(incident="i", episode=1, channel="C1", notices=notices, options=Options())
    for line in notice_lines(card):
        notice = line.partition(" (")[0].partition(" <!date")[0].strip()
        assert f"*{notice}*" in section(PAGE, "## Missing updates")


@pytest.fixture
def walkthrough(tmp_path, monkeypatch):
    """The folder of the tutorial, with the files of the page."""
    for language in ("yaml", "jinja", "json"):
        for example in examples(PAGE, language):
            if example.name:
                (tmp_path / example.name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / example.name).write_text(example.text)
    monkeypatch.chdir(tmp_path)
    for name in ("RELAY_ROUTES", "RELAY_TEMPLATES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_each_command_of_the_walkthrough_prints_what_the_page_shows(walkthrough):
    consoles = examples(PAGE, "console")
    assert len(consoles) == 4
    for example in consoles:
        command, *shown = example.text.strip().splitlines()
        result = CliRunner().invoke(app, command.removeprefix("$ relay ").split())
        assert result.exit_code == 0, f"{example}: {result.output}"
        missing = [line for line in shown if line not in result.output]
        assert not missing, f"{example}: {missing} not in {result.output}"


def test_the_week_of_the_hours_is_as_the_page_shows_it(tmp_path):
    [file] = [each for each in ALONE if "office:" in each.text]
    [shown] = [each.text for each in examples(PAGE, "text") if each.text.startswith("office:")]
    (tmp_path / "routes.yaml").write_text(file.text)
    command = ["explain", "--hours", "--at", "2026-12-23", "--routes", str(tmp_path / "routes.yaml")]
    assert shown in CliRunner().invoke(app, command).stdout


def test_a_test_of_the_walkthrough_fails_if_an_expectation_is_not_met(walkthrough):
    tests = walkthrough / "routes.test.yaml"
    tests.write_text(tests.read_text().replace("region eu-west", "region us-east"))
    assert CliRunner().invoke(app, ["test"]).exit_code == 1


def test_the_tests_of_the_quiet_nights_pass_with_the_routes_of_the_page(walkthrough):
    [routes] = [each.text for each in ALONE if "mention: {critical: [S0ONCALL01], warning: [S0ONCALL01]}" in each.text]
    (walkthrough / "nights" / "routes.yaml").write_text(routes)
    result = CliRunner().invoke(app, ["test", "--routes", "nights/routes.yaml"])
    assert result.exit_code == 0, result.output
    assert "3 tests: all passed" in result.output


def test_the_commented_buttons_in_the_projects_own_routes_work_once_uncommented():
    routes_file = (DOCS.parent / "routes.yaml").read_text()
    text = re.sub(r"^( +)# (?=act)", r"\1", routes_file, flags=re.MULTILINE)
    route = parse_rulebook(text).route("payments-critical")
    assert (route.options.actions, route.options.actors) == (ACTION_WORDS, ("S0PAYONCALL",))
    assert all(post.options.actions == ACTION_WORDS for post in route.posts)
