"""A stand-in on the fallback channel pings, waits and ends as its card would, and gives way to it."""

import asyncio

import pytest

from relay.sandbox.faults import ErrorCode, InjectedFault, SideEffect
from relay.sandbox.slack.mentions import pings
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import run_relay

POST, EDIT = "chat.postMessage", "chat.update"
ROUTES = """
version: 1
fallback: {channel: C0NOC00001, mention: {any: [S0NOC], critical: [S0NOCCRIT]}}
routes:
  - {name: db, match: {tags: {team: db}}, post: [{channel: C0DB000001, mention: {any: [S0DB], critical: [S0DBCRIT]}}]}
"""
WAITING = ROUTES.replace("post: [{channel", "wait: 1m, post: [{channel")
PATIENT = ROUTES.replace("{channel: C0NOC00001,", "{channel: C0NOC00001, wait: 5m,")
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


async def test_a_stand_in_pings_the_fallbacks_people_even_if_more_shares_come_before_it_is_posted(relay):
    relay.slack.channel("db").archive()
    await relay.share("zero", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(10)
    relay.slack.pause(POST, 30)
    await relay.share("one", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(10)
    await relay.share("one", metadata=comment("hm"))
    await relay.advance(300)
    [stand_in] = cards(relay, "one", "noc")
    assert pings(stand_in) == ("S0NOCCRIT", "S0NOC")


async def test_a_fallback_card_that_becomes_a_stand_in_still_pings_the_fallbacks_people(relay):
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
    assert [pings(reply) for reply in replies if pings(reply)] == [("S0NOCCRIT", "S0NOC")]


async def test_a_rise_that_a_stand_in_reports_pings_the_fallbacks_people(relay):
    relay.slack.channel("db").archive()
    await relay.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    await relay.share("one", status="critical")
    await relay.advance(60)
    [stand_in] = cards(relay, "one", "noc")
    assert pings(stand_in) == ("S0NOC",)
    [rise] = relay.slack.channel("noc").thread(stand_in.ts)
    assert pings(rise) == ("S0NOCCRIT", "S0NOC")


async def test_a_stand_in_ignores_the_wait_of_its_route(tmp_path):
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


async def test_a_waiting_fallback_card_that_becomes_a_stand_in_is_posted(tmp_path):
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


async def test_a_late_reopening_is_a_new_card_on_the_fallback_while_the_channel_rejects_messages(relay):
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


async def test_a_pointer_becomes_a_card_again_when_the_channel_rejects_messages_again(relay):
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


async def test_a_routed_card_in_the_fallback_channel_stands_in_and_never_becomes_a_pointer(tmp_path):
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


async def test_a_cancelled_fallback_card_stays_cancelled_when_no_route_matches_any_more(tmp_path):
    async with run_relay(tmp_path, routes=PATIENT) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(10)
        await relay.share("one", incidentTags=DB)
        await relay.advance(400)
        assert len(cards(relay, "one", "db")) == 1
        await relay.share("one", incidentTags=[])
        await relay.advance(600)
        assert cards(relay, "one", "noc") == []


async def test_an_edit_in_flight_does_not_undo_a_pointer(relay):
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.settle()
    answered = asyncio.Event()

    async def held(_call):
        await answered.wait()

    relay.slack.faults.add(InjectedFault(behaviour=SideEffect(held), method=EDIT, times=1, after_effect=True))
    await relay.share("one", incidentTags=DB)
    async with asyncio.timeout(100):
        while not all(card.ts for card in (await relay.store.incident_history("one")).cards):  # noqa: ASYNC110  no event is set for it
            await asyncio.sleep(0.002)
    answered.set()
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(60)
    [pointer] = cards(relay, "one", "noc")
    assert "updates are in" in relay.slack.text_of(pointer)
    assert "✅" not in relay.slack.text_of(pointer)


async def test_a_name_that_resolves_to_a_channel_with_a_card_adds_no_card_and_leaves_no_dead_letter(tmp_path):
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


async def test_without_a_fallback_a_name_that_resolves_to_a_known_channel_blocks_nothing(tmp_path):
    async with run_relay(tmp_path, routes=TWINS.replace("fallback: C0NOC00001\n", "")) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(60)
        relay.slack.channel("db").rename("databases")
        await relay.advance(400)
        await relay.share("two", status="critical", alerts=[ALERT])
        await relay.advance(60)
        assert [len(cards(relay, incident, "databases")) for incident in ("one", "two")] == [1, 1]
        assert await relay.store.dead_letters() == ()
