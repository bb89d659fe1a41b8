"""Clicks and replies over Socket Mode: nothing is lost when a connection ends, or when relay stops."""

import asyncio

import pytest

from relay.model.zones import tzdata_version
from tests.support.bigpanda_round_trip import ANN, DB, gauge, run_round_trip
from tests.support.relay_process import until

OVER_A_SOCKET = {"SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": "xapp-sandbox"}


@pytest.fixture
async def round_trip(tmp_path):
    async with run_round_trip(tmp_path, **OVER_A_SOCKET) as opened:
        await opened.start_incident()
        yield opened


async def test_a_click_a_modal_and_a_reply_work_over_socket_mode(round_trip):
    for delivery in (await round_trip.click("assign"), await round_trip.click("comment")):
        assert delivery.acknowledged
        assert delivery.status is None  # no request came in
    empty = await round_trip.submit(text="  ")
    assert empty.answer["response_action"] == "errors"
    sent = await round_trip.submit(text="failing over")
    said = await round_trip.slack.post_as(ANN, DB, "all of it", round_trip.card().ts)
    assert sent.acknowledged
    assert said.acknowledged
    await round_trip.advance(700)
    assert "assigned to *Ann Lee*" in round_trip.card_text()
    assert round_trip.panda.incident("i1").comments == ["Ann Lee (Slack): failing over", "Ann Lee (Slack): all of it"]
    assert "failing over" in "\n".join(round_trip.thread())


async def test_a_click_during_a_reconnect_is_stored_after_it(round_trip):
    round_trip.slack.socket_mode.cut()
    await until(lambda: not round_trip.slack.socket_mode.open)
    clicking = asyncio.create_task(round_trip.slack.click(ANN, DB, round_trip.card().ts, "relay_assign"))
    await round_trip.advance(60)
    delivery = await clicking
    assert delivery.acknowledged
    await round_trip.advance(700)
    assert len(round_trip.panda.calls_to("assign")) == 1
    assert "assigned to *Ann Lee*" in round_trip.card_text()


async def test_a_click_that_is_repeated_because_its_acknowledgement_was_lost_changes_nothing(round_trip):
    [first] = round_trip.slack.socket_mode.open
    first.ignores_acknowledgements = True
    clicking = asyncio.create_task(round_trip.slack.click(ANN, DB, round_trip.card().ts, "relay_assign"))
    await until(lambda: round_trip.panda.calls_to("assign"))
    round_trip.slack.socket_mode.cut()
    await until(lambda: not round_trip.slack.socket_mode.open)
    await round_trip.advance(60)
    delivery = await clicking
    assert delivery.acknowledged
    await round_trip.advance(700)
    assert round_trip.slack.socket_mode.opened == 2
    assert len(round_trip.panda.calls_to("assign")) == 1
    assert round_trip.ephemeral_messages() == []


async def test_readiness_reports_the_state_of_the_socket_and_stays_200(round_trip):
    readiness = await round_trip.relay.backend.readiness()
    assert (readiness.ok, readiness.detail["socket_mode"]) == (True, "connected")
    assert await gauge(round_trip, "relay_socket_mode_connected") == 1
    round_trip.slack.socket_mode.cut()
    await until(lambda: not round_trip.relay._socket.connected)
    readiness = await round_trip.relay.backend.readiness()
    assert (readiness.ok, readiness.detail["socket_mode"]) == (True, "not connected")
    assert await gauge(round_trip, "relay_socket_mode_connected") == 0
    await round_trip.advance(60)
    await until(lambda: round_trip.relay._socket.connected)
    assert (await round_trip.relay.backend.readiness()).detail["socket_mode"] == "connected"


async def test_without_socket_mode_readiness_does_not_mention_it(tmp_path):
    async with run_round_trip(tmp_path) as round_trip:
        detail = (await round_trip.relay.backend.readiness()).detail
        assert "socket_mode" not in detail
        assert (detail["tzdata"], "tzdata_remedy" in detail) == (tzdata_version(), False)
        assert await gauge(round_trip, "relay_socket_mode_connected") == 1


async def test_with_a_rejected_app_token_the_rest_of_relay_works(tmp_path):
    async with run_round_trip(tmp_path, **{**OVER_A_SOCKET, "SLACK_APP_TOKEN": "xapp-of-another-app"}) as round_trip:
        await round_trip.start_incident()
        assert round_trip.card()
        readiness = await round_trip.relay.backend.readiness()
        assert (readiness.ok, readiness.detail["socket_mode"]) == (True, "not connected")


async def test_a_click_that_is_being_stored_when_relay_stops_is_stored_and_acknowledged(tmp_path, monkeypatch):
    async with run_round_trip(tmp_path, **OVER_A_SOCKET) as round_trip:
        await round_trip.start_incident()
        started, go, add_tasks = asyncio.Event(), asyncio.Event(), round_trip.store.add_tasks

        async def slowly(tasks):
            started.set()
            await go.wait()
            return await add_tasks(tasks)

        monkeypatch.setattr(round_trip.store, "add_tasks", slowly)
        clicking = asyncio.create_task(round_trip.slack.click(ANN, DB, round_trip.card().ts, "relay_assign"))
        await started.wait()
        round_trip.relay.stop()
        await until(lambda: all(each.closing for each in round_trip.relay._socket._connections))
        go.set()
        assert (await clicking).acknowledged
        known = {"slack": round_trip.slack, "panda": round_trip.panda, "clock": round_trip.clock}
    assert known["slack"].socket_mode.open == []
    monkeypatch.undo()
    async with run_round_trip(tmp_path, **known, **OVER_A_SOCKET) as round_trip:
        await round_trip.advance(700)
        assert len(round_trip.panda.calls_to("assign")) == 1
        assert "assigned to *Ann Lee*" in round_trip.card_text()
