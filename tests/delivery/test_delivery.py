"""Cards are posted, edited and threaded; nothing is sent twice, and nothing that is late is forgotten."""

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
async def house(tmp_path):
    async with run_relay(tmp_path) as opened:
        yield opened


def roots(house, channel="all"):
    return house.slack.channel(channel).messages


async def test_a_first_share_becomes_a_card_that_pings_whom_the_route_names(house):
    await house.share(status="critical", alerts=[ALERT])
    await house.settle()
    [card] = roots(house)
    assert pings(card) == ("S0CRIT", "here")
    assert "db-1 · lag" in house.transcript()
    assert card.metadata["event_type"] == "relay_card"
    assert card.metadata["event_payload"]["incident"] == "i1"


async def test_every_later_share_edits_the_card_and_tells_in_its_thread_what_happened(house):
    await house.share(status="warning", alerts=[ALERT])
    await house.advance(60)
    await house.share(status="critical")
    await house.advance(60)
    await house.share(metadata={"comment": {"comment": "failing over"}, "sender": {"name": "Dana"}})
    await house.advance(60)
    await house.share(status="ok", endedOn=START + 180)
    await house.advance(60)
    [card] = roots(house)
    told = [house.slack.text_of(reply) for reply in house.slack.channel("all").thread(card.ts)]
    assert [("Critical" in told[0]), ("failing over" in told[1]), ("Resolved" in told[2])] == [True, True, True]
    assert len(told) == 3
    assert "✅" in house.slack.text_of(card)


async def test_a_burst_costs_one_edit(house):
    await house.share(status="warning", alerts=[ALERT])
    await house.settle()
    house.slack.pause(EDIT, 5)
    for number in range(20):
        await house.share(status="warning", incidentTags=[{"id": "n", "value": number}])
    await house.advance(30)
    shown = [call for call in house.slack.calls_to(EDIT) if call.took_effect]
    assert len(shown) == 1
    assert "19" in house.transcript()


async def test_an_edit_that_would_show_what_is_shown_is_not_made(house):
    await house.share(status="warning", alerts=[ALERT], updatedOn=START)
    await house.settle()
    await house.share(status="warning", alerts=[ALERT], updatedOn=START + 1)
    await house.advance(10)
    assert house.slack.calls_to(EDIT) == []


async def test_replies_wait_for_their_root_and_come_together(house):
    house.slack.pause(POST, 20)
    await house.share(status="warning", alerts=[ALERT])
    await house.advance(1)
    await house.share(status="critical")
    await house.share(metadata={"comment": {"comment": "one"}})
    await house.share(metadata={"comment": {"comment": "two"}})
    await house.advance(60)
    [card] = roots(house)
    [reply] = house.slack.channel("all").thread(card.ts)
    assert [word in house.slack.text_of(reply) for word in ("one", "two")] == [True, True]


async def test_a_rate_limit_pauses_its_method_for_as_long_as_slack_says_and_no_other(house):
    await house.share("first", status="warning", alerts=[ALERT])
    await house.settle()
    house.slack.faults.add(InjectedFault(behaviour=rate_limited(30), method=EDIT, times=1))
    await house.share("first", status="critical")
    await house.settle()
    await house.share("second", status="critical", alerts=[ALERT])
    await house.advance(29)
    assert len(house.slack.calls_to(EDIT)) == 1
    assert len(roots(house)) == 2
    await house.advance(2)
    assert [call.took_effect for call in house.slack.calls_to(EDIT)] == [False, True]


@pytest.mark.parametrize(
    "does", [rate_limited(7), ErrorCode("service_unavailable"), ErrorCode("ratelimited"), ErrorCode("request_timeout")]
)
async def test_what_surely_was_not_posted_is_posted_later_and_once(house, does):
    house.slack.faults.add(InjectedFault(behaviour=does, method=POST, times=1))
    await house.share(status="critical", alerts=[ALERT])
    await house.advance(600)
    assert len(roots(house)) == 1
    assert [call.took_effect for call in house.slack.calls_to(POST)] == [False, True]


async def test_an_edit_of_which_nobody_knows_is_made_again_and_once_more_when_the_lost_one_cannot_land_any_more(house):
    await house.share(status="warning", alerts=[ALERT])
    await house.settle()
    house.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=EDIT, after_effect=True, times=1))
    await house.share(status="critical")
    await house.advance(60)
    assert [call.at - START for call in house.slack.calls_to(EDIT)][-1] >= 30
    assert len(house.slack.calls_to(EDIT)) == 3
    assert "🔴" in house.transcript()


