"""docs/routes.md says what the code does: its tables are the code's, its examples load, its walk can be walked."""

import re

import pytest
from typer.testing import CliRunner

from relay.actions import messages
from relay.actions.modals import SNOOZE_CHOICES
from relay.actions.people import GROUP_MEMBERS_TTL
from relay.cards.draw import notice_lines
from relay.cards.model import Card, TaskKind
from relay.cards.notices import Notice, NoticeKind
from relay.cards.tasks import CONFIRMATION_WAIT, MAX_SEARCHES, TASK_TIMEOUTS
from relay.cli import app
from relay.model.buttons import BUTTONS
from relay.model.entry_kinds import BROADCAST_NAMES, THREAD_NAMES
from relay.routes.options import InDoubtPolicy, Options
from relay.routes.parser.keys import PLACES, Place
from relay.routes.parser.matches import _NOT_FOR, _OPERATORS, _ORDERED, _OVER_MATCHES
from relay.routes.parser.options import OPTIONS
from relay.routes.parser.parse import parse_rulebook
from relay.routes.parser.targets import _STATES
from relay.routes.subjects import NAMED, PLAIN
from tests.support.documents import DOCS, examples, section, tables, text_of, words

PAGE = "routes.md"
ALONE = [example for example in examples(PAGE, "yaml") if not example.name]


@pytest.mark.parametrize("example", ALONE, ids=str)
def test_each_example_is_a_routes_file_without_a_fault(example):
    assert list(parse_rulebook(example.text, file=PAGE).routes.flatten())


def test_the_table_of_keys_is_the_codes():
    [table] = tables(PAGE, "## Keys")
    told = {
        word: tuple(place for place, mark in zip(Place, row[1:5], strict=True) if mark == "✓")
        for word, row in zip(words(table), table, strict=True)
    }
    assert told == dict(PLACES)


def test_the_table_of_options_and_their_defaults_is_the_codes():
    [table] = tables(PAGE, "### Options")
    assert words(table) == list(OPTIONS)
    written = "".join(f"  {word}: {row[1].strip('`')}\n" for word, row in zip(words(table), table, strict=True))
    assert parse_rulebook(f"version: 1\ndefaults:\n{written}").defaults == Options()


def test_every_word_that_an_option_takes_is_named():
    [table] = tables(PAGE, "### Options")
    told = {word: row[1] + row[2] for word, row in zip(words(table), table, strict=True)}
    assert all(word in told["thread"] for word in THREAD_NAMES)
    assert all(f"`{word}`" in told["broadcast"] for word in set(BROADCAST_NAMES) - set(THREAD_NAMES))
    assert all(f"`{word}`" in told["in_doubt"] for word in InDoubtPolicy)
    assert all(f"`{word}`" in told["actions"] for word in BUTTONS)


def test_the_tables_of_match_are_the_codes():
    keys, _, operators = tables(PAGE, "## Match")
    assert set(words(keys)) == {*PLAIN, *NAMED, *_OVER_MATCHES}
    assert set(words(operators)) == {*_OPERATORS, *_ORDERED}
    assert set().union(*_NOT_FOR.values()) <= set(words(operators))


def test_the_table_of_mentions_is_the_codes():
    [table] = tables(PAGE, "## Mentions")
    assert set(words(table)) == set(_STATES)


def test_the_values_of_match_are_taken_as_they_are_written():
    example = next(each for each in ALONE if "as-it-is-written" in each.text)
    [route] = parse_rulebook(example.text).routes
    assert [look.expected for look in route.match.conditions] == ["no", "012", "2026-01-01"]


def test_the_table_of_buttons_is_the_codes():
    [buttons, _] = tables(PAGE, "## Act from Slack")
    assert buttons == [[f"**{button.label}**", button.asks, button.effect] for button in BUTTONS.values()]
    assert all(words.removeprefix("until ") in buttons[2][1] for words in SNOOZE_CHOICES.values())


