"""The HTTP endpoints: who may call them, what they pass to the Backend, and what they answer."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, Protocol

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from relay.model.errors import QueryError, ShareError, StoreError
from relay.runtime.clock import Clock
from relay.runtime.logging import REPORT_IT
from relay.runtime.secrets import Hide, hide_in_html, hide_in_values, hiding, secret_pattern
from relay.server.api_keys import ApiKeys, presented_keys
from relay.server.backend import Backend
from relay.server.body import BodyReader, ignore_expect
from relay.server.connection import PROBLEM_OBSERVER
from relay.server.connections import CONNECTIONS, ConnectionLimits, Connections, ProblemObserver
from relay.server.lifecycle import IN_FLIGHT, InFlightRequests, is_cancelled
from relay.server.problem import (
    Problem,
    at_wrong_address,
    from_aiohttp,
    json_response,
    unavailable,
    unexpected_error,
)
from relay.server.slack_endpoints import SlackEndpoints
from relay.server.slack_signature import SignatureVerifier

MAX_BYTES = 10 * 1024 * 1024
"""The largest share that relay accepts, before and after decompression."""

BODY_TIMEOUT = 30.0
"""Seconds in which a body must arrive, so that a sender that stalls does not hold its connection for ever."""

_LIMITS = ConnectionLimits()
_SHORTEST_SECRET = 8
"""Characters: the shortest key that a setting may hold. Many an innocent header contains a shorter text."""

_PROTOCOL: Mapping[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # body.py does it
    "handler_cancellation": False,  # a share that is being stored is stored, even if its sender disconnects
    "lingering_time": 2.0,  # seconds in which the rest of a rejected body is read, so that its sender gets the response
    "read_bufsize": 32 * 1024,  # twice as much waits in memory until it is read; aiohttp's own 256 KiB are for speed
}

_SENDING = frozenset({"POST", "PUT", "PATCH"})
_WEBHOOK_KEYS: web.AppKey[Callable[[web.Request], bool]] = web.AppKey("webhook_keys")
"""Tells whether a request has a key for shares."""

log = structlog.get_logger(__name__)


class Audience(Enum):
    """Who reaches a port. `RELAY_ADMIN_LISTEN` gives operators one of their own."""

    EVERYBODY = "everybody"
    SENDERS = "senders"
    OPERATORS = "operators"


class BoardRoutes(Protocol):
    """The pages for operators."""

    def add_routes(self, app: web.Application) -> None:
        """Add their addresses."""


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
    limits: ConnectionLimits = _LIMITS,
    secrets: Sequence[str] = (),
    audience: Audience = Audience.EVERYBODY,
    board: BoardRoutes | None = None,
) -> web.Application:
    """Create the application.

    `POST /shares` needs one of `keys`, in `header` or as a bearer token, and accepts at most `max_bytes`. Endpoints for
    operators need `admin_key`, and do not exist without one. Slack's endpoints do not exist without a `signing_secret`;
    `clock` checks the age of their requests. Every body must arrive within `body_timeout` seconds. `limits` are for
    connections. A header that contains one of the keys or `secrets` is not passed to the backend, and no response
    contains one. `audience` are those who reach the application's port; `board` adds the pages for operators.
    """
    known = [text for text in (*keys, admin_key, signing_secret, *secrets) if text]
    app = web.Application(middlewares=[_count, _hide(known), _answer_problems], handler_args=_PROTOCOL)
    app[IN_FLIGHT] = InFlightRequests()
    app[PROBLEM_OBSERVER] = observer = on_problem or (lambda _status, _reason: None)
    app[CONNECTIONS] = Connections(limits, observer)
    endpoints = _Endpoints(
        backend=backend,
        keys=ApiKeys(keys),
        header=header,
        admin_keys=ApiKeys([admin_key] if admin_key is not None else []),
        bodies=[BodyReader(limit=max_bytes, within=body_timeout) for _ in keys],
        secret=secret_pattern(text for text in known if len(text) >= _SHORTEST_SECRET),
    )
    app[_WEBHOOK_KEYS] = lambda request: _has_key(request, endpoints.keys, header)
    app.router.add_get("/healthz", endpoints.healthz)
    if audience is not Audience.OPERATORS:
        app.router.add_post("/{before:/*}shares{after:/*}", endpoints.shares, expect_handler=ignore_expect)
        if signing_secret:
            signature = SignatureVerifier(signing_secret)
            slack = SlackEndpoints(backend=backend, signature=signature, clock=clock or Clock())
            app.router.add_post("/slack/actions", slack.actions, expect_handler=ignore_expect)
            app.router.add_post("/slack/commands", slack.commands, expect_handler=ignore_expect)
            app.router.add_post("/slack/events", slack.events, expect_handler=ignore_expect)
    if audience is not Audience.SENDERS:
        _add_operators_routes(app, endpoints, has_key=admin_key is not None)
        if board is not None:
            board.add_routes(app)
    return app


def _add_operators_routes(app: web.Application, endpoints: "_Endpoints", *, has_key: bool) -> None:
    app.router.add_get("/readyz", endpoints.readyz)
    app.router.add_get("/metrics", endpoints.metrics)
    if has_key:
        app.router.add_get("/incidents", endpoints.incidents)
        app.router.add_get("/incidents/{id:[^/]+}/shares", endpoints.shares_of_incident)
        app.router.add_get("/incidents/{id:(?s:.+)}", endpoints.incident)  # an id may have any character


@dataclass(frozen=True, slots=True, kw_only=True)
class _Endpoints:
    """The endpoints for BigPanda, the orchestrator and Prometheus; and for operators, with a key of their own."""

    backend: Backend
    keys: ApiKeys
    header: str
    admin_keys: ApiKeys
    bodies: Sequence[BodyReader]  # one for each key: its holders share a budget
    secret: re.Pattern[str] | None

    async def shares(self, request: web.Request) -> web.Response:
        """Accept one POST of BigPanda's webhook. The key is checked before any byte of the body is read."""
        key = _authenticate(request, self.keys, self.header)
        try:
            async with self.bodies[key].read(request) as body:
                receipt = await self.backend.accept(
                    body, _headers_without_keys(request, self.header, self.secret), sender=key
                )
        except ShareError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, error.reason, str(error)) from error
        except StoreError as error:
            # The log already has the error. Its text names machines and files, so the sender does not get it.
            raise unavailable("not_stored", "The database did not store the share; please send it again.") from error
        document: dict[str, Any] = {"share": receipt.share, "incident": receipt.incident}
        document["planned"] = receipt.routes is not None
        if receipt.routes is not None:
            document["routes"] = receipt.routes
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
        """Return what relay knows about one incident."""
        return await self._about_incident(request, self.backend.incident)

    async def shares_of_incident(self, request: web.Request) -> web.Response:
        """Return the newest shares of one incident, each with the routes that match it."""
        return await self._about_incident(request, self.backend.shares)

    async def _about_incident(
        self, request: web.Request, read: Callable[[str], Awaitable[bytes | None]]
    ) -> web.Response:
        _authenticate(request, self.admin_keys, None)
        document = await read(request.match_info["id"])
        if document is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_incident", "relay has no share of this incident.")
        return web.Response(body=document, content_type="application/json")

    async def incidents(self, request: web.Request) -> web.Response:
        """Return a page of the incidents."""
        _authenticate(request, self.admin_keys, None)
        try:
            document = await self.backend.incidents(request.query.items())
        except QueryError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, "bad_query", str(error)) from error
        return web.Response(body=document, content_type="application/json")


