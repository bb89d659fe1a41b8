"""The open connections: how many there may be, and how long relay waits for each.

aiohttp limits neither. Each connection has one time limit, for what it does at the moment. It sends its first head; or
it has one request, from its head to the end of the response; or it is idle between two requests. If there are too many
connections, relay closes the one for which it has waited longest. So those that stay idle, send slowly or do not read
responses take places from each other, and not from the others.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

ProblemObserver = Callable[[int, str], None]
"""Called with status and reason for every request that is answered with an error, or cut off. It must not raise."""

REPORT_EVERY = 60.0
"""Seconds between two lines in the log: a thousand connections may be closed meanwhile."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections may be open, and the time limits of each in seconds.

    `backlog` more wait in the system until relay accepts them; beyond that, it lets a client try again after a second.
    `head` is for the first head of a new connection. `request` is longer than a body's arrival, its storing and its
    response may take together. `idle` is longer than a proxy keeps an idle connection (60 seconds; Google's 600,
    https://cloud.google.com/load-balancing/docs/https#timeouts_and_retries): if relay closed it first, a request that
    the proxy sends at that moment would be lost.
    """

    most: int = 1000
    backlog: int = 1024
    head: float = 20.0
    request: float = 120.0
    idle: float = 620.0


@dataclass(slots=True)
class _Open:
    transport: asyncio.Transport
    timer: asyncio.TimerHandle | None = None
    has_key: bool = False


class Connections:
    """All open connections, and which of them relay waits for.

    Connections with a valid key and connections without one are in two queues. If there are too many, relay closes the
    first of the longer queue, so that neither kind takes more than half of the places from the other. A connection with
    a complete request is in no queue until relay begins to answer: then relay waits for it to read the response.
    """

    def __init__(self, limits: ConnectionLimits, observer: ProblemObserver) -> None:
        self.limits = limits
        self._observer = observer
        self._open: dict[RequestHandler, _Open] = {}
        self._waiting: dict[bool, dict[RequestHandler, None]] = {True: {}, False: {}}  # by `has_key`; the longest first
        self._reported_at = float("-inf")

    def opened(self, connection: RequestHandler, transport: asyncio.Transport) -> None:
        """Add a new connection; if there are too many now, close one (at worst this one: it is in a queue)."""
        self._open[connection] = _Open(transport)
        self._waiting[False][connection] = None
        self._limit(connection, self.limits.head, HTTPStatus.REQUEST_TIMEOUT)
        if len(self._open) > self.limits.most:
            line = max(self._waiting.values(), key=len)
            self.cut_off(next(iter(line)), HTTPStatus.SERVICE_UNAVAILABLE, "too_many_connections")

    def requested(self, connection: RequestHandler) -> None:
        """Note that a head is complete: now its request has a time limit."""
        self._limit(connection, self.limits.request, HTTPStatus.REQUEST_TIMEOUT)

    def accepted(self, connection: RequestHandler) -> None:
        """Note that the connection has presented a valid key."""
        if (state := self._open.get(connection)) and not state.has_key:
            state.has_key = True
            if connection in self._waiting[False]:
                del self._waiting[False][connection]
                self._waiting[True][connection] = None

    def received(self, connection: RequestHandler) -> None:
        """Note that a request is complete: now the connection waits for relay, and not relay for it.

        The time limit of the request continues.
        """
        for line in self._waiting.values():
            line.pop(connection, None)

    def responding(self, connection: RequestHandler) -> None:
        """Note that a response is ready: relay waits until it is read. The time limit of the request continues."""
        if state := self._open.get(connection):
            self.received(connection)
            self._waiting[state.has_key][connection] = None

    def answered(self, connection: RequestHandler) -> None:
        """Note that a response was sent: relay waits for the next request."""
        self.responding(connection)
        self._limit(connection, self.limits.idle, None)

    def closed(self, connection: RequestHandler) -> None:
        """Forget a connection that has ended."""
        self.received(connection)
        if (state := self._open.pop(connection, None)) and state.timer:
            state.timer.cancel()

    def _limit(self, connection: RequestHandler, seconds: float, status: HTTPStatus | None) -> None:
        """Cut the connection off after so many seconds from now; without a status, that is nothing to report."""
        if state := self._open.get(connection):
            if state.timer:
                state.timer.cancel()
            loop = asyncio.get_running_loop()
            state.timer = loop.call_later(seconds, self.cut_off, connection, status, "too_slow")

    def cut_off(self, connection: RequestHandler, status: HTTPStatus | None, reason: str) -> None:
        """End a connection at once; with a status it is a problem, which is counted, and logged from time to time."""
        if (state := self._open.get(connection)) is None:
            return
        transport = state.transport
        self.closed(connection)
        transport.abort()  # to close it is not enough: that waits until the other side has read everything
        if status is None:
            return
        self._observer(status.value, reason)
        now = asyncio.get_running_loop().time()
        if now - self._reported_at >= REPORT_EVERY:
            self._reported_at = now
            client, _ = (transport.get_extra_info("peername") or ("unknown", 0))[:2]
            detail = "relay closed a connection that broke a limit."
            log.warning("connection_cut_off", reason=reason, client=client, open=len(self._open), detail=detail)


CONNECTIONS: Final = web.AppKey("connections", Connections)
