"""The server's socket, and how the server stops: it finishes the requests that it has, within a time limit."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from aiohttp import web

from relay.config.settings import Listen
from relay.model.errors import SettingsError
from relay.server.connection import ProblemAppRunner
from relay.server.connections import CONNECTIONS

EVERY_ADDRESS: Final = "::"
"""Every address of IPv6 and IPv4; of IPv4 alone, on a machine without IPv6."""

SHUTDOWN_TIMEOUT = 1.0
"""Seconds for a response that is being sent when the drain ends."""

_REASONS = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "this user may not listen there; ports below 1024 need a privilege",
}


def is_cancelled() -> bool:
    """Return whether this request is cancelled itself. Else a CancelledError is that of something it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class InFlightRequests:
    """Counts the requests that are being handled, and says whether relay is stopping."""

    def __init__(self) -> None:
        self.draining = False
        self.count = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @contextmanager
    def track(self) -> Iterator[None]:
        """Count the request that the block handles."""
        self.count += 1
        self._empty.clear()
        try:
            yield
        finally:
            self.count -= 1
            if not self.count:
                self._empty.set()

    async def drain(self, within: float) -> None:
        """Wait at most `within` seconds until every request is answered; each is the last on its connection."""
        self.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._empty.wait()


IN_FLIGHT: Final = web.AppKey("in_flight", InFlightRequests)


async def _started_site(runner: web.AppRunner, address: Listen, setting: str, backlog: int) -> web.BaseSite:
    """The socket, listening. `::` is every address of both families: asyncio alone would leave IPv4 out."""
    site: web.BaseSite
    host, port = address.host, address.port
    try:
        if host != EVERY_ADDRESS:
            site = web.TCPSite(runner, host, port, backlog=backlog)
        elif socket.has_dualstack_ipv6():
            listening = socket.create_server((host, port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
            site = web.SockSite(runner, listening, backlog=backlog)
        else:
            site = web.TCPSite(runner, "0.0.0.0", port, backlog=backlog)  # noqa: S104  the operator asked for it
        await site.start()
    except OSError as error:
        # Newer versions of asyncio give no number where the machine has none of the addresses.
        reason = _REASONS.get(error.errno or errno.EADDRNOTAVAIL) or error.strerror or str(error)
        raise SettingsError(f"{setting}: cannot listen on {host} port {port}: {reason}") from error
    return site


async def _inherited_site(runner: web.AppRunner, listening: socket.socket, backlog: int) -> web.BaseSite:
    """A socket that the service manager has opened."""
    site = web.SockSite(runner, listening, backlog=backlog)
    await site.start()
    return site


@asynccontextmanager
async def listen(
    app: web.Application,
    address: Listen,
    setting: str,
    *,
    drain_seconds: float,
    sockets: Sequence[socket.socket] = (),
) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` while the block runs; yield the host and port (useful if the port was 0).

    `setting` is the name of the variable that holds the address.

    `sockets` that are listening already are used instead of an own one; connections in their queues stay there.

    At the end, the socket closes. For at most `drain_seconds`, relay finishes requests and reads their bodies, also new
    ones on open connections, which then close. Then it cuts off the rest, which takes at most two seconds. Raises
    SettingsError if it cannot listen on the address.
    """
    runner = ProblemAppRunner(app, shutdown_timeout=SHUTDOWN_TIMEOUT)
    await runner.setup()
    try:
        backlog = app[CONNECTIONS].limits.backlog
        sites = [await _inherited_site(runner, each, backlog) for each in sockets]
        sites = sites or [await _started_site(runner, address, setting, backlog)]
        try:
            yield runner.addresses[0][:2]
        finally:
            for site in sites:
                await site.stop()
            # The runner cannot do this: it first stops reading from open connections, so the rest of a body that is
            # being sent is never read, and its share is lost after the longest possible wait.
            await app[IN_FLIGHT].drain(drain_seconds)
    finally:
        await runner.cleanup()
