"""What happens while something else is under way or in doubt: nothing of it is lost, said twice, or said to nobody."""

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
async def house(tmp_path):
    async with run_relay(tmp_path) as opened:
        yield opened


def pinged(house, channel="all"):
    """Whom the channel's messages ping, those in threads too."""
    return [target for message in house.slack.channel(channel).all_messages for target in pings(message)]


async def test_a_rise_that_comes_while_a_lost_card_is_looked_for_still_pings(house):
    house.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(8)
    assert cards(house, "one") == []
    await house.share("one", status="critical")
    await house.advance(700)
    [card] = cards(house, "one")
    assert "🔴" in house.slack.text_of(card)
    assert pinged(house).count("S0CRIT") == 1


async def test_a_rise_that_comes_while_a_deleted_card_is_posted_anew_still_pings(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.channel("all").delete(cards(house, "one")[0].ts)
    house.slack.pause(POST, 10)
    await house.share("one", status="critical")
    await house.advance(600)
    [card] = cards(house, "one")
    assert pings(card) == ()
    assert "Warning → *Critical*" in thread_text(house, card)
    assert pinged(house).count("S0CRIT") == 1


async def test_a_lost_reply_that_has_nothing_to_tell_any_more_holds_up_none_that_comes_after_it(tmp_path):
    async with run_relay(tmp_path, routes=COMMENTS_ONLY) as house:
        await house.share("one", status="warning", alerts=[ALERT])
        await house.advance(60)
        house.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
        await house.share("one", status="critical")
        await house.advance(8)
        await house.share("one", status="warning")
        await house.advance(120)
        await house.share("one", metadata={"comment": {"comment": "look here"}})
        await house.advance(120)
        [card] = cards(house, "one")
        [reply] = house.slack.channel("all").thread(card.ts)
        assert "look here" in house.slack.text_of(reply)


async def test_a_lost_edit_that_lands_over_a_newer_one_is_put_right(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=EDIT, times=1))
    await house.share("one", status="critical")
    await house.advance(5)
    lost = house.slack.calls_to(EDIT)[0].arguments
    await house.share("one", status="ok")
    await house.advance(5)
    [card] = cards(house, "one")
    assert "✅" in house.slack.text_of(card)
    late = Message(text=lost["text"], blocks=lost["blocks"], attachments=lost["attachments"])
    await house.slack_client.edit(lost["channel"], lost["ts"], late)
    assert "✅" not in house.slack.text_of(card)
    await house.advance(60)
    assert "✅" in house.slack.text_of(card)


async def test_a_card_that_history_does_not_show_yet_is_not_taken_for_deleted(house):
    await house.advance(595)
    house.slack.history_lag = 20
    await house.advance(4)
    await house.share("one", status="critical", alerts=[ALERT])
    await house.advance(1200)
    [card] = cards(house, "one")
    assert "posted again: " not in house.slack.text_of(card)


async def test_a_lost_card_that_turns_up_once_its_successor_was_posted_anew_does_not_stay_beside_it(house):
    house.slack.history_lag = 100
    house.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, times=1, after_effect=True))
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(40)
    lost, repeated = cards(house, "one")
    house.slack.channel("all").delete(repeated.ts)
    await house.share("one", status="critical")
    await house.advance(600)
    [card] = cards(house, "one")
    assert card.ts not in {lost.ts, repeated.ts}
    assert "🔴" in house.slack.text_of(card)


async def test_with_a_token_that_is_dead_from_the_start_cards_wait_for_a_living_one_and_ping_as_they_would_have(
    tmp_path,
):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.revoke()
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        await house.share("one", status="critical", alerts=[ALERT])
        await house.advance(120)
        slack.restore()
        await house.advance(60)
        [card] = cards(house, "one")
        assert pings(card) == ("S0CRIT", "here")
        assert cards(house, "one", "noc") == []
        assert await house.store.dead_letters() == ()


