"""A rejected message goes to the fallback channel with the reason, is retried, and blocks nothing else."""

import asyncio

import pytest
from structlog.testing import capture_logs

from relay.sandbox.faults import SERVER_ERROR, DropConnection, ErrorCode, InjectedFault, rate_limited
from relay.sandbox.slack.mentions import pings
from relay.tools import letters
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import fake_workspace, run_relay

POST, EDIT, DELETE = "chat.postMessage", "chat.update", "chat.delete"
ROUTES = """
version: 1
fallback: {channel: C0NOC00001, mention: {any: [S0NOC]}}
routes:
  - {name: db, match: {tags: {team: db}}, post: [{channel: C0DB000001, mention: {any: [S0DB]}}]}
  - {name: all, post: [C0ALL00001]}
"""
DB = [{"id": "team", "value": "db"}]


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as opened:
        yield opened


async def reasons(relay):
    return [(letter.card.channel, letter.reason) for letter in await relay.store.dead_letters()]


async def test_a_rejecting_channel_is_called_once_and_its_cards_go_to_the_fallback_and_become_dead_letters(relay):
    relay.slack.channel("db").archive()
    for incident in ("one", "two", "three"):
        await relay.share(incident, status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    rejected = [call for call in relay.slack.calls_to(POST) if not call.took_effect]
    assert len(rejected) == 1
    for incident in ("one", "two", "three"):
        [card] = cards(relay, incident, "noc")
        assert "for #db, which accepts no messages" in relay.slack.text_of(card)
        assert pings(card) == ("S0NOC",)
    assert [channel for channel, _ in await reasons(relay)] == ["C0DB000001"] * 3
    assert all(letter.remedy for letter in await relay.store.dead_letters())


async def test_other_channels_continue_while_one_rejects_messages(relay):
    relay.slack.channel("db").archive()
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.share("two", status="critical", alerts=[ALERT])
    await relay.settle()
    assert len(cards(relay, "two")) == 1


async def test_when_the_channel_works_again_its_card_shows_the_newest_state_and_the_stand_in_is_a_pointer(
    relay,
):
    relay.slack.channel("db").archive()
    await relay.share("open", status="warning", alerts=[ALERT], incidentTags=DB)
    await relay.share("over", status="warning", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    await relay.share("open", status="critical")
    await relay.share("over", status="ok")
    await relay.advance(60)
    relay.slack.channel("db").unarchive()
    await relay.advance(700, step=30)
    [card] = cards(relay, "open", "db")
    assert "🔴" in relay.slack.text_of(card)
    assert pings(card) == ()
    assert thread_text(relay, card, "db") == ""
    assert "updates are in" in relay.slack.text_of(cards(relay, "open", "noc")[0])
    assert cards(relay, "over", "db") == []
    assert await reasons(relay) == []


async def test_a_card_from_before_the_rejection_is_edited_afterwards_and_continues_where_the_stand_in_stopped(
    relay,
):
    await relay.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    relay.slack.channel("db").archive()
    await relay.share("one", metadata={"comment": {"comment": "meanwhile"}})
    await relay.advance(60)
    [stand_in] = cards(relay, "one", "noc")
    assert "meanwhile" in thread_text(relay, stand_in, "noc")
    assert pings(stand_in) == ()
    relay.slack.channel("db").unarchive()
    await relay.share("one", status="ok")
    await relay.advance(700, step=30)
    [card] = cards(relay, "one", "db")
    assert "✅" in relay.slack.text_of(card)
    assert "meanwhile" not in thread_text(relay, card, "db")
    assert "updates are in" in relay.slack.text_of(cards(relay, "one", "noc")[0])


async def test_a_rejecting_fallback_causes_only_dead_letters(relay):
    relay.slack.channel("db").archive()
    relay.slack.channel("noc").archive()
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    assert sorted(channel for channel, _ in await reasons(relay)) == ["C0DB000001", "C0NOC00001"]
    relay.slack.channel("noc").unarchive()
    relay.slack.channel("db").unarchive()
    await relay.advance(700, step=30)
    assert len(cards(relay, "one", "db")) == 1
    assert await reasons(relay) == []


async def test_a_card_that_its_channel_and_the_fallback_reject_counts_as_one_dead_letter(relay):
    relay.slack.channel("db").archive()
    relay.slack.channel("noc").archive()
    with capture_logs() as logged:
        await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
        await relay.advance(60)
    assert [letter.card.channel for letter in letters.listed(await relay.store.dead_letters())] == ["C0DB000001"]
    assert (await relay.store.backlog(relay.clock.now())).dead_letters == 1
    diverted = [line for line in logged if line["event"] in {"card_diverted", "card_not_posted"}]
    assert [(line["event"], line["channel"], line.get("to")) for line in diverted] == [
        ("card_diverted", "C0DB000001", "C0NOC00001"),
        ("card_not_posted", "C0NOC00001", None),
    ]


async def test_a_fallback_that_works_again_posts_nothing_for_a_card_that_its_own_channel_shows(relay):
    relay.slack.channel("db").archive()
    relay.slack.channel("noc").archive()
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    relay.slack.channel("db").unarchive()
    await relay.advance(700, step=30)
    assert len(cards(relay, "one", "db")) == 1
    assert await reasons(relay) == []
    relay.slack.channel("noc").unarchive()
    await relay.advance(700, step=30)
    assert cards(relay, "one", "noc") == []


async def test_a_fallback_that_works_first_posts_the_card_until_its_own_channel_works(relay):
    relay.slack.channel("db").archive()
    relay.slack.channel("noc").archive()
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    relay.slack.channel("noc").unarchive()
    await relay.advance(700, step=30)
    [stand_in] = cards(relay, "one", "noc")
    assert "for #db, which accepts no messages" in relay.slack.text_of(stand_in)
    assert [channel for channel, _ in await reasons(relay)] == ["C0DB000001"]


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_too_long", "invalid_attachments"])
async def test_a_message_that_slack_rejects_is_posted_with_the_built_in_text(relay, code):
    relay.slack.faults.add(InjectedFault(behaviour=ErrorCode(code), method=POST, times=1))
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.settle()
    [card] = cards(relay, "one")
    assert "db-1" in relay.slack.text_of(card)
    assert "built-in" in relay.slack.text_of(card)
    assert await reasons(relay) == []


async def test_a_message_that_slack_rejects_even_with_the_built_in_text_is_a_dead_letter(relay):
    relay.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("invalid_blocks"), method=POST, channel="C0ALL00001", times=None)
    )
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.advance(60)
    assert len(relay.slack.calls_to(POST)) == 3  # its own wording, relay's, and the fallback's card
    assert [channel for channel, _ in await reasons(relay)] == ["C0ALL00001"]
    assert len(cards(relay, "one", "noc")) == 1


