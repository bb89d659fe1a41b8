"""The HTTP endpoints: who may call them, what they pass to the Backend, and what they answer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from relay.model.errors import ShareError, StoreError
from relay.runtime.clock import Clock
from relay.server.api_keys import ApiKeys, presented_keys
from relay.server.backend import Backend
from relay.server.body import ignore_expect, read_body
from relay.server.lifecycle import IN_FLIGHT, InFlightRequests
from relay.server.malformed_http import PROBLEM_OBSERVER, ProblemObserver
from relay.server.problem import Problem, from_aiohttp, json_response, stopping, unavailable, unexpected_error
from relay.server.slack_endpoints import SlackEndpoints
from relay.server.slack_signature import SignatureVerifier

MAX_BYTES = 10 * 1024 * 1024
"""The largest share that relay accepts, before and after decompression."""

BODY_TIMEOUT = 30.0
"""Seconds in which a body must arrive, so that a sender that stalls does not hold its connection for ever."""

_PROTOCOL: Mapping[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # body.py does it
    "handler_cancellation": False,  # a share that is being stored is stored, even if its sender disconnects
    "lingering_time": 2.0,  # seconds in which the rest of a rejected body is read, so that its sender gets the response
}

log = structlog.get_logger(__name__)


def create_app(  # noqa: PLR0913  each is a setting of its own, and has a name
    backend: Backend,
    *,
    keys: Sequence[str],
    header: str,
    admin_key: str | None = None,
    signing_secret: str | None = None,
    clock: Clock | None = None,
    max_bytes: int = MAX_BYTES,
    body_timeout: float = BODY_TIMEOUT,
    on_problem: ProblemObserver | None = None,
) -> web.Application:
    """Create the application.

    `POST /shares` needs one of `keys`, in `header` or as a bearer token, and accepts at most `max_bytes`. Endpoints for
    operators need `admin_key`, and do not exist without one. Slack's endpoints do not exist without a `signing_secret`;
    `clock` checks the age of their requests. Every body must arrive within `body_timeout` seconds.
    """
    app = web.Application(middlewares=[_answer_problems, _count], handler_args=_PROTOCOL)
    app[IN_FLIGHT] = InFlightRequests()
    app[PROBLEM_OBSERVER] = on_problem or (lambda _status, _reason: None)
    endpoints = _Endpoints(
        backend=backend,
        keys=ApiKeys(keys),
        header=header,
        admin_keys=ApiKeys([admin_key] if admin_key is not None else []),
        max_bytes=max_bytes,
        body_timeout=body_timeout,
    )
    app.router.add_post("/shares", endpoints.shares, expect_handler=ignore_expect)
    app.router.add_get("/healthz", endpoints.healthz)
    app.router.add_get("/readyz", endpoints.readyz)
    app.router.add_get("/metrics", endpoints.metrics)
    if admin_key is not None:
        app.router.add_get("/incidents/{id}", endpoints.incident)
    if signing_secret:
        signature = SignatureVerifier(signing_secret)
        slack = SlackEndpoints(backend=backend, signature=signature, clock=clock or Clock(), body_timeout=body_timeout)
        app.router.add_post("/slack/actions", slack.actions, expect_handler=ignore_expect)
        app.router.add_post("/slack/events", slack.events, expect_handler=ignore_expect)
    return app


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoints:
    """The endpoints for BigPanda, the orchestrator and Prometheus; and for operators, with a key of their own."""

    backend: Backend
    keys: ApiKeys
    header: str
    admin_keys: ApiKeys
    max_bytes: int
    body_timeout: float

    async def shares(self, request: web.Request) -> web.Response:
        """Accept one POST of BigPanda's webhook. The key is checked before any byte of the body is read."""
        if request.app[IN_FLIGHT].draining:
            raise stopping()
        _authenticate(request, self.keys, self.header)
        body = await read_body(request, limit=self.max_bytes, within=self.body_timeout)
        try:
            receipt = await self.backend.accept(body, _headers_without_keys(request, self.header))
        except ShareError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, error.reason, str(error)) from error
        except StoreError as error:
            # The log already has the error. Its text names machines and files, so the sender does not get it.
            raise unavailable("not_stored", "The database did not store the share; please send it again.") from error
        document = {"share": receipt.share, "incident": receipt.incident, "routes": receipt.routes}
        return json_response(document, HTTPStatus.ACCEPTED)

    async def healthz(self, _request: web.Request) -> web.Response:
        """Answer that the process is alive."""
        return json_response({"alive": True})

    async def readyz(self, request: web.Request) -> web.Response:
        """Answer 200 if relay can store a share. Other problems are listed, and do not change the status."""
        if request.app[IN_FLIGHT].draining:
            return json_response({"ready": False, "stopping": True}, HTTPStatus.SERVICE_UNAVAILABLE)
        readiness = await self.backend.readiness()
        status = HTTPStatus.OK if readiness.ok else HTTPStatus.SERVICE_UNAVAILABLE
        return json_response({"ready": readiness.ok, **readiness.detail}, status)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Return the metrics for Prometheus."""
        body, content_type = await self.backend.metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def incident(self, request: web.Request) -> web.Response:
        """Return everything that relay knows about one incident."""
        _authenticate(request, self.admin_keys, None)
        document = await self.backend.incident(request.match_info["id"])
        if document is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_incident", "relay has no share of this incident.")
        return json_response(document)


def _authenticate(request: web.Request, keys: ApiKeys, header: str | None) -> None:
    presented = presented_keys(request.headers, header)
    if keys.accepts(presented):
        return
    where = "as Authorization: Bearer" if header is None else f"in {header}, or as Authorization: Bearer"
    detail = "The request's key is not valid." if presented else f"The request has no key; send it {where}."
    raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _headers_without_keys(request: web.Request, header: str) -> dict[str, str]:
    """The headers without those that carry a key; the values of a repeated header are joined, as in HTTP."""
    secret = {header.lower(), "authorization", "proxy-authorization", "cookie"}
    names = {name.lower(): name for name in request.headers}
    return {
        name: ", ".join(map(_readable, request.headers.getall(name)))
        for lowered, name in names.items()
        if lowered not in secret
    }


def _readable(value: str) -> str:
    """Replace the lone surrogates that aiohttp makes of bytes that are not UTF-8: databases and JSON reject them."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@web.middleware
async def _answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into a response, and never into a 500: BigPanda would not send the share again."""
    try:
        return await handler(request)
    except Problem as error:
        problem = error
        rejection = {"status": problem.status.value, "reason": problem.reason}
        log.warning("request_rejected", method=request.method, path=request.path, **rejection)
    except web.HTTPClientError as error:
        problem = from_aiohttp(error)
    except (Exception, asyncio.CancelledError) as error:
        # Either the server cancels this request, or something that the request waited for was cancelled. In the second
        # case the share was not stored, and its sender must get a response.
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise
        log.exception("request_failed", method=request.method, path=request.path)
        problem = unexpected_error()
    request.app[PROBLEM_OBSERVER](problem.status.value, problem.reason)
    return problem.response()


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    with request.app[IN_FLIGHT].track():
        return await handler(request)
