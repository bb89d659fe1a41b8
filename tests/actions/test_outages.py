"""Failures between relay and BigPanda lose and repeat nothing, and the person who pressed a button gets a message."""

import asyncio

import pytest

from relay.demo.clock import SimulatedClock
from relay.sandbox.faults import SERVER_ERROR, DropConnection, InjectedFault, NoAnswer, RawResponse
from tests.support.bigpanda_round_trip import (
    ANN,
    DB,
    NOC,
    START,
    body,
    fake_organisation,
    fake_workspace,
    gauge,
    run_round_trip,
)

HOURS = 3600


async def commented(round_trip, text="failing over"):
    await round_trip.click("comment")
    return await round_trip.submit(text=text)


async def quiet(round_trip):
    """Nothing of it is waiting any more."""
    await round_trip.advance(1200)


# -- Comments ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("does", [DropConnection(), SERVER_ERROR, RawResponse(status=502, body="<html>")])
async def test_a_comment_whose_answer_is_lost_is_searched_for_and_found(round_trip, does):
    round_trip.panda.faults.add(InjectedFault(behaviour=does, method="comment", after_effect=True, times=1))
    await commented(round_trip)
    await quiet(round_trip)
    assert round_trip.panda.incident("i1").comments == ["Ann Lee (Slack): failing over"]
    assert len(round_trip.panda.calls_to("comment")) == 1
    assert ("comment", "done", "") in await round_trip.tasks()
    [reply] = round_trip.thread()
    assert "failing over" in reply
    assert len(round_trip.ephemeral_messages()) == 1


@pytest.mark.parametrize("does", [DropConnection(), SERVER_ERROR])
async def test_a_comment_that_is_not_found_is_not_sent_again_and_its_writer_gets_a_message(round_trip, does):
    round_trip.panda.faults.add(InjectedFault(behaviour=does, method="comment", times=1))
    await commented(round_trip)
    await quiet(round_trip)
    assert len(round_trip.panda.calls_to("comment")) == 1
    assert round_trip.panda.incident("i1").comments == []
    assert "does not send it twice" in round_trip.ephemeral_messages()[-1]


async def test_a_comment_that_certainly_did_not_arrive_is_sent_again(round_trip):
    round_trip.panda.pause("comment", 7)
    await commented(round_trip)
    await quiet(round_trip)
    assert round_trip.panda.incident("i1").comments == ["Ann Lee (Slack): failing over"]
    assert len(round_trip.thread()) == 1


async def test_a_relay_that_is_killed_during_a_comment_does_not_repeat_it(tmp_path):
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock, dies=True) as round_trip:
        await round_trip.start_incident()
        panda.faults.add(InjectedFault(behaviour=NoAnswer(), method="comment", after_effect=True, times=1))
        await round_trip.slack.click(ANN, DB, round_trip.card().ts, "relay_comment")
        await round_trip.settle()
        await round_trip.slack.submit(ANN, slack.open_views(ANN)[-1], {"text": "failing over"})
        async with asyncio.timeout(100):
            while not panda.calls_to("comment"):  # noqa: ASYNC110  no event is set for it
                await asyncio.sleep(0.01)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        await quiet(round_trip)
        assert panda.incident("i1").comments == ["Ann Lee (Slack): failing over"]
        assert ("comment", "done", "") in await round_trip.tasks()


# -- Everything that may be done twice ---------------------------------------------------------------------------------


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("does", [DropConnection(), SERVER_ERROR])
async def test_a_resolution_whose_answer_is_lost_is_sent_again_and_reported_once(round_trip, does, after_effect):
    round_trip.panda.faults.add(InjectedFault(behaviour=does, method="resolve", after_effect=after_effect, times=1))
    await round_trip.click("resolve")
    await round_trip.submit()
    await quiet(round_trip)
    assert ("resolve", "done") in [(kind, state) for kind, state, _ in await round_trip.tasks()]
    [reply] = round_trip.thread()
    assert "Resolved by Ann Lee" in reply.replace("*", "")
    assert "✅" in round_trip.card_text()