def _authenticate(request: web.Request, keys: ApiKeys, header: str | None) -> int:
    """Return the number of the key that the request presents; raises Problem (401) if it presents no valid one."""
    presented = presented_keys(request.headers, header)
    number = keys.find(presented)
    if number is not None:
        request.app[CONNECTIONS].accepted(request.protocol)
        return number
    where = "as Authorization: Bearer" if header is None else f"in {header}, or as Authorization: Bearer"
    detail = "The request's key is not valid." if presented else f"The request has no key; send it {where}."
    raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _has_key(request: web.Request, keys: ApiKeys, header: str) -> bool:
    return keys.find(presented_keys(request.headers, header)) is not None


def _headers_without_keys(request: web.Request, header: str, secret: re.Pattern[str] | None) -> dict[str, str]:
    """The headers without those that carry a key; the values of a repeated header are joined, as in HTTP.

    Some headers carry a key by their name, and any may do so by mistake: those that contain one are left out too.
    """
    names = {name.lower(): name for name in request.headers}
    for name in (header, "Authorization", "Proxy-Authorization", "Cookie"):
        names.pop(name.lower(), None)
    headers = {name: ", ".join(map(_readable, request.headers.getall(name))) for name in names.values()}
    return {
        name: value for name, value in headers.items() if not (secret and (secret.search(name) or secret.search(value)))
    }


