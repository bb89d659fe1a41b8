"""Nothing that comes over a Socket Mode connection stops relay, fills its memory, or keeps it from reconnecting."""

import asyncio
import json
import resource
import time
from contextlib import asynccontextmanager

import pytest
import structlog.testing
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from relay.http.session import make_session
from relay.slack import socket_mode
from relay.slack.socket_mode import HELLO_WITHIN, MAX_JUNK, MAX_PENDING, SocketMode
from tests.support.clocks import ManualClock

HELLO = json.dumps({"type": "hello"})


class Handler:
    """Stores payloads, each after a turn of the loop; counts how many at once."""

    def __init__(self):
        self.stored = self.at_once = self.most_at_once = self.hanging = 0
        self.open = asyncio.Event()
        self.open.set()

    async def store(self, _payload):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hanging:
                self.hanging -= 1
                await asyncio.Event().wait()
            await self.open.wait()
            await asyncio.sleep(0)
            self.stored += 1
        finally:
            self.at_once -= 1


async def until(condition):
    async with asyncio.timeout(100):
        while not condition():  # noqa: ASYNC110  the server has no event to wait for
            await asyncio.sleep(0.002)


@pytest.fixture
def handler():
    return Handler()


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def connected(handler, clock):
    """Run Socket Mode against a server that does `behave(socket)` on each connection; yields it and the connections."""

    @asynccontextmanager
    async def connected(behave):
        opened = []

        async def open_socket(request):
            return web.json_response({"ok": True, "url": str(request.url.origin()).replace("http", "ws") + "/link/"})

        async def link(request):
            socket = web.WebSocketResponse(autoping=behave is not never_answers_pings)
            await socket.prepare(request)
            opened.append(socket)
            await behave(socket)
            return socket

        app = web.Application()
        app.router.add_route("*", "/api/apps.connections.open", open_socket)
        app.router.add_get("/link/", link)
        async with TestServer(app) as server, make_session() as session:
            url = str(server.make_url("/api/"))
            store = handler.store
            mode = SocketMode(session, "xapp-1", on_interaction=store, on_event=store, base_url=url, clock=clock)
            stop = asyncio.Event()
            task = asyncio.create_task(mode.run(stop))
            try:
                yield mode, opened
            finally:
                stop.set()
                await asyncio.wait([task], timeout=100)
                assert task.done()
                assert task.exception() is None

    return connected


async def read_on(socket):
    """Count the acknowledgements until the connection ends."""
    socket.acknowledged = 0
    async for message in socket:
        socket.acknowledged += message.type is WSMsgType.TEXT


async def never_says_hello(socket):
    await read_on(socket)


async def never_answers_pings(socket):
    await socket.send_str(HELLO)
    await read_on(socket)


@pytest.mark.parametrize("number", [8_000])
async def test_a_flood_of_envelopes_is_stored_a_few_at_a_time(connected, handler, number):
    async def flood(socket):
        await socket.send_str(HELLO)
        reading = asyncio.create_task(read_on(socket))
        for each in range(number):
            envelope = {"envelope_id": f"e{each}", "type": "interactive", "payload": {"x": "y" * 500}}
            await socket.send_str(json.dumps(envelope))
        await reading

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with connected(flood) as (_, opened):
        longest, moment = 0.0, time.thread_time()
        while handler.stored < number:
            await asyncio.sleep(0.001)
            longest, moment = max(longest, time.thread_time() - moment), time.thread_time()
        await until(lambda: opened[0].acknowledged == number)

    assert handler.most_at_once <= MAX_PENDING
    assert longest < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


async def test_nothing_more_is_read_while_nothing_can_be_stored(connected, handler):
    sent = []

    async def flood(socket):
        await socket.send_str(HELLO)
        for each in range(8_000):
            await socket.send_str(
                json.dumps({"envelope_id": f"e{each}", "type": "interactive", "payload": {"x": "y" * 5000}})
            )
            sent.append(each)

    handler.open.clear()
    async with connected(flood):
        await until(lambda: handler.at_once == MAX_PENDING)
        before = -1
        while len(sent) != before:  # the buffers of both sides fill
            before = len(sent)
            await asyncio.sleep(0.2)
        assert handler.at_once == MAX_PENDING
        assert len(sent) < 6_000
        handler.open.set()


async def test_an_envelope_that_is_never_stored_does_not_block_others_for_ever(connected, handler, monkeypatch):
    monkeypatch.setattr(socket_mode, "_HANDLE_WITHIN", 1.0)

    async def send(socket):
        await socket.send_str(HELLO)
        for each in range(MAX_PENDING + 4):
            await socket.send_str(json.dumps({"envelope_id": f"e{each}", "type": "events_api", "payload": {"x": 1}}))
        await read_on(socket)

    handler.hanging = MAX_PENDING
    with structlog.testing.capture_logs() as logged:
        async with connected(send) as (mode, _):
            await until(lambda: handler.stored == 4)
            assert mode.connected
    assert [event["event"] for event in logged].count("socket_envelope_failed") == MAX_PENDING


async def test_a_connection_that_never_says_hello_is_replaced(connected, clock):
    async with connected(never_says_hello) as (mode, opened):
        await until(lambda: opened and clock.next_timer() is not None)
        assert not mode.connected
        for number in range(2, 5):
            await until(lambda: clock.next_timer() is not None)
            while len(opened) < number:
                if (moment := clock.next_timer()) is not None:
                    clock.advance(max(0.0, moment - clock.now()))
                await asyncio.sleep(0.002)
        assert opened[0].closed
    assert HELLO_WITHIN <= 30


async def test_a_connection_that_answers_no_ping_is_replaced(connected, clock, monkeypatch):
    monkeypatch.setattr(socket_mode, "_HEARTBEAT", 0.05)
    async with connected(never_answers_pings) as (_, opened):
        await until(lambda: opened)
        while len(opened) < 2:
            if (moment := clock.next_timer()) is not None:
                clock.advance(max(0.0, moment - clock.now()))
            await asyncio.sleep(0.01)


JUNK = {
    "no JSON": lambda socket: socket.send_str("{" * 1000),
    "backslashes": lambda socket: socket.send_str("\\" * 500_000),
    "a list": lambda socket: socket.send_str("[1]"),
    "binary": lambda socket: socket.send_bytes(b"\xff" * 1000),
}


@pytest.mark.parametrize("send", JUNK.values(), ids=JUNK.keys())
async def test_a_connection_with_nothing_but_junk_is_replaced(connected, clock, send):
    async def junk(socket):
        await socket.send_str(HELLO)
        for _ in range(2 * MAX_JUNK):
            await send(socket)
        await read_on(socket)

    async with connected(junk) as (_, opened):
        async with asyncio.timeout(100):
            while len(opened) < 2:
                if (moment := clock.next_timer()) is not None:
                    clock.advance(max(0.0, moment - clock.now()))
                await asyncio.sleep(0.002)


async def test_a_frame_of_many_megabytes_ends_the_connection(connected, clock, handler):
    async def huge(socket):
        await socket.send_str(HELLO)
        payload = {"envelope_id": "e1", "type": "interactive", "payload": {"x": "y" * 8_000_000}}
        await socket.send_str(json.dumps(payload))
        await read_on(socket)

    async with connected(huge) as (_, opened), asyncio.timeout(100):
        while len(opened) < 2:
            if (moment := clock.next_timer()) is not None:
                clock.advance(max(0.0, moment - clock.now()))
            await asyncio.sleep(0.002)
        assert handler.stored == 0
