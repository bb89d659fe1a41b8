"""How often relay probes Slack while the circuit breaker is open."""

import asyncio
from itertools import accumulate

import pytest

from relay.ratelimit.budgets import backoff
from relay.ratelimit.throttle import Throttle
from relay.runtime.clock import Clock
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.slack.circuit_breaker import MAX_PROBE_PAUSE, CircuitBreaker
from relay.slack.methods import Method, slack_budgets
from relay.slack.outcomes import Ambiguous, Rejected, RejectionScope
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import ALERT, cards
from tests.support.relay_in_process import fake_workspace, run_relay

PROBE = "auth.test"
DEAD = Rejected(
    code="invalid_auth", scope=RejectionScope.CREDENTIALS, reason="invalid_auth", remedy="give relay a valid token"
)


def probe_times(within: float) -> list[float]:
    """Return the seconds after the first probe at which the next ones are due, up to `within`."""
    pauses = (min(MAX_PROBE_PAUSE, backoff(tries, "slack")) for tries in range(1, 1000))
    return [moment for moment in accumulate(pauses) if moment <= within]


def probed_at(slack) -> list[float]:
    return [call.at for call in slack.calls_to(PROBE)]


async def test_a_dead_token_is_probed_only_as_often_as_the_backoff_allows(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.revoke()
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        for number in range(12):
            await relay.share(f"i{number}", status="critical", alerts=[ALERT])
            await relay.advance(300)
        first, *later = probed_at(slack)
        assert [moment - first for moment in later] == pytest.approx(probe_times(3600), abs=0.01)
        slack.restore()
        await relay.advance(120)
        assert len(cards(relay, "i0")) == 1


async def test_a_token_that_fails_during_many_calls_is_not_probed_for_each_of_them(tmp_path):
    async with run_relay(tmp_path) as relay:
        asked = len(probed_at(relay.slack))
        relay.slack.revoke()
        for number in range(40):
            await relay.share(f"i{number}", status="critical", alerts=[ALERT])
        died = relay.clock.now()
        await relay.advance(3600)
        assert [moment - died for moment in probed_at(relay.slack)[asked:]] == pytest.approx(
            probe_times(3600), abs=0.01
        )


async def test_a_rate_limited_probe_waits_as_long_as_slack_asks(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.faults.add(InjectedFault(behaviour=rate_limited(600), method=PROBE, times=1))
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.advance(1200)
        first, again, *_ = probed_at(slack)
        assert again - first == pytest.approx(600, abs=1)


async def test_a_clock_that_is_set_back_does_not_delay_the_probe(tmp_path):
    clock = ManualClock()
    slack = fake_workspace(clock)
    slack.revoke()
    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.advance(300)
        asked = len(probed_at(slack))
        clock.set_time(clock.now() - 7200)
        await relay.advance(120)
        assert len(probed_at(slack)) - asked in {3, 4, 5}


@pytest.mark.parametrize("answer", [DEAD, Ambiguous(reason="no_answer")], ids=["rejected", "unanswered"])
@pytest.mark.parametrize("wakes", [0, 50])
async def test_with_the_real_clock_the_breaker_also_probes_once_and_then_waits(answer, wakes):
    """Neither its own result nor what others record makes it probe at once."""
    probes, stopping, clock = [], asyncio.Event(), Clock()

    async def probe():
        probes.append(answer)
        await asyncio.sleep(0)
        return answer

    breaker = CircuitBreaker(probe, Throttle(slack_budgets(), clock), clock)
    running = asyncio.create_task(breaker.run(stopping))
    for _ in range(wakes):
        await asyncio.sleep(0.002)
        breaker.record(Method.POST, DEAD)
        breaker.wakeup.set()
    await asyncio.sleep(0.2)
    assert len(probes) == 1
    stopping.set()
    breaker.wakeup.set()
    async with asyncio.timeout(100):
        await running


async def test_a_breaker_that_is_not_probed_stays_closed():
    """Only the relay that delivers probes; in another one nothing would close it again."""
    clock = Clock()
    breaker = CircuitBreaker(asyncio.Event, Throttle(slack_budgets(), clock), clock)
    breaker.record(Method.POST, DEAD)
    assert not breaker.blocks(Method.POST)
