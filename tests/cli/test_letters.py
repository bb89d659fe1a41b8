"""`relay letters`: what Slack would not have is listed, shown, and redriven beside a running relay."""

import asyncio
import json
import os
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from relay.cards.failures import EXTERNAL
from relay.cards.model import Card, Channel, ChannelState
from relay.cli import app
from relay.config.settings import Settings
from relay.delivery import service
from relay.model.tag_labels import NO_TAG_LABELS
from relay.routes.options import Options
from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.store import OpenDeadLetter, Store
from relay.tools import letters as telling
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
async def house(tmp_path, monkeypatch):
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.setenv("RELAY_DATABASE_URL", f"sqlite:///{tmp_path / 'relay.db'}")
    monkeypatch.setattr(service, "LISTEN_EVERY", 0.01)
    async with run_relay(tmp_path, routes=ROUTES) as opened:
        yield opened


async def relay_letters(*arguments):
    """Run the command beside the house, which holds the database."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["letters", *arguments])


async def refused(house, incident="one"):
    """A card in a channel that takes nothing: its letter."""
    house.slack.channel("db").archive()
    await house.share(incident, status="critical", incidentTags=DB)
    await house.advance(60)
    [letter] = await house.store.letters()
    return letter


async def held_in_doubt(house, incident="dark"):
    """A card whose answer was lost where relay may not look: its letter."""
    house.slack.remove_scope("channels:history")
    house.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, channel="C0ALL00001", times=1))
    await house.share(incident, status="critical", incidentTags=DARK)
    await house.advance(60)
    house.slack.grant_scope("channels:history")
    return next(letter for letter in await house.store.letters() if letter.card.incident == incident)


async def redrive(house, letters):
    """Redrive by another connection to the same database, at the house's time."""
    other = await Store.open(os.environ["RELAY_DATABASE_URL"], exclusive=False)
    try:
        return [each.outcome for each in await telling.retry(other, letters, NO_TAG_LABELS, house.clock.now())]
    finally:
        await other.close()


async def test_where_nothing_was_refused_it_says_so(house):
    result = await relay_letters()
    assert (result.exit_code, result.stdout) == (0, "No dead letters, and no quarantined bodies.\n")


async def test_a_letter_is_listed_with_reason_remedy_channel_incident_and_since_when(house):
    letter = await refused(house)
    result = await relay_letters()
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if "one" in line)
    for part in (str(letter.id), "2023-11-14", "#db (C0DB000001)", "one", "channel_archived"):
        assert part in row
    listed = json.loads((await relay_letters("--json")).stdout)
    [told] = listed["letters"]
    assert (told["reason"], told["card"]["incident"], listed["quarantined"]) == ("channel_archived", "one", [])
    assert told["remedy"] == letter.remedy != ""


async def test_show_tells_the_letter_with_what_slack_said(house):
    letter = await held_in_doubt(house)
    result = await relay_letters("show", str(letter.id))
    assert result.exit_code == 0
    for part in ("incident dark", "in_doubt: ", letter.remedy, "chat.postMessage", f"redrive {letter.id}"):
        assert part in result.stdout
    told = json.loads((await relay_letters("show", str(letter.id), "--json")).stdout)
    assert told["calls"][0]["method"] == POST


