"""`relay letters`: dead letters are listed, shown and retried beside a running relay."""

import asyncio
import json
import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from relay.cards import plan as plan_module
from relay.cards.failures import EXTERNAL
from relay.cards.model import Card, Channel, ChannelState
from relay.cli import app
from relay.config.settings import Settings
from relay.delivery import leader
from relay.ingest import service
from relay.model.struct import replace
from relay.routes.options import Options
from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.store.store import Store
from relay.store.types import OpenDeadLetter
from relay.tools import letters as tool
from tests.support.relay_in_process import run_relay

POST = "chat.postMessage"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: db}}, post: [C0DB000001]}
  - {name: dark, match: {tags: {team: dark}}, post: [{channel: C0ALL00001, in_doubt: hold}]}
"""
DB, DARK = ([{"id": "team", "value": team}] for team in ("db", "dark"))


@pytest.fixture
async def relay(tmp_path, monkeypatch):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path / 'relay.db'}")
    monkeypatch.setattr(leader, "POLL_EVERY", 0.01)
    async with run_relay(tmp_path, routes=ROUTES) as running:
        yield running


async def relay_letters(*arguments):
    """Run the command beside the relay, which uses the same database."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["letters", *arguments])


async def rejected_card(relay, incident="one"):
    """Share an incident to an archived channel; return its dead letter."""
    relay.slack.channel("db").archive()
    await relay.share(incident, status="critical", incidentTags=DB)
    await relay.advance(60)
    [letter] = await relay.store.dead_letters()
    return letter


async def held_in_doubt(relay, incident="dark"):
    """Lose Slack's answer about a card in a channel that relay may not read; return its dead letter."""
    relay.slack.remove_scope("channels:history")
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, channel="C0ALL00001", times=1))
    await relay.share(incident, status="critical", incidentTags=DARK)
    await relay.advance(60)
    relay.slack.grant_scope("channels:history")
    return next(letter for letter in await relay.store.dead_letters() if letter.card.incident == incident)


async def retry(relay, letters):
    """Retry over another connection to the same database, at relay's time."""
    other = await Store.open(os.environ["RELAY_DATABASE_URL"], exclusive=False)
    try:
        return [each.outcome for each in await tool.retry(other, letters, relay.clock.now())]
    finally:
        await other.close()


@pytest.fixture
def faulty(monkeypatch):
    """Let planning fail for one incident, in relay and in the commands, until the set is cleared."""
    planned, incidents = plan_module.plan, {"bad"}

    def faulty_plan(rulebook, state, cards, share, *rest, **named):
        if share.incident in incidents:
            raise ValueError("no number can be this large")
        return planned(rulebook, state, cards, share, *rest, **named)

    monkeypatch.setattr(plan_module, "plan", faulty_plan)
    monkeypatch.setattr(service, "plan", faulty_plan)
    return incidents


async def test_a_share_that_could_not_be_planned_is_listed_shown_retried_and_discarded(relay, faulty):
    for status in ("critical", "warning"):
        await relay.share("bad", status=status)
    listed = await relay_letters("list")
    for text in ("Failed shares", "s1", "s2", "bad", "no number can be this large"):
        assert text in listed.stdout
    shown = await relay_letters("show", "s1")
    assert '"critical"' in shown.stdout
    assert "relay letters retry s1" in shown.stdout
    assert json.loads((await relay_letters("show", "s1", "--json")).stdout)["kind"] == "failed_share"

    again = await relay_letters("retry", "s1")
    assert (again.exit_code, "not planned: ValueError: no number" in again.stderr) == (1, True)
    faulty.clear()
    assert (await relay_letters("retry", "s1")).stdout == "failed share s1: planned: it is part of incident bad now\n"
    assert (await relay_letters("discard", "s2", "--reason", "old")).stdout == "failed share s2: discarded: old\n"
    assert (await relay_letters("show", "s2")).exit_code == 1
    assert (await relay_letters("retry", "s1")).exit_code == 1
    history = await relay.store.incident_history("bad")
    assert ([str(share.outcome) for share in history.shares], history.state.version) == (["no_route"], 1)


async def test_letters_reports_that_there_are_none(relay):
    for arguments in ((), ("list",)):
        result = await relay_letters(*arguments)
        assert result.stdout == "No dead letters, no failed shares, and no quarantined bodies.\n"
        assert result.exit_code == 0


async def test_the_list_shows_reason_remedy_channel_incident_and_time(relay):
    letter = await rejected_card(relay)
    result = await relay_letters()
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "one" in line)
    for part in (str(letter.id), "2023-11-14", "#db (C0DB000001)", "one", "channel_archived"):
        assert part in row
    [document] = json.loads((await relay_letters("--json")).stdout)["letters"]
    assert (document["id"], document["kind"]) == (str(letter.id), "dead_letter")
    assert (document["reason"], document["card"]["incident"]) == ("channel_archived", "one")
    assert document["remedy"] == letter.remedy != ""


