"""Budgets that are never exceeded, deadlines, and backoff."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.bigpanda.calls import RATE_LIMITS as BIGPANDA_LIMITS
from relay.bigpanda.calls import BigPandaCall
from relay.ratelimit.budgets import (
    CHANNEL_POSTS,
    DEADLINES,
    EDIT_SPACING,
    POSTS,
    SPECIAL_TIER,
    TIER_2,
    TIER_3,
    Budgets,
    Limit,
    Urgency,
    backoff,
    earliest_edit,
)
from relay.sandbox.rate_limits import SlackRateLimiter
from relay.slack.limits import CALLS_A_MINUTE
from relay.slack.methods import RATE_LIMITS, Method, slack_budgets

POST, EDIT = Method.POST, Method.EDIT


def drain(budgets, method, channels, calls, start=0.0):
    """Make `calls` calls to the channels in turn, each as early as the budgets allow; return their times."""
    now, moments = start, []
    for number in range(calls):
        channel = channels[number % len(channels)]
        now = budgets.ready_at(method, channel, now)
        budgets.spend(method, channel, now)
        moments.append(now)
    return moments


ROUNDING = 1e-6
"""The rounding error of a sum of sixtieths."""


def ceiling(limit):
    """The most calls in any 60 seconds while the rate has not grown."""
    return limit.steady + limit.burst


def most_in_a_minute(moments):
    return most_within(60.0, moments)


def most_within(seconds, moments):
    return max(sum(start <= each <= start + seconds + ROUNDING for each in moments) for start in moments)


# -- Budgets -----------------------------------------------------------------------------------------------------------


def test_edits_are_fifty_a_minute_for_the_whole_workspace():
    moments = drain(slack_budgets(), EDIT, ["C1", "C2", "C3"], 300)

    assert most_in_a_minute(moments) == 50 == ceiling(TIER_3)
    assert moments[4] == 0.0
    assert moments[-1] == pytest.approx((300 - 5) * 60 / 45)


def test_posts_to_one_channel_are_one_a_second_after_a_small_burst():
    moments = drain(slack_budgets(), POST, ["C1"], 100)

    assert moments[: CHANNEL_POSTS.burst] == [0.0] * CHANNEL_POSTS.burst
    assert moments[-1] == pytest.approx(100 - CHANNEL_POSTS.burst)


def test_posts_to_many_channels_are_240_a_minute():
    moments = drain(slack_budgets(), POST, [f"C{number}" for number in range(40)], 1000)

    assert most_in_a_minute(moments) == 240 == ceiling(POSTS)


def test_posts_and_edits_have_separate_budgets():
    budgets = slack_budgets()
    drain(budgets, EDIT, ["C1"], 50)

    assert budgets.ready_at(POST, "C1", 0.0) == 0.0


@pytest.mark.parametrize("method", Method)
def test_relay_never_exceeds_what_slack_documents_for_a_method(method):
    if method.limit is SPECIAL_TIER:
        assert method not in CALLS_A_MINUTE
    else:
        assert method in CALLS_A_MINUTE, "add it in relay/slack/limits.py"
        assert ceiling(method.limit) <= CALLS_A_MINUTE[method]


def test_an_unknown_method_has_the_budget_of_tier_two():
    moments = drain(slack_budgets(), "apps.surprise", [""], 100)

    assert most_in_a_minute(moments) == ceiling(TIER_2)


# -- BigPanda ----------------------------------------------------------------------------------------------------------

CALLS_PER_SECOND = {call: 2 if call is BigPandaCall.USERS else 5 for call in BigPandaCall}
"""How often BigPanda allows each call in a second."""


def bigpanda():
    return Budgets(limits=BIGPANDA_LIMITS)


@pytest.mark.parametrize("call", BigPandaCall)
def test_bigpanda_is_never_called_more_often_in_any_second_than_it_allows(call):
    moments = drain(bigpanda(), call, [""], 60)

    assert most_within(1.0, moments) <= CALLS_PER_SECOND[call]
    assert moments[-1] <= 60.0


@given(
    call=st.sampled_from([BigPandaCall.COMMENT, BigPandaCall.USERS]),
    steps=st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from(["fine", "fine", "timed", "untimed"]), st.floats(0, 2)),
        min_size=1,
        max_size=100,
    ),
)
def test_no_second_has_more_calls_than_bigpanda_allows_with_any_answers(call, steps):
    budgets, now, moments = bigpanda(), 0.0, []
    for rest, answer, wait in steps:
        now = budgets.ready_at(call, "", now + (rest if rest > 1.0 else 0.0))
        budgets.spend(call, "", now)
        moments.append(now)
        if answer != "fine":
            budgets.pause(call, now + wait if answer == "timed" else None, now)

    assert most_within(1.0, moments) <= CALLS_PER_SECOND[call]


def test_each_call_of_bigpandas_api_has_its_own_budget():
    budgets = bigpanda()
    drain(budgets, BigPandaCall.COMMENT, [""], 20)

    assert budgets.ready_at(BigPandaCall.RESOLVE, "", 0.0) == 0.0


def test_a_break_restores_the_burst():
    budgets = slack_budgets()
    last = drain(budgets, EDIT, ["C1"], 30)[-1]

    assert drain(budgets, EDIT, ["C1"], 5, start=last + 60)[-1] == last + 60


@given(
    limit=st.builds(Limit, steady=st.floats(1, 200), burst=st.integers(1, 20)),
    steps=st.lists(
        st.tuples(
            st.floats(0, 40),
            st.sampled_from(["C1", "C2"]),
            st.sampled_from(["fine", "fine", "fine", "timed", "untimed"]),
            st.floats(0, 90),
        ),
        min_size=1,
        max_size=150,
    ),
)
def test_no_minute_has_more_calls_than_the_ceiling_with_any_answers(limit, steps):
    budgets = Budgets(limits={POST: limit}, channel_limits={POST: Limit(steady=30, burst=2)})
    now, moments = 0.0, []
    for rest, channel, answer, wait in steps:
        now = budgets.ready_at(POST, channel, now + (rest if rest > 20 else 0.0))
        assert budgets.ready_at(POST, channel, now) == now
        budgets.spend(POST, channel, now)
        moments.append((now, channel))
        if answer != "fine":
            budgets.pause(POST, now + wait if answer == "timed" else None, now, channel)

    for start, _ in moments:
        within = [channel for at, channel in moments if start <= at < start + 60.0 - ROUNDING]
        assert len(within) <= ceiling(limit)
        assert max(within.count("C1"), within.count("C2")) <= 32


# -- Pauses ------------------------------------------------------------------------------------------------------------


def test_a_rate_limit_pauses_its_method_in_every_channel_and_no_other_method():
    budgets = slack_budgets()
    budgets.pause(EDIT, 130.0, 100.0)

    assert budgets.ready_at(EDIT, "C1", 100.0) == 130.0
    assert budgets.ready_at(EDIT, "C2", 100.0) == 130.0
    assert budgets.ready_at(POST, "C1", 100.0) == 100.0


def test_pauses_without_a_retry_after_grow_from_one_second_to_thirty():
    budgets, now, waits = slack_budgets(), 100.0, []
    for _ in range(7):
        until = budgets.pause(EDIT, None, now)
        waits.append(until - now)
        now = until

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_a_minute_without_a_rate_limit_ends_the_growth_of_pauses():
    budgets, until = slack_budgets(), 0.0
    for _ in range(4):
        until = budgets.pause(EDIT, None, until)

    assert budgets.pause(EDIT, None, until + 61) == until + 62


def test_rate_limits_of_running_calls_prolong_a_pause_and_reduce_the_rate_only_once():
    one, five = slack_budgets(), slack_budgets()
    for budgets, times in ((one, 1), (five, 5)):
        drain(budgets, EDIT, ["C1"], 20)
        for late in range(times):
            budgets.pause(EDIT, 60.0, 20.0 + late / 10)

    assert drain(one, EDIT, ["C1"], 20, start=60.0) == drain(five, EDIT, ["C1"], 20, start=60.0)
    assert one.pause(EDIT, 200.0, 199.0) == 200.0
    assert one.pause(EDIT, 250.0, 199.5) == 250.0
    assert one.pause(EDIT, None, 199.6) == 250.0


def test_after_a_pause_there_is_no_burst_and_the_rate_is_four_fifths():
    budgets = slack_budgets()
    last = drain(budgets, EDIT, ["C1"], 20)[-1]
    budgets.pause(EDIT, last + 10, last)

    moments = drain(budgets, EDIT, ["C1"], 10, start=last)

    assert moments[0] == last + 10
    assert moments[1] - moments[0] == pytest.approx(60 / (45 * 0.8), rel=0.02)


def test_a_slowed_budget_recovers_in_a_few_minutes():
    budgets = slack_budgets()
    last = drain(budgets, EDIT, ["C1"], 20)[-1]
    budgets.pause(EDIT, last + 1, last)

    moments = drain(budgets, EDIT, ["C1"], 500, start=last)

    assert moments[-1] - moments[-2] == pytest.approx(60 / 45)


def test_repeated_rate_limits_leave_a_quarter_of_the_rate():
    budgets, now = slack_budgets(), 0.0
    for _ in range(50):
        now = budgets.ready_at(EDIT, "", now)
        budgets.spend(EDIT, "", now)
        now = budgets.pause(EDIT, now + 0.001, now)

    moments = drain(budgets, EDIT, [""], 3, start=now)

    assert moments[2] - moments[1] == pytest.approx(60 / (45 * 0.25), rel=0.1)


def test_a_rate_limited_channel_is_slowed_down_and_the_workspace_is_not():
    budgets = slack_budgets()
    drain(budgets, POST, ["hot"], 4)
    budgets.pause(POST, 1.0, 0.5, "hot")
    others = [f"C{number}" for number in range(16)]

    assert drain(budgets, POST, ["hot"], 3, start=1.0) == pytest.approx([1.0, 2.25, 3.5], rel=0.02)
    assert drain(budgets, POST, others, 16, start=3.5)[-1] == 3.5


def test_a_rate_limit_without_recent_calls_slows_down_the_whole_method():
    budgets = slack_budgets()
    budgets.pause(POST, 1.0, 0.0, "C1")

    moments = drain(budgets, POST, ["C2", "C3"], 2, start=1.0)

    assert moments[1] - moments[0] == pytest.approx(60 / (220 * 0.8))


def test_relay_settles_at_the_rate_of_a_workspace_that_allows_less():
    """Slack accepts 30 edits a minute: most calls succeed, and rejections become rare."""
    budgets, now, accepted, rejected = slack_budgets(), 0.0, [], []
    while now < 3600:
        now = budgets.ready_at(EDIT, "", now)
        budgets.spend(EDIT, "", now)
        if sum(at > now - 60 for at in accepted) < 30:
            accepted.append(now)
        else:
            rejected.append(now)
            budgets.pause(EDIT, now + 5, now)

    assert len(rejected) < len(accepted) / 20
    assert len(accepted) > 0.8 * 30 * 60


# -- Looser limits than the documented ones ----------------------------------------------------------------------------

STRETCH_AFTER, STRETCH_BLOCKED_FOR = 900.0, 7200.0


def backlog(allowed, seconds, budgets=None, method=EDIT, start=0.0):
    """Call without a break against the sandbox's limits; return the times of accepted and of rejected calls."""
    budgets = budgets or slack_budgets()
    limits = SlackRateLimiter(enabled=True, allowed={method: allowed})
    now, accepted, rejected = start, [], []
    while (now := budgets.ready_at(method, "", now)) < start + seconds:
        budgets.spend(method, "", now)
        if (wait := limits.admit(method, "", now)) is None:
            accepted.append(now)
        else:
            rejected.append(now)
            budgets.pause(method, now + wait, now)
    return accepted, rejected