async def test_a_body_that_was_no_share_is_listed_and_shown_as_it_came(house):
    await house.store.quarantine(b'{"not": "a share', {"content-type": "text/plain"}, "not_json", house.clock.now())
    assert "not_json" in (await relay_letters()).stdout
    [listed] = json.loads((await relay_letters("--json")).stdout)["quarantined"]
    shown = await relay_letters("show", listed["id"])
    assert shown.exit_code == 0
    assert shown.stdout.endswith('{"not": "a share\n')
    assert json.loads((await relay_letters("show", listed["id"], "--json")).stdout)["body"] == '{"not": "a share'


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "77"), 1),
        (("show", "q77"), 1),
        (("redrive", "77"), 1),
        (("redrive", "--all"), 1),
        (("redrive", "--reason", "nothing"), 1),
        (("show", "seven"), 2),
        (("redrive",), 2),
        (("redrive", "7", "--all"), 2),
    ],
)
async def test_what_is_not_there_is_1_and_what_cannot_be_asked_is_2(house, arguments, code):
    result = await relay_letters(*arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr


async def test_a_letter_held_in_doubt_is_redriven_when_an_operator_says_so_and_the_running_relay_notices(house):
    letter = await held_in_doubt(house)
    assert [message for message in house.slack.channel("all").messages if "dark" in str(message.metadata)] == []
    result = await relay_letters("redrive", str(letter.id))
    assert (result.exit_code, "redriven" in result.stdout) == (0, True)
    async with asyncio.timeout(20):
        while not house.slack.channel("all").messages:
            await asyncio.sleep(0.01)
            house.clock.advance(max(0.0, time.time() - house.clock.now()))  # what the command wrote is of today
    await house.settle()
    assert await house.store.letters() == ()


async def test_a_channel_that_took_nothing_is_asked_again_at_once_and_its_letters_come_back(house):
    letter = await refused(house)
    house.slack.channel("db").unarchive()
    assert await redrive(house, [letter]) == [telling.RetryOutcome.CHANNEL_CHECKED]
    async with asyncio.timeout(20):
        while not house.slack.channel("db").messages:
            await asyncio.sleep(0.01)
            await house.settle()
    await house.settle()
    assert await house.store.letters() == ()


async def test_a_letter_of_a_channel_that_was_found_archived_has_a_remedy_and_comes_back_by_itself(house):
    house.slack.channel("db").archive()
    await house.share("first", status="critical", incidentTags=DB)
    await house.advance(400)  # the channel has been asked about meanwhile
    await house.share("second", status="critical", incidentTags=DB)
    await house.advance(60)
    letters = await house.store.letters()
    assert [(each.card.incident, bool(each.remedy)) for each in letters] == [("first", True), ("second", True)]
    house.slack.channel("db").unarchive()
    await house.advance(700)
    assert await house.store.letters() == ()
    assert len(house.slack.channel("db").messages) == 2


async def test_by_reason_only_those_of_that_reason_are_taken(house):
    held = await held_in_doubt(house)
    house.slack.channel("db").archive()
    await house.share("one", status="critical", incidentTags=DB)
    await house.advance(60)
    letters = await house.store.letters()
    assert len(letters) == 2
    assert telling.select(letters, reason="in_doubt") == (held,)
    assert telling.select(letters, reason=held.reason) == (held,)
    assert [each.reason for each in telling.select(letters, reason="channel_archived")] == ["channel_archived"]
    assert telling.select(letters) == letters


def test_a_channel_shared_with_others_is_left_as_it_is():
    card = Card(incident="one", channel="C0DB000001", episode=1, options=Options())
    letter = OpenDeadLetter(id=7, reason=EXTERNAL, remedy="", since=0.0, card=card)
    shared = Channel(ref="C0DB000001", slack_id="C0DB000001", facts={"external": True}, state=ChannelState.OPEN)
    left = telling.retry_outcome(letter, shared)
    assert left is telling.RetryOutcome.EXTERNAL_CHANNEL
    told = telling.describe_result(telling.RetryResult(letter=letter, outcome=left), str)
    assert "letter 7" in told
    assert "allow_external: true" in told
    assert telling.retry_outcome(letter, replace(shared, facts={})) is telling.RetryOutcome.RETRIED
    assert telling.retry_outcome(letter, None) is telling.RetryOutcome.UNKNOWN_CHANNEL


async def test_what_relay_has_redriven_in_the_same_moment_is_left_alone(house):
    letter = await refused(house)
    house.slack.channel("db").unarchive()
    await house.advance(700)
    before, posts = await house.store.story("one"), len(house.slack.calls_to(POST))
    await redrive(house, [letter])
    await house.settle()
    after = await house.store.story("one")
    assert [card.ts for card in after.cards] == [card.ts for card in before.cards]
    assert len(house.slack.calls_to(POST)) == posts