async def test_an_unknown_error_code_is_retried_a_few_times_and_then_a_dead_letter(relay):
    relay.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("some_new_code"), method=POST, channel="C0ALL00001", times=None)
    )
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.advance(600, step=30)
    assert len([call for call in relay.slack.calls_to(POST) if call.channel == "C0ALL00001"]) == 4
    assert [reason for _, reason in await reasons(relay)] == ["unknown_code"]


async def test_an_invalid_token_pauses_all_channels_and_loses_nothing(relay):
    relay.slack.revoke()
    for incident in ("one", "two", "three"):
        await relay.share(incident, status="critical", alerts=[ALERT])
    await relay.advance(300)
    assert len(relay.slack.calls_to(POST)) <= 3
    assert relay.gateway.breaker.status != "ok"
    assert relay.gateway.breaker.remedy
    relay.slack.restore()
    await relay.advance(60)
    assert [len(cards(relay, incident)) for incident in ("one", "two", "three")] == [1, 1, 1]
    assert relay.gateway.breaker.status == "ok"


async def test_a_missing_scope_is_reported_and_nothing_is_lost(relay):
    relay.slack.remove_scope("chat:write")
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.advance(10)
    assert "chat:write" in relay.gateway.breaker.remedy
    relay.slack.grant_scope("chat:write")
    await relay.advance(120)
    assert len(cards(relay, "one")) == 1


