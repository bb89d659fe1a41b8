"""Rate limits and injected faults."""

import asyncio

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

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
    NoAnswer,
    SideEffect,
    SlowAnswer,
    rate_limited,
)
from relay.sandbox.rate_limits import SlackRateLimiter
from relay.sandbox.slack.server import serve_slack

NOC = "C0000000NOC"


async def post(client, text="x", **more):
    return await client.chat_postMessage(channel=NOC, text=text, **more)


# --- limits ---


async def test_limits_are_off_until_they_are_switched_on(client):
    for _ in range(30):
        await post(client)


async def test_a_channel_accepts_a_burst_and_then_one_post_a_second(slack, client, clock, rejection):
    slack.limits.enabled = True
    slack.limits.post_burst = 3
    for _ in range(3):
        await post(client)
    answer = await rejection(post(client))
    assert (answer.status_code, answer["error"], answer.headers["Retry-After"]) == (429, "ratelimited", "1")
    clock.now += 1
    await post(client)
    assert (await rejection(post(client))).status_code == 429
    slack.channel("open").invite()
    await client.chat_postMessage(channel="open", text="another channel is not limited")


async def test_a_channel_has_one_limit_whether_it_is_addressed_by_name_or_by_id(slack, client, rejection):
    slack.limits.enabled = True
    slack.limits.post_burst = 1
    await post(client)
    assert (await rejection(client.chat_postMessage(channel="#noc", text="x"))).status_code == 429


async def test_a_method_is_limited_by_its_tier_in_a_sliding_minute(slack, client, clock, rejection):
    slack.limits.enabled = True
    ts = (await post(client))["ts"]
    for _ in range(50):
        await client.chat_update(channel=NOC, ts=ts, text="y")
        clock.now += 1
    answer = await rejection(client.chat_update(channel=NOC, ts=ts, text="y"))
    assert answer.headers["Retry-After"] == "10"
    clock.now += 10
    await client.chat_update(channel=NOC, ts=ts, text="y")
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="y"))).headers["Retry-After"] == "1"


async def test_the_limit_of_a_method_does_not_affect_other_methods(slack, client, rejection):
    slack.limits.enabled = True
    slack.limits.allowed["chat.update"] = 0
    ts = (await post(client))["ts"]
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="y"))).headers["Retry-After"] == "60"
    await client.chat_delete(channel=NOC, ts=ts)


async def test_a_workspace_accepts_a_limited_number_of_posts_a_minute(slack, client, rejection):
    slack.limits.enabled = True
    slack.limits.allowed["chat.postMessage"] = 2
    slack.channel("open").invite()
    await post(client)
    await client.chat_postMessage(channel="open", text="x")
    assert (await rejection(post(client))).headers["Retry-After"] == "60"


async def test_a_paused_method_answers_429_until_the_pause_ends(slack, client, clock, rejection):
    slack.pause("chat.postMessage", 30)
    clock.now += 10
    assert (await rejection(post(client))).headers["Retry-After"] == "20"
    clock.now += 20
    await post(client)


async def test_a_rate_limited_call_has_no_effect_and_is_logged(slack, client, noc, rejection):
    slack.pause("chat.postMessage", 30)
    await rejection(post(client))
    (call,) = slack.calls
    assert (call.status, call.error, call.took_effect, noc.messages) == (429, "ratelimited", False, [])


def test_evenly_spaced_calls_at_the_allowed_rate_are_never_rejected():
    limits = SlackRateLimiter(enabled=True, post_burst=1)
    assert [limits.admit("chat.postMessage", NOC, 0.1 + second) for second in range(200)] == [None] * 200


# --- faults ---


@pytest.mark.parametrize(
    ("behaviour", "raised"),
    [
        (ErrorCode("internal_error"), SlackApiError),
        (SERVER_ERROR, SlackApiError),
        (UNAVAILABLE, SlackApiError),
        (BAD_GATEWAY, SlackApiError),
        (BROKEN_JSON, SlackApiError),
        (EMPTY, SlackApiError),
        (rate_limited(7), SlackApiError),
        (PLAIN_TEXT, AttributeError),  # the client expects JSON
        (DropConnection(), aiohttp.ServerDisconnectedError),
    ],
    ids=["code", "500", "503", "502", "broken", "empty", "429", "text", "drop"],
)
@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
async def test_a_call_fails_in_each_way_before_it_took_effect_and_after(slack, client, behaviour, raised, after_effect):
    noc = slack.channel("noc")
    slack.faults.add(InjectedFault(behaviour=behaviour, after_effect=after_effect))
    with pytest.raises(raised):
        await post(client)
    assert len(noc.messages) == int(after_effect)
    assert slack.calls[0].took_effect is after_effect
    await post(client)
    assert len(noc.messages) == 1 + int(after_effect)


async def test_an_injected_fault_has_its_error_code_status_and_headers(slack, client, rejection):
    for behaviour in (ErrorCode("fatal_error"), UNAVAILABLE, rate_limited(7)):
        slack.faults.add(InjectedFault(behaviour=behaviour))
    assert (await rejection(post(client)))["error"] == "fatal_error"
    unavailable = await rejection(post(client))
    assert (unavailable.status_code, unavailable.headers["Content-Type"]) == (503, "text/html; charset=utf-8")
    limited = await rejection(post(client))
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "7")


