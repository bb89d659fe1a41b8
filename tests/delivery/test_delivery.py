"""Cards are posted, edited and threaded; nothing is sent twice, and late work is not lost."""

import pytest

from relay.sandbox.faults import SERVER_ERROR, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.mentions import pings
from tests.support.clocks import ManualClock
from tests.support.relay_in_process import START, fake_workspace, run_relay

ALERT = {
    "id": "a",
    "status": "critical",
    "tags": [{"name": "host", "value": "db-1"}, {"name": "check", "value": "lag"}],
}
POST, EDIT = "chat.postMessage", "chat.update"


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path) as opened:
        yield opened


def roots(relay, channel="all"):
    return relay.slack.channel(channel).messages


async def test_a_first_share_becomes_a_card_that_pings_whom_the_route_names(relay):
    await relay.share(status="critical", alerts=[ALERT])
    await relay.settle()
    [card] = roots(relay)
    assert pings(card) == ("S0CRIT", "here")
    assert "db-1 · lag" in relay.transcript()
    assert card.metadata["event_type"] == "relay_card"
    assert card.metadata["event_payload"]["incident"] == "i1"


async def test_every_later_share_edits_the_card_and_reports_the_changes_in_its_thread(relay):
    await relay.share(status="warning", alerts=[ALERT])
    await relay.advance(60)
    await relay.share(status="critical")
    await relay.advance(60)
    await relay.share(metadata={"comment": {"comment": "failing over"}, "sender": {"name": "Dana"}})
    await relay.advance(60)
    await relay.share(status="ok", endedOn=START + 180)
    await relay.advance(60)
    [card] = roots(relay)
    replies = [relay.slack.text_of(reply) for reply in relay.slack.channel("all").thread(card.ts)]
    assert [("Critical" in replies[0]), ("failing over" in replies[1]), ("Resolved" in replies[2])] == [
        True,
        True,
        True,
    ]
    assert len(replies) == 3
    assert "✅" in relay.slack.text_of(card)


async def test_a_burst_of_shares_makes_one_edit(relay):
    await relay.share(status="warning", alerts=[ALERT])
    await relay.settle()
    relay.slack.pause(EDIT, 5)
    for number in range(20):
        await relay.share(status="warning", incidentTags=[{"id": "n", "value": number}])
    await relay.advance(30)
    shown = [call for call in relay.slack.calls_to(EDIT) if call.took_effect]
    assert len(shown) == 1
    assert "19" in relay.transcript()


async def test_an_edit_that_changes_nothing_is_not_made(relay):
    await relay.share(status="warning", alerts=[ALERT], updatedOn=START)
    await relay.settle()
    await relay.share(status="warning", alerts=[ALERT], updatedOn=START + 1)
    await relay.advance(10)
    assert relay.slack.calls_to(EDIT) == []


async def test_replies_wait_for_the_card_and_are_posted_as_one(relay):
    relay.slack.pause(POST, 20)
    await relay.share(status="warning", alerts=[ALERT])
    await relay.advance(1)
    await relay.share(status="critical")
    await relay.share(metadata={"comment": {"comment": "one"}})
    await relay.share(metadata={"comment": {"comment": "two"}})
    await relay.advance(60)
    [card] = roots(relay)
    [reply] = relay.slack.channel("all").thread(card.ts)
    assert [word in relay.slack.text_of(reply) for word in ("one", "two")] == [True, True]


async def test_a_rate_limit_pauses_only_its_method_for_as_long_as_slack_says(relay):
    await relay.share("first", status="warning", alerts=[ALERT])
    await relay.settle()
    relay.slack.faults.add(InjectedFault(behaviour=rate_limited(30), method=EDIT, times=1))
    await relay.share("first", status="critical")
    await relay.settle()
    await relay.share("second", status="critical", alerts=[ALERT])
    await relay.advance(29)
    assert len(relay.slack.calls_to(EDIT)) == 1
    assert len(roots(relay)) == 2
    await relay.advance(2)
    assert [call.took_effect for call in relay.slack.calls_to(EDIT)] == [False, True]


@pytest.mark.parametrize(
    "does", [rate_limited(7), ErrorCode("service_unavailable"), ErrorCode("ratelimited"), ErrorCode("request_timeout")]
)
async def test_a_post_that_certainly_failed_is_posted_later_once(relay, does):
    relay.slack.faults.add(InjectedFault(behaviour=does, method=POST, times=1))
    await relay.share(status="critical", alerts=[ALERT])
    await relay.advance(600)
    assert len(roots(relay)) == 1
    assert [call.took_effect for call in relay.slack.calls_to(POST)] == [False, True]


