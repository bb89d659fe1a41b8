"""Every fault at every call: in the end one true card, and each entry once."""

import pytest
from house import open_house
from lifetimes import cards, faults, live, thread

from relay.sandbox import (
    BAD_GATEWAY,
    BROKEN_JSON,
    EMPTY,
    PLAIN_TEXT,
    SERVER_ERROR,
    UNAVAILABLE,
    Code,
    Drop,
    Fault,
    rate_limited,
)

POST, EDIT = "chat.postMessage", "chat.update"
MISBEHAVIOURS = {
    "500": SERVER_ERROR,
    "502 in plain text": BAD_GATEWAY,
    "503 in HTML": UNAVAILABLE,
    "broken JSON": BROKEN_JSON,
    "plain text": PLAIN_TEXT,
    "an empty body": EMPTY,
    "a cut connection": Drop(),
    "internal_error": Code("internal_error"),
    "fatal_error": Code("fatal_error"),
    "service_unavailable": Code("service_unavailable"),
    "429": rate_limited(3),
}


@pytest.mark.parametrize("does", MISBEHAVIOURS.values(), ids=MISBEHAVIOURS.keys())
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_whatever_goes_wrong_at_whichever_call_one_true_card_and_each_entry_once(tmp_path, does, after_effect):
    if after_effect and isinstance(does, type(SERVER_ERROR)) and does.status == 429:
        pytest.skip("Slack refuses what comes too fast before it does anything")
    wrong = {}
    async with open_house(tmp_path) as house:
        for method, calls in ((POST, 4), (EDIT, 2)):
            for nth in range(1, calls + 1):
                incident = f"{method}-{nth}"
                armed = house.slack.faults.add(
                    Fault(does=does, after_effect=after_effect, method=method, nth=nth, times=1)
                )
                await live(house, incident)
                assert armed.struck == 1
                house.slack.faults.clear()
                if found := faults(house, incident):
                    wrong[method, nth] = found
    assert wrong == {}


async def test_what_is_in_doubt_is_looked_for_twice_before_it_is_posted_again(tmp_path):
    async with open_house(tmp_path) as house:
        house.slack.faults.add(Fault(does=SERVER_ERROR, method=POST, times=1))
        await house.share(status="warning")
        await house.after(19)
        assert len(house.slack.called("conversations.history")) == 1
        assert len(house.slack.called(POST)) == 1
        await house.after(2)
        assert len(house.slack.called("conversations.history")) == 2
        assert len(house.slack.called(POST)) == 2


async def test_a_message_that_history_shows_late_is_found_by_the_second_look(tmp_path):
    async with open_house(tmp_path) as house:
        house.slack.history_lag = 12
        house.slack.faults.add(Fault(does=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await house.share("late", status="warning")
        await house.after(60)
        assert len(cards(house, "late")) == 1
        assert len(house.slack.called(POST)) == 1


async def test_a_thread_too_young_to_be_shown_is_not_taken_for_gone(tmp_path):
    async with open_house(tmp_path) as house:
        house.slack.history_lag = 8
        await house.share("young", status="warning")
        await house.after(1)
        house.slack.faults.add(Fault(does=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await house.share("young", status="critical")
        await house.after(200)
        [card] = cards(house, "young")
        assert thread(house, card).count("*Critical*") == 1


async def test_of_two_that_bear_one_key_the_younger_goes_in_the_end(tmp_path):
    async with open_house(tmp_path) as house:
        house.slack.history_lag = 40
        house.slack.faults.add(Fault(does=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await house.share("twice", status="warning")
        await house.after(30)
        assert len(cards(house, "twice")) == 2
        elder = min(card.ts for card in cards(house, "twice"))
        await house.after(180)
        assert [card.ts for card in cards(house, "twice")] == [elder]
        await house.share("twice", status="critical")
        await house.after(60)
        [card] = cards(house, "twice")
        assert "🔴" in house.slack.reads(card)
        assert "Critical" in thread(house, card)


@pytest.mark.parametrize(("policy", "posts"), [("repost", 2), ("hold", 2)])
async def test_where_relay_may_not_look_the_route_says_what_a_lost_answer_means(tmp_path, policy, posts):
    routes = f"version: 1\nfallback: C0NOC00001\nroutes: [{{name: a, post: [C0ALL00001], in_doubt: {policy}}}]\n"
    async with open_house(tmp_path, routes=routes) as house:
        house.slack.take_scope("channels:history")
        house.slack.faults.add(Fault(does=SERVER_ERROR, after_effect=True, method=POST, times=1))
        await house.share("dark", status="critical")
        await house.after(60)
        assert len(house.slack.called(POST)) == posts
        if policy == "repost":
            assert "may be a repeat" in house.slack.reads(cards(house, "dark")[-1])
        else:
            assert len(cards(house, "dark", "noc")) == 1
            assert [letter.reason.partition(":")[0] for letter in await house.store.letters()] == ["in_doubt"]


async def test_one_reading_settles_a_whole_channel(tmp_path):
    async with open_house(tmp_path) as house:
        house.slack.faults.add(Fault(does=SERVER_ERROR, after_effect=True, method=POST, times=2))
        await house.share("one", status="warning")
        await house.share("two", status="warning")
        await house.after(30)
        assert len(house.slack.called("conversations.history")) == 1
        assert len(house.slack.called(POST)) == 2