async def test_a_dead_token_stops_nothing_for_good(house):
    house.slack.revoke()
    await house.share(status="critical", alerts=[ALERT])
    await house.advance(120)
    assert roots(house) == []
    house.slack.restore()
    await house.advance(120)
    assert len(roots(house)) == 1


async def test_a_card_that_was_deleted_is_posted_anew_with_a_note_and_its_thread_goes_on_there(house):
    await house.share(status="warning", alerts=[ALERT])
    await house.settle()
    house.slack.channel("all").delete(roots(house)[0].ts)
    await house.share(metadata={"comment": {"comment": "still there"}})
    await house.advance(60)
    [card] = roots(house)
    assert "posted again: " in house.slack.text_of(card)
    assert not pings(card)
    [reply] = house.slack.channel("all").thread(card.ts)
    assert "still there" in house.slack.text_of(reply)


async def test_a_restart_goes_on_where_it_stopped(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        await house.share(status="warning", alerts=[ALERT])
        await house.settle()
        slack.pause(POST, 5)
        slack.pause(EDIT, 5)
        await house.share(status="critical")
        await house.settle()
    clock.advance(60)
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        await house.advance(10)
        [card] = roots(house)
        assert "🔴" in slack.text_of(card)
        assert len(slack.channel("all").thread(card.ts)) == 1


async def test_what_no_route_takes_goes_to_the_fallback_and_shrinks_to_a_pointer_once_a_card_elsewhere_is_shown(
    tmp_path,
):
    routes = """
version: 1
fallback: C0NOC00001
routes: [{name: db, match: {tags: {team: db}}, post: [C0DB000001]}]
"""
    async with run_relay(tmp_path, routes=routes) as house:
        await house.share(status="critical", alerts=[ALERT])
        await house.settle()
        assert "Critical" in house.transcript("noc")
        await house.share(incidentTags=[{"id": "team", "value": "db"}])
        await house.advance(60)
        assert "Critical" in house.transcript("db")
        assert "updates are in" in house.transcript("noc")
        await house.share(status="ok")
        await house.advance(60)
        assert "Resolved" in house.transcript("db")
        assert "Resolved" not in house.transcript("noc")


async def test_a_name_and_an_id_of_one_channel_are_one_channel(tmp_path):
    routes = """
version: 1
routes:
  - {name: a, continue: true, post: ["#db"]}
  - {name: b, post: [C0DB000001]}
"""
    async with run_relay(tmp_path, routes=routes) as house:
        await house.share(status="critical", alerts=[ALERT])
        await house.advance(60)
        assert len(roots(house, "db")) == 1


async def test_nothing_is_sent_to_a_channel_that_is_not_there_until_it_is(tmp_path):
    async with run_relay(tmp_path, routes='version: 1\nroutes: [{name: a, post: ["#new-one"]}]\n') as house:
        await house.share(status="critical", alerts=[ALERT])
        await house.advance(60)
        assert house.slack.calls_to(POST) == []
        [letter] = await house.store.dead_letters()
        assert letter.remedy.startswith("Correct the channel's name in routes.yaml")
        house.slack.add_channel("C0NEW00001", "new-one")
        await house.advance(600)
        assert len(roots(house, "new-one")) == 1


async def test_a_waiting_card_is_posted_only_if_the_incident_is_still_open(tmp_path):
    async with run_relay(tmp_path, routes="version: 1\nroutes: [{name: a, wait: 3m, post: [C0ALL00001]}]\n") as house:
        await house.share("short", status="critical", alerts=[ALERT])
        await house.share("long", status="critical", alerts=[ALERT])
        await house.advance(120)
        assert roots(house) == []
        await house.share("short", status="ok")
        await house.advance(120)
        assert [card.metadata["event_payload"]["incident"] for card in roots(house)] == ["long"]


async def test_a_reopening_is_broadcast_and_pings_and_a_later_one_is_a_new_card_that_links_to_the_old(house):
    await house.share(status="critical", alerts=[ALERT])
    await house.advance(60)
    await house.share(status="ok", endedOn=int(house.clock.now()))
    await house.advance(60)
    await house.share(status="critical", endedOn=None)
    await house.advance(60)
    [card] = roots(house)
    reopened = house.slack.channel("all").thread(card.ts)[-1]
    assert reopened.broadcast
    assert pings(reopened)
    await house.share(status="ok", endedOn=int(house.clock.now()))
    await house.advance(90_000)
    await house.share(status="critical", endedOn=None)
    await house.advance(60)
    first, second = roots(house)
    assert "✅" in house.slack.text_of(first)
    assert "again, last time" in house.slack.text_of(second)
    assert pings(second)
