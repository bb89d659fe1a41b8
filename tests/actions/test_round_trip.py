"""The whole circle: somebody presses a button, BigPanda hears of it, and its share changes the card and its thread."""

from datetime import UTC, datetime

import pytest

from relay.sandbox.bigpanda.users import FakeBigPandaUser
from tests.support.bigpanda_round_trip import ANN, BOB, DB, NOC, START, body, run_round_trip


@pytest.fixture
async def circle(tmp_path):
    async with run_round_trip(tmp_path) as opened:
        await opened.start_incident()
        yield opened


async def test_bigpanda_is_told_that_the_card_exists_once_it_is_posted(circle):
    [call] = circle.panda.calls_to("callback")
    assert call.took_effect
    assert circle.card(DB)
    assert ("callback", "done", "") in await circle.tasks()


async def test_assign_to_me_is_done_and_told_when_bigpanda_confirms_it(circle):
    delivery = await circle.click("assign")
    assert delivery.acknowledged
    await circle.advance(5)
    assert "assigned to *Ann Lee*" in circle.card_text()
    await circle.advance(700)
    [told] = circle.thread()
    assert "Assigned to *Ann Lee*" in told
    assert " by " not in told
    assert "when BigPanda confirms" in circle.ephemeral_messages()[0]


async def test_a_click_that_slack_sends_again_does_nothing_twice(circle):
    delivery = await circle.click("assign")
    for _ in range(3):
        await circle.slack.redeliver(delivery)
        assert delivery.acknowledged
    await circle.advance(700)
    assert len(circle.panda.calls_to("assign")) == 1
    assert len(circle.ephemeral_messages()) == 1


async def test_pressing_once_more_before_it_is_confirmed_does_nothing_twice(circle):
    circle.panda.share_delay = 30
    await circle.click("assign")
    await circle.click("assign")
    assert len(circle.panda.calls_to("assign")) == 1
    assert "already in progress" in circle.ephemeral_messages()[-1]
    await circle.advance(60)
    await circle.click("assign")
    assert "yours already" in circle.ephemeral_messages()[-1]
    assert len(circle.panda.calls_to("assign")) == 1


async def test_a_comment_goes_to_bigpanda_under_the_persons_name_and_into_every_thread_once(circle):
    await circle.click("comment")
    await circle.submit(text="looked at it\nfailing over")
    await circle.advance(700)
    assert circle.panda.incident("i1").comments == ["Ann Lee (Slack): looked at it\nfailing over"]
    for channel in (DB, NOC):
        [told] = circle.thread(channel)
        assert "Ann Lee" in told
        assert "(Slack)" not in told
        assert "failing over" in told


async def test_an_empty_comment_is_asked_for_again(circle):
    await circle.click("comment")
    delivery = await circle.submit(text="   ")
    assert delivery.answer["response_action"] == "errors"
    assert circle.panda.calls_to("comment") == []


@pytest.mark.parametrize(
    ("choice", "until"),
    [
        ("1h", START + 3600),
        ("4h", START + 4 * 3600),
        ("tomorrow", int(datetime(2023, 11, 15, 8, tzinfo=UTC).timestamp())),  # 9:00 in Berlin, in winter
    ],
)
async def test_a_snooze_ends_when_the_person_wants_it_in_their_own_zone(circle, choice, until):
    await circle.click("snooze")
    await circle.submit(until=choice)
    [call] = circle.panda.calls_to("snooze")
    assert call.arguments["end_time"] == until
    await circle.advance(5)
    assert "snoozed until" in circle.card_text()
    await circle.advance(700)
    assert "Snoozed until" in circle.thread()[0]
    assert "by Ann Lee" in circle.thread()[0].replace("*", "")


async def test_a_resolution_is_told_once_by_whoever_did_it_with_the_note(circle):
    await circle.click("resolve")
    await circle.submit(text="failed over to db-118")
    await circle.advance(700)
    assert "✅" in circle.card_text()
    [told] = circle.thread()
    assert "Resolved by Ann Lee" in told.replace("*", "")
    assert "failed over to db-118" in told
    assert circle.panda.calls_to("resolve")[0].arguments["comments"] == "Ann Lee (Slack): failed over to db-118"


async def test_a_resolved_card_has_no_buttons_but_the_link(circle):
    assert "Resolve" in circle.card_text()
    await circle.panda.resolve_incident("i1")
    await circle.advance(60)
    assert "[Resolve]" not in circle.card_text()
    assert "Open in BigPanda" in circle.card_text()


async def test_a_link_button_is_acknowledged_and_nothing_follows(circle):
    delivery = await circle.slack.click(ANN, DB, circle.card().ts, "open_link_0")
    assert delivery.acknowledged
    assert [kind for kind, *_ in await circle.tasks()] == ["callback"]


