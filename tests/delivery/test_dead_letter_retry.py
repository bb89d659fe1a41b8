"""A rejected reply is reported on the fallback channel, becomes a dead letter, and is posted once by a retry."""

import pytest

from relay.sandbox.faults import SERVER_ERROR, DropConnection, ErrorCode, InjectedFault
from relay.sandbox.slack.mentions import pings
from relay.tools import letters as tool
from relay.tools.letters import RetryOutcome
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import run_relay

POST, HISTORY, REPLIES = "chat.postMessage", "conversations.history", "conversations.replies"
ROUTES = """
version: 1
fallback: {channel: C0NOC00001, mention: {critical: [S0NOC]}}
routes:
  - {name: hold, match: {tags: {team: db}}, post: [{channel: C0DB000001, in_doubt: hold, mention: {critical: [S0DB]}}]}
"""
DB = [{"id": "team", "value": "db"}]
LOCKED = ErrorCode("restricted_action_thread_locked")
SAID = {"metadata": {"comment": {"comment": "looking at it"}, "sender": {"name": "Dana"}}}
MAY_REPEAT = "may be a duplicate"


@pytest.fixture
async def relay(tmp_path):
    async with run_relay(tmp_path, routes=ROUTES) as opened:
        await opened.share("one", status="warning", alerts=[ALERT], incidentTags=DB)
        await opened.advance(60)
        yield opened


def in_thread(arguments):
    return "thread_ts" in arguments


def reject_replies(relay, does=LOCKED):
    relay.slack.faults.add(
        InjectedFault(behaviour=does, method=POST, channel="C0DB000001", where=in_thread, times=None)
    )


async def retry_all(relay):
    """Retry all dead letters as the command does; return the outcomes."""
    letters = await relay.store.dead_letters()
    done = await tool.retry(relay.store, letters, relay.clock.now())
    relay.delivery.wake(everything=True)  # as it does for what another program writes
    return [each.outcome for each in done]


async def unreported(relay):
    return [letter.unreported for letter in await relay.store.dead_letters()]


def thread_replies(relay, channel="db"):
    [card] = cards(relay, "one", channel)
    return thread_text(relay, card, channel)


@pytest.mark.parametrize("does", [LOCKED, ErrorCode("invalid_blocks")])
async def test_the_fallback_reports_a_rejected_reply_and_pings_its_own_people(relay, does):
    reject_replies(relay, does)
    await relay.share("one", status="critical", **SAID)
    await relay.advance(600)  # the card itself is edited meanwhile, which is no reason to forget what its thread owes
    [letter] = await relay.store.dead_letters()
    assert letter.remedy
    assert "🔴" in relay.slack.text_of(cards(relay, "one", "db")[0])
    [stand_in] = cards(relay, "one", "noc")
    assert pings(stand_in) == ("S0NOC",)
    assert "meant for the thread in #db, which rejected it" in relay.slack.text_of(stand_in)
    assert "looking at it" in thread_replies(relay, "noc")
    assert thread_replies(relay) == ""


async def test_the_fallback_card_for_a_reply_without_a_ping_pings_nobody(relay):
    reject_replies(relay)
    await relay.share("one", **SAID)
    await relay.advance(60)
    assert [pings(card) for card in cards(relay, "one", "noc")] == [()]
    assert "looking at it" in thread_replies(relay, "noc")


async def test_the_stand_in_reports_until_the_thread_accepts_a_reply_again(relay):
    reject_replies(relay)
    await relay.share("one", **SAID)
    await relay.advance(60)
    await relay.share("one", status="critical")
    await relay.advance(60)
    assert "Warning → *Critical*" in thread_replies(relay, "noc")
    relay.slack.faults.clear()
    await relay.share("one", status="ok")
    await relay.advance(60)
    assert "Resolved" in thread_replies(relay)
    assert "updates are in" in relay.slack.text_of(cards(relay, "one", "noc")[0])


async def test_a_retried_reply_is_posted_late_in_its_own_thread(relay):
    reject_replies(relay)
    await relay.share("one", status="critical", **SAID)
    await relay.advance(60)
    relay.slack.faults.clear()
    await relay.share("one", metadata={"comment": {"comment": "rolled back"}, "sender": {"name": "Dana"}})
    await relay.advance(60)
    assert "rolled back" in thread_replies(relay)
    assert "looking at it" not in thread_replies(relay)
    assert await retry_all(relay) == [RetryOutcome.REPLY_RETRIED]
    await relay.advance(60)
    assert [thread_replies(relay).count(text) for text in ("Warning → *Critical*", "looking at it", "rolled back")] == [
        1,
        1,
        1,
    ]
    replies = relay.slack.channel("db").thread(cards(relay, "one", "db")[0].ts)
    assert [pings(reply) for reply in replies] == [()] * len(replies)
    await relay.share("one", status="ok")
    await relay.advance(600)
    assert thread_replies(relay).endswith("✅ Resolved")
    assert [thread_replies(relay).count(text) for text in ("looking at it", "rolled back")] == [1, 1]
    assert await relay.store.dead_letters() == ()