def within(moments, start, seconds=60.0):
    return sum(start <= moment < start + seconds for moment in moments)


def test_a_long_backlog_is_drained_faster_than_documented_if_slack_allows_more():
    accepted, rejected = backlog(1000, 2 * 3600.0)

    assert rejected == []
    assert most_in_a_minute([moment for moment in accepted if moment <= STRETCH_AFTER]) == ceiling(TIER_3)
    assert within(accepted, STRETCH_AFTER + 600) > 1.15 * TIER_3.steady
    assert within(accepted, 7000) == pytest.approx(1.5 * TIER_3.steady, abs=1)
    assert len(accepted) > 1.3 * (TIER_3.steady * 120 + TIER_3.burst)


def test_a_backlog_at_the_documented_limit_is_rejected_at_most_once_in_two_hours():
    accepted, rejected = backlog(int(ceiling(TIER_3)), 3 * 3600.0)

    assert rejected[0] > STRETCH_AFTER
    assert len(rejected) == 2
    assert rejected[1] - rejected[0] > STRETCH_BLOCKED_FOR
    assert len(accepted) > 0.99 * TIER_3.steady * 180


def test_a_rate_limit_ends_the_higher_rate_in_every_channel_of_the_method():
    loose = Limit(steady=60, burst=4, stretch=1.5)
    budgets = Budgets(limits=RATE_LIMITS, channel_limits={POST: loose})
    last = drain(budgets, POST, ["C1", "C2"], 6000)[-1]
    assert within(drain(budgets, POST, ["C1"], 120, start=last), last) > 80
    budgets.pause(POST, last + 130, last + 120, "C1")

    for channel in ("C1", "C2"):
        assert most_in_a_minute(drain(budgets, POST, [channel], 3000, start=last + 200)) <= ceiling(loose)