def test_what_the_person_reads_is_what_the_page_says():
    [_, quoted] = tables(PAGE, "## Act from Slack")
    for _, said in quoted:
        assert said.replace("@pay-oncall", "<!subteam^S0PAYONCALL>") in ephemerals()


def ephemerals():
    reasons = ["in_progress", "already_resolved", "unknown_user", "key_invalid"]
    return {
        *(button.started for button in BUTTONS.values()),
        *(messages.rejected(kind, reason) for kind in BUTTONS for reason in reasons),
        *(messages.not_allowed(kind, ["S0PAYONCALL"]) for kind in BUTTONS),
        *(messages.given_up(kind, "timed_out") for kind in BUTTONS),
        *(messages.in_doubt(kind) for kind in (TaskKind.COMMENT, TaskKind.REPLY)),
    }


def test_how_long_something_is_tried_is_what_the_page_says():
    told = text_of(PAGE)
    assert {TASK_TIMEOUTS[kind] for kind in BUTTONS} == {15 * 60}
    assert "is tried again for 15 minutes" in told
    assert TASK_TIMEOUTS[TaskKind.REPLY] == 24 * 3600
    assert "reply is tried for a day" in told
    assert CONFIRMATION_WAIT == 90
    assert "within 90\nseconds" in told
    assert (MAX_SEARCHES, GROUP_MEMBERS_TTL) == (3, 5 * 60)
    assert "three times within a minute" in told
    assert "counts within five minutes" in told


def test_what_a_grey_card_says_is_what_the_page_says():
    notices = (Notice(kind=NoticeKind.STALE), Notice(kind=NoticeKind.GONE))
    card = Card(incident="i", episode=1, channel="C1", notices=notices, options=Options())
    for said in notice_lines(card):
        notice = said.partition(" (")[0].partition(" <!date")[0].strip()
        assert f"*{notice}*" in section(PAGE, "## Truth after silence")


@pytest.fixture
def walked(tmp_path, monkeypatch):
    """The folder of the walk through, with its files as the page has them."""
    for language in ("yaml", "jinja", "json"):
        for example in examples(PAGE, language):
            if example.name:
                (tmp_path / example.name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / example.name).write_text(example.text)
    monkeypatch.chdir(tmp_path)
    for name in ("RELAY_ROUTES", "RELAY_TEMPLATES"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_the_walk_from_an_edit_to_a_tested_change_can_be_walked(walked):
    consoles = examples(PAGE, "console")
    assert len(consoles) == 4
    for example in consoles:
        command, *shown = example.text.strip().splitlines()
        told = CliRunner().invoke(app, command.removeprefix("$ relay ").split())
        assert told.exit_code == 0, f"{example}: {told.output}"
        missing = [line for line in shown if line not in told.output]
        assert not missing, f"{example}: {missing} not in {told.output}"


def test_a_test_of_the_walk_fails_where_its_expectation_is_not_met(walked):
    tests = walked / "routes.test.yaml"
    tests.write_text(tests.read_text().replace("region eu-west", "region us-east"))
    assert CliRunner().invoke(app, ["test"]).exit_code == 1


def test_every_heading_in_the_list_of_contents_is_there():
    for page in ("routes.md", "templates.md"):
        text = text_of(page)
        headings = {_anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
        links = {part.partition(")")[0] for part in text.split("](#")[1:]}
        assert links <= headings


def _anchor(heading):
    kept = "".join(character for character in heading.lower() if character.isalnum() or character in " -_")
    return kept.replace(" ", "-")


def test_the_buttons_that_the_projects_own_routes_have_ready_work_once_their_signs_are_taken_away():
    written = (DOCS.parent / "routes.yaml").read_text()
    text = re.sub(r"^( +)# (?=act)", r"\1", written, flags=re.MULTILINE)
    route = parse_rulebook(text).route("payments-critical")
    assert (route.options.actions, route.options.actors) == (tuple(BUTTONS), ("S0PAYONCALL",))
    assert all(post.options.actions == tuple(BUTTONS) for post in route.posts)
