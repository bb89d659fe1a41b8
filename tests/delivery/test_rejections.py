"""What Slack refuses goes elsewhere with its reason, comes back by itself, and stops nothing else."""

import asyncio

import pytest

from relay.sandbox.faults import SERVER_ERROR, DropConnection, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.mentions import pings
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import fake_workspace, run_relay

POST, EDIT, DELETE = "chat.postMessage", "chat.update", "chat.delete"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: db}}, post: [{channel: C0DB000001, mention: {any: [S0DB]}}]}
  - {name: all, post: [C0ALL00001]}
"""
DB = [{"id": "team", "value": "db"}]


@pytest.fixture
async def house(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as opened:
        yield opened


async def reasons(house):
    return [(letter.card.channel, letter.reason) for letter in await house.store.letters()]


async def test_a_channel_that_refuses_is_found_once_and_its_cards_go_to_the_fallback_and_to_the_letters(house):
    house.slack.channel("db").archive()
    for incident in ("one", "two", "three"):
        await house.share(incident, status="critical", alerts=[ALERT], incidentTags=DB)
    await house.advance(60)
    refused = [call for call in house.slack.calls_to(POST) if not call.took_effect]
    assert len(refused) == 1
    for incident in ("one", "two", "three"):
        [card] = cards(house, incident, "noc")
        assert "for #db, which accepts no messages" in house.slack.text_of(card)
        assert pings(card) == ("S0DB",)
    assert [channel for channel, _ in await reasons(house)] == ["C0DB000001"] * 3
    assert all(letter.remedy for letter in await house.store.letters())


async def test_other_channels_go_on_while_one_refuses(house):
    house.slack.channel("db").archive()
    await house.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await house.share("two", status="critical", alerts=[ALERT])
    await house.settle()
    assert len(cards(house, "two")) == 1


async def test_when_the_channel_works_again_it_shows_the_newest_state_without_a_ping_and_the_stand_in_is_a_pointer(
    house,
):
    house.slack.channel("db").archive()
    await house.share("open", status="warning", alerts=[ALERT], incidentTags=DB)
    await house.share("over", status="warning", alerts=[ALERT], incidentTags=DB)
    await house.advance(60)
    await house.share("open", status="critical")
    await house.share("over", status="ok")
    await house.advance(60)
    house.slack.channel("db").unarchive()
    await house.advance(700)
    [card] = cards(house, "open", "db")
    assert "🔴" in house.slack.text_of(card)
    assert pings(card) == ()
    assert thread_text(house, card, "db") == ""
    assert "updates are in" in house.slack.text_of(cards(house, "open", "noc")[0])
    assert cards(house, "over", "db") == []
    assert await reasons(house) == []


async def test_a_card_that_stood_there_before_the_refusal_is_edited_afterwards_and_goes_on_where_the_stand_in_stopped(
    house,
):
    await house.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
    await house.advance(60)
    house.slack.channel("db").archive()
    await house.share("one", metadata={"comment": {"comment": "meanwhile"}})
    await house.advance(60)
    [stand_in] = cards(house, "one", "noc")
    assert "meanwhile" in thread_text(house, stand_in, "noc")
    assert pings(stand_in) == ()
    house.slack.channel("db").unarchive()
    await house.share("one", status="ok")
    await house.advance(700)
    [card] = cards(house, "one", "db")
    assert "✅" in house.slack.text_of(card)
    assert "meanwhile" not in thread_text(house, card, "db")
    assert "updates are in" in house.slack.text_of(cards(house, "one", "noc")[0])


async def test_a_fallback_that_refuses_makes_letters_and_nothing_more(house):
    house.slack.channel("db").archive()
    house.slack.channel("noc").archive()
    await house.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await house.advance(60)
    assert sorted(channel for channel, _ in await reasons(house)) == ["C0DB000001", "C0NOC00001"]
    house.slack.channel("noc").unarchive()
    house.slack.channel("db").unarchive()
    await house.advance(700)
    assert len(cards(house, "one", "db")) == 1
    assert await reasons(house) == []


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long", "invalid_attachments"])
async def test_a_message_that_slack_does_not_take_is_posted_in_relay_s_own_wording(house, code):
    house.slack.faults.add(InjectedFault(behaviour=ErrorCode(code), method=POST, times=1))
    await house.share("one", status="critical", alerts=[ALERT])
    await house.settle()
    [card] = cards(house, "one")
    assert "db-1" in house.slack.text_of(card)
    assert "built-in" in house.slack.text_of(card)
    assert await reasons(house) == []


async def test_a_message_that_slack_takes_in_no_wording_is_a_letter(house):
    house.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("invalid_blocks"), method=POST, channel="C0ALL00001", times=None)
    )
    await house.share("one", status="critical", alerts=[ALERT])
    await house.advance(60)
    assert len(house.slack.calls_to(POST)) == 3  # its own wording, relay's, and the fallback's card
    assert [channel for channel, _ in await reasons(house)] == ["C0ALL00001"]
    assert len(cards(house, "one", "noc")) == 1


async def test_a_code_that_nobody_knows_is_tried_a_few_times_and_then_a_letter(house):
    house.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("some_new_code"), method=POST, channel="C0ALL00001", times=None)
    )
    await house.share("one", status="critical", alerts=[ALERT])
    await house.advance(600)
    assert len([call for call in house.slack.calls_to(POST) if call.channel == "C0ALL00001"]) == 4
    assert [reason for _, reason in await reasons(house)] == ["unknown_code"]


async def test_a_dead_token_stops_all_lanes_keeps_everything_and_goes_on_by_itself(house):
    house.slack.revoke()
    for incident in ("one", "two", "three"):
        await house.share(incident, status="critical", alerts=[ALERT])
    await house.advance(300)
    assert len(house.slack.calls_to(POST)) <= 3
    assert house.delivery.health.slack != "ok"
    assert house.delivery.health.remedy
    house.slack.restore()
    await house.advance(60)
    assert [len(cards(house, incident)) for incident in ("one", "two", "three")] == [1, 1, 1]
    assert house.delivery.health.slack == "ok"


async def test_a_missing_scope_is_named_and_nothing_is_lost(house):
    house.slack.remove_scope("chat:write")
    await house.share("one", status="critical", alerts=[ALERT])
    await house.advance(10)
    assert "chat:write" in house.delivery.health.remedy
    house.slack.grant_scope("chat:write")
    await house.advance(120)
    assert len(cards(house, "one")) == 1


async def test_a_public_channel_that_relay_was_removed_from_is_joined_once_more(house):
    house.slack.channel("all").kick()
    await house.share("one", status="critical", alerts=[ALERT])
    await house.settle()
    assert len(cards(house, "one")) == 1


async def test_a_channel_shared_with_others_is_refused_unless_the_route_allows_it(tmp_path):
    for allowed in (False, True):
        route = f"{{name: a, post: [C0DB000001], allow_external: {str(allowed).lower()}}}"
        routes = f"version: 1\nfallback: C0NOC00001\nroutes: [{route}]\n"
        folder = tmp_path / str(allowed)
        folder.mkdir()
        clock = ManualClock()
        slack = fake_workspace(clock)
        slack.channel("db").share()
        async with run_relay(folder, routes=routes, slack=slack, clock=clock) as house:
            await house.share("one", status="critical", alerts=[ALERT])
            await house.advance(60)
            assert len(cards(house, "one", "db")) == int(allowed)
            assert len(cards(house, "one", "noc")) == int(not allowed)


async def test_a_renamed_channel_keeps_working(tmp_path):
    async with run_relay(tmp_path, routes='version: 1\nroutes: [{name: a, post: ["#db"]}]\n') as house:
        await house.share("one", status="warning", alerts=[ALERT])
        await house.settle()
        house.slack.channel("db").rename("databases")
        await house.share("one", status="critical")
        await house.share("two", status="critical", alerts=[ALERT])
        await house.advance(60)
        assert "🔴" in house.slack.text_of(cards(house, "one", "databases")[0])
        assert len(cards(house, "two", "databases")) == 1


async def test_a_card_that_keeps_being_deleted_is_posted_anew_twice_an_hour_and_then_a_letter(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.settle()
    for number in range(3):
        house.slack.channel("all").delete(cards(house, "one")[0].ts)
        await house.share(
            "one", incidentTags=[{"id": "n", "value": number}], status="critical" if number % 2 else "warning"
        )
        await house.advance(60)
    assert cards(house, "one") == []
    assert [channel for channel, _ in await reasons(house)] == ["C0ALL00001"]


async def test_a_resolved_card_with_nothing_to_tell_is_not_posted_anew(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(60)
    await house.share("one", status="ok")
    await house.advance(60)
    house.slack.channel("all").delete(cards(house, "one")[0].ts)
    await house.share("one", updatedOn=int(house.clock.now()) + 5, links={"landingPage": "http://bigp.io/x"})
    await house.advance(60)
    assert cards(house, "one") == []


async def test_where_edits_are_not_allowed_any_more_the_thread_goes_on_telling(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.edit_window = 10
    await house.share("one", status="critical")
    await house.advance(60)
    await house.share("one", metadata={"comment": {"comment": "and more"}})
    await house.advance(60)
    [card] = cards(house, "one")
    assert ["Critical" in thread_text(house, card), "and more" in thread_text(house, card)] == [True, True]
    assert len(house.slack.calls_to(EDIT)) == 1


async def test_the_sweep_finds_a_card_that_somebody_deleted(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.channel("all").delete(cards(house, "one")[0].ts)
    await house.advance(2400)
    [card] = cards(house, "one")
    assert "posted again: " in house.slack.text_of(card)


async def test_the_sweep_finds_one_below_more_messages_than_it_reads_at_once(house):
    await house.share("lower", status="warning", alerts=[ALERT])
    await house.advance(60)
    for number in range(900):
        house.slack.channel("all").post(f"chat {number}")
    await house.share("upper", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.channel("all").delete(cards(house, "lower")[0].ts)
    await house.advance(2400)
    assert len(cards(house, "lower")) == 1
    assert "posted again: " not in house.slack.text_of(cards(house, "upper")[0])
    assert len(house.slack.calls_to("conversations.history")) <= 2 * (2520 / 120)


@pytest.mark.parametrize("does", [SERVER_ERROR, DropConnection(), rate_limited(5)], ids=["500", "cut", "429"])
async def test_a_stray_whose_deletion_fails_is_deleted_later(house, does):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.settle()
    house.slack.channel("all").delete(cards(house, "one")[0].ts)
    house.slack.faults.add(InjectedFault(behaviour=does, method=DELETE, times=2))
    await house.share("one", metadata={"comment": {"comment": "still there"}})
    await house.advance(600)
    [card] = cards(house, "one")
    assert [each for each in house.slack.channel("all").messages if "relay_entry" in str(each.metadata)] == []
    assert thread_text(house, card).count("still there") == 1


async def test_a_stand_in_pings_though_the_lost_card_may_have_and_a_redrive_pings_nobody(house):
    house.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
    await house.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await house.settle()
    house.slack.channel("db").archive()
    await house.advance(120)
    assert pings(cards(house, "one", "noc")[0]) == ("S0DB",)
    house.slack.channel("db").unarchive()
    await house.advance(900)
    [card] = cards(house, "one", "db")
    assert pings(card) == ()


async def test_a_channel_that_is_there_but_refuses_is_tried_with_one_card_at_a_time_and_its_letters_stay(house):
    house.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("restricted_action"), method=POST, channel="C0DB000001", times=None)
    )
    for number in range(5):
        await house.share(f"i{number}", status="critical", alerts=[ALERT], incidentTags=DB)
    await house.advance(30)
    before = [(letter.id, letter.since) for letter in await house.store.letters()]
    assert len(before) == 5
    await house.advance(3600)
    assert [(letter.id, letter.since) for letter in await house.store.letters()] == before
    assert len([call for call in house.slack.calls_to(POST) if not call.took_effect]) <= 13
    house.slack.faults.clear()
    await house.advance(400)
    assert await reasons(house) == []
    for number in range(5):
        [card] = cards(house, f"i{number}", "db")
        assert pings(card) == ()
        assert "updates are in" in house.slack.text_of(cards(house, f"i{number}", "noc")[0])


async def test_a_name_that_relay_may_not_look_up_is_shown_on_the_fallback_until_it_may(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.remove_scope("channels:read")
    routes = 'version: 1\nfallback: C0NOC00001\nroutes: [{name: a, post: ["#db"]}]\n'
    async with run_relay(tmp_path, routes=routes, slack=slack, clock=clock) as house:
        await house.share("one", status="critical", alerts=[ALERT])
        await house.advance(60)
        assert len(cards(house, "one", "noc")) == 1
        [letter] = await house.store.dead_letters()
        assert (letter.reason, "channels:read" in letter.remedy) == ("missing_scope", True)
        assert len(slack.calls_to("conversations.info")) <= 2
        slack.grant_scope("channels:read")
        await house.advance(900)
        assert len(cards(house, "one", "db")) == 1
        assert await reasons(house) == []


async def test_channels_are_read_when_a_new_one_is_wanted_or_ones_time_comes_and_not_with_every_share(house):
    every, read = house.store.channels, []

    async def counted():
        read.append(house.clock.now())
        return await every()

    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(10)
    house.store.channels = counted
    house.delivery._mending.mend = lambda lease: asyncio.sleep(0)
    for number in range(20):
        await house.share("one", incidentTags=[{"id": "step", "value": str(number)}])
        await house.advance(1)
    assert read == []
    house.slack.add_channel("C0NEW00001", "new")
    await house.store.want_channels(["C0NEW00001"])
    house.delivery.ring()
    await house.advance(1)
    assert len(read) == 1
    assert {channel.ref: channel.state for channel in await every()}["C0NEW00001"] == "open"
    await house.advance(3600)
    assert len(read) > 1
