"""A broadcast whose state is over is edited, after everything else, and never at the cost of anything else."""

import pytest

from relay.sandbox.faults import DropConnection, ErrorCode, InjectedFault, rate_limited
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import run_relay

EDIT = "chat.update"
OVER = "✅ Reopened, resolved again after 2 min"
RISE = """
version: 1
routes:
  - {name: all, broadcast: [rise], post: [{channel: C0ALL00001, mention: {critical: [S0CRIT]}}]}
"""


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path) as opened:
        yield opened


async def reopen(relay, incident="one"):
    """Resolved, and reopened ten minutes later; everything is delivered."""
    await relay.share(incident, status="critical", alerts=[ALERT])
    await relay.advance(60)
    await relay.share(incident, status="ok", resolved=True)
    await relay.advance(600)
    await relay.share(incident, status="critical", resolved=False)
    await relay.advance(120)


async def resolve(relay, incident="one"):
    await relay.share(incident, status="ok", resolved=True)


def thread(relay, incident="one"):
    [card] = cards(relay, incident)
    return thread_text(relay, card)


def in_channel(relay):
    """What the channel shows last."""
    return relay.slack.text_of(next(iter(relay.slack.channel("all").visible_messages())))


def edits(relay):
    return [call for call in relay.slack.calls if call.method == EDIT]


async def test_a_broadcast_reopening_is_edited_when_it_is_over(relay):
    await reopen(relay)
    assert "🔴 Reopened" in in_channel(relay)
    await resolve(relay)
    await relay.advance(5)
    assert OVER in in_channel(relay)
    assert "S0CRIT" not in in_channel(relay)
    assert "🔴" not in thread(relay)


async def test_the_card_is_edited_before_the_broadcast_and_the_broadcast_only_once(relay):
    await reopen(relay)
    before = len(edits(relay))
    await resolve(relay)
    await relay.advance(600)
    [card] = cards(relay, "one")
    assert [call.arguments["ts"] == card.ts for call in edits(relay)[before:]] == [True, False]


async def test_the_edit_keeps_the_marker_of_the_reply(relay):
    await reopen(relay)
    [card] = cards(relay, "one")
    before = [reply.metadata for reply in relay.slack.channel("all").thread(card.ts)]
    await resolve(relay)
    await relay.advance(5)
    after = [reply.metadata for reply in relay.slack.channel("all").thread(card.ts)]
    assert after[: len(before)] == before


async def test_a_broadcast_rise_says_when_it_is_over(tmp_path):
    async with run_relay(tmp_path, routes=RISE) as relay:
        await relay.share("one", status="warning", alerts=[ALERT])
        await relay.advance(60)
        await relay.share("one", status="critical")
        await relay.advance(180)
        await relay.share("one", status="warning")
        await relay.advance(10)
        assert "🟠 Warning → Critical, warning again after 3 min" in in_channel(relay)
        assert "Critical → *Warning*" in thread(relay)


async def test_the_post_of_a_reopening_says_so_if_the_incident_is_resolved_again(relay):
    await reopen(relay, "other")  # so that the limit for reopenings of "one" is its own
    await relay.share("one", status="critical", alerts=[ALERT])
    await relay.advance(60)
    await relay.share("one", status="ok", resolved=True)
    await relay.advance(600)
    relay.slack.pause("chat.postMessage", 300)
    await relay.share("one", status="critical", resolved=False)
    await relay.advance(120)
    await resolve(relay)
    await relay.advance(600)
    assert OVER in thread(relay)


@pytest.mark.parametrize("code", ["message_not_found", "edit_window_closed", "cant_update_message", "invalid_blocks"])
async def test_a_rejected_broadcast_edit_changes_nothing_and_is_not_reported(relay, code):
    await reopen(relay)
    relay.slack.faults.add(InjectedFault(behaviour=ErrorCode(code), method=EDIT, nth=2, times=5))
    await resolve(relay)
    await relay.advance(900)
    assert "🔴 Reopened" in thread(relay)
    assert await relay.store.dead_letters() == ()
    [card] = cards(relay, "one")
    assert relay.slack.text_of(card).startswith("✅")
    relay.slack.faults.clear()
    await relay.share("one", status="warning", resolved=False)
    await relay.advance(60)
    assert relay.slack.text_of(cards(relay, "one")[0]).startswith("🟠")


@pytest.mark.parametrize("does", [DropConnection(), rate_limited(20), ErrorCode("internal_error")], ids=str)
async def test_a_broadcast_edit_that_fails_is_retried(relay, does):
    await reopen(relay)
    relay.slack.faults.add(InjectedFault(behaviour=does, method=EDIT, nth=2, times=1))
    await resolve(relay)
    await relay.advance(300)
    assert OVER in thread(relay)


async def test_a_broadcast_edit_waits_while_the_edit_budget_is_low(relay):
    await reopen(relay)
    relay.delivery._slack.throttle.is_strained = lambda _method: True
    await resolve(relay)
    await relay.advance(900)
    assert "🔴 Reopened" in thread(relay)
    relay.delivery._slack.throttle.is_strained = lambda _method: False
    await relay.advance(90)
    assert OVER in thread(relay)


async def test_a_broadcast_edit_is_given_up_after_an_hour(relay):
    await reopen(relay)
    relay.delivery._slack.throttle.is_strained = lambda _method: True
    await resolve(relay)
    await relay.advance(3700)
    relay.delivery._slack.throttle.is_strained = lambda _method: False
    await relay.advance(600)
    assert "🔴 Reopened" in thread(relay)
    assert [card.edit for card in await _cards(relay)] == [None]


async def _cards(relay):
    [found] = [await relay.store.card_context(1)]
    return [found.card]