async def test_relay_rejoins_a_public_channel_that_it_was_removed_from(relay):
    relay.slack.channel("all").kick()
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.settle()
    assert len(cards(relay, "one")) == 1


async def test_a_channel_shared_with_another_organisation_gets_no_cards_unless_the_route_allows_it(tmp_path):
    for allowed in (False, True):
        route = f"{{name: a, post: [C0DB000001], allow_external: {str(allowed).lower()}}}"
        routes = f"version: 1\nfallback: C0NOC00001\nroutes: [{route}]\n"
        folder = tmp_path / str(allowed)
        folder.mkdir()
        clock = ManualClock()
        slack = fake_workspace(clock)
        slack.channel("db").share()
        async with run_relay(folder, routes=routes, slack=slack, clock=clock) as relay:
            await relay.share("one", status="critical", alerts=[ALERT])
            await relay.advance(60)
            assert len(cards(relay, "one", "db")) == int(allowed)
            assert len(cards(relay, "one", "noc")) == int(not allowed)


async def test_a_renamed_channel_keeps_working(tmp_path):
    async with run_relay(tmp_path, routes='version: 1\nroutes: [{name: a, post: ["#db"]}]\n') as relay:
        await relay.share("one", status="warning", alerts=[ALERT])
        await relay.settle()
        relay.slack.channel("db").rename("databases")
        await relay.share("one", status="critical")
        await relay.share("two", status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert "🔴" in relay.slack.text_of(cards(relay, "one", "databases")[0])
        assert len(cards(relay, "two", "databases")) == 1


async def test_a_card_that_is_deleted_repeatedly_is_reposted_twice_an_hour_and_then_a_dead_letter(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.settle()
    for number in range(3):
        relay.slack.channel("all").delete(cards(relay, "one")[0].ts)
        await relay.share(
            "one", incidentTags=[{"id": "n", "value": number}], status="critical" if number % 2 else "warning"
        )
        await relay.advance(60)
    assert cards(relay, "one") == []
    assert [channel for channel, _ in await reasons(relay)] == ["C0ALL00001"]


async def test_a_resolved_card_with_nothing_to_report_is_not_reposted(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(60)
    relay.slack.channel("all").delete(cards(relay, "one")[0].ts)
    await relay.share("one", updatedOn=int(relay.clock.now()) + 5, links={"landingPage": "http://bigp.io/x"})
    await relay.advance(60)
    assert cards(relay, "one") == []


async def test_the_thread_reports_changes_when_edits_are_no_longer_allowed(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.edit_window = 10
    await relay.share("one", status="critical")
    await relay.advance(60)
    await relay.share("one", metadata={"comment": {"comment": "and more"}})
    await relay.advance(60)
    [card] = cards(relay, "one")
    assert ["Critical" in thread_text(relay, card), "and more" in thread_text(relay, card)] == [True, True]
    assert len(relay.slack.calls_to(EDIT)) == 1


async def test_a_card_of_a_former_installation_is_posted_again_and_not_treated_as_deleted(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.faults.add(InjectedFault(behaviour=ErrorCode("cant_update_message"), method=EDIT, times=1))
    await relay.share("one", status="critical")
    await relay.advance(60)
    before, after = cards(relay, "one")
    assert "posted again" not in relay.slack.text_of(before)
    assert "posted again: relay can no longer edit the previous message" in relay.slack.text_of(after)
    assert "deleted" not in relay.slack.text_of(after)


async def test_the_sweep_finds_a_card_that_somebody_deleted(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.channel("all").delete(cards(relay, "one")[0].ts)
    await relay.advance(2400, step=30)
    [card] = cards(relay, "one")
    assert "posted again: " in relay.slack.text_of(card)


async def test_the_sweep_finds_a_deleted_card_on_a_later_page(relay):
    await relay.share("lower", status="warning", alerts=[ALERT])
    await relay.advance(60)
    for number in range(900):
        relay.slack.channel("all").post(f"chat {number}")
    await relay.share("upper", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.channel("all").delete(cards(relay, "lower")[0].ts)
    await relay.advance(2400, step=30)
    assert len(cards(relay, "lower")) == 1
    assert "posted again: " not in relay.slack.text_of(cards(relay, "upper")[0])
    assert len(relay.slack.calls_to("conversations.history")) <= 2 * (2520 / 120)


@pytest.mark.parametrize("does", [SERVER_ERROR, DropConnection(), rate_limited(5)], ids=["500", "cut", "429"])
async def test_a_stray_whose_deletion_fails_is_deleted_later(relay, does):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.settle()
    relay.slack.channel("all").delete(cards(relay, "one")[0].ts)
    relay.slack.faults.add(InjectedFault(behaviour=does, method=DELETE, times=2))
    await relay.share("one", metadata={"comment": {"comment": "still there"}})
    await relay.advance(600, step=30)
    [card] = cards(relay, "one")
    assert [each for each in relay.slack.channel("all").messages if "relay_entry" in str(each.metadata)] == []
    assert thread_text(relay, card).count("still there") == 1


async def test_a_stand_in_pings_although_the_lost_card_may_have_pinged_and_a_retry_pings_nobody(relay):
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.settle()
    relay.slack.channel("db").archive()
    await relay.advance(120)
    assert pings(cards(relay, "one", "noc")[0]) == ("S0NOC",)
    relay.slack.channel("db").unarchive()
    await relay.advance(900, step=30)
    [card] = cards(relay, "one", "db")
    assert pings(card) == ()


async def test_a_rejecting_channel_is_tried_with_one_card_at_a_time_and_its_dead_letters_stay(relay):
    relay.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("restricted_action"), method=POST, channel="C0DB000001", times=None)
    )
    for number in range(5):
        await relay.share(f"i{number}", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(30)
    before = [(letter.id, letter.since) for letter in await relay.store.dead_letters()]
    assert len(before) == 5
    await relay.advance(3600, step=30)
    assert [(letter.id, letter.since) for letter in await relay.store.dead_letters()] == before
    assert len([call for call in relay.slack.calls_to(POST) if not call.took_effect]) <= 13
    relay.slack.faults.clear()
    await relay.advance(400)
    assert await reasons(relay) == []
    for number in range(5):
        [card] = cards(relay, f"i{number}", "db")
        assert pings(card) == ()
        assert "updates are in" in relay.slack.text_of(cards(relay, f"i{number}", "noc")[0])


async def test_a_card_stays_on_the_fallback_until_relay_can_look_up_its_channel_name(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.remove_scope("channels:read")
    routes = 'version: 1\nfallback: C0NOC00001\nroutes: [{name: a, post: ["#db"]}]\n'
    async with run_relay(tmp_path, routes=routes, slack=slack, clock=clock) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "one", "noc")) == 1
        [letter] = await relay.store.dead_letters()
        assert (letter.reason, "channels:read" in letter.remedy) == ("missing_scope", True)
        assert len(slack.calls_to("conversations.info")) <= 2
        slack.grant_scope("channels:read")
        await relay.advance(900, step=30)
        assert len(cards(relay, "one", "db")) == 1
        assert await reasons(relay) == []


async def test_channels_are_looked_up_when_new_or_due_and_not_with_every_share(relay):
    every, due, read = relay.store.channels, relay.store.channels_due_by_id, []

    async def counted(*limits):
        read.append(relay.clock.now())
        return await due(*limits)

    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(10)
    relay.store.channels_due_by_id = counted
    relay.delivery._repair.repair = lambda lease: asyncio.sleep(0)
    for number in range(20):
        await relay.share("one", incidentTags=[{"id": "step", "value": str(number)}])
        await relay.advance(1)
    assert read == []
    relay.slack.add_channel("C0NEW00001", "new")
    await relay.store.add_channels(["C0NEW00001"])
    relay.delivery.wake(everything=True)
    await relay.advance(1)
    assert 1 <= len(read) <= 2  # the second finds that nothing more is due
    assert {channel.ref: channel.state for channel in await every()}["C0NEW00001"] == "open"
    await relay.advance(3600, step=30)
    assert len(read) > 1
