"""Every call to BigPanda spends its rate limit, is counted, and says whether the key is accepted."""

import pytest

from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.gateway import BigPandaGateway
from relay.bigpanda.outcomes import RejectionCause, TaskRejected, TaskRetryable
from relay.http.session import make_session
from relay.metrics import Metrics
from tests.support.clocks import ManualClock
from tests.support.http_peer import http_peers, http_response
from tests.support.metric_reading import counted


@pytest.fixture
async def session():
    async with make_session() as opened:
        yield opened


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