def test_a_break_resets_a_budget_to_the_documented_rate():
    budgets = slack_budgets()
    accepted, _ = backlog(1000, 3600.0, budgets)
    assert within(accepted, 3500) > 1.3 * TIER_3.steady

    moments = drain(budgets, EDIT, [""], 300, start=accepted[-1] + 10)

    assert most_in_a_minute(moments) <= ceiling(TIER_3)


def test_the_higher_rate_starts_only_after_15_minutes_of_continuous_waiting():
    budgets = slack_budgets()
    drain(budgets, EDIT, [""], 600)
    moments = drain(budgets, EDIT, [""], 600, start=820.0)

    assert moments[-1] < 820 + STRETCH_AFTER
    assert most_in_a_minute(moments) <= ceiling(TIER_3)


limits_that_stretch = st.builds(
    Limit, steady=st.floats(1, 6), burst=st.integers(2, 6), stretch=st.sampled_from([1.0, 1.2, 1.5])
)
phases = st.lists(
    st.tuples(st.integers(1, 150), st.floats(0, 300), st.sampled_from(["fine", "fine", "timed", "untimed"])),
    min_size=1,
    max_size=8,
)


@given(limit=limits_that_stretch, phases=phases)
def test_no_minute_exceeds_the_higher_limit_and_a_rate_limit_restores_the_documented_one(limit, phases):
    budgets, now, moments, rejected = Budgets(limits={EDIT: limit}), 0.0, [], []
    for calls, rest, answer in phases:
        moments += drain(budgets, EDIT, [""], calls, start=now)
        now = moments[-1] + rest
        if answer != "fine":
            rejected.append(budgets.pause(EDIT, now + 5 if answer == "timed" else None, now))
            now = rejected[-1]

    assert most_in_a_minute(moments) <= limit.steady * limit.stretch + limit.burst
    for until in rejected:
        after_rejection = [moment for moment in moments if until <= moment <= until + STRETCH_BLOCKED_FOR]
        assert not after_rejection or most_within(60.0, after_rejection) <= ceiling(limit)


