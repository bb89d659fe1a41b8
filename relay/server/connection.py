"""One connection: reports to `Connections`, limits heads, parses in pieces, and answers malformed HTTP like any error.

aiohttp would send the sender's own bytes back as text, and log a traceback with them. A header may carry a key, so
relay logs one line without any of these bytes, answers with a Problem, and closes the connection.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from relay.runtime.logging import REPORT_IT
from relay.server.connections import CONNECTIONS, ConnectionLimits, Connections, ProblemObserver
from relay.server.problem import Problem, from_aiohttp, unexpected_error

MAX_HEAD = 64 * 1024
"""Bytes of one request's head. aiohttp limits a line and the number of lines, which makes two megabytes together."""

PIECE = 16 * 1024
"""Bytes that are parsed before other connections have their turn."""

PROBLEM_OBSERVER: Final[web.AppKey[ProblemObserver]] = web.AppKey("problem_observer")

log = structlog.get_logger(__name__)


class ProblemAppRunner(web.AppRunner):
    """Runs an application on connections that answer malformed HTTP with a Problem."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        observer = self.app.get(PROBLEM_OBSERVER, lambda _status, _reason: None)
        return _Server(server, observer, self.app.get(CONNECTIONS) or Connections(ConnectionLimits(), observer))


class _Server(web.Server):
    """A copy of aiohttp's server that creates relay's connections."""

    def __init__(self, original: web.Server, observer: ProblemObserver, connections: Connections) -> None:
        super().__init__(
            original.request_handler,
            request_factory=original.request_factory,
            handler_cancellation=original.handler_cancellation,
            loop=original._loop,  # noqa: SLF001  aiohttp has no other way to use a connection class of one's own
            **original._kwargs,  # noqa: SLF001
        )
        self.observer = observer
        self.open_connections = connections

    def __call__(self) -> RequestHandler:
        return _Connection(self, self.observer, self.open_connections, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ("_connections", "_head_size", "_last_body", "_next_piece", "_observer", "_unparsed")

    def __init__(self, server: web.Server, observer: ProblemObserver, connections: Connections, **options: Any) -> None:
        super().__init__(server, **options)
        self._observer = observer
        self._connections = connections
        self._last_body: StreamReader = EMPTY_PAYLOAD
        self._head_size = 0
        self._unparsed = bytearray()
        self._next_piece: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register the new connection."""
        super().connection_made(transport)
        self._connections.opened(self, cast("asyncio.Transport", transport))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection, and what it has sent."""
        self._connections.closed(self)
        self._unparsed.clear()
        super().connection_lost(exc)

    async def _handle_request(
        self,
        request: web.BaseRequest,
        start_time: float | None,
        request_handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
    ) -> tuple[web.StreamResponse, bool]:
        """Handle one request, until its response is sent."""
        self._connections.requested(self)
        if request.content.is_eof():
            self._connections.received(self)
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            self._connections.answered(self)

    def data_received(self, data: bytes) -> None:
        """Parse bytes, a piece at a time: those of a quarter of a megabyte can be 40,000 chunks of one byte each."""
        if not data or (len(data) <= PIECE and not self._unparsed):
            self._parse(data)
            return
        if not self._unparsed:
            self._pause_transport_reading()
            self._continue_parsing()
        self._unparsed += data

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio wants a bool; aiohttp returns None
        """Go on with a complete request although its client sends no more: it may still read the response.

        https://www.rfc-editor.org/rfc/rfc9112#section-9.6
        """
        super().eof_received()
        is_complete = self._last_body.is_eof() and not self._unparsed
        answers = is_complete and self._request_count > 0 and self._waiter is None  # who waits, waits for a request
        if answers:
            self.close()  # once the response is sent
        return answers

    def _continue_parsing(self) -> None:
        if self._next_piece is None:
            self._next_piece = self._loop.call_soon(self._parse_next_piece)

    def _parse_next_piece(self) -> None:
        self._next_piece = None
        if self._reading_paused or self._buffer_paused:
            return  # `_resume_transport_reading` continues
        piece = bytes(self._unparsed[:PIECE])
        del self._unparsed[:PIECE]
        self._parse(piece)
        if not self._reading_paused and not self._buffer_paused:
            self._resume_transport_reading()

    def _resume_transport_reading(self) -> None:
        """Read on, from what has arrived already."""
        if self._unparsed:
            self._continue_parsing()
        else:
            super()._resume_transport_reading()

    def _parse(self, data: bytes) -> None:
        """Parse bytes. After malformed HTTP, fail the bodies that are incomplete: their rest will never come."""
        requests = self._request_count
        super().data_received(data)
        self._limit_head(len(data), begun=self._request_count > requests)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            bodies = [payload for _, payload in self._messages]
            bodies += [self._current_request.content] if self._current_request else []
            for body in bodies:
                if not body.is_eof():
                    body.set_exception(RequestPayloadError("malformed HTTP follows an incomplete body"))

    def _limit_head(self, size: int, *, begun: bool) -> None:
        """Count the bytes of a head that is not complete yet, and cut off a connection that sends too many."""
        if begun and self._messages:
            self._last_body = self._messages[-1][1]
        self._head_size = 0 if begun or not self._last_body.is_eof() else self._head_size + size
        if self._head_size > MAX_HEAD:
            self._connections.cut_off(self, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large")

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,  # noqa: ARG002  relay chooses its own
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it contains the sender's bytes
    ) -> web.StreamResponse:
        """Answer malformed HTTP, and a request for which the application itself failed."""
        if isinstance(exc, HttpProcessingError):
            detail = "The request is not valid HTTP/1.1."
            if isinstance(exc, LineTooLong):
                detail = f"A line of the request's header is longer than the limit of {self.max_line_size} bytes."
            problem = Problem(HTTPStatus.BAD_REQUEST, "malformed_request", detail)
            fields = {"status": problem.status.value, "reason": problem.reason, "client": request.remote}
            log.warning("request_rejected", **fields, detail=detail)
        else:
            problem = unexpected_error()
            log.error("request_failed", exc_info=exc, detail=f"Unexpected error in a request. {REPORT_IT}")
        if request.writer.output_size > 0:
            raise ConnectionError("part of a response has been sent already")
        response = self._observed_response(problem)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response that names no versions; convert one that aiohttp made without calling the application."""
        if isinstance(resp, web.HTTPClientError):
            resp = self._observed_response(from_aiohttp(resp))
        resp.headers["Server"] = "relay"  # else aiohttp names itself
        self._connections.responding(self)
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log an error, except for the invalid rest of a body that was answered already."""
        if not isinstance(more.get("exc_info"), HttpProcessingError | RequestPayloadError):
            super().log_exception(*args, **more)

    def _observed_response(self, problem: Problem) -> web.Response:
        self._observer(problem.status.value, problem.reason)
        return problem.response()
