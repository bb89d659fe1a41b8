"""Every fault at every call: in the end one true card, and each entry once."""

import pytest

from relay.sandbox.faults import (
    BAD_GATEWAY,
    BROKEN_JSON,
    EMPTY,
    PLAIN_TEXT,
    SERVER_ERROR,
    UNAVAILABLE,
    DropConnection,
    ErrorCode,
    InjectedFault,
    SlowAnswer,
    rate_limited,
)
from tests.support.incident_lifecycle import cards, find_faults, share_lifecycle, thread_text
from tests.support.relay_in_process import run_relay

POST, EDIT = "chat.postMessage", "chat.update"
DELETE, HISTORY = "chat.delete", "conversations.history"
LANES = """
version: 1
routes:
  - {name: db, match: {tags: {team: db}}, post: [C0DB000001]}
  - {name: all, post: [C0ALL00001]}
"""
DB = [{"id": "team", "value": "db"}]
MISBEHAVIOURS = {
    "500": SERVER_ERROR,
    "502 in plain text": BAD_GATEWAY,
    "503 in HTML": UNAVAILABLE,
    "broken JSON": BROKEN_JSON,
    "plain text": PLAIN_TEXT,
    "an empty body": EMPTY,
    "a cut connection": DropConnection(),
    "internal_error": ErrorCode("internal_error"),
    "fatal_error": ErrorCode("fatal_error"),
    "service_unavailable": ErrorCode("service_unavailable"),
    "429": rate_limited(3),
}
KINDS = ("a cut connection", "429")
"""One of each kind: relay treats the others like the first of these (`tests/slack/test_classify.py`)."""


@pytest.mark.parametrize(
    "does",
    [
        pytest.param(does, id=name, marks=() if name in KINDS else pytest.mark.soak)
        for name, does in MISBEHAVIOURS.items()
    ],
)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_any_fault_at_any_call_leaves_one_true_card_and_each_entry_once(tmp_path, does, after_effect):
    if after_effect and isinstance(does, type(SERVER_ERROR)) and does.status == 429:
        pytest.skip("Slack rate-limits a call before it does anything")
    wrong = {}
    async with run_relay(tmp_path) as relay:
        for method, calls in ((POST, 4), (EDIT, 2)):
            for nth in range(1, calls + 1):
                incident = f"{method}-{nth}"
                armed = relay.slack.faults.add(
                    InjectedFault(behaviour=does, after_effect=after_effect, method=method, nth=nth, times=1)
                )
                await share_lifecycle(relay, incident)
                assert armed.applied == 1
                relay.slack.faults.clear()
                if found := find_faults(relay, incident):
                    wrong[method, nth] = found
    assert wrong == {}


async def test_a_message_in_doubt_is_searched_for_twice_before_it_is_posted_again(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
        await relay.share(status="warning")
        await relay.advance(19)
        assert len(relay.slack.calls_to("conversations.history")) == 1
        assert len(relay.slack.calls_to(POST)) == 1
        await relay.advance(2)
        assert len(relay.slack.calls_to("conversations.history")) == 2
        assert len(relay.slack.calls_to(POST)) == 2


async def test_a_message_that_history_shows_late_is_found_by_the_second_search(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 12
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("late", status="warning")
        await relay.advance(60)
        assert len(cards(relay, "late")) == 1
        assert len(relay.slack.calls_to(POST)) == 1


async def test_a_thread_that_history_does_not_show_yet_does_not_count_as_deleted(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 8
        await relay.share("young", status="warning")
        await relay.advance(1)
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("young", status="critical")
        await relay.advance(200)
        [card] = cards(relay, "young")
        assert thread_text(relay, card).count("*Critical*") == 1


async def test_the_younger_of_two_messages_with_one_key_is_deleted(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 40
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("twice", status="warning")
        await relay.advance(30)
        assert len(cards(relay, "twice")) == 2
        elder = min(card.ts for card in cards(relay, "twice"))
        await relay.advance(180)
        assert [card.ts for card in cards(relay, "twice")] == [elder]
        await relay.share("twice", status="critical")
        await relay.advance(60)
        [card] = cards(relay, "twice")
        assert "🔴" in relay.slack.text_of(card)
        assert "Critical" in thread_text(relay, card)


@pytest.mark.parametrize(("policy", "posts"), [("repost", 2), ("hold", 2)])
async def test_if_relay_may_not_search_the_route_decides_about_a_lost_answer(tmp_path, policy, posts):
    routes = f"version: 1\nfallback: C0NOC00001\nroutes: [{{name: a, post: [C0ALL00001], in_doubt: {policy}}}]\n"
    async with run_relay(tmp_path, routes=routes) as relay:
        relay.slack.remove_scope("channels:history")
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("dark", status="critical")
        await relay.advance(60)
        assert len(relay.slack.calls_to(POST)) == posts
        if policy == "repost":
            assert "may be a duplicate" in relay.slack.text_of(cards(relay, "dark")[-1])
        else:
            assert len(cards(relay, "dark", "noc")) == 1
            assert [letter.reason.partition(":")[0] for letter in await relay.store.dead_letters()] == ["in_doubt"]


async def test_one_read_of_the_history_settles_a_whole_channel(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=2))
        await relay.share("one", status="warning")
        await relay.share("two", status="warning")
        await relay.advance(30)
        assert len(relay.slack.calls_to("conversations.history")) == 1
        assert len(relay.slack.calls_to(POST)) == 2


async def test_a_post_that_is_lost_again_is_searched_for_twice_again(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 8
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1))
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1, after_effect=True))
        await relay.share("one", status="warning")
        await relay.advance(200)
        assert len(relay.slack.calls_to(POST)) == 2
        assert len(cards(relay, "one")) == 1