async def test_a_retry_that_is_rejected_is_a_dead_letter_again_and_loses_no_later_entry(relay):
    reject_replies(relay)
    await relay.share("one", **SAID)
    await relay.advance(60)
    [first] = await unreported(relay)
    assert await retry_all(relay) == [RetryOutcome.REPLY_RETRIED]
    await relay.advance(60)
    assert await unreported(relay) == [first]
    relay.slack.faults.clear()
    await relay.share("one", status="critical")
    await relay.advance(60)
    assert "Warning → *Critical*" in thread_replies(relay)
    assert await retry_all(relay) == [RetryOutcome.REPLY_RETRIED]
    await relay.advance(60)
    assert [thread_replies(relay).count(text) for text in ("looking at it", "Warning → *Critical*")] == [1, 1]


async def lose_the_answer(relay, *, landed, where=None):
    """Lose one answer where relay may not search; the message is held."""
    for scope in ("channels:history", "groups:history"):
        relay.slack.remove_scope(scope)
    fault = InjectedFault(
        behaviour=DropConnection(), method=POST, channel="C0DB000001", after_effect=landed, where=where
    )
    relay.slack.faults.add(fault)


async def give_scopes_back(relay):
    for scope in ("channels:history", "groups:history"):
        relay.slack.grant_scope(scope)


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("readable", [False, True])
async def test_a_held_card_in_doubt_is_searched_for_before_it_is_posted_again(relay, landed, readable):
    await lose_the_answer(relay, landed=landed)
    await relay.share("two", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    assert "#db, where it may already be" in relay.slack.text_of(cards(relay, "two", "noc")[0])
    if readable:
        await give_scopes_back(relay)
    assert await retry_all(relay) == [RetryOutcome.SEARCHING]
    await relay.advance(600)
    standing = cards(relay, "two", "db")
    assert len(standing) == (2 if landed and not readable else 1)
    assert [MAY_REPEAT in relay.slack.text_of(card) for card in standing][-1] is not readable
    assert pings(standing[-1]) == (("S0DB",) if landed and readable else ())
    assert await relay.store.dead_letters() == ()
    assert "updates are in" in relay.slack.text_of(cards(relay, "two", "noc")[0])


@pytest.mark.parametrize("landed", [False, True])
async def test_a_card_in_doubt_of_a_resolved_incident_is_searched_for_and_not_posted(relay, landed):
    await lose_the_answer(relay, landed=landed)
    await relay.share("two", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    await relay.share("two", status="ok")
    await relay.advance(60)
    await give_scopes_back(relay)
    assert await retry_all(relay) == [RetryOutcome.SEARCHING]
    await relay.advance(600)
    assert [relay.slack.text_of(card)[0] for card in cards(relay, "two", "db")] == ["✅"] * landed
    assert await relay.store.dead_letters() == ()


@pytest.mark.parametrize("landed", [False, True])
@pytest.mark.parametrize("readable", [False, True])
async def test_held_replies_in_doubt_are_searched_for_one_by_one(relay, landed, readable):
    for comment in ("first", "second"):
        await lose_the_answer(relay, landed=landed, where=in_thread)
        await relay.share("one", metadata={"comment": {"comment": comment}, "sender": {"name": "Dana"}})
        await relay.advance(60)
        await relay.share("one", metadata={"comment": {"comment": f"{comment}, again"}, "sender": {"name": "Dana"}})
        await relay.advance(60)
    if readable:
        await give_scopes_back(relay)
    for left in (1, 0):
        assert await retry_all(relay) == [RetryOutcome.SEARCHING]
        assert len(await unreported(relay)) == left
        await relay.advance(600)
    times = {
        text: thread_replies(relay).count(f": {text}") for text in ("first", "first, again", "second", "second, again")
    }
    told_twice = 2 if landed and not readable else 1
    assert times == {"first": told_twice + 1, "first, again": 1, "second": told_twice + 1, "second, again": 1}
    assert (MAY_REPEAT in relay.slack.text_of(cards(relay, "one", "db")[0])) is not readable


async def test_a_dead_letter_is_not_retried_while_another_reply_of_the_card_is_in_doubt(relay):
    reject_replies(relay)
    await relay.share("one", **SAID)
    await relay.advance(60)
    relay.slack.faults.clear()
    relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, where=in_thread))
    await relay.share("one", status="critical")
    await relay.settle()
    assert await retry_all(relay) == [RetryOutcome.BUSY]
    assert len(await unreported(relay)) == 1


async def test_the_dead_letter_of_a_resolved_incident_is_closed_as_ended(relay):
    relay.slack.faults.add(
        InjectedFault(behaviour=ErrorCode("invalid_blocks"), method=POST, channel="C0DB000001", times=None)
    )
    await relay.share("two", status="critical", alerts=[ALERT], incidentTags=DB)
    await relay.advance(60)
    assert "for #db, which rejected this message" in relay.slack.text_of(cards(relay, "two", "noc")[0])
    await relay.share("two", status="ok")
    await relay.advance(60)
    letters = await relay.store.dead_letters()
    assert await retry_all(relay) == [RetryOutcome.CLOSED]
    said = tool.describe_result(
        tool.RetryResult(id=tool.dead_letter_id(letters[0]), letter=letters[0], outcome=RetryOutcome.CLOSED), {}
    )
    assert "was never shown" in said
    await relay.advance(60)
    assert cards(relay, "two", "db") == []
    assert await relay.store.dead_letters() == ()
