"""One filter over the log shows the history of an incident: each line has the incident, the channel and the reason."""

import ast
from pathlib import Path

import pytest
import structlog.testing

from relay import delivery
from relay.sandbox.faults import SERVER_ERROR, ErrorCode, InjectedFault
from tests.support.incident_lifecycle import ALERT
from tests.support.relay_in_process import run_relay

POST, EDIT = "chat.postMessage", "chat.update"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: drops, match: {tags: {team: nobody}}, post: []}
  - {name: db, match: {tags: {team: db}}, post: [C0DB000001]}
  - {name: all, match: {tags: {team: all}}, post: [{channel: C0ALL00001, reopen_within: 1h}]}
"""
PLACE = {"incident", "route", "channel"}


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as opened:
        yield opened


@pytest.fixture
def logged():
    with structlog.testing.capture_logs() as lines:
        yield lines


def team(name):
    return [{"id": "team", "value": name}]


def events_of(logged, incident, *events):
    """Filter the lines about the incident, as event and reason; every line about a card names its channel."""
    lines = [line for line in logged if line.get("incident") == incident]
    for line in lines:
        assert "share" in line or line.keys() >= PLACE, line
    return [(line["event"], line.get("reason", line.get("outcome"))) for line in lines if line["event"] in events]


async def test_a_share_logs_its_outcome_and_each_new_card_its_channel_and_reason(relay, logged):
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=team("all"))
    await relay.share("two", status="critical", alerts=[ALERT])
    await relay.share("three", status="critical", alerts=[ALERT], incidentTags=team("nobody"))
    await relay.advance(60)
    await relay.share("one", status="warning")
    await relay.share("one", status="warning")
    decided = [line for line in logged if line["event"] == "card_decided"]
    assert [(line["incident"], line["route"], line["channel"], line["reason"]) for line in decided] == [
        ("one", "all", "C0ALL00001", "matched"),
        ("two", "", "C0NOC00001", "no_route"),
    ]
    assert events_of(logged, "three", "share_stored", "card_decided", "slack_answered") == [("share_stored", "dropped")]
    kept = [line for line in logged if line["event"] == "share_stored" and line["incident"] == "one"]
    assert [(line["outcome"], line.get("state"), line.get("entries")) for line in kept] == [
        ("first", "critical", None),
        ("update", "warning", ["status"]),
        ("repeat", None, None),
    ]


async def test_a_new_episode_logs_that_the_old_card_is_no_longer_updated(relay, logged):
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=team("all"))
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(3 * 3600)
    await relay.share("one", status="critical")
    assert events_of(logged, "one", "card_decided") == [
        ("card_decided", "matched"),
        ("card_decided", "reopened_late"),
        ("card_decided", "matched"),
    ]


async def test_a_lost_answer_is_logged_from_the_doubt_to_the_search_result(relay, logged):
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, nth=2, times=1, after_effect=True))
    await relay.share("lost", status="critical", alerts=[ALERT], incidentTags=team("all"))
    await relay.advance(600)
    await relay.share("there", status="critical", alerts=[ALERT], incidentTags=team("all"))
    await relay.advance(600)
    lost = events_of(logged, "lost", "slack_answered", "searched")
    assert lost[0][0] == "slack_answered"
    assert lost[1:3] == [("searched", "not_found")] * 2
    assert lost[3][0] == "slack_answered"
    assert ("searched", "found") in events_of(logged, "lost", "searched") + events_of(logged, "there", "searched")


async def test_if_relay_may_not_search_the_log_names_the_in_doubt_policy(relay, logged):
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
    relay.slack.faults.add(InjectedFault(behaviour=ErrorCode("missing_scope"), method="conversations.history"))
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=team("all"))
    await relay.advance(60)
    [line] = [line for line in logged if line["event"] == "search_failed"]
    assert (line["incident"], line["reason"], line["in_doubt"]) == ("one", "missing_scope", "repost")


async def test_a_rejection_is_logged_from_the_channel_to_the_fallback_and_back(relay, logged):
    relay.slack.channel("db").archive()
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=team("db"))
    await relay.advance(60)
    relay.slack.channel("db").unarchive()
    await relay.advance(700)
    story = events_of(
        logged, "one", "card_decided", "channel_rejected", "card_diverted", "dead_letter_retried", "slack_answered"
    )
    assert story == [
        ("card_decided", "matched"),
        ("channel_rejected", "channel_archived"),
        ("slack_answered", "channel_archived"),
        ("card_diverted", "channel_archived"),
        ("slack_answered", "ok"),  # the fallback's card in its place
        ("dead_letter_retried", "channel_archived"),
        ("slack_answered", "ok"),  # its own
        ("slack_answered", "ok"),  # the fallback's points to it
    ]
    [diverted] = [line for line in logged if line["event"] == "card_diverted"]
    assert (diverted["channel"], diverted["to"]) == ("C0DB000001", "C0NOC00001")


async def test_a_deleted_card_is_logged_when_relay_notices_it(relay, logged):
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=team("all"))
    await relay.advance(300)
    [card] = relay.slack.channel("all").messages
    relay.slack.channel("all").delete(card.ts)
    await relay.advance(4 * 600)
    assert ("card_reposted", "root_gone") in events_of(logged, "one", "card_reposted")


def test_no_log_line_of_delivery_names_a_card_by_its_number_alone():
    """Nobody can filter by a number that is only in the database."""
    for file in Path(delivery.__file__).parent.glob("*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log."):
                names = {keyword.arg for keyword in call.keywords}
                assert "card" not in names, ast.unparse(call)
                assert not names & {"key", "ts", "letter"} or None in names, ast.unparse(call)
