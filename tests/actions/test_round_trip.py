"""From a click in Slack to BigPanda and back: what BigPanda gets, and what the card and the thread show."""

from datetime import UTC, datetime

import pytest

from relay.sandbox.bigpanda.users import FakeBigPandaUser
from tests.support.bigpanda_round_trip import ANN, BOB, DB, NOC, START, body, run_round_trip


async def test_relay_reports_to_bigpanda_that_the_card_exists_once_it_is_posted(round_trip):
    [call] = round_trip.panda.calls_to("callback")
    assert call.took_effect
    assert round_trip.card(DB)
    assert ("callback", "done", "") in await round_trip.tasks()


async def test_assign_to_me_is_reported_when_bigpanda_confirms_it(round_trip):
    delivery = await round_trip.click("assign")
    assert delivery.acknowledged
    await round_trip.advance(5)
    assert "assigned to *Ann Lee*" in round_trip.card_text()
    await round_trip.advance(700)
    [reply] = round_trip.thread()
    assert "Assigned to *Ann Lee*" in reply
    assert " by " not in reply
    assert round_trip.ephemeral_messages() == []


async def test_a_click_that_slack_sends_again_changes_nothing(round_trip):
    delivery = await round_trip.click("assign")
    for _ in range(3):
        await round_trip.slack.redeliver(delivery)
        assert delivery.acknowledged
    await round_trip.advance(700)
    assert len(round_trip.panda.calls_to("assign")) == 1
    assert round_trip.ephemeral_messages() == []


async def test_a_second_click_changes_nothing(round_trip):
    round_trip.panda.share_delay = 30
    await round_trip.click("assign")
    await round_trip.click("assign")
    assert len(round_trip.panda.calls_to("assign")) == 1
    await round_trip.advance(60)
    await round_trip.click("assign")
    assert "already assigned to you" in round_trip.ephemeral_messages()[-1]
    assert len(round_trip.panda.calls_to("assign")) == 1


async def test_a_comment_goes_to_bigpanda_under_the_persons_name_and_into_every_thread_once(round_trip):
    await round_trip.click("comment")
    await round_trip.submit(text="looked at it\nfailing over")
    await round_trip.advance(700)
    assert round_trip.panda.incident("i1").comments == ["Ann Lee (Slack): looked at it\nfailing over"]
    for channel in (DB, NOC):
        [reply] = round_trip.thread(channel)
        assert "Ann Lee" in reply
        assert "(Slack)" not in reply
        assert "failing over" in reply


async def test_an_empty_comment_is_rejected_in_the_modal(round_trip):
    await round_trip.click("comment")
    delivery = await round_trip.submit(text="   ")
    assert delivery.answer["response_action"] == "errors"
    assert round_trip.panda.calls_to("comment") == []


@pytest.mark.parametrize(
    ("choice", "until"),
    [
        ("1h", START + 3600),
        ("4h", START + 4 * 3600),
        ("morning", int(datetime(2023, 11, 15, 8, tzinfo=UTC).timestamp())),  # 9:00 in Berlin, in winter
    ],
)
async def test_a_snooze_ends_when_the_person_wants_it_in_their_own_zone(round_trip, choice, until):
    await round_trip.click("snooze")
    await round_trip.submit(until=choice)
    [call] = round_trip.panda.calls_to("snooze")
    assert call.arguments["end_time"] == until
    await round_trip.advance(5)
    assert "snoozed until" in round_trip.card_text()
    await round_trip.advance(700)
    assert "Snoozed until" in round_trip.thread()[0]
    assert "by Ann Lee" in round_trip.thread()[0].replace("*", "")


async def test_a_resolution_is_reported_once_with_its_person_and_note(round_trip):
    await round_trip.click("resolve")
    await round_trip.submit(text="failed over to db-118")
    await round_trip.advance(700)
    assert "✅" in round_trip.card_text()
    [reply] = round_trip.thread()
    assert "Resolved by Ann Lee" in reply.replace("*", "")
    assert "failed over to db-118" in reply
    assert round_trip.panda.calls_to("resolve")[0].arguments["comments"] == "Ann Lee (Slack): failed over to db-118"
    assert round_trip.ephemeral_messages() == []  # not "Resolving…" after the card has shown it


async def test_a_resolved_card_has_only_the_link(round_trip):
    assert "Resolve" in round_trip.card_text()
    await round_trip.panda.resolve_incident("i1")
    await round_trip.advance(60)
    assert "[Resolve]" not in round_trip.card_text()
    assert "Open in BigPanda" in round_trip.card_text()


async def test_a_click_on_a_link_button_is_acknowledged_and_has_no_effect(round_trip):
    delivery = await round_trip.slack.click(ANN, DB, round_trip.card().ts, "open_link_0")
    assert delivery.acknowledged
    assert [kind for kind, *_ in await round_trip.tasks()] == ["callback"]