async def test_only_the_groups_that_the_route_names_may_act_and_others_are_told_so(circle):
    await circle.start_incident("i2", team="payments")
    card = circle.slack.channel(NOC).messages[-1]
    for action in ("relay_assign", "relay_resolve"):
        await circle.slack.click(ANN, NOC, card.ts, action)
        await circle.settle()
        assert "S0ONCALL01" in circle.ephemeral_messages()[-1]
        assert "only" in circle.ephemeral_messages()[-1]
    assert circle.panda.calls_to("assign") == []
    assert circle.slack.open_views(ANN) == []
    await circle.slack.click(BOB, NOC, card.ts, "relay_resolve")
    await circle.settle()
    assert len(circle.slack.open_views(BOB)) == 1


async def test_whom_bigpanda_does_not_know_is_told_what_to_do(circle):
    await circle.click("assign", BOB)
    assert "nobody by your e-mail address" in circle.ephemeral_messages(BOB)[-1]
    assert "users:" in circle.ephemeral_messages(BOB)[-1]
    assert ("assign", "rejected", "unknown_user") in await circle.tasks()


async def test_the_table_in_the_routes_knows_whom_the_api_does_not(tmp_path):
    routes = """
version: 1
users: {BOB@example.com: 5506e4fbe7e0e400000000b2}
routes:
  - {name: all, post: [C0DB000001], actions: [assign]}
"""
    async with run_round_trip(tmp_path, routes=routes) as circle:
        circle.panda.add_user(FakeBigPandaUser(id="5506e4fbe7e0e400000000b2", name="NOC", email="noc@example.com"))
        await circle.start_incident()
        await circle.click("assign", BOB)
        await circle.advance(700)
        assert circle.panda.calls_to("assign")[0].arguments["assignee"] == "5506e4fbe7e0e400000000b2"
        assert "assigned by Bob" in circle.thread()[0]


async def test_a_reply_becomes_a_comment_and_is_told_only_where_it_was_not_said(circle):
    await circle.slack.post_as(ANN, DB, "looks like <disk> & cpu", circle.card().ts)
    await circle.settle()
    await circle.advance(700)
    assert circle.panda.incident("i1").comments == ["Ann Lee (Slack): looks like <disk> & cpu"]
    assert [each for each in circle.thread(DB) if "💬" in each] == []
    [told] = circle.thread(NOC)
    assert "Ann Lee" in told


async def test_neither_edits_nor_deletions_nor_what_stands_outside_a_thread_become_comments(circle):
    await circle.slack.post_as(ANN, DB, "first", circle.card().ts)
    await circle.settle()
    said = circle.slack.channel(DB).thread(circle.card().ts)[-1]
    await circle.slack.edit_message(said, "changed")
    await circle.slack.delete_message(said)
    await circle.slack.post_as(ANN, DB, "in the channel")
    await circle.advance(700)
    assert circle.panda.incident("i1").comments == ["Ann Lee (Slack): first"]


async def test_replies_stay_in_slack_where_the_route_does_not_ask_for_them(circle):
    await circle.start_incident("i2", team="payments")
    card = circle.slack.channel(NOC).messages[-1]
    await circle.slack.post_as(ANN, NOC, "just between us", card.ts)
    await circle.advance(700)
    assert circle.panda.calls_to("comment") == []


async def test_a_channel_that_only_reads_along_has_neither_buttons_nor_replies_that_become_comments(tmp_path):
    routes = """
version: 1
defaults: {actions: [resolve, assign], sync_replies: true}
routes:
  - name: all
    post:
      - C0DB000001
      - {channel: C0NOC00001, actions: [], sync_replies: false}
"""
    async with run_round_trip(tmp_path, routes=routes) as circle:
        await circle.start_incident()
        assert "[Resolve]  [Assign to me]" in circle.card_text(DB)
        assert "[Resolve]" not in circle.card_text(NOC)
        for channel in (DB, NOC):
            await circle.slack.post_as(ANN, channel, f"said in {channel}", circle.card(channel).ts)
        await circle.advance(700)
        assert circle.panda.incident("i1").comments == [f"Ann Lee (Slack): said in {DB}"]


async def test_priorities_are_read_as_bigpanda_defines_them_and_match(tmp_path):
    routes = """
version: 1
fallback: C0NOC00001
routes:
  - {name: urgent, match: {tags: {priority: P1}}, post: [C0DB000001]}
"""
    async with run_round_trip(tmp_path, routes=routes) as circle:
        told = {"incidentTags": [{"id": "itd_priority_1", "value": 1000}]}
        await circle.panda.start_incident(body() | told)
        await circle.settle()
        assert "P1" in circle.card_text(DB)
        assert "1000" not in circle.card_text(DB)
