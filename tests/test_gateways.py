"""No call to Slack or BigPanda goes around the gateways, and each spends its rate limit and is counted."""

import ast
import inspect
from pathlib import Path

import pytest

import relay
from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import RejectionCause, TaskRejected, TaskRetryable
from relay.http.session import make_session
from relay.metrics import Metrics
from relay.sandbox.faults import InjectedFault, rate_limited
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.client import SlackClient
from relay.slack.gateway import SlackGateway
from relay.slack.message import Marker, Message
from relay.slack.methods import Method
from relay.slack.outcomes import Delivered, Retryable
from tests.support.clocks import ManualClock
from tests.support.http_peer import http_peers, http_response
from tests.support.source_code import modules_with

PACKAGE = Path(relay.__file__).parent
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


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("SlackClient", {"slack/gateway.py"}),
        ("AsyncWebClient", {"slack/client.py"}),
        ("BigPandaClient", {"bigpanda/gateway.py"}),
    ],
)
def test_only_the_gateway_uses_the_client(name, allowed):
    users = {
        file.relative_to(PACKAGE).as_posix()
        for file, tree in modules_with(PACKAGE, name)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == name)
        or (isinstance(node, ast.alias) and node.name == name)
        or (isinstance(node, ast.Attribute) and node.attr == name)
    }
    assert users == allowed


@pytest.mark.parametrize(("client", "inner"), [(SlackClient, "_call"), (BigPandaClient, "_send")])
def test_only_one_function_of_a_client_makes_requests(client, inner):
    """The gateways override it, so that they see every call."""
    callers = {
        name
        for name, function in inspect.getmembers(client, inspect.isfunction)
        if "_fetch(" in inspect.getsource(function)
    }
    assert callers - {"_fetch"} == {inner}
    assert all(inner in vars(gateway) for gateway in (SlackGateway, BigPandaGateway) if issubclass(gateway, client))


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


def counted(metrics, name, label):
    """How often the metric counted the call."""
    return sum(
        sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == name and label in sample.labels.values()
    )


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


async def test_an_open_circuit_breaker_blocks_every_call_but_its_own_probe(slack):
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


@pytest.fixture
async def bigpanda(session):
    """A gateway to a server that answers each call as the test says, with the metrics that count its calls."""
    clock, metrics = ManualClock(), Metrics()
    async with http_peers() as start:

        async def answering(*responses):
            peer = await start(*responses)
            gateway = BigPandaGateway(session, "key", clock, base_url=peer.url, observer=metrics.record_bigpanda_call)
            gateway.clock, gateway.metrics = clock, metrics
            return gateway

        yield answering


CALLS_TO_BIGPANDA = {
    BigPandaCall.CALLBACK: lambda gateway: gateway.callback("i1", "app-key"),
    BigPandaCall.INCIDENT: lambda gateway: gateway.incident("e1", "i1"),
    BigPandaCall.RESOLVE: lambda gateway: gateway.resolve("e1", "i1", "x"),
    BigPandaCall.COMMENT: lambda gateway: gateway.comment("e1", "i1", "x"),
    BigPandaCall.ASSIGN: lambda gateway: gateway.assign("e1", "i1", "u1"),
    BigPandaCall.SNOOZE: lambda gateway: gateway.snooze("e1", "i1", 1),
    BigPandaCall.UNASSIGN: lambda gateway: gateway.unassign("e1", "i1"),
    BigPandaCall.END_SNOOZE: lambda gateway: gateway.end_snooze("e1", "i1"),
    BigPandaCall.ACTIVITIES: lambda gateway: gateway.activities("i1"),
    BigPandaCall.TAG_DEFINITIONS: lambda gateway: gateway.tag_definitions(),
    BigPandaCall.USERS: lambda gateway: gateway.users("ann@example.com"),
}


@pytest.mark.parametrize("made", BigPandaCall)
async def test_every_call_to_bigpanda_spends_its_rate_limit_is_counted_and_pauses(bigpanda, made):
    gateway = await bigpanda(http_response(429, retry_after="30"))
    assert isinstance(await CALLS_TO_BIGPANDA[made](gateway), TaskRetryable)
    assert counted(gateway.metrics, "relay_bigpanda_calls_total", made.value) == 1
    assert counted(gateway.metrics, "relay_bigpanda_call_duration_seconds_count", made.value) == 1
    assert gateway.throttle.blocked_until(made) == pytest.approx(gateway.clock.now() + 30, abs=1)


async def test_a_rejected_key_is_a_problem_until_bigpanda_accepts_it(bigpanda):
    gateway = await bigpanda(http_response(401), http_response(200, b"[]"))
    rejected = await gateway.tag_definitions()
    assert isinstance(rejected, TaskRejected)
    assert (rejected.cause, gateway.problem) == (RejectionCause.CREDENTIALS, rejected.remedy)
    assert not gateway.has_answered
    await gateway.tag_definitions()
    assert (gateway.problem, gateway.has_answered) == ("", True)
