"""Every call to Slack spends its rate limit, is counted, and stops while the circuit breaker is open."""

import pytest

from relay.http.session import make_session
from relay.metrics import Metrics
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.gateway import SlackGateway
from relay.slack.message import Marker, Message
from relay.slack.methods import Method
from relay.slack.outcomes import Delivered, Retryable
from tests.support.clocks import ManualClock
from tests.support.metric_reading import counted

CALLS_TO_SLACK = {
    Method.POST: ("C1", Message(text="x")),
    Method.EDIT: ("C1", "1.2", Message(text="x")),
    Method.DELETE: ("C1", "1.2"),
    Method.EPHEMERAL: ("C1", "U1", "x"),
    Method.HISTORY: ("C1", "0"),
    Method.REPLIES: ("C1", "1.2"),
    Method.CHANNELS: (),
    Method.CHANNEL: ("C1",),
    Method.JOIN: ("C1",),
    Method.USER_GROUPS: (),
    Method.GROUP_MEMBERS: ("S1",),
    Method.USER: ("U1",),
    Method.USER_CHANNELS: ("U1",),
    Method.USER_BY_EMAIL: ("ann@example.com",),
    Method.OPEN_DIRECT: ("U1",),
    Method.OPEN_VIEW: ("trigger", {}),
    Method.OPEN_SOCKET: (),
    Method.AUTH_TEST: (),
    Method.VALIDATE: ("message", {}),
    Method.TEAMS: (),
}
"""Method of Slack -> the arguments of the client's function of that name."""


@pytest.fixture
async def session():
    async with make_session() as opened:
        yield opened


@pytest.fixture
async def slack(session):
    """A gateway to a fake Slack, with the metrics that count its calls."""
    fake, clock, metrics = FakeSlack(), ManualClock(), Metrics()
    async with serve_slack(fake) as url:
        gateway = SlackGateway(session, fake.token, clock, base_url=url, observer=metrics.record_slack_call)
        gateway.fake, gateway.clock, gateway.metrics = fake, clock, metrics
        yield gateway


async def call(gateway, method):
    extra = {"marker": Marker(event_type="relay_card", incident="i", key="k")} if method is Method.POST else {}
    return await getattr(gateway, _NAMES[method])(*CALLS_TO_SLACK[method], **extra)


_NAMES = {
    Method.EPHEMERAL: "post_ephemeral",
    **{method: method.name.lower() for method in Method if method is not Method.EPHEMERAL},
}


@pytest.mark.parametrize("method", Method)
async def test_every_call_to_slack_spends_its_rate_limit_and_is_counted(slack, method):
    for _ in range(method.limit.burst):
        if slack.throttle.blocked_until(method, "C1") is None:
            await call(slack, method)
    assert slack.throttle.blocked_until(method, "C1") is not None
    made = counted(slack.metrics, "relay_slack_calls_total", method.value)
    assert made == counted(slack.metrics, "relay_slack_call_duration_seconds_count", method.value) > 0
    assert made == len(slack.fake.calls)


@pytest.mark.parametrize("method", Method)
async def test_a_rate_limited_answer_pauses_its_method(slack, method):
    slack.fake.faults.add(InjectedFault(behaviour=rate_limited(30), method=method.value))
    assert isinstance(await call(slack, method), Retryable)
    assert slack.throttle.blocked_until(method) == pytest.approx(slack.clock.now() + 30, abs=1)


async def test_an_open_circuit_breaker_blocks_every_call_except_its_own_probe(slack):
    slack.breaker.is_open = slack.breaker._probing = True
    outcomes = {method: await call(slack, method) for method in Method}
    assert {method for method, outcome in outcomes.items() if not isinstance(outcome, Retryable)} == {Method.AUTH_TEST}
    assert [each.method for each in slack.fake.calls] == [Method.AUTH_TEST]


async def test_a_reserved_call_does_not_wait(slack):
    slack.fake.add_channel("C1", "noc", member=True)
    while slack.throttle.blocked_until(Method.POST, "C1") is None:
        slack.throttle.reserve(Method.POST, "C1")
        assert isinstance(await call(slack, Method.POST), Delivered)
    assert slack.clock.sleepers == 0