async def test_an_edit_in_doubt_is_repeated_and_repeated_once_more_when_it_can_no_longer_land_late(relay):
    await relay.share(status="warning", alerts=[ALERT])
    await relay.settle()
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=EDIT, after_effect=True, times=1))
    await relay.share(status="critical")
    await relay.advance(60)
    assert [call.at - START for call in relay.slack.calls_to(EDIT)][-1] >= 30
    assert len(relay.slack.calls_to(EDIT)) == 3
    assert "🔴" in relay.transcript()


async def test_delivery_continues_after_the_token_is_valid_again(relay):
    relay.slack.revoke()
    await relay.share(status="critical", alerts=[ALERT])
    await relay.advance(120)
    assert roots(relay) == []
    relay.slack.restore()
    await relay.advance(120)
    assert len(roots(relay)) == 1


async def test_a_deleted_card_is_reposted_with_a_note_and_its_thread_continues_there(relay):
    await relay.share(status="warning", alerts=[ALERT])
    await relay.settle()
    relay.slack.channel("all").delete(roots(relay)[0].ts)
    await relay.share(metadata={"comment": {"comment": "still there"}})
    await relay.advance(60)
    [card] = roots(relay)
    assert "posted again: the previous message was deleted" in relay.slack.text_of(card)
    assert not pings(card)
    [reply] = relay.slack.channel("all").thread(card.ts)
    assert "still there" in relay.slack.text_of(reply)


async def test_a_restart_continues_where_relay_stopped(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.share(status="warning", alerts=[ALERT])
        await relay.settle()
        slack.pause(POST, 5)
        slack.pause(EDIT, 5)
        await relay.share(status="critical")
        await relay.settle()
    clock.advance(60)
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.advance(10)
        [card] = roots(relay)
        assert "🔴" in slack.text_of(card)
        assert len(slack.channel("all").thread(card.ts)) == 1


async def test_an_unmatched_incident_goes_to_the_fallback_and_becomes_a_pointer_once_another_card_shows_it(
    tmp_path,
):
    routes = """
version: 1
fallback: C0NOC00001
routes: [{name: db, match: {tags: {team: db}}, post: [C0DB000001]}]
"""
    async with run_relay(tmp_path, routes=routes) as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.settle()
        assert "Critical" in relay.transcript("noc")
        await relay.share(incidentTags=[{"id": "team", "value": "db"}])
        await relay.advance(60)
        assert "Critical" in relay.transcript("db")
        assert "updates are in" in relay.transcript("noc")
        await relay.share(status="ok")
        await relay.advance(60)
        assert "Resolved" in relay.transcript("db")
        assert "Resolved" not in relay.transcript("noc")


async def test_a_name_and_an_id_of_one_channel_count_as_one_channel(tmp_path):
    routes = """
version: 1
routes:
  - {name: a, continue: true, post: ["#db"]}
  - {name: b, post: [C0DB000001]}
"""
    async with run_relay(tmp_path, routes=routes) as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert len(roots(relay, "db")) == 1


async def test_nothing_is_sent_to_a_missing_channel_until_it_exists(tmp_path):
    async with run_relay(tmp_path, routes='version: 1\nroutes: [{name: a, post: ["#new-one"]}]\n') as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert relay.slack.calls_to(POST) == []
        [letter] = await relay.store.dead_letters()
        assert letter.remedy.startswith("Correct the channel's name in routes.yaml")
        relay.slack.add_channel("C0NEW00001", "new-one")
        await relay.advance(600)
        assert len(roots(relay, "new-one")) == 1


async def test_a_waiting_card_is_posted_only_if_the_incident_is_still_open(tmp_path):
    async with run_relay(tmp_path, routes="version: 1\nroutes: [{name: a, wait: 3m, post: [C0ALL00001]}]\n") as relay:
        await relay.share("short", status="critical", alerts=[ALERT])
        await relay.share("long", status="critical", alerts=[ALERT])
        await relay.advance(120)
        assert roots(relay) == []
        await relay.share("short", status="ok")
        await relay.advance(120)
        assert [card.metadata["event_payload"]["incident"] for card in roots(relay)] == ["long"]


async def test_a_reopening_is_broadcast_and_pings_and_a_late_one_gets_a_new_card_with_a_link(relay):
    await relay.share(status="critical", alerts=[ALERT])
    await relay.advance(60)
    await relay.share(status="ok", endedOn=int(relay.clock.now()))
    await relay.advance(60)
    await relay.share(status="critical", endedOn=None)
    await relay.advance(60)
    [card] = roots(relay)
    reopened = relay.slack.channel("all").thread(card.ts)[-1]
    assert reopened.broadcast
    assert pings(reopened)
    await relay.share(status="ok", endedOn=int(relay.clock.now()))
    await relay.advance(90_000, step=600)
    await relay.share(status="critical", endedOn=None)
    await relay.advance(60)
    first, second = roots(relay)
    assert "✅" in relay.slack.text_of(first)
    assert "again, last time" in relay.slack.text_of(second)
    assert pings(second)