async def test_show_prints_the_letter_with_slacks_answers(relay):
    letter = await held_in_doubt(relay)
    result = await relay_letters("show", str(letter.id))
    assert result.exit_code == 0
    for part in ("incident dark", "in_doubt: ", letter.remedy, "chat.postMessage", f"retry {letter.id}"):
        assert part in result.stdout
    document = json.loads((await relay_letters("show", str(letter.id), "--json")).stdout)
    assert document["calls"][0]["method"] == POST


async def test_a_quarantined_body_is_listed_and_shown_unchanged(relay):
    await relay.store.quarantine(b'{"not": "a share', {"content-type": "text/plain"}, "not_json", relay.clock.now())
    assert "not_json" in (await relay_letters()).stdout
    [listed] = json.loads((await relay_letters("--json")).stdout)["letters"]
    assert listed["kind"] == "quarantined_body"
    shown = await relay_letters("show", listed["id"])
    assert shown.exit_code == 0
    assert shown.stdout.endswith('{"not": "a share\n')
    assert json.loads((await relay_letters("show", listed["id"], "--json")).stdout)["body"] == '{"not": "a share'


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "77"), 1),
        (("show", "q77"), 1),
        (("retry", "77"), 1),
        (("retry", "--all"), 1),
        (("retry", "--reason", "nothing"), 1),
        (("retry", "7", "q7"), 1),
        (("discard", "77", "q77", "--reason", "nobody needs it"), 1),
        (("show", "seven"), 2),
        (("show", "x7"), 2),
        (("show", "7" * 19), 2),
        (("retry", "seven"), 2),
        (("discard", "7"), 2),
        (("discard", "7", "--reason", " "), 2),
        (("retry",), 2),
        (("redrive",), 2),  # the former name of retry
        (("retry", "7", "--all"), 2),
    ],
)
async def test_an_unknown_letter_exits_with_1_and_wrong_usage_with_2(relay, arguments, code):
    result = await relay_letters(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr


async def test_a_letter_in_doubt_is_retried_by_an_operator_and_the_running_relay_notices(relay):
    letter = await held_in_doubt(relay)
    assert [message for message in relay.slack.channel("all").messages if "dark" in str(message.metadata)] == []
    result = await relay_letters("retry", str(letter.id))
    assert (result.exit_code, "retrying" in result.stdout) == (0, True)
    async with asyncio.timeout(100):
        while not relay.slack.channel("all").messages:
            await asyncio.sleep(0.01)
            relay.clock.advance(max(0.0, time.time() - relay.clock.now()))  # the command wrote the current time
    await relay.settle()
    assert await relay.store.dead_letters() == ()


async def test_a_retry_checks_a_rejecting_channel_at_once_and_its_letters_close(relay):
    letter = await rejected_card(relay)
    relay.slack.channel("db").unarchive()
    assert await retry(relay, [letter]) == [tool.RetryOutcome.CHANNEL_CHECKED]
    async with asyncio.timeout(100):
        while not relay.slack.channel("db").messages:
            await asyncio.sleep(0.01)
            await relay.settle()
    await relay.settle()
    assert await relay.store.dead_letters() == ()


async def test_a_letter_of_an_archived_channel_has_a_remedy_and_is_retried_automatically(relay):
    relay.slack.channel("db").archive()
    await relay.share("first", status="critical", incidentTags=DB)
    await relay.advance(400)  # relay has checked the channel meanwhile
    await relay.share("second", status="critical", incidentTags=DB)
    await relay.advance(60)
    letters = await relay.store.dead_letters()
    assert [(each.card.incident, bool(each.remedy)) for each in letters] == [("first", True), ("second", True)]
    relay.slack.channel("db").unarchive()
    await relay.advance(700)
    assert await relay.store.dead_letters() == ()
    assert len(relay.slack.channel("db").messages) == 2


async def test_letters_are_selected_by_reason(relay):
    held = await held_in_doubt(relay)
    relay.slack.channel("db").archive()
    await relay.share("one", status="critical", incidentTags=DB)
    await relay.advance(60)
    letters = await relay.store.dead_letters()
    assert len(letters) == 2
    assert tool.select(letters, reason="in_doubt") == (held,)
    assert tool.select(letters, reason=held.reason) == (held,)
    assert [each.reason for each in tool.select(letters, reason="channel_archived")] == ["channel_archived"]
    assert tool.select(letters) == letters


def test_a_letter_of_an_external_channel_is_not_retried():
    card = Card(incident="one", channel="C0DB000001", episode=1, options=Options())
    letter = OpenDeadLetter(id=7, reason=EXTERNAL, remedy="", since=0.0, card=card)
    shared = Channel(ref="C0DB000001", slack_id="C0DB000001", facts={"external": True}, state=ChannelState.OPEN)
    outcome = tool.retry_outcome(letter, shared)
    assert outcome is tool.RetryOutcome.EXTERNAL_CHANNEL
    sentence = tool.describe_result(tool.RetryResult(id=tool.LetterId.parse("7"), letter=letter, outcome=outcome), {})
    assert "letter 7" in sentence
    assert "allow_external: true" in sentence
    assert tool.retry_outcome(letter, replace(shared, facts={})) is tool.RetryOutcome.RETRIED
    assert tool.retry_outcome(letter, None) is tool.RetryOutcome.UNKNOWN_CHANNEL


async def test_a_letter_that_relay_has_just_retried_is_not_retried_again(relay):
    letter = await rejected_card(relay)
    relay.slack.channel("db").unarchive()
    await relay.advance(700)
    before, posts = await relay.store.incident_history("one"), len(relay.slack.calls_to(POST))
    await retry(relay, [letter])
    await relay.settle()
    after = await relay.store.incident_history("one")
    assert [card.ts for card in after.cards] == [card.ts for card in before.cards]
    assert len(relay.slack.calls_to(POST)) == posts


# --- ids, discarding, and letters that nobody needs any more ---


@given(st.builds(tool.LetterId, st.sampled_from(tool.LetterKind), st.integers(0, 10**18 - 1)))
def test_every_letter_has_a_unique_id(letter):
    assert tool.LetterId.parse(str(letter)) == tool.LetterId.parse(f" {letter} ".upper()) == letter


async def test_a_discarded_letter_is_not_retried_and_its_reason_stays_with_the_incident(relay):
    letter = await rejected_card(relay)
    result = await relay_letters("discard", str(letter.id), "--reason", "the team is\n gone")
    assert (result.exit_code, "discarded: the team is gone" in result.stdout) == (0, True)
    assert await relay.store.dead_letters() == ()
    relay.slack.channel("db").unarchive()
    await relay.advance(700)
    assert relay.slack.channel("db").messages == []
    assert "meant for #db" in relay.transcript("noc")  # the card that stands in for it stays
    history = (await asyncio.to_thread(CliRunner().invoke, app, ["incident", "one"])).stdout
    assert f"dead letter {letter.id} for the card in #db (C0DB000001) discarded: the team is gone" in history
    again = await relay_letters("discard", str(letter.id), "--reason", "again", "--json")
    assert (again.exit_code, json.loads(again.stdout)) == (
        1,
        [{"id": str(letter.id), "outcome": "unknown_letter", "done": False}],
    )


async def test_discarding_the_last_letter_of_an_incident_discards_those_of_its_stand_ins(relay):
    for channel in ("noc", "db"):
        relay.slack.channel(channel).archive()
    await relay.share("one", status="critical", incidentTags=DB)
    await relay.advance(60)
    letters = await relay.store.dead_letters()
    assert [each.of_stand_in for each in letters] == [False, True]
    letter = letters[0]
    assert (await relay_letters("discard", str(letter.id), "--reason", "a test")).exit_code == 0
    assert await relay.store.dead_letters() == ()


async def test_a_discarded_body_is_deleted(relay):
    await relay.store.quarantine(b"junk", {}, "not_json", relay.clock.now())
    [body] = await relay.store.quarantined_bodies()
    assert (await relay_letters("discard", f"q{body.id}", "--reason", "a scanner")).exit_code == 0
    assert await relay.store.quarantined_bodies() == ()


async def test_a_body_that_this_relay_can_read_is_accepted_as_a_share(relay):
    rulebook = relay.configuration.rulebook
    await relay.store.save_configuration("live", rulebook.text, {}, 0.0)
    share = json.dumps({"incident": {"id": "late", "status": "critical"}, "incidentTags": DB}).encode()
    for body in (share, b'{"not": "a share"}'):  # an older relay could not read the first
        await relay.store.quarantine(body, {}, "no_incident", relay.clock.now())
    good, bad = (f"q{each.id}" for each in await relay.store.quarantined_bodies())
    result = await relay_letters("retry", good, bad)
    assert (result.exit_code, "accepted as a share of incident late" in result.stdout) == (1, True)
    assert f"quarantined body {bad}: not retried: " in result.stderr
    assert [each.id for each in await relay.store.quarantined_bodies()] == [int(bad[1:])]
    async with asyncio.timeout(100):
        while not relay.slack.channel("db").messages:
            await asyncio.sleep(0.01)
            await relay.settle()


@pytest.mark.parametrize(
    ("routes", "ended", "remain"),
    [
        (ROUTES, True, 1),
        (ROUTES.replace("C0DB000001", "C0ALL00001"), True, 0),
        (ROUTES.replace("C0DB000001", "C0ALL00001"), False, 1),
        (ROUTES.replace("C0DB000001", '"#{{ tags.team }}"'.replace("#", "#d")), True, 1),  # it could be #db
    ],
)
async def test_a_letter_closes_when_its_incident_ended_and_no_route_names_its_channel(
    tmp_path, monkeypatch, routes, ended, remain
):
    monkeypatch.setattr(leader, "POLL_EVERY", 0.01)
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        relay.slack.channel("db").archive()
        await relay.share("one", status="critical", incidentTags=DB)
        await relay.advance(60)
        if ended:
            await relay.share("one", status="ok", incidentTags=DB)
            await relay.advance(60)
        assert len(await relay.store.dead_letters()) == 1
        slack, clock = relay.slack, relay.clock
    async with run_relay(tmp_path, routes=routes, slack=slack, clock=clock) as relay:
        await relay.advance(300)
        assert len(await relay.store.dead_letters()) == remain
