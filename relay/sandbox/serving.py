"""How a stand-in is served over HTTP, and how it answers: with a reply, or by cutting the connection."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from relay.sandbox.calls import ReceivedCall
from relay.sandbox.faults import DropConnection, RawResponse

SHUTDOWN_TIMEOUT = 1.0
"""Seconds for what is under way when it ends; an open page, or half a request, has no more to say."""


@asynccontextmanager
async def serve_app(app: web.Application, host: str, port: int) -> AsyncIterator[str]:
    """Serve an application, and give its address, `http://HOST:PORT`. Port 0 means any free one."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def to_response(
    request: web.Request, call: ReceivedCall, reply: RawResponse | DropConnection, headers: Mapping[str, str]
) -> web.StreamResponse:
    """The response, which is noted on the call; a cut connection leaves nothing to note."""
    if isinstance(reply, DropConnection):
        return _cut(request)
    call.status, call.answer = reply.status, _as_logged(reply.body)
    return web.Response(
        status=reply.status,
        body=reply.body.encode(),
        headers={"Content-Type": f"{reply.content_type}; charset=utf-8", **headers, **reply.headers},
    )


def _as_logged(body: str) -> Any:
    with suppress(ValueError):
        return json.loads(body)
    return body


def _cut(request: web.Request) -> web.StreamResponse:
    """Close the connection under the client's feet; what is returned then goes nowhere."""
    if request.transport is not None:
        request.transport.close()
    return web.Response()