async def test_a_channel_that_is_shared_with_others_later_gets_no_more_cards(house):
    await house.share("before", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.channel("all").share()
    await house.advance(7200)
    await house.share("afterwards", status="warning", alerts=[ALERT])
    await house.advance(60)
    assert cards(house, "afterwards") == []
    assert len(cards(house, "afterwards", "noc")) == 1


async def test_the_letter_of_an_edit_is_closed_by_the_next_edit_that_slack_takes(house):
    await house.share("one", status="warning", alerts=[ALERT])
    await house.advance(60)
    house.slack.faults.add(InjectedFault(behaviour=ErrorCode("invalid_blocks"), method=EDIT, times=2))
    await house.share("one", status="critical")
    await house.advance(60)
    [letter] = await house.store.letters()
    assert letter.card.incident == "one"
    await house.share("one", status="ok")
    await house.advance(120)
    assert "✅" in house.slack.text_of(cards(house, "one")[0])
    assert await house.store.letters() == ()


async def test_while_a_permission_is_missing_slack_is_asked_seldom_however_many_cards_and_channels_wait(tmp_path):
    async with run_relay(tmp_path, routes=EVERYWHERE) as house:
        house.slack.remove_scope("chat:write")
        for number in range(5):
            await house.share(f"i{number}", status="warning", alerts=[ALERT])
        await house.advance(600)
        assert len(house.slack.calls_to(POST)) < 40
        house.slack.grant_scope("chat:write")
        await house.advance(120)
        for channel in ("all", "db", "noc"):
            assert [len(cards(house, f"i{number}", channel)) for number in range(5)] == [1] * 5


async def test_a_reopening_to_a_state_worse_than_any_before_pings_even_while_it_flaps(house):
    await house.share("one", status="warning", alerts=[ALERT], flapping=True)
    await house.advance(60)
    await house.share("one", status="ok")
    await house.advance(10)
    assert "S0CRIT" not in pinged(house)
    await house.share("one", status="critical")
    await house.advance(120)
    assert pinged(house).count("S0CRIT") == 1


async def test_a_second_reopening_in_half_an_hour_pings_if_it_is_worse_than_the_first(house):
    await house.share("one", status="warning", alerts=[ALERT])
    for status in ("ok", "warning", "ok", "warning"):
        await house.advance(60)
        await house.share("one", status=status)
    await house.advance(60)
    assert pinged(house) == ["here", "here"]  # the card, and the first reopening
    await house.share("one", status="ok")
    await house.advance(60)
    await house.share("one", status="critical")
    await house.advance(60)
    assert pinged(house)[2:] == ["S0CRIT", "here"]


async def test_an_intake_that_is_stopped_while_it_writes_leaves_no_sender_waiting(house):
    writing = asyncio.Event()

    async def accept(*_arguments, **_told):
        writing.set()
        await asyncio.Event().wait()

    house.store.accept = accept
    intake = IngestService(house.store, lambda: house.configuration.rulebook, house.clock, lambda: None, "X-Relay-Key")
    running = asyncio.create_task(intake.run())
    sender = asyncio.create_task(intake.accept(b'{"incident": {"id": "one"}}', {}))
    async with asyncio.timeout(5):
        await writing.wait()
        running.cancel()
        await asyncio.wait({sender, running})
    assert sender.cancelled()


async def test_an_edit_of_a_relay_that_was_killed_is_in_doubt_even_if_the_card_is_to_read_as_before(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, slack=slack, clock=clock, dies=True) as house:
        await house.share("one", status="warning", alerts=[ALERT], incidentTags=[{"id": "step", "value": "as before"}])
        await house.advance(60)
        slack.faults.add(InjectedFault(behaviour=NoAnswer(), method=EDIT, times=1, after_effect=True))
        await house.share("one", incidentTags=[{"id": "step", "value": "meanwhile"}])
        await slack.faults.wait_until_blocked()
    assert "meanwhile" in slack.text_of(cards(house, "one")[0])
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        clock.advance(1)
        await house.share("one", incidentTags=[{"id": "step", "value": "as before"}])
        await house.advance(60)
        assert "as before" in slack.text_of(cards(house, "one")[0]).replace("\xa0", " ")
        assert [call.at - START for call in slack.calls_to(EDIT)][-1] >= 100