async def test_only_the_groups_of_the_route_may_act_and_others_get_a_message(round_trip):
    await round_trip.start_incident("i2", team="payments")
    card = round_trip.slack.channel(NOC).messages[-1]
    for action in ("relay_assign", "relay_resolve"):
        await round_trip.slack.click(ANN, NOC, card.ts, action)
        await round_trip.settle()
        assert "S0ONCALL01" in round_trip.ephemeral_messages()[-1]
        assert "only" in round_trip.ephemeral_messages()[-1]
    assert round_trip.panda.calls_to("assign") == []
    assert round_trip.slack.open_views(ANN) == []
    await round_trip.slack.click(BOB, NOC, card.ts, "relay_resolve")
    await round_trip.settle()
    assert len(round_trip.slack.open_views(BOB)) == 1


async def test_a_person_whom_bigpanda_does_not_know_gets_instructions(round_trip):
    await round_trip.click("assign", BOB)
    assert "no user with your e-mail address" in round_trip.ephemeral_messages(BOB)[-1]
    assert "users:" in round_trip.ephemeral_messages(BOB)[-1]
    assert ("assign", "rejected", "unknown_user") in await round_trip.tasks()


async def test_the_users_in_routes_yaml_add_to_those_of_the_api(tmp_path):
    routes = """
version: 1
users: {BOB@example.com: 5506e4fbe7e0e400000000b2}
routes:
  - {name: all, post: [C0DB000001], actions: [assign]}
"""
    async with run_round_trip(tmp_path, routes=routes) as round_trip:
        round_trip.panda.add_user(FakeBigPandaUser(id="5506e4fbe7e0e400000000b2", name="NOC", email="noc@example.com"))
        await round_trip.start_incident()
        await round_trip.click("assign", BOB)
        await round_trip.advance(700)
        assert round_trip.panda.calls_to("assign")[0].arguments["assignee"] == "5506e4fbe7e0e400000000b2"
        assert "Assigned to *NOC* by Bob" in round_trip.thread()[0]


async def test_a_reply_becomes_a_comment_and_is_reported_in_the_other_threads_only(round_trip):
    await round_trip.slack.post_as(ANN, DB, "looks like <disk> & cpu", round_trip.card().ts)
    await round_trip.settle()
    await round_trip.advance(700)
    assert round_trip.panda.incident("i1").comments == ["Ann Lee (Slack): looks like <disk> & cpu"]
    assert [each for each in round_trip.thread(DB) if "💬" in each] == []
    [reply] = round_trip.thread(NOC)
    assert "Ann Lee" in reply


async def test_edits_deletions_and_messages_outside_a_thread_do_not_become_comments(round_trip):
    await round_trip.slack.post_as(ANN, DB, "first", round_trip.card().ts)
    await round_trip.settle()
    said = round_trip.slack.channel(DB).thread(round_trip.card().ts)[-1]
    await round_trip.slack.edit_message(said, "changed")
    await round_trip.slack.delete_message(said)
    await round_trip.slack.post_as(ANN, DB, "in the channel")
    await round_trip.advance(700)
    assert round_trip.panda.incident("i1").comments == ["Ann Lee (Slack): first"]


async def test_replies_stay_in_slack_if_the_route_does_not_synchronise_them(round_trip):
    await round_trip.start_incident("i2", team="payments")
    card = round_trip.slack.channel(NOC).messages[-1]
    await round_trip.slack.post_as(ANN, NOC, "just between us", card.ts)
    await round_trip.advance(700)
    assert round_trip.panda.calls_to("comment") == []


async def test_a_read_only_channel_has_no_buttons_and_its_replies_do_not_become_comments(tmp_path):
    routes = """
version: 1
defaults: {actions: [resolve, assign], sync_replies: true}
routes:
  - name: all
    post:
      - C0DB000001
      - {channel: C0NOC00001, actions: [], sync_replies: false}
"""
    async with run_round_trip(tmp_path, routes=routes) as round_trip:
        await round_trip.start_incident()
        assert "[Assign to me]  [Open in BigPanda]  [Resolve]" in round_trip.card_text(DB)
        assert "[Resolve]" not in round_trip.card_text(NOC)
        for channel in (DB, NOC):
            await round_trip.slack.post_as(ANN, channel, f"said in {channel}", round_trip.card(channel).ts)
        await round_trip.advance(700)
        assert round_trip.panda.incident("i1").comments == [f"Ann Lee (Slack): said in {DB}"]


async def test_priorities_are_read_as_bigpanda_defines_them_and_match(tmp_path):
    routes = """
version: 1
fallback: C0NOC00001
routes:
  - {name: urgent, match: {tags: {priority: P1}}, post: [C0DB000001]}
"""
    async with run_round_trip(tmp_path, routes=routes) as round_trip:
        tags = {"incidentTags": [{"id": "itd_priority_1", "value": 1000}]}
        await round_trip.panda.start_incident(body() | tags)
        await round_trip.settle()
        assert "P1" in round_trip.card_text(DB)
        assert "1000" not in round_trip.card_text(DB)
