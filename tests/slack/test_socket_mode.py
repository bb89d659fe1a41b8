"""Socket Mode against the fake Slack: an envelope is stored, then acknowledged, and the connection always returns."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestServer

from relay.http.session import make_session
from relay.model.errors import SettingsError
from relay.sandbox.faults import UNAVAILABLE, InjectedFault, RawResponse, rate_limited
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.socket_mode import STABLE_AFTER, SocketMode, _Connection
from tests.support.clocks import ManualClock

ANN, NOC = "U0ANN00001", "C0NOC00001"
BUTTON = {
    "type": "actions",
    "elements": [
        {"type": "button", "text": {"type": "plain_text", "text": "x"}, "action_id": "relay_assign", "value": "i1"}
    ],
}


class Handlers:
    """The handlers in these tests: they store payloads, and wait or fail on demand."""

    def __init__(self):
        self.clicks, self.events = [], []
        self.answer = None
        self.failures = 0
        self.open = asyncio.Event()
        self.open.set()

    async def on_interaction(self, payload):
        return await self._store(self.clicks, payload)

    async def on_event(self, payload):
        return await self._store(self.events, payload)

    async def _store(self, stored, payload):
        stored.append(payload)
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the disk is full")
        return self.answer


@dataclass
class RunningMode:
    """Socket Mode while it runs in a task."""

    mode: SocketMode
    task: asyncio.Task
    stop: Callable[[], None]

    @property
    def connected(self):
        return self.mode.connected


async def until(condition):
    """Wait until other tasks make the condition true, or the test times out."""
    while not condition():  # noqa: ASYNC110  the fake Slack has no event to wait for
        await asyncio.sleep(0.002)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def slack(clock):
    slack = FakeSlack(clock=clock.now)
    slack.add_channel(NOC, "noc", member=True)
    slack.add_user(ANN, "ann", channels=["noc"])
    slack.interactivity = slack.socket_mode
    return slack


@pytest.fixture
def card(slack):
    return slack.channel("noc").add_message(MessageContent(text="db-1 is down", blocks=(BUTTON,)), slack.bot)


@pytest.fixture
def handlers():
    return Handlers()


@pytest.fixture
def connecting(slack, handlers, clock):
    """Run Socket Mode for as long as the block lasts."""

    @asynccontextmanager
    async def connecting(token=None):
        async with serve_slack(slack) as base_url, make_session() as session:
            mode = SocketMode(
                session,
                token or slack.app_token,
                on_interaction=handlers.on_interaction,
                on_event=handlers.on_event,
                base_url=base_url,
                clock=clock,
            )
            stop = asyncio.Event()
            task = asyncio.create_task(mode.run(stop))
            try:
                yield RunningMode(mode, task, stop.set)
            finally:
                stop.set()
                await asyncio.wait([task], timeout=100)
                assert task.done()
                assert task.cancelled() or task.exception() is None

    return connecting


@pytest.fixture
async def mode(connecting):
    async with connecting() as mode:
        await until(lambda: mode.connected)
        yield mode


async def press(slack, card):
    return await slack.click(ANN, "noc", card.ts, "relay_assign")


# --- envelopes ---


async def test_clicks_and_events_reach_their_handler_and_are_acknowledged(slack, mode, handlers, card):
    click = await press(slack, card)
    event = await slack.post_as(ANN, "noc", "on it", thread_ts=card.ts)

    assert (click.acknowledged, click.answer, event.acknowledged) == (True, None, True)
    assert handlers.clicks == [click.payload]
    assert handlers.events == [event.payload]


async def test_the_acknowledgement_has_the_answer_where_slack_accepts_one(slack, mode, handlers, card):
    handlers.answer = {"response_action": "clear"}

    assert (await press(slack, card)).answer == {"response_action": "clear"}
    assert (await slack.post_as(ANN, "noc", "on it", thread_ts=card.ts)).answer is None


async def test_nothing_is_acknowledged_before_it_is_stored(slack, mode, handlers, card):
    handlers.open.clear()
    pressing = asyncio.create_task(press(slack, card))
    await until(lambda: handlers.clicks)
    await asyncio.sleep(0.05)
    assert not pressing.done()
    handlers.open.set()

    assert (await pressing).acknowledged


async def test_an_envelope_that_could_not_be_stored_is_sent_again(slack, mode, handlers, card):
    slack.socket_mode.timeout = 1.0  # seconds; a busy machine stores and acknowledges in that time, too
    handlers.failures = 1

    with structlog.testing.capture_logs() as logged:
        click = await press(slack, card)

    assert click.acknowledged
    assert len(handlers.clicks) == 2
    assert [event["event"] for event in logged] == ["socket_envelope_failed"]


async def test_a_slow_envelope_does_not_delay_the_others(slack, mode, handlers, card):
    handlers.open.clear()
    slow = asyncio.create_task(press(slack, card))
    await until(lambda: handlers.clicks)
    held, handlers.open = handlers.open, asyncio.Event()
    handlers.open.set()

    assert (await press(slack, card)).acknowledged
    assert not slow.done()
    held.set()
    assert (await slow).acknowledged


async def test_an_envelope_without_a_handler_is_acknowledged(slack, mode, handlers):
    assert (await slack.socket_mode.deliver("slash_commands", {"command": "/relay"})).acknowledged
    assert handlers.clicks == handlers.events == []


@pytest.mark.parametrize("junk", ["", "{", "[]", "7", '{"type":7}', '{"envelope_id":7}', '{"type":["hello"]}', "\x00"])
async def test_junk_on_the_connection_changes_nothing(slack, mode, card, junk):
    for socket in slack.socket_mode.open:
        await socket.stream.send_str(junk)
        await socket.stream.send_bytes(junk.encode())

    assert (await press(slack, card)).acknowledged
    assert slack.socket_mode.opened == 1


# --- the connection returns ---


async def test_a_connection_whose_end_slack_announces_is_replaced_before_it_ends(slack, mode, card, clock):
    clock.advance(STABLE_AFTER)
    await slack.socket_mode.refresh("warning")
    await until(lambda: len(slack.socket_mode.open) == 2 and mode.connected)

    assert all([(await press(slack, card)).acknowledged for _ in range(4)])  # over both of them, in turn
    await slack.socket_mode.open[0].stream.close()
    await until(lambda: len(slack.socket_mode.open) == 1)
    assert (await press(slack, card)).acknowledged


async def test_a_connection_that_slack_announced_to_end_and_left_open_is_closed(slack, mode, clock):
    clock.advance(STABLE_AFTER)
    await slack.socket_mode.refresh("warning")
    await until(lambda: len(slack.socket_mode.open) == 2)
    await until(lambda: clock.next_timer() is not None)
    clock.advance(30)

    await until(lambda: len(slack.socket_mode.open) == 1)
    assert mode.connected


async def test_a_connection_that_slack_refreshes_is_opened_again(slack, mode, card, clock):
    clock.advance(STABLE_AFTER)
    await slack.socket_mode.refresh()
    await until(lambda: slack.socket_mode.opened == 2 and mode.connected)

    assert (await press(slack, card)).acknowledged


async def test_a_connection_whose_reading_fails_is_reported_and_opened_again(slack, mode, card, clock, monkeypatch):
    """A frame that relay cannot read ends one connection: it is not silently left without a reader."""
    dispatch, failures = _Connection._dispatch, [NotImplementedError("strange")]

    def fail_once(connection, envelope):
        if failures:
            raise failures.pop()
        dispatch(connection, envelope)

    monkeypatch.setattr(_Connection, "_dispatch", fail_once)
    clock.advance(STABLE_AFTER)
    with structlog.testing.capture_logs() as logged:
        await slack.socket_mode.open[0].stream.send_str('{"type": "strange"}')
        await until(lambda: slack.socket_mode.opened == 2 and mode.connected)

    [failed] = [event for event in logged if event["event"] == "socket_failed"]
    assert (failed["reason"], failed["log_level"]) == ("NotImplementedError", "error")
    assert (await press(slack, card)).acknowledged


async def test_a_connection_that_is_cut_is_opened_again(slack, mode, card, clock):
    clock.advance(STABLE_AFTER)
    slack.socket_mode.cut()
    await until(lambda: slack.socket_mode.opened == 2 and mode.connected)

    assert (await press(slack, card)).acknowledged


async def waits(clock, count):
    """Return the lengths of so many waits in a row."""
    seconds = []
    for _ in range(count):
        await until(lambda: clock.next_timer() is not None)
        seconds.append(clock.next_timer() - clock.now())
        clock.advance(seconds[-1])
    return seconds


async def test_a_connection_that_ends_at_once_is_not_opened_again_in_a_busy_loop(slack, mode, clock):
    for opened in range(1, 6):
        await until(lambda: slack.socket_mode.open and mode.connected)
        slack.socket_mode.cut()
        await until(lambda: not mode.connected)
        await asyncio.sleep(0.05)
        assert slack.socket_mode.opened == opened
        (wait,) = await waits(clock, 1)
        assert wait >= 2.0 ** (opened - 1)
    await until(lambda: mode.connected)


async def test_a_url_that_did_not_work_is_not_tried_twice(slack, connecting, clock):
    """It is good for one connection, used or not."""
    dead_url = RawResponse(body='{"ok": true, "url": "ws://127.0.0.1:1/"}')
    slack.faults.add(InjectedFault(behaviour=dead_url, method="apps.connections.open", times=2))
    async with connecting() as mode:
        await waits(clock, 2)
        await until(lambda: mode.connected)

    assert len(slack.calls_to("apps.connections.open")) == 3
    assert slack.socket_mode.opened == 1


async def test_without_slack_the_waits_grow_to_a_minute_at_most(slack, connecting, clock):
    slack.faults.add(InjectedFault(behaviour=UNAVAILABLE, method="apps.connections.open", times=12))
    async with connecting() as mode:
        seconds = await waits(clock, 12)
        await until(lambda: mode.connected)

    assert seconds[0] >= 1.0
    assert max(seconds) <= 60.0
    assert min(seconds[6:]) >= 30.0
    assert len(slack.calls_to("apps.connections.open")) == 13


async def test_a_wait_lasts_as_long_as_slack_says(slack, connecting, clock):
    slack.faults.add(InjectedFault(behaviour=rate_limited(90), method="apps.connections.open"))
    async with connecting() as mode:
        assert await waits(clock, 1) == [90.0]
        await until(lambda: mode.connected)


@pytest.mark.parametrize("token", ["xapp-other", "xoxb-sandbox"])
async def test_a_rejected_token_is_logged_with_its_remedy_and_tried_again(slack, connecting, clock, token):
    with structlog.testing.capture_logs() as logged:
        async with connecting(token) as mode:
            await waits(clock, 2)
            assert not mode.connected
    rejected = [event for event in logged if event["event"] == "socket_rejected"]
    assert len(rejected) >= 2
    assert "SLACK_APP_TOKEN" in rejected[0]["remedy"]


async def test_an_invalid_base_url_is_an_error_of_the_settings(handlers):
    async with make_session() as session:
        with pytest.raises(SettingsError):
            SocketMode(
                session,
                "xapp",
                on_interaction=handlers.on_interaction,
                on_event=handlers.on_event,
                base_url="slack.com",
            )


async def test_a_connection_whose_other_end_is_silent_is_replaced(handlers, clock, monkeypatch):
    """Nothing closed it, and nothing arrives: a firewall dropped it, or the other machine is gone."""
    monkeypatch.setattr("relay.slack.socket_mode._HEARTBEAT", 0.1)
    links = []

    async def address(request):
        return web.json_response({"ok": True, "url": f"ws://{request.host}/link"})

    async def link(request):
        stream = web.WebSocketResponse(autoping=False)
        await stream.prepare(request)
        await stream.send_json({"type": "hello"})
        links.append(stream)
        async for _ in stream:
            pass
        return stream

    app = web.Application()
    app.router.add_post("/api/apps.connections.open", address)
    app.router.add_get("/link", link)
    stopping = asyncio.Event()
    async with TestServer(app) as server, make_session() as session:
        url = f"http://127.0.0.1:{server.port}/api/"
        mode = SocketMode(
            session,
            "xapp",
            on_interaction=handlers.on_interaction,
            on_event=handlers.on_event,
            base_url=url,
            clock=clock,
        )
        running = asyncio.create_task(mode.run(stopping))
        await until(lambda: mode.connected)
        await until(lambda: not mode.connected)
        await waits(clock, 1)
        await until(lambda: len(links) == 2)
        stopping.set()
        await running


# --- stopping ---


async def test_at_the_stop_pending_envelopes_are_acknowledged_and_new_ones_ignored(slack, mode, handlers, card):
    handlers.open.clear()
    pressing = asyncio.create_task(press(slack, card))
    await until(lambda: handlers.clicks)
    mode.stop()
    await asyncio.sleep(0.02)
    slack.socket_mode.timeout = 0.2
    late = asyncio.create_task(press(slack, card))
    await asyncio.sleep(0.02)
    handlers.open.set()

    assert (await pressing).acknowledged
    await mode.task
    assert not (await late).acknowledged
    assert len(handlers.clicks) == 1
    assert not mode.connected


async def test_an_envelope_stored_while_its_connection_ended_is_acknowledged_when_it_is_sent_again(
    slack, mode, handlers, card, clock
):
    slack.socket_mode.timeout = 20.0
    handlers.open.clear()
    pressing = asyncio.create_task(press(slack, card))
    await until(lambda: handlers.clicks)
    clock.advance(STABLE_AFTER)
    with structlog.testing.capture_logs() as logged:
        slack.socket_mode.cut()
        await until(lambda: slack.socket_mode.opened == 2 and len(handlers.clicks) == 2)
        handlers.open.set()
        assert (await pressing).acknowledged
    assert "socket_acknowledgement_lost" in [event["event"] for event in logged]


async def test_an_envelope_that_takes_too_long_does_not_delay_the_stop(slack, mode, handlers, card, monkeypatch):
    monkeypatch.setattr("relay.slack.socket_mode._FINISH_SECONDS", 0.05)
    slack.socket_mode.timeout = 0.3
    handlers.open.clear()
    pressing = asyncio.create_task(press(slack, card))
    await until(lambda: handlers.clicks)
    mode.stop()
    async with asyncio.timeout(100):
        await mode.task
    assert not (await pressing).acknowledged


@pytest.mark.parametrize("when", ["connected", "waiting"])
async def test_the_stop_is_fast_in_any_state_of_the_connection(slack, connecting, when):
    if when == "waiting":
        slack.faults.add(InjectedFault(behaviour=UNAVAILABLE, method="apps.connections.open", times=None))
    async with connecting() as mode:
        await until(lambda: mode.connected or len(slack.calls_to("apps.connections.open")) > 0)
        mode.stop()
        async with asyncio.timeout(100):
            await mode.task


async def test_a_cancelled_run_leaves_no_task_behind(mode, slack):
    mode.task.cancel()
    await asyncio.wait([mode.task])
    await until(lambda: not slack.socket_mode.open)

    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("socket")] == []


async def test_neither_token_nor_payload_is_logged_even_at_debug(slack, connecting, card, caplog):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        async with connecting() as mode:
            await until(lambda: mode.connected)
            await slack.post_as(ANN, "noc", "a-private-word", thread_ts=card.ts)

    output = caplog.text.replace("sandbox", "") + str(logged)
    assert "a-private-word" not in output
    assert "xapp-" not in output
