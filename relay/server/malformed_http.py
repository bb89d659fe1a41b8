"""One connection, as far as no application hears of it: what is no request is answered as all errors are.

aiohttp would answer it with the sender's own bytes, as text, and log a traceback of them, each time. Here it is told in
one line that holds nothing of them, since a header may carry a key; then the connection is closed.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo

from relay.server.problem import Problem, from_aiohttp, unexpected_error

ProblemObserver = Callable[[int, str], None]
"""Told of every request that is answered with an error: the status and the reason. It must not raise."""

PROBLEM_OBSERVER: Final[web.AppKey[ProblemObserver]] = web.AppKey("observer")

log = structlog.get_logger(__name__)


class ProblemAppRunner(web.AppRunner):
    """Runs an application on connections of relay's own kind."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made, self.app.get(PROBLEM_OBSERVER, lambda _status, _reason: None))


class _Server(web.Server):
    """aiohttp's server, but for the connections that it makes."""

    def __init__(self, made: web.Server, observer: ProblemObserver) -> None:
        super().__init__(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            loop=made._loop,  # noqa: SLF001  aiohttp has no other way to another kind of connection
            **made._kwargs,  # noqa: SLF001
        )
        self.observer = observer

    def __call__(self) -> RequestHandler:
        return _Connection(self, self.observer, loop=self._loop, **self._kwargs)


class _Connection(RequestHandler):
    __slots__ = ("_observer",)

    def __init__(self, server: web.Server, observer: ProblemObserver, **options: Any) -> None:
        super().__init__(server, **options)
        self._observer = observer

    def data_received(self, data: bytes) -> None:
        """Take bytes. Where they cease to be HTTP, no body that was on its way has a rest that one could wait for."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            on_their_way = [payload for _, payload in self._messages]
            on_their_way += [self._current_request.content] if self._current_request else []
            for body in on_their_way:
                if not body.is_eof():
                    body.set_exception(RequestPayloadError("what followed is no part of a body"))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,  # noqa: ARG002  aiohttp's own choice is not ours
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  it holds the sender's bytes
    ) -> web.StreamResponse:
        """Answer what reached no application, or what an application failed to answer."""
        problem = unexpected_error()
        if isinstance(exc, HttpProcessingError):
            problem = self._no_request(exc)
            log.warning("refused", status=problem.status.value, reason=problem.reason, client=request.remote)
        else:
            log.error("request_failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("part of an answer is on its way already")
        response = self._told(problem)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; what aiohttp refuses before an application is asked is told in relay's way too."""
        if isinstance(resp, web.HTTPClientError):
            resp = self._told(from_aiohttp(resp))
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log what went wrong on the way, unless it is the rest of a body that was answered already, and is none."""
        if not isinstance(more.get("exc_info"), HttpProcessingError | RequestPayloadError):
            super().log_exception(*args, **more)

    def _no_request(self, error: HttpProcessingError) -> Problem:
        detail = "What came is not a request that HTTP/1.1 knows."
        if isinstance(error, LineTooLong):
            detail = f"A line of the request's head is longer than the {self.max_line_size} bytes that are taken."
        return Problem(HTTPStatus.BAD_REQUEST, "no_request", detail)

    def _told(self, problem: Problem) -> web.Response:
        self._observer(problem.status.value, problem.reason)
        return problem.response()
