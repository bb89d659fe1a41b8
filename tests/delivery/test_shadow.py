"""A route in shadow sends nothing; switched on, open incidents get their cards late, once and without a ping."""

import pytest

from relay.ingest import service
from tests.support.clocks import ManualClock
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import fake_workspace, run_relay

SHADOW = """
version: 1
fallback: C0NOC00001
routes:
  - {name: new, match: {status: critical}, shadow: true, post: [{channel: C0DB000001, mention: {any: [S0DB]}}]}
  - {name: old, match: {severity: critical}, post: [{channel: C0ALL00001, mention: {any: [S0OLD]}}]}
"""
LIVE = SHADOW.replace("shadow: true", "continue: true")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    if request.param == "sqlite":
        yield ""
        return
    with postgresql_with_tables() as address:
        yield address


def calls_to(slack, channel: str) -> list[str]:
    return [call.method for call in slack.calls if call.arguments.get("channel") == channel]


async def test_an_incident_that_cannot_be_decided_does_not_stop_the_others(tmp_path, monkeypatch):
    clock = ManualClock()
    slack = fake_workspace(clock)
    decide = service.late_cards

    def fails(rulebook, state, *arguments):
        if state.record.incident == "i1":
            raise RuntimeError("strange")
        return decide(rulebook, state, *arguments)

    monkeypatch.setattr(service, "late_cards", fails)
    async with run_relay(tmp_path, routes=SHADOW, slack=slack, clock=clock) as relay:
        for incident in ("i1", "i2"):
            await relay.share(incident, status="critical")
    async with run_relay(tmp_path, routes=LIVE, slack=slack, clock=clock) as relay:
        await relay.advance(60)
        assert calls_to(slack, "C0DB000001").count("chat.postMessage") == 1
        await relay.share("i1", status="critical", title="again")
        await relay.advance(60)
        assert calls_to(slack, "C0DB000001").count("chat.postMessage") == 2


async def test_a_route_in_shadow_sends_nothing_and_open_incidents_later_get_late_cards(tmp_path, monkeypatch, url):
    monkeypatch.setattr(service, "LATE_INCIDENTS", 1)
    clock = ManualClock()
    slack = fake_workspace(clock)
    async with run_relay(tmp_path, routes=SHADOW, url=url, slack=slack, clock=clock) as relay:
        for incident in ("i1", "i2", "i3"):
            await relay.share(incident, status="critical")
        await relay.share("i3", status="ok", resolved=True, active=False)
        await relay.share("i4", status="warning")
        await relay.advance(60)
        assert calls_to(slack, "C0DB000001") == []
        assert "@S0OLD" in relay.transcript()
    for _ in range(2):  # what is done is not done again
        async with run_relay(tmp_path, routes=LIVE, url=url, slack=slack, clock=clock) as relay:
            await relay.advance(60)
            assert calls_to(slack, "C0DB000001").count("chat.postMessage") == 2
            assert "@S0DB" not in relay.transcript("db")
    async with run_relay(tmp_path, routes=LIVE, url=url, slack=slack, clock=clock) as relay:
        await relay.share("i5", status="critical")
        await relay.advance(60)
        assert calls_to(slack, "C0DB000001").count("chat.postMessage") == 3
        assert relay.transcript("db").count("@S0DB") == 1
