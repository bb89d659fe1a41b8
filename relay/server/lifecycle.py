"""The server on its socket, and how it leaves: nobody new comes in, whoever is inside is served, and within a bound."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from aiohttp import web

from relay.model.errors import SettingsError
from relay.server.malformed_http import ProblemAppRunner

_LAST_WORDS = 1.0  # seconds for an answer that is being written when the drain ends

_WHY = {
    errno.EADDRINUSE: "something else listens there already; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "this user may not listen there; ports below 1024 need a privilege",
}


class InFlightRequests:
    """Knows how many requests are inside, and whether new ones may come in."""

    def __init__(self) -> None:
        """Start open and empty."""
        self.draining = False
        self._inside = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def track(self) -> Iterator[None]:
        """Count the request that the block handles."""
        self._inside += 1
        self._empty.clear()
        try:
            yield
        finally:
            self._inside -= 1
            if not self._inside:
                self._empty.set()

    async def drain(self, within: float) -> None:
        """Let no new share in, and wait until all that are inside are served, at most `within` seconds."""
        self.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._empty.wait()


IN_FLIGHT: Final = web.AppKey("gate", InFlightRequests)


@asynccontextmanager
async def listen(app: web.Application, host: str, port: int, *, drain_seconds: float) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` while the block lasts; gives the host and port it listens on (of use where `port` was 0).

    On the way out, in this order: the socket closes; requests that are inside are finished, their bodies still read,
    and a new one on an open connection is answered 503 (`drain_seconds` at most); then what is left is cut off, which
    takes two seconds at most. Raises SettingsError where the address cannot be listened on.
    """
    runner = ProblemAppRunner(app, shutdown_timeout=_LAST_WORDS)
    await runner.setup()
    try:
        site = await _open(runner, host, port)
        try:
            yield runner.addresses[0][:2]
        finally:
            await site.stop()
            # Not left to the runner: it stops listening to open connections first, so that the rest of a body that is
            # on its way is never read, and its share is lost after the longest wait there is.
            await app[IN_FLIGHT].drain(drain_seconds)
    finally:
        await runner.cleanup()


async def serve(
    app: web.Application,
    host: str,
    port: int,
    stop: asyncio.Event,
    drain_seconds: float,
) -> None:
    """Serve `app` until `stop` is set, then leave as `listening` does."""
    async with listen(app, host, port, drain_seconds=drain_seconds):
        await stop.wait()


async def _open(runner: web.AppRunner, host: str, port: int) -> web.TCPSite:
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        why = _WHY.get(error.errno or 0) or error.strerror or str(error)
        raise SettingsError(f"RELAY_LISTEN: cannot listen on {host} port {port}: {why}") from error
    return site
