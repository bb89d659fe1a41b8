"""The fallback's card in place of another: it pings, waits and ends as that one would have, and makes way for it."""

import asyncio

import pytest

from relay.sandbox.faults import ErrorCode, InjectedFault, SideEffect
from relay.sandbox.slack.mentions import pings
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import run_relay

POST, EDIT = "chat.postMessage", "chat.update"
ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: db}}, post: [{channel: C0DB000001, mention: {any: [S0DB], critical: [S0DBCRIT]}}]}
"""
WAITING = ROUTES.replace("post: [{channel", "wait: 1m, post: [{channel")
PATIENT = ROUTES.replace("fallback: C0NOC00001", "fallback: {channel: C0NOC00001, wait: 5m}")
BESIDE = """
version: 1
fallback: FALLBACK
routes:
  - {name: db, continue: true, match: {tags: {team: db}}, post: [C0DB000001]}
  - {name: noc, post: [C0NOC00001]}
"""
TWINS = """
version: 1
fallback: C0NOC00001
routes:
  - {name: a, continue: true, post: ["#databases"]}
  - {name: b, post: [C0DB000001]}
"""
DB = [{"id": "team", "value": "db"}]


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as opened:
        yield opened


def comment(text):
    return {"comment": {"comment": text}}


async def test_a_stand_in_pings_whom_the_card_would_have_though_more_shares_come_before_it_is_posted(relay):
    relay.slack.channel("db").archive()
    await relay.share("zero", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(10)
    relay.slack.pause(POST, 30)
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(10)
    await relay.share("one", metadata=comment("hm"))
    await relay.advance(300)
    [stand_in] = cards(relay, "one", "noc")
    assert pings(stand_in) == ("S0DBCRIT", "S0DB")


async def test_a_card_of_the_fallback_that_comes_to_stand_in_for_another_pings_for_that_one_from_then_on(relay):
    relay.slack.channel("db").archive()
    await relay.share("zero", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    await relay.share("one", incidentTags=DB)
    await relay.advance(60)
    await relay.share("one", status="critical")
    await relay.advance(60)
    [stand_in] = cards(relay, "one", "noc")
    replies = relay.slack.channel("noc").thread(stand_in.ts)
    assert [pings(reply) for reply in replies if pings(reply)] == [("S0DBCRIT", "S0DB")]


async def test_a_rise_that_a_stand_in_tells_pings_whom_the_card_would_have(relay):
    relay.slack.channel("db").archive()
    await relay.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    await relay.share("one", status="critical")
    await relay.advance(60)
    [stand_in] = cards(relay, "one", "noc")
    assert pings(stand_in) == ("S0DB",)
    [rise] = relay.slack.channel("noc").thread(stand_in.ts)
    assert pings(rise) == ("S0DBCRIT", "S0DB")


async def test_a_stand_in_does_not_wait_again_and_is_not_given_up_though_the_route_has_a_wait(tmp_path):
    async with run_relay(tmp_path, routes=WAITING) as relay:
        relay.slack.channel("db").archive()
        relay.slack.faults.add(
            InjectedFault(behaviour=ErrorCode("request_timeout"), method=POST, channel="C0NOC00001", times=4)
        )
        await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
        await relay.advance(62)
        await relay.share("one", metadata=comment("hm"))
        await relay.advance(300)
        [stand_in] = cards(relay, "one", "noc")
        assert "for #db, which accepts no messages" in relay.slack.text_of(stand_in)


async def test_a_fallback_s_card_that_turns_into_a_stand_in_before_it_is_posted_is_posted(tmp_path):
    async with run_relay(tmp_path, routes=PATIENT) as relay:
        relay.slack.channel("db").archive()
        relay.slack.faults.add(
            InjectedFault(behaviour=ErrorCode("request_timeout"), method=POST, channel="C0NOC00001", times=4)
        )
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(60)
        await relay.share("one", incidentTags=DB)
        await relay.advance(2)
        await relay.share("one", metadata=comment("hm"))
        await relay.advance(600)
        [stand_in] = cards(relay, "one", "noc")
        assert "for #db, which accepts no messages" in relay.slack.text_of(stand_in)


async def test_a_late_reopening_is_a_new_card_on_the_fallback_too_while_the_channel_still_refuses(relay):
    relay.slack.channel("db").archive()
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(60)
    relay.clock.advance(25 * 3600)
    await relay.share("one", status="critical")
    await relay.advance(60)
    first, second = cards(relay, "one", "noc")
    assert "✅" in relay.slack.text_of(first)
    assert "🔴" in relay.slack.text_of(second)


async def test_a_pointer_is_a_card_again_and_goes_on_telling_when_the_channel_refuses_once_more(relay):
    await relay.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    relay.slack.channel("db").archive()
    await relay.share("one", status="critical")
    await relay.advance(60)
    relay.slack.channel("db").unarchive()
    await relay.advance(400)
    [stand_in] = cards(relay, "one", "noc")
    assert "updates are in" in relay.slack.text_of(stand_in)
    relay.slack.channel("db").archive()
    await relay.share("one", metadata=comment("look here"))
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(60)
    assert "✅" in relay.slack.text_of(stand_in)
    assert "updates are in" not in relay.slack.text_of(stand_in)
    assert thread_text(relay, stand_in, "noc").count("look here") == 1


async def test_a_route_s_own_card_on_the_fallback_s_channel_stands_in_beside_and_never_becomes_a_pointer(tmp_path):
    async with run_relay(tmp_path, routes=BESIDE.replace("FALLBACK", "C0NOC00001")) as relay:
        relay.slack.channel("db").archive()
        await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
        await relay.advance(60)
        [card] = cards(relay, "one", "noc")
        assert "accepts no messages" in relay.slack.text_of(card)
        relay.slack.channel("db").unarchive()
        await relay.advance(400)
        assert len(cards(relay, "one", "db")) == 1
        assert "updates are in" not in relay.slack.text_of(card)
        assert "accepts no messages" not in relay.slack.text_of(card)
        await relay.share("one", status="warning")
        await relay.advance(60)
        assert "🟠" in relay.slack.text_of(card)


async def test_a_fallback_by_name_and_a_route_by_id_share_one_card_in_their_channel(tmp_path):
    async with run_relay(tmp_path, routes=BESIDE.replace("FALLBACK", '"#noc"')) as relay:
        relay.slack.channel("db").archive()
        await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
        await relay.advance(60)
        assert len(cards(relay, "one", "noc")) == 1


async def test_a_fallback_s_card_that_gave_way_stays_away_when_no_route_takes_the_incident_any_more(tmp_path):
    async with run_relay(tmp_path, routes=PATIENT) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(10)
        await relay.share("one", incidentTags=DB)
        await relay.advance(400)
        assert len(cards(relay, "one", "db")) == 1
        await relay.share("one", incidentTags=[])
        await relay.advance(600)
        assert cards(relay, "one", "noc") == []


async def test_an_edit_under_way_while_its_card_becomes_a_pointer_does_not_undo_that(relay):
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.settle()
    answered = asyncio.Event()

    async def held(_call):
        await answered.wait()

    relay.slack.faults.add(InjectedFault(behaviour=SideEffect(held), method=EDIT, times=1, after_effect=True))
    await relay.share("one", incidentTags=DB)
    async with asyncio.timeout(10):
        while not all(card.ts for card in (await relay.store.incident_history("one")).cards):  # noqa: ASYNC110  no bell rings for it
            await asyncio.sleep(0.002)
    answered.set()
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(60)
    [pointer] = cards(relay, "one", "noc")
    assert "updates are in" in relay.slack.text_of(pointer)
    assert "✅" not in relay.slack.text_of(pointer)


async def test_a_name_that_turns_out_to_be_a_channel_with_a_card_adds_none_and_leaves_no_letter(tmp_path):
    async with run_relay(tmp_path, routes=TWINS) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert [letter.card.channel for letter in await relay.store.dead_letters()] == ["#databases"]
        relay.slack.channel("db").rename("databases")
        await relay.advance(400)
        await relay.share("one", status="warning")
        await relay.advance(60)
        [card] = cards(relay, "one", "databases")
        assert "🟠" in relay.slack.text_of(card)
        assert await relay.store.dead_letters() == ()


async def test_without_a_fallback_such_a_name_stops_nothing_either(tmp_path):
    async with run_relay(tmp_path, routes=TWINS.replace("fallback: C0NOC00001\n", "")) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(60)
        relay.slack.channel("db").rename("databases")
        await relay.advance(400)
        await relay.share("two", status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert [len(cards(relay, incident, "databases")) for incident in ("one", "two")] == [1, 1]
        assert await relay.store.dead_letters() == ()