async def test_resolving_a_resolved_incident_counts_as_done(round_trip):
    round_trip.panda.integrations.clear()
    round_trip.panda.incident("i1").resolve(round_trip.clock.now())
    await round_trip.click("resolve")
    await round_trip.submit()
    await quiet(round_trip)
    assert [call.status for call in round_trip.panda.calls_to("resolve")] == [409]
    assert ("resolve", "done", "") in await round_trip.tasks()


async def test_an_action_that_bigpanda_does_not_accept_for_fifteen_minutes_is_given_up(round_trip):
    round_trip.panda.pause("assign", 3000)
    await round_trip.click("assign")
    await round_trip.advance(700)
    assert (
        690 <= await gauge(round_trip, "relay_oldest_bigpanda_task_age_seconds") <= 710
    )  # whatever was tried meanwhile
    await round_trip.advance(300)
    assert await gauge(round_trip, "relay_oldest_bigpanda_task_age_seconds") == 0
    assert "did not answer in time" in round_trip.ephemeral_messages()[-1]
    await round_trip.advance(3000)
    assert [call.status for call in round_trip.panda.calls_to("assign")][-1] == 429
    assert "assigned to *Ann Lee*" not in round_trip.card_text()


async def test_a_key_that_bigpanda_rejects_is_reported_to_the_person_and_to_the_operator(round_trip):
    round_trip.panda.revoke()
    await round_trip.click("assign")
    assert "rejects relay's API key" in round_trip.ephemeral_messages()[-1]
    ready = await round_trip.relay.backend.readiness()
    assert ready.ok
    assert "BIGPANDA_API_KEY" in ready.detail["bigpanda"]
    assert await gauge(round_trip, "relay_bigpanda_credentials_valid") == 0
    round_trip.panda.restore()
    await round_trip.click("assign")
    await round_trip.advance(5)
    assert "assigned to *Ann Lee*" in round_trip.card_text()
    assert "bigpanda" not in (await round_trip.relay.backend.readiness()).detail
    assert await gauge(round_trip, "relay_bigpanda_credentials_valid") == 1


async def test_bigpanda_is_never_called_faster_than_it_allows(round_trip):
    round_trip.panda.limits.enabled = True
    for number in range(12):
        await round_trip.start_incident(f"more-{number}")
    await round_trip.advance(120)
    assert len(round_trip.slack.channel(DB).messages) == 13
    for card in round_trip.slack.channel(DB).messages[1:]:
        await round_trip.slack.post_as(ANN, DB, "a thought", card.ts)
    await round_trip.advance(600)
    assert [call.status for call in round_trip.panda.calls_to("comment")] == [204] * 12


# -- The callback ------------------------------------------------------------------------------------------------------


async def test_updates_that_bigpanda_holds_back_come_with_the_callback(tmp_path):
    async with run_round_trip(tmp_path, integration={"callbacks": True}) as round_trip:
        round_trip.slack.pause("chat.postMessage", 60)
        await round_trip.start_incident()
        await round_trip.panda.update_incident("i1", status="Warning")
        await round_trip.advance(30)
        assert round_trip.panda.calls_to("callback") == []
        await round_trip.advance(120)
        assert len(round_trip.panda.calls_to("callback")) == 1
        assert "Warning" in round_trip.card_text()


async def test_the_callback_is_made_in_time_although_slack_accepts_nothing(tmp_path):
    async with run_round_trip(tmp_path, integration={"callbacks": True}) as round_trip:
        round_trip.slack.pause("chat.postMessage", 1000)
        await round_trip.start_incident()
        await round_trip.advance(239)
        assert round_trip.panda.calls_to("callback") == []
        await round_trip.advance(20)
        assert [call.took_effect for call in round_trip.panda.calls_to("callback")] == [True]


async def test_a_callback_survives_a_restart_and_never_delays_a_card(tmp_path):
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    panda.pause("callback", 90)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        await round_trip.start_incident()
        assert round_trip.card()
        await round_trip.advance(30)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        await round_trip.advance(120)
        assert [call.took_effect for call in panda.calls_to("callback")].count(True) == 1


async def test_a_callback_is_given_up_when_bigpanda_has_given_up_waiting(round_trip):
    round_trip.panda.pause("callback", 3000)
    await round_trip.start_incident("i2")
    await round_trip.advance(3000)
    assert ("callback", "dropped", "rate_limited") in await round_trip.tasks("i2")
    tried = [call for call in round_trip.panda.calls_to("callback") if call.at <= START + 310]
    assert len(tried) == len(round_trip.panda.calls_to("callback"))


