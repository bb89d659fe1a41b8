"""Events during a call or while a message is in doubt: none is lost, reported twice, or reported to nobody."""

import asyncio

import pytest

from relay.ingest.service import IngestService
from relay.sandbox.faults import SERVER_ERROR, DropConnection, ErrorCode, InjectedFault, NoAnswer
from relay.sandbox.slack.mentions import pings
from relay.slack.message import Message
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import START, fake_workspace, run_relay

POST, EDIT = "chat.postMessage", "chat.update"
COMMENTS_ONLY = """
version: 1
routes:
  - {name: all, thread: [comment], post: [{channel: C0ALL00001, mention: {critical: [S0CRIT]}}]}
"""
EVERYWHERE = "version: 1\nroutes: [{name: a, post: [C0ALL00001, C0DB000001, C0NOC00001]}]\n"


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path) as opened:
        yield opened


def pinged(relay, channel="all"):
    """Who is pinged by the messages of the channel and of its threads."""
    return [target for message in relay.slack.channel(channel).all_messages for target in pings(message)]


async def test_a_rise_during_the_search_for_a_lost_card_pings(relay):
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(8)
    assert cards(relay, "one") == []
    await relay.share("one", status="critical")
    await relay.advance(700)
    [card] = cards(relay, "one")
    assert "🔴" in relay.slack.text_of(card)
    assert pinged(relay).count("S0CRIT") == 1


async def test_a_rise_during_the_repost_of_a_deleted_card_pings(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.channel("all").delete(cards(relay, "one")[0].ts)
    relay.slack.pause(POST, 10)
    await relay.share("one", status="critical")
    await relay.advance(600)
    [card] = cards(relay, "one")
    assert pings(card) == ()
    assert "Warning → *Critical*" in thread_text(relay, card)
    assert pinged(relay).count("S0CRIT") == 1


async def test_a_lost_reply_with_nothing_left_to_report_blocks_no_later_reply(tmp_path):
    async with run_relay(tmp_path, routes=COMMENTS_ONLY) as relay:
        await relay.share("one", status="warning", alerts=[ALERT])
        await relay.advance(60)
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
        await relay.share("one", status="critical")
        await relay.advance(8)
        await relay.share("one", status="warning")
        await relay.advance(120)
        await relay.share("one", metadata={"comment": {"comment": "look here"}})
        await relay.advance(120)
        [card] = cards(relay, "one")
        [reply] = relay.slack.channel("all").thread(card.ts)
        assert "look here" in relay.slack.text_of(reply)


async def test_a_lost_edit_that_overwrites_a_newer_one_is_corrected(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=EDIT, times=1))
    await relay.share("one", status="critical")
    await relay.advance(5)
    lost = relay.slack.calls_to(EDIT)[0].arguments
    await relay.share("one", status="ok")
    await relay.advance(5)
    [card] = cards(relay, "one")
    assert "✅" in relay.slack.text_of(card)
    late = Message(text=lost["text"], blocks=lost["blocks"], attachments=lost["attachments"])
    await relay.gateway.edit(lost["channel"], lost["ts"], late)
    assert "✅" not in relay.slack.text_of(card)
    await relay.advance(60)
    assert "✅" in relay.slack.text_of(card)


async def test_a_card_that_history_does_not_show_yet_does_not_count_as_deleted(relay):
    await relay.advance(595)
    relay.slack.history_lag = 20
    await relay.advance(4)
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.advance(1200)
    [card] = cards(relay, "one")
    assert "posted again: " not in relay.slack.text_of(card)


async def test_a_lost_card_that_appears_after_a_repost_is_deleted(relay):
    relay.slack.history_lag = 100
    relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, times=1, after_effect=True))
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(40)
    lost, repeated = cards(relay, "one")
    relay.slack.channel("all").delete(repeated.ts)
    await relay.share("one", status="critical")
    await relay.advance(600)
    [card] = cards(relay, "one")
    assert card.ts not in {lost.ts, repeated.ts}
    assert "🔴" in relay.slack.text_of(card)


async def test_with_an_invalid_token_from_the_start_cards_wait_for_a_valid_one_and_ping_as_usual(
    tmp_path,
):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.revoke()
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.share("one", status="critical", alerts=[ALERT])
        await relay.advance(120)
        slack.restore()
        await relay.advance(60)
        [card] = cards(relay, "one")
        assert pings(card) == ("S0CRIT", "here")
        assert cards(relay, "one", "noc") == []
        assert await relay.store.dead_letters() == ()


