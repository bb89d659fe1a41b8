"""Answers malformed HTTP, which reaches no application, in the same way as every other error.

aiohttp would send the sender's own bytes back as text, and log a traceback with them. A header may carry a key, so
relay logs one line without any of these bytes, answers with a Problem, and closes the connection.
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
"""Called with status and reason for every request that is answered with an error. It must not raise."""

PROBLEM_OBSERVER: Final[web.AppKey[ProblemObserver]] = web.AppKey("problem_observer")

log = structlog.get_logger(__name__)


class ProblemAppRunner(web.AppRunner):
    """Runs an application on connections that answer malformed HTTP with a Problem."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        return _Server(server, self.app.get(PROBLEM_OBSERVER, lambda _status, _reason: None))


class _Server(web.Server):
    """A copy of aiohttp's server that creates relay's connections."""

    def __init__(self, original: web.Server, observer: ProblemObserver) -> None:
        super().__init__(
            original.request_handler,
            request_factory=original.request_factory,
            handler_cancellation=original.handler_cancellation,
            loop=original._loop,  # noqa: SLF001  aiohttp has no other way to use a connection class of one's own
            **original._kwargs,  # noqa: SLF001
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
        """Parse bytes. After malformed HTTP, fail the bodies that are incomplete: their rest will never come."""
        super().data_received(data)
        if self._messages and isinstance(self._messages[-1][0], _ErrInfo):
            bodies = [payload for _, payload in self._messages]
            bodies += [self._current_request.content] if self._current_request else []
            for body in bodies:
                if not body.is_eof():
                    body.set_exception(RequestPayloadError("malformed HTTP follows an incomplete body"))

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
            log.warning("request_rejected", status=problem.status.value, reason=problem.reason, client=request.remote)
        else:
            problem = unexpected_error()
            log.error("request_failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("part of a response has been sent already")
        response = self._observed_response(problem)
        response.force_close()
        return response

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send a response; convert one that aiohttp made without calling the application."""
        if isinstance(resp, web.HTTPClientError):
            resp = self._observed_response(from_aiohttp(resp))
        return await super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Log an error, except for the invalid rest of a body that was answered already."""
        if not isinstance(more.get("exc_info"), HttpProcessingError | RequestPayloadError):
            super().log_exception(*args, **more)

    def _observed_response(self, problem: Problem) -> web.Response:
        self._observer(problem.status.value, problem.reason)
        return problem.response()
