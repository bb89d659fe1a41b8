"""The heartbeat is called every minute while incidents reach people, by the relay that delivers, and delays nothing."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestServer

from relay.delivery.heartbeat import EVERY, Heartbeat
from relay.http.session import check_before_send, make_session
from relay.model.errors import LeaseLost
from tests.support.clocks import ManualClock


@asynccontextmanager
async def beating(problem=lambda: "", answer=None):
    """A heartbeat; yields its clock, the calls, and what the log says."""
    calls, clock, stopping = [], ManualClock(), asyncio.Event()

    async def called(request):
        calls.append((request.method, request.path_qs))
        return web.Response() if answer is None else await answer(request)

    async def current():
        return problem()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", called)
    async with TestServer(app) as server, make_session() as session:
        heartbeat = Heartbeat(str(server.make_url("/secret-path?key=secret")), session, clock, current)
        with structlog.testing.capture_logs() as logs:
            running = asyncio.ensure_future(heartbeat.run(None, stopping))
            yield clock, calls, logs, heartbeat, running
            stopping.set()
            heartbeat.wake(everything=True)
            with suppress(LeaseLost, asyncio.CancelledError):
                async with asyncio.timeout(60):
                    await running
    assert "secret" not in str(logs)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0.005)


async def minutes(clock, heartbeat, number):
    for _ in range(number):
        await until(lambda: heartbeat._stopped.is_idle)
        clock.advance(EVERY)
        await until(lambda: not clock.rousing)
    await until(lambda: heartbeat._stopped.is_idle)


async def test_the_heartbeat_address_is_called_at_the_start_and_every_minute():
    async with beating() as (clock, calls, _, heartbeat, _running):
        await minutes(clock, heartbeat, 3)
        heartbeat.wake()
        assert calls == [("GET", "/secret-path?key=secret")] * 4


async def test_the_heartbeat_stops_while_incidents_do_not_reach_people_and_the_log_says_so_once():
    problems = ["The disk is full."]
    async with beating(lambda: problems[0]) as (clock, calls, logs, heartbeat, _running):
        await minutes(clock, heartbeat, 3)
        assert calls == []
        warnings = [each for each in logs if each["log_level"] == "warning"]
        assert [(each["event"], each["detail"]) for each in warnings] == [("heartbeat_withheld", "The disk is full.")]
        problems[0] = ""
        await minutes(clock, heartbeat, 1)
        assert len(calls) == 1


@pytest.mark.parametrize("status", [404, 302, 500])
async def test_a_failing_heartbeat_address_is_logged_once_without_the_address(status):
    async def failing(_request):
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async with beating(answer=failing) as (clock, calls, logs, heartbeat, _running):
        await minutes(clock, heartbeat, 2)
        assert len(calls) == 3
        assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["heartbeat_failed"]


async def test_a_relay_that_lost_its_lease_calls_nothing():
    def lost():
        raise LeaseLost("another relay delivers now")

    with check_before_send(lost):
        async with beating() as (_clock, calls, _logs, _heartbeat, running):
            with pytest.raises(LeaseLost):
                async with asyncio.timeout(60):
                    await running
            assert calls == []
