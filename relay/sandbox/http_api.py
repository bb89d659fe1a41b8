"""What the fakes' HTTP servers share: the log of calls, rate limits and faults, and how they listen and answer."""

import errno
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final, Generic, TypeVar

from aiohttp import web

from relay.sandbox.calls import ReceivedCall
from relay.sandbox.faults import DropConnection, FaultInjector, RawResponse
from relay.sandbox.rate_limits import RateLimiter

SHUTDOWN_TIMEOUT = 1.0
"""Seconds for open requests when a server stops; an open page or half a request never ends by itself."""

PORTS_TO_TRY: Final = 20
"""How many ports `next_free` tries, the requested one first."""

_LAST_PORT: Final = 65_535

_Call = TypeVar("_Call", bound=ReceivedCall)


class FakeApi(Generic[_Call]):
    """An API with rate limits (`limits`, off until `limits.enabled`), faults (`faults`) and a log of all `calls`."""

    now: Callable[[], float]

    def __init__(self, limits: RateLimiter, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Start with an empty log; `sleep` makes slow answers wait."""
        self.limits = limits
        self.faults = FaultInjector(sleep)
        self.calls: list[_Call] = []

    def pause(self, method: str, seconds: float) -> None:
        """Answer a method with 429 for so many seconds, whether or not `limits` are enabled."""
        self.limits.pause(method, self.now(), seconds)

    def calls_to(self, method: str) -> list[_Call]:
        """The calls of one method, in the order in which they came."""
        return [call for call in self.calls if call.method == method]


async def _name_server(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "relay-sandbox"  # without the versions of aiohttp and Python


@asynccontextmanager
async def serve_app(app: web.Application, host: str, port: int, *, next_free: bool = False) -> AsyncIterator[str]:
    """Serve an application, and give its address, `http://HOST:PORT`. Port 0 means any free one.

    With `next_free`, a port that is taken is replaced by the next free one, of at most `PORTS_TO_TRY`.
    Raises OSError: it cannot listen there.
    """
    app.on_response_prepare.append(_name_server)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        await _listen(runner, host, port, PORTS_TO_TRY if next_free else 1)
        yield f"http://{host}:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int, tries: int) -> None:
    last = min(port + tries - 1, _LAST_PORT)
    for candidate in range(port, last + 1):
        site = web.TCPSite(runner, host, candidate)
        try:
            await site.start()
        except OSError as error:
            await site.stop()
            if error.errno != errno.EADDRINUSE or candidate == last:
                raise
        else:
            return


def bearer_token(request: web.Request) -> str | None:
    """What is in the header `Authorization: Bearer ...`; None without one."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def to_response(
    request: web.Request, call: ReceivedCall, answer: RawResponse | DropConnection, headers: Mapping[str, str]
) -> web.StreamResponse:
    """The response, noted on the call; or a cut connection, on which the returned response is lost."""
    if isinstance(answer, DropConnection):
        if request.transport is not None:
            request.transport.close()
        return web.Response()
    call.status, call.answer = answer.status, answer.body
    with suppress(ValueError):
        call.answer = json.loads(answer.body)
    return web.Response(
        status=answer.status,
        body=answer.body.encode(),
        headers={"Content-Type": f"{answer.content_type}; charset=utf-8", **headers, **answer.headers},
    )