async def test_a_channel_that_is_later_shared_with_another_organisation_gets_no_more_cards(relay):
    await relay.share("before", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.channel("all").share()
    await relay.advance(7200)
    await relay.share("afterwards", status="warning", alerts=[ALERT])
    await relay.advance(60)
    assert cards(relay, "afterwards") == []
    assert len(cards(relay, "afterwards", "noc")) == 1


async def test_the_dead_letter_of_an_edit_is_closed_by_the_next_accepted_edit(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    await relay.advance(60)
    relay.slack.faults.add(InjectedFault(behaviour=ErrorCode("invalid_blocks"), method=EDIT, times=2))
    await relay.share("one", status="critical")
    await relay.advance(60)
    [letter] = await relay.store.dead_letters()
    assert letter.card.incident == "one"
    await relay.share("one", status="ok")
    await relay.advance(120)
    assert "✅" in relay.slack.text_of(cards(relay, "one")[0])
    assert await relay.store.dead_letters() == ()


async def test_relay_rarely_calls_slack_while_a_permission_is_missing(tmp_path):
    async with run_relay(tmp_path, routes=EVERYWHERE) as relay:
        relay.slack.remove_scope("chat:write")
        for number in range(5):
            await relay.share(f"i{number}", status="warning", alerts=[ALERT])
        await relay.advance(600)
        assert len(relay.slack.calls_to(POST)) < 40
        relay.slack.grant_scope("chat:write")
        await relay.advance(120)
        for channel in ("all", "db", "noc"):
            assert [len(cards(relay, f"i{number}", channel)) for number in range(5)] == [1] * 5


async def test_a_reopening_to_a_state_worse_than_any_before_pings_even_while_it_flaps(relay):
    await relay.share("one", status="warning", alerts=[ALERT], flapping=True)
    await relay.advance(60)
    await relay.share("one", status="ok")
    await relay.advance(10)
    assert "S0CRIT" not in pinged(relay)
    await relay.share("one", status="critical")
    await relay.advance(120)
    assert pinged(relay).count("S0CRIT") == 1


async def test_a_second_reopening_in_half_an_hour_pings_if_it_is_worse_than_the_first(relay):
    await relay.share("one", status="warning", alerts=[ALERT])
    seen = []
    for status in ("ok", "warning", "ok", "warning", "ok", "critical"):
        await relay.advance(60)
        await relay.share("one", status=status)
        await relay.advance(60)
        seen.append(pinged(relay)[1:])  # without the card's
    # A reopening that is over mentions nobody any more.
    assert seen == [[], ["here"], [], [], [], ["S0CRIT", "here"]]


async def test_stopping_ingest_during_a_write_leaves_no_sender_waiting(relay):
    writing = asyncio.Event()

    async def accept(*_arguments, **_options):
        writing.set()
        await asyncio.Event().wait()

    relay.store.accept = accept
    intake = IngestService(relay.store, lambda: relay.configuration.rulebook, relay.clock, lambda: None, "X-Relay-Key")
    running = asyncio.create_task(intake.run())
    sender = asyncio.create_task(intake.accept(b'{"incident": {"id": "one"}}', {}))
    async with asyncio.timeout(100):
        await writing.wait()
        running.cancel()
        await asyncio.wait({sender, running})
    assert sender.cancelled()


async def test_an_edit_of_a_killed_relay_is_in_doubt_even_if_the_card_would_not_change(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock, dies=True) as relay:
        await relay.share("one", status="warning", alerts=[ALERT], incidentTags=[{"id": "step", "value": "as before"}])
        await relay.advance(60)
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=EDIT, times=1, after_effect=True))
        await relay.share("one", incidentTags=[{"id": "step", "value": "meanwhile"}])
        await slack.faults.wait_until_blocked()
    assert "meanwhile" in slack.text_of(cards(relay, "one")[0])
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        clock.advance(1)
        await relay.share("one", incidentTags=[{"id": "step", "value": "as before"}])
        await relay.advance(60)
        assert "as before" in slack.text_of(cards(relay, "one")[0]).replace("\xa0", " ")
        assert [call.at - START for call in slack.calls_to(EDIT)][-1] >= 100
