"""How often Slack is asked whether it takes anything again, while it takes nothing."""

import asyncio
from itertools import accumulate

import pytest

from relay.delivery.circuit_breaker import MAX_PROBE_PAUSE, CircuitBreaker
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.slack.methods import Method, slack_budgets
from relay.slack.outcomes import Ambiguous, Rejected, RejectionScope
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards
from tests.support.relay_in_process import fake_workspace, run_relay

ASKED = "auth.test"
DEAD = Rejected(
    code="invalid_auth", scope=RejectionScope.CREDENTIALS, reason="invalid_auth", remedy="give relay a living token"
)


def questions(within: float) -> list[float]:
    """The seconds after the first question at which the next ones are due, within so many."""
    pauses = (min(MAX_PROBE_PAUSE, backoff(tries, "gate")) for tries in range(1, 1000))
    return [moment for moment in accumulate(pauses) if moment <= within]


def moments(slack) -> list[float]:
    return [call.at for call in slack.calls_to(ASKED)]


async def test_a_dead_token_is_asked_about_as_seldom_as_the_backoff_says_whatever_else_comes_in(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.revoke()
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        for number in range(12):
            await house.share(f"i{number}", status="critical", alerts=[ALERT])
            await house.advance(300)
        first, *later = moments(slack)
        assert [moment - first for moment in later] == pytest.approx(questions(3600), abs=0.01)
        slack.restore()
        await house.advance(120)
        assert len(cards(house, "i0")) == 1


async def test_a_token_that_dies_under_many_calls_is_not_asked_about_by_each_of_them(tmp_path):
    async with run_relay(tmp_path) as house:
        asked = len(moments(house.slack))
        house.slack.revoke()
        for number in range(40):
            await house.share(f"i{number}", status="critical", alerts=[ALERT])
        died = house.clock.now()
        await house.advance(3600)
        assert [moment - died for moment in moments(house.slack)[asked:]] == pytest.approx(questions(3600), abs=0.01)


async def test_whoever_is_told_to_wait_before_asking_again_waits(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.faults.add(InjectedFault(behaviour=rate_limited(600), method=ASKED, times=1))
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        await house.advance(1200)
        first, again = moments(slack)
        assert again - first == pytest.approx(600, abs=1)


async def test_a_clock_that_is_set_back_does_not_keep_a_shut_gate_from_asking(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.revoke()
    async with run_relay(tmp_path, slack=slack, clock=clock) as house:
        await house.advance(300)
        asked = len(moments(slack))
        clock.set_time(clock.now() - 7200)
        await house.advance(120)
        assert len(moments(slack)) - asked in {3, 4, 5}


class Answering:
    """Slack, as far as the gate knows it."""

    def __init__(self, answer) -> None:
        self.asked = 0
        self._answer = answer

    async def auth_test(self):
        self.asked += 1
        await asyncio.sleep(0)
        return self._answer


@pytest.mark.parametrize("answer", [DEAD, Ambiguous(reason="no_answer")], ids=["refused", "unanswered"])
@pytest.mark.parametrize("rings", [0, 50])
async def test_by_the_real_clock_too_the_gate_asks_once_and_then_waits(answer, rings):
    """Neither what it finds itself nor what others tell it has it ask at once."""
    slack, over = Answering(answer), asyncio.Event()
    gate = CircuitBreaker(slack, Clock(), slack_budgets())
    running = asyncio.create_task(gate.run(over))
    for _ in range(rings):
        await asyncio.sleep(0.002)
        gate.record(Method.POST, DEAD)
        gate.bell.set()
    await asyncio.sleep(0.2)
    assert slack.asked == 1
    over.set()
    gate.bell.set()
    async with asyncio.timeout(5):
        await running