async def test_without_keys_bigpanda_is_not_called_and_no_card_has_buttons(tmp_path):
    async with run_round_trip(tmp_path, BIGPANDA_API_KEY="", BIGPANDA_APP_KEY="") as round_trip:
        await round_trip.start_incident()
        await round_trip.advance(600)
        assert round_trip.panda.calls == []
        assert "Assign to me" not in round_trip.card_text()
        assert "Open in BigPanda" in round_trip.card_text()
        delivery = await round_trip.slack.click(ANN, DB, round_trip.card().ts, "open_link_0")
        assert delivery.acknowledged


# -- Truth after silence -----------------------------------------------------------------------------------------------


async def test_after_six_hours_without_a_share_relay_checks_the_incident_and_updates_the_card(round_trip):
    round_trip.panda.integrations.clear()
    round_trip.panda.incident("i1").resolve(round_trip.clock.now())
    await round_trip.advance(5.9 * HOURS)
    assert round_trip.panda.calls_to("incident") == []
    await round_trip.advance(0.3 * HOURS)
    assert len(round_trip.panda.calls_to("incident")) == 1
    assert "✅" in round_trip.card_text()
    await round_trip.advance(24 * HOURS)
    assert len(round_trip.panda.calls_to("incident")) == 1


async def test_an_unchanged_incident_is_checked_once_in_six_hours(round_trip):
    await round_trip.advance(24.5 * HOURS)
    assert len(round_trip.panda.calls_to("incident")) == 4
    assert round_trip.thread() == []
    assert "no news" not in round_trip.card_text()


async def test_an_incident_that_bigpanda_no_longer_knows_has_ended_and_its_card_says_so(round_trip):
    round_trip.panda.remove_incident("i1")
    await round_trip.advance(7 * HOURS)
    assert "no longer in BigPanda" in round_trip.card_text()
    assert "Assign to me" not in round_trip.card_text()
    assert round_trip.card().attachments[0]["color"] == "#8a8d91" or round_trip.card().attachments
    await round_trip.advance(24 * HOURS)
    assert len(round_trip.panda.calls_to("incident")) == 1


async def test_the_wrong_region_ends_no_card(tmp_path):
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    for call in ("incident", "definitions", "callback"):
        panda.faults.add(InjectedFault(behaviour=RawResponse(status=404, body="{}"), method=call, times=None))
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        await round_trip.start_incident()
        await round_trip.advance(8 * HOURS)
        assert "no longer in BigPanda" not in round_trip.card_text()
        assert "no update from BigPanda since" in round_trip.card_text()


async def test_a_card_turns_grey_until_the_next_share_if_relay_cannot_check_the_incident(tmp_path):
    async with run_round_trip(tmp_path, BIGPANDA_API_KEY="", BIGPANDA_APP_KEY="") as round_trip:
        await round_trip.start_incident()
        before = round_trip.card().attachments[0]["color"]
        await round_trip.advance(7 * HOURS)
        assert "no update from BigPanda since 2023-11-14 22:13 UTC" in round_trip.card_text()
        assert round_trip.card().attachments[0]["color"] != before
        await round_trip.panda.send_share("i1")
        await round_trip.advance(60)
        assert "no news" not in round_trip.card_text()
        assert round_trip.card().attachments[0]["color"] == before


async def test_an_action_that_no_share_confirms_is_confirmed_by_a_check(tmp_path):
    async with run_round_trip(tmp_path, integration={"add_assignments": False}) as round_trip:
        await round_trip.start_incident()
        await round_trip.click("assign")
        await round_trip.advance(5)
        assert "assigned to *Ann Lee*" in round_trip.card_text()
        await round_trip.advance(600)
        assert len(round_trip.thread()) == 1


async def test_a_confirmed_action_is_not_checked_again(round_trip):
    await round_trip.click("assign")
    await round_trip.advance(600)
    assert len(round_trip.panda.calls_to("incident")) <= 2  # before it, and after it if no share was quicker
    assert len(round_trip.thread(NOC)) == 1


