"""The same circle where Slack cannot reach relay: clicks, modals and replies come over a socket that relay opens."""

import asyncio

import pytest

from tests.support.bigpanda_round_trip import ANN, DB, gauge, run_round_trip
from tests.support.relay_process import until

OVER_A_SOCKET = {"SLACK_SIGNING_SECRET": "", "SLACK_APP_TOKEN": "xapp-sandbox"}


@pytest.fixture
async def circle(tmp_path):
    async with run_round_trip(tmp_path, **OVER_A_SOCKET) as opened:
        await opened.start_incident()
        yield opened


async def test_a_click_a_modal_and_a_reply_go_round_over_a_socket(circle):
    for delivery in (await circle.click("assign"), await circle.click("comment")):
        assert delivery.acknowledged
        assert delivery.status is None  # no request came in
    empty = await circle.submit(text="  ")
    assert empty.answer["response_action"] == "errors"
    sent = await circle.submit(text="failing over")
    said = await circle.slack.post_as(ANN, DB, "all of it", circle.card().ts)
    assert sent.acknowledged
    assert said.acknowledged
    await circle.advance(700)
    assert "assigned to *Ann Lee*" in circle.card_text()
    assert circle.panda.incident("i1").comments == ["Ann Lee (Slack): failing over", "Ann Lee (Slack): all of it"]
    assert "failing over" in "\n".join(circle.thread())


async def test_a_click_while_the_socket_is_away_is_kept_once_it_is_back(circle):
    circle.slack.socket_mode.cut()
    await until(lambda: not circle.slack.socket_mode.open)
    clicking = asyncio.create_task(circle.slack.click(ANN, DB, circle.card().ts, "relay_assign"))
    await circle.advance(60)
    delivery = await clicking
    assert delivery.acknowledged
    await circle.advance(700)
    assert len(circle.panda.calls_to("assign")) == 1
    assert "assigned to *Ann Lee*" in circle.card_text()


async def test_a_click_whose_acknowledgement_is_lost_with_its_socket_comes_again_and_does_nothing_twice(circle):
    [first] = circle.slack.socket_mode.open
    first.ignores_acknowledgements = True
    clicking = asyncio.create_task(circle.slack.click(ANN, DB, circle.card().ts, "relay_assign"))
    await until(lambda: circle.panda.calls_to("assign"))
    circle.slack.socket_mode.cut()
    await until(lambda: not circle.slack.socket_mode.open)
    await circle.advance(60)
    delivery = await clicking
    assert delivery.acknowledged
    await circle.advance(700)
    assert circle.slack.socket_mode.opened == 2
    assert len(circle.panda.calls_to("assign")) == 1
    assert len(circle.ephemeral_messages()) == 1


async def test_readiness_tells_whether_the_socket_is_open_and_stays_green(circle):
    readiness = await circle.relay.ready()
    assert (readiness.ok, readiness.detail["socket_mode"]) == (True, "connected")
    assert await gauge(circle, "relay_socket_mode_connected") == 1
    circle.slack.socket_mode.cut()
    await until(lambda: not circle.relay._socket.connected)
    readiness = await circle.relay.ready()
    assert (readiness.ok, readiness.detail["socket_mode"]) == (True, "not connected")
    assert await gauge(circle, "relay_socket_mode_connected") == 0
    await circle.advance(60)
    await until(lambda: circle.relay._socket.connected)
    assert (await circle.relay.ready()).detail["socket_mode"] == "connected"


async def test_where_no_socket_is_asked_for_readiness_does_not_speak_of_one(tmp_path):
    async with run_round_trip(tmp_path) as circle:
        assert "socket_mode" not in (await circle.relay.readiness()).detail
        assert await gauge(circle, "relay_socket_mode_connected") == 1


async def test_a_token_that_slack_refuses_stops_nothing_else(tmp_path):
    async with run_round_trip(tmp_path, **{**OVER_A_SOCKET, "SLACK_APP_TOKEN": "xapp-of-another-app"}) as circle:
        await circle.start_incident()
        assert circle.card()
        readiness = await circle.relay.readiness()
        assert (readiness.ok, readiness.detail["socket_mode"]) == (True, "not connected")


async def test_a_click_that_is_being_kept_as_relay_stops_is_kept_and_acknowledged(tmp_path, monkeypatch):
    async with run_round_trip(tmp_path, **OVER_A_SOCKET) as circle:
        await circle.start_incident()
        asked, go, ask = asyncio.Event(), asyncio.Event(), circle.store.add_tasks

        async def slowly(errands):
            asked.set()
            await go.wait()
            return await ask(errands)

        monkeypatch.setattr(circle.store, "ask", slowly)
        clicking = asyncio.create_task(circle.slack.click(ANN, DB, circle.card().ts, "relay_assign"))
        await asked.wait()
        circle.relay.stop()
        await until(lambda: all(line.closing for line in circle.relay._socket._lines))
        go.set()
        assert (await clicking).acknowledged
        known = {"slack": circle.slack, "panda": circle.panda, "clock": circle.clock}
    assert known["slack"].sockets.open == []
    monkeypatch.undo()
    async with run_round_trip(tmp_path, **known, **OVER_A_SOCKET) as circle:
        await circle.advance(700)
        assert len(circle.panda.calls_to("assign")) == 1
        assert "assigned to *Ann Lee*" in circle.card_text()