@given(limit=limits_that_stretch, gaps=st.lists(st.floats(1.05, 5), min_size=50, max_size=400))
def test_a_budget_without_waiting_calls_never_grows(limit, gaps):
    budgets, now = Budgets(limits={EDIT: limit}), 0.0
    for gap in gaps:
        now += gap * 60 / limit.steady
        assert budgets.ready_at(EDIT, "", now) == now
        budgets.spend(EDIT, "", now)

    moments = drain(budgets, EDIT, [""], 30, start=now)

    assert most_in_a_minute(moments) <= ceiling(limit)


def test_a_task_with_an_older_time_does_not_end_a_pause_early():
    budgets = slack_budgets()
    budgets.pause(POST, 130.0, 100.0)

    assert budgets.ready_at(POST, "C1", 70.0) == 130.0


# -- Deadlines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "seconds"),
    [
        (Urgency.CRITICAL_ROOT, 0),
        (Urgency.WORSENED, 5),
        (Urgency.ROOT, 30),
        (Urgency.RESOLVED, 60),
        (Urgency.REOPENED, 60),
        (Urgency.REPLY, 600),
        (Urgency.STATE_EDIT, 0),
        (Urgency.EDIT, 30),
    ],
)
def test_each_urgency_has_its_deadline(due, seconds):
    assert DEADLINES[due] == seconds


def test_a_card_is_edited_at_most_once_in_three_seconds_unless_it_worsens_or_resolves():
    assert earliest_edit(Urgency.EDIT, 101.0, 100.0) == 100.0 + EDIT_SPACING
    assert earliest_edit(Urgency.EDIT, 110.0, 100.0) == 110.0
    assert earliest_edit(Urgency.EDIT, 101.0, None) == 101.0
    assert earliest_edit(Urgency.STATE_EDIT, 101.0, 100.0) == 101.0


# -- Retries -----------------------------------------------------------------------------------------------------------


@given(tries=st.integers(1, 10_000), key=st.text())
def test_backoff_doubles_up_to_five_minutes_and_is_the_same_after_a_restart(tries, key):
    whole = min(300.0, 2.0 * 2 ** min(tries - 1, 16))

    assert whole / 2 <= backoff(tries, key) <= whole
    assert backoff(tries, key) == backoff(tries, key)


def test_cards_that_failed_together_are_retried_at_different_times():
    assert len({round(backoff(5, f"card {number}"), 2) for number in range(100)}) > 90