# -- Tag definitions ---------------------------------------------------------------------------------------------------


async def test_tag_definitions_are_requested_once_stored_and_refreshed_every_hour(tmp_path):
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock):
        assert len(panda.calls_to("definitions")) == 1
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        assert len(panda.calls_to("definitions")) == 1
        await round_trip.advance(1.1 * HOURS)
        assert len(panda.calls_to("definitions")) == 2


async def test_an_empty_list_of_tag_definitions_does_not_replace_the_stored_ones(tmp_path):
    clock = SimulatedClock(START)
    slack, panda = fake_workspace(clock), fake_organisation(clock)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        panda.pause("definitions", 3 * HOURS)
        await round_trip.advance(1.1 * HOURS)
        await round_trip.panda.start_incident(body() | {"incidentTags": [{"id": "itd_priority_1", "value": 2000}]})
        await round_trip.advance(60)
        assert "P2" in round_trip.card_text(NOC)


# -- Unreported comments, and what has changed meanwhile --------------------------------------------------------------


async def test_a_comment_that_no_share_reports_is_reported_once_by_a_check(tmp_path):
    async with run_round_trip(tmp_path, integration={"send_comments": False}) as round_trip:
        await round_trip.start_incident()
        await commented(round_trip, "failing over")
        await round_trip.slack.post_as(ANN, DB, "and again", round_trip.card().ts)
        await round_trip.advance(1200)
        assert sum("failing over" in reply for reply in round_trip.thread(DB)) == 1
        comments = [each for each in round_trip.thread(NOC) if "💬" in each]
        assert len("\n".join(comments).split("Ann Lee")) == 3
        assert "(Slack)" not in "".join(comments)
        assert [each for each in round_trip.thread(DB) if "and again" in each and "💬" in each] == []


async def test_an_action_that_bigpanda_accepted_but_never_did_is_attributed_to_nobody_later(round_trip):
    round_trip.panda.resolve = lambda *_: None
    await round_trip.click("resolve")
    await round_trip.submit()
    await round_trip.advance(600)
    round_trip.panda.incident("i1").resolve(round_trip.clock.now())
    await round_trip.panda.send_share("i1")
    await round_trip.advance(600)
    [reply] = round_trip.thread()
    assert "Resolved" in reply
    assert "Ann Lee" not in reply


async def test_the_current_routes_decide_who_may_act(round_trip, tmp_path):
    routes = (tmp_path / "routes.yaml").read_text()
    reloader, before = round_trip.relay._reloader, round_trip.relay._reloader.live
    (tmp_path / "routes.yaml").write_text(routes.replace("sync_replies: true", "actors: [S0ONCALL01]"))
    reloader.request()
    async with asyncio.timeout(100):
        while reloader.live is before:  # its thread and the clock take turns
            await round_trip.advance(1)
            await asyncio.sleep(0.01)
    await round_trip.click("assign")
    assert "only" in round_trip.ephemeral_messages()[-1]
    await round_trip.slack.post_as(ANN, DB, "between us", round_trip.card().ts)
    await round_trip.advance(60)
    assert round_trip.panda.calls_to("assign") == []
    assert round_trip.panda.calls_to("comment") == []


async def test_a_card_whose_post_is_not_yet_confirmed_accepts_clicks(round_trip):
    round_trip.slack.faults.add(
        InjectedFault(behaviour=SERVER_ERROR, method="chat.postMessage", channel=DB, after_effect=True)
    )
    await round_trip.panda.start_incident(body("i2"))
    await round_trip.settle()
    [card] = [each for each in round_trip.slack.channel(DB).messages if "i2" in str(each.metadata)]
    await round_trip.slack.click(ANN, DB, card.ts, "relay_assign")
    await round_trip.settle()
    assert [call.arguments["incident"] for call in round_trip.panda.calls_to("assign")] == ["i2"]


async def test_a_failed_search_decides_nothing_about_a_comment(round_trip):
    round_trip.panda.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="activities", times=6))
    round_trip.panda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment", after_effect=True))
    await commented(round_trip)
    await quiet(round_trip)
    assert ("comment", "done", "") in await round_trip.tasks()
    assert len(round_trip.ephemeral_messages()) == 1
