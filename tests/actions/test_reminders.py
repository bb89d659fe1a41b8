"""Reminders, from a card that nobody takes to what people read in Slack, with BigPanda asked before each."""

from pathlib import Path

import pytest

from relay.sandbox.bigpanda.server import RELAY_USER
from relay.sandbox.faults import SERVER_ERROR, InjectedFault
from relay.sandbox.slack.mentions import pings
from tests.support.bigpanda_round_trip import ANN, DB, RoundTrip, press, run_round_trip

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - name: databases
    match: {tags: {team: database}}
    post: [{channel: C0DB000001, mention: {critical: [S0ONCALL01]}}]
    actions: [assign, snooze, resolve]
    remind: {after: 3m, every: 5m, times: 3}
"""
MINUTE = 60


def reminders(trip: RoundTrip, channel: str = DB) -> list[str]:
    return [each.replace("\u00a0", " ") for each in trip.thread(channel) if "obody has" in each]


@pytest.fixture
async def trip(tmp_path: Path):
    """An incident that nobody has. The shares say nothing about who does."""
    async with run_round_trip(tmp_path, routes=ROUTES, integration={"add_assignments": False}) as started:
        await started.start_incident()
        yield started


async def test_bigpanda_is_asked_before_each_reminder(trip):
    await trip.advance(4 * MINUTE)
    [reminder] = reminders(trip)
    assert "Nobody has had this for *3 min* · reminder 1 of 3" in reminder
    assert len(trip.panda.calls_to("incident")) == 1
    await trip.advance(20 * MINUTE)
    assert len(reminders(trip)) == 3
    assert len(trip.panda.calls_to("incident")) == 3


async def test_an_incident_assigned_in_bigpanda_gets_no_reminder_and_its_card_names_the_owner(trip):
    await trip.advance(4 * MINUTE)
    trip.panda.incident("i1").assign(RELAY_USER, RELAY_USER)
    await trip.advance(20 * MINUTE)
    assert len(reminders(trip)) == 1
    assert len(trip.panda.calls_to("incident")) == 2
    assert f"assigned to *{RELAY_USER.name}*" in trip.card_text()


async def test_the_button_of_a_reminder_takes_the_incident_and_ends_the_series(trip):
    await trip.advance(4 * MINUTE)
    [reply] = [each for each in trip.slack.channel(DB).thread(trip.card().ts) if pings(each)]
    delivery = await press(trip.slack, ANN, DB, reply, "assign")
    assert delivery.acknowledged
    await trip.advance(20 * MINUTE)
    assert "assigned to *Ann Lee*" in trip.card_text()
    assert len(reminders(trip)) == 1


async def test_no_reminder_is_sent_while_bigpanda_does_not_answer(trip):
    trip.panda.faults.add(InjectedFault(behaviour=SERVER_ERROR, method="incident", times=None))
    await trip.advance(20 * MINUTE)
    assert reminders(trip) == []


async def test_without_a_bigpanda_key_no_reminder_is_sent_and_readyz_says_why_until_a_share_names_an_owner(tmp_path):
    async with run_round_trip(tmp_path, routes=ROUTES, BIGPANDA_API_KEY="") as trip:
        await trip.start_incident()
        await trip.advance(10 * MINUTE)
        assert reminders(trip) == []
        assert "Nobody is reminded." in (await trip.relay.backend.readiness()).detail["reminders"]
        organisation = trip.panda
        organisation.assign(organisation.incident("i1"), RELAY_USER, RELAY_USER)
        await trip.advance(1 * MINUTE)
        assert "reminders" not in (await trip.relay.backend.readiness()).detail
        organisation.assign(organisation.incident("i1"), None, RELAY_USER)
        await trip.advance(4 * MINUTE)
        assert len(reminders(trip)) == 1