def _readable(value: str) -> str:
    """Replace the lone surrogates that aiohttp makes of bytes that are not UTF-8: databases and JSON reject them."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _hide(secrets: Sequence[str]) -> Middleware:
    """Make a middleware that replaces secrets in responses, except in modals for Slack, which are relay's own text."""
    hide = hiding(secrets)

    @web.middleware
    async def without_secrets(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        for_slack = request.path.startswith("/slack/") and response.status < HTTPStatus.BAD_REQUEST
        if isinstance(response, web.Response) and isinstance(response.body, bytes) and not for_slack:
            hidden = _HIDDEN_IN.get(response.content_type, hide_in_values)
            text = response.body.decode("utf-8", "surrogateescape")  # a body that is downloaded may be anything
            response.body = hidden(hide, text).encode("utf-8", "surrogateescape")
        return response

    return without_secrets


_HIDDEN_IN: Final[dict[str, Callable[[Hide, str], str]]] = {
    "text/html": hide_in_html,
    "application/octet-stream": lambda hide, text: hide(text),
    **dict.fromkeys(("text/javascript", "text/css", "image/svg+xml"), lambda _hide, text: text),  # files of relay
}
"""How secrets are replaced in each type of response; in all others, as in JSON."""


@web.middleware
async def _answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every exception into a response, and never into a 500: BigPanda would not send the share again."""
    try:
        return await handler(request)
    except Problem as error:
        problem = error
        rejection = {"status": problem.status.value, "reason": problem.reason}
        is_logged = isinstance(error.__cause__, ShareError | StoreError)  # with its reason, where it was found
        write = log.debug if is_logged else log.warning
        write("request_rejected", method=request.method, path=request.path, **rejection, detail=problem.detail)
    except web.HTTPClientError as error:
        problem = from_aiohttp(error)
        # With a valid key, the address of a webhook or a proxy is wrong.
        if request.method in _SENDING and request.app[_WEBHOOK_KEYS](request):
            problem = at_wrong_address(problem)
            fields = {"method": request.method, "path": request.path, "status": problem.status.value}
            detail = "A sender with a valid key used a wrong address. This share is lost: correct the webhook's URL."
            log.error("share_at_wrong_address", **fields, detail=detail)  # noqa: TRY400  no error of relay: no traceback
    except (Exception, asyncio.CancelledError) as error:
        # Either the server cancels this request, or something that the request waited for was cancelled. In the second
        # case the share was not stored, and its sender must get a response.
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        detail = f"Unexpected error in a request; its sender got a 503. {REPORT_IT}"
        log.exception("request_failed", method=request.method, path=request.path, detail=detail)
        problem = unexpected_error()
    request.app[PROBLEM_OBSERVER](problem.status.value, problem.reason)
    return problem.response()


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request. While relay stops it is answered as ever, and is the last one on its connection."""
    requests = request.app[IN_FLIGHT]
    with requests.track():
        response = await handler(request)
    if requests.draining:
        response.force_close()
    return response