async def test_a_lost_message_that_appears_after_its_repeat_was_found_is_deleted(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 40
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1, after_effect=True))
        await relay.share("one", status="warning")
        await relay.advance(19)
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, times=1, after_effect=True))
        await relay.advance(2)
        relay.slack.history_lag = 0
        relay.slack.channel("all").find(cards(relay, "one")[0].ts).posted_at += 100  # shown later than the other
        await relay.advance(10)
        assert len(cards(relay, "one")) == 2
        await relay.advance(200)
        assert len(cards(relay, "one")) == 1


async def test_a_duplicate_whose_deletion_fails_is_deleted_later(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 40
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=DELETE, times=2))
        await relay.share("twice", status="warning")
        await relay.advance(600)
        assert len(cards(relay, "twice")) == 1


async def test_a_duplicate_that_may_not_be_deleted_stays(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 40
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        relay.slack.faults.add(InjectedFault(behaviour=ErrorCode("cant_delete_message"), method=DELETE, times=None))
        await relay.share("twice", status="warning")
        await relay.advance(600)
        assert len(relay.slack.calls_to(DELETE)) == 1


async def test_replies_below_the_younger_message_are_kept_although_history_does_not_show_them_yet(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 40
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("twice", status="warning")
        await relay.advance(30)
        younger = max(card.ts for card in cards(relay, "twice"))
        await relay.advance(105)
        await relay.share("twice", status="critical")
        await relay.advance(200)
        assert [card.ts for card in cards(relay, "twice")] == [younger]
        assert thread_text(relay, cards(relay, "twice")[0]).count("*Critical*") == 1


async def test_an_edit_in_flight_of_the_deleted_younger_message_is_made_on_the_elder_one_too(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.history_lag = 40
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("twice", status="warning")
        await relay.advance(135)
        relay.slack.faults.add(InjectedFault(behaviour=SlowAnswer(20), after_effect=True, method=EDIT, times=1))
        await relay.share("twice", status="warning", incidentTags=[{"id": "step", "value": "last"}])
        await relay.advance(600)
        [card] = cards(relay, "twice")
        assert "last" in relay.slack.text_of(card)


async def test_relay_rejoins_a_channel_to_search_for_messages_in_doubt(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("one", status="warning")
        await relay.settle()
        relay.slack.channel("all").kick()
        await relay.advance(60)
        assert len(relay.slack.calls_to(POST)) == 1
        assert len(cards(relay, "one")) == 1


async def test_a_search_whose_cursor_expired_starts_again(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        relay.slack.faults.add(InjectedFault(behaviour=ErrorCode("invalid_cursor"), method=HISTORY, times=1))
        await relay.share("one", status="warning")
        await relay.advance(120)
        assert len(relay.slack.calls_to(POST)) == 1


async def test_a_busy_channel_is_read_page_by_page(tmp_path):
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("busy", status="warning")
        await relay.settle()
        for number in range(450):
            relay.slack.channel("all").post(f"chat {number}")
        await relay.advance(60)
        assert len(relay.slack.calls_to(HISTORY)) == 3
        assert len(cards(relay, "busy")) == 1


async def test_a_search_that_could_not_read_everything_does_not_report_a_message_as_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("relay.delivery.history.MAX_PAGES", 2)
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await relay.share("busy", status="warning")
        await relay.settle()
        for number in range(500):
            relay.slack.channel("all").post(f"chat {number}")
        await relay.advance(60)
        assert "may be a duplicate" in relay.slack.text_of(cards(relay, "busy")[-1])
        assert len(relay.slack.calls_to(HISTORY)) == 2


async def test_a_channel_has_at_most_five_posts_in_doubt_and_other_channels_continue(tmp_path):
    async with run_relay(tmp_path, routes=LANES) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=SERVER_ERROR, method=POST, channel="C0DB000001", times=None))
        for number in range(12):
            await relay.share(f"i{number:03}", status="critical", incidentTags=DB)
            await relay.share(f"a{number:03}", status="critical")
        most = 0
        for _ in range(60):
            await relay.advance(1)
            most = max(most, len(await relay.store.attempts_in_doubt()))
        assert most == 5
        tried = {
            call.arguments["metadata"]["event_payload"]["key"]
            for call in relay.slack.calls_to(POST)
            if not call.took_effect
        }
        assert len(tried) == 5
        assert all(len(cards(relay, f"a{number:03}")) == 1 for number in range(12))
        relay.slack.faults.clear()
        await relay.advance(200)
        assert all(len(cards(relay, f"i{number:03}", "db")) == 1 for number in range(12))