@pytest.mark.parametrize(("after_effect", "visible"), [(False, 0), (True, 1)])
async def test_a_slow_answer_is_a_correct_answer(slack, client, clock, after_effect, visible):
    noc = slack.channel("noc")
    seen = []
    sleep = clock.sleep

    async def watch(seconds):
        seen.append(len(noc.messages))
        await sleep(seconds)

    slack.faults._sleep = watch
    slack.faults.add(InjectedFault(behaviour=SlowAnswer(40), after_effect=after_effect))
    assert (await post(client))["ok"]
    assert (seen, clock.slept, len(noc.messages)) == ([visible], [40], 1)


@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_call_that_is_never_answered_ends_when_it_is_released(slack, client, noc, after_effect):
    slack.faults.add(InjectedFault(behaviour=NoAnswer(), after_effect=after_effect))
    waiting = asyncio.create_task(post(client))
    await slack.faults.wait_until_blocked()
    await post(client, "another call is not held up")
    assert not waiting.done()
    slack.faults.release()
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await waiting
    assert len(noc.messages) == 1 + int(after_effect)


async def test_the_server_stops_although_a_call_is_unanswered(slack):
    slack.faults.add(InjectedFault(behaviour=NoAnswer()))
    async with aiohttp.ClientSession() as session:
        async with asyncio.timeout(30), serve_slack(slack) as base_url:
            headers = {"Authorization": f"Bearer {slack.token}"}
            waiting = asyncio.create_task(session.post(f"{base_url}auth.test", headers=headers))
            await slack.faults.wait_until_blocked()
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await waiting


async def test_an_injected_side_effect_happens_during_the_call(slack, client, noc):
    root = await post(client, "root")
    slack.faults.add(InjectedFault(behaviour=SideEffect(lambda call: noc.delete(root["ts"]))))
    stray = await post(client, "reply", thread_ts=root["ts"])
    assert "thread_ts" not in stray["message"]


async def test_an_injected_side_effect_may_take_time(slack, client):
    async def effect(call):
        await asyncio.sleep(0)
        seen.append((call.method, call.took_effect))

    seen = []
    slack.faults.add(InjectedFault(behaviour=SideEffect(effect), after_effect=True))
    await post(client)
    assert seen == [("chat.postMessage", True)]


async def outcomes(client, calls):
    async def ok(call):
        try:
            return bool((await call)["ok"])
        except SlackApiError:
            return False

    return [await ok(call) for call in calls]


async def test_a_fault_applies_to_the_nth_call_and_a_given_number_of_calls(slack, client):
    fault = slack.faults.add(InjectedFault(behaviour=ErrorCode("internal_error"), nth=2, times=2))
    assert await outcomes(client, [post(client) for _ in range(5)]) == [True, False, False, True, True]
    assert (fault.matched, fault.applied) == (5, 2)


async def test_a_fault_without_a_limit_lasts_until_it_is_cleared(slack, client):
    slack.faults.add(InjectedFault(behaviour=ErrorCode("internal_error"), times=None))
    assert await outcomes(client, [post(client) for _ in range(3)]) == [False] * 3
    slack.faults.clear()
    assert await outcomes(client, [post(client)]) == [True]


async def test_random_faults_repeat_with_the_same_seed(slack, client):
    runs = []
    for seed in (1, 1, 2):
        slack.faults.clear()
        slack.faults.add(InjectedFault(behaviour=ErrorCode("internal_error"), times=None, probability=0.5, seed=seed))
        runs.append(await outcomes(client, [client.auth_test() for _ in range(20)]))
    assert runs[0] == runs[1] != runs[2]
    assert 0 < sum(runs[0]) < 20


async def test_a_fault_matches_by_method_channel_or_condition(slack, client):
    slack.channel("open").invite()
    calls = [
        client.auth_test,
        lambda: client.chat_postMessage(channel="open", text="x"),
        lambda: client.chat_postMessage(channel="noc", text="x"),
        lambda: client.chat_postMessage(channel="noc", text="y"),
    ]
    for condition, expected in (
        ({"method": "auth.test"}, [False, True, True, True]),
        ({"channel": NOC}, [True, True, False, False]),
        ({"method": "chat.postMessage", "channel": "open"}, [True, False, True, True]),
        ({"where": lambda arguments: arguments.get("text") == "y"}, [True, True, True, False]),
    ):
        slack.faults.clear()
        slack.faults.add(InjectedFault(behaviour=ErrorCode("internal_error"), times=None, **condition))
        assert await outcomes(client, [call() for call in calls]) == expected


async def test_one_fault_applies_to_each_call(slack, client, rejection):
    slack.faults.add(InjectedFault(behaviour=ErrorCode("internal_error")))
    slack.faults.add(InjectedFault(behaviour=ErrorCode("fatal_error")))
    assert [(await rejection(post(client)))["error"] for _ in range(2)] == ["internal_error", "fatal_error"]
    assert (await post(client))["ok"]
