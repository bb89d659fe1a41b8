"""The doors themselves: who may come in, what is handed on, and what is answered. Behind them stands a `Doors`."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from relay.model.errors import ShareError, StoreError
from relay.runtime.clock import Clock
from relay.server.api_keys import ApiKeys, presented_keys
from relay.server.body import ignore_expect, read_body
from relay.server.lifecycle import IN_FLIGHT, InFlightRequests
from relay.server.malformed_http import PROBLEM_OBSERVER, ProblemObserver
from relay.server.problem import Problem, from_aiohttp, unavailable, unexpected_error
from relay.server.slack_endpoints import SlackBackend, SlackEndpoints
from relay.server.slack_signature import SignatureVerifier

MAX_BYTES = 10 * 1024 * 1024
"""The largest body that is taken, packed or unpacked."""

BODY_TIMEOUT = 30.0
"""Seconds for a body to arrive in, so that a sender that stalls does not hold its connection for ever."""

_PROTOCOL: Mapping[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # body.py does it
    "handler_cancellation": False,  # a share that is being kept is kept, though its sender hangs up
    "lingering_time": 2.0,  # seconds in which what is left of a refused body is read, so that its sender hears why
}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReceipt:
    """A share that is kept: its number, its incident, and the names of the routes that took it."""

    share: str | int
    incident: str
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether a share can be kept now, and whatever else an operator may want to know, as JSON."""

    ok: bool
    detail: Mapping[str, Any] = field(default_factory=dict)


class Backend(SlackBackend, Protocol):
    """What stands behind the doors."""

    async def accept(self, body: bytes, headers: Mapping[str, str]) -> ShareReceipt:
        """Keep a share, and return once it is on disk. `headers` are as they came, but for those that carry a key.

        Raises ShareError where the body is none; it is then in quarantine already. Anything else raised means that the
        share was not kept: StoreError that the database failed, which is in the log already.
        """

    async def readiness(self) -> Readiness:
        """Say whether a share could be kept now."""

    async def incident(self, incident: str) -> dict[str, Any] | None:
        """Tell all about an incident, as JSON; None where nobody ever shared it."""

    async def metrics(self) -> tuple[bytes, str]:
        """Give the metrics, and their content type."""


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
    """Make the application.

    `keys` open `POST /shares`, in `header` or as a bearer token; `admin_key` opens what is for operators, which is not
    there without one; neither are Slack's doors without a `signing_secret`, whose requests are of now by the `clock`. A
    share has `max_bytes` at most, and every body arrives within `patience` seconds.
    """
    app = web.Application(middlewares=[_answer_problems, _count], handler_args=_PROTOCOL)
    app[IN_FLIGHT] = InFlightRequests()
    app[PROBLEM_OBSERVER] = on_problem or (lambda _status, _reason: None)
    rooms = _Rooms(doors=backend, keys=ApiKeys(keys), header=header, max_bytes=max_bytes, patience=body_timeout)
    app.router.add_post("/shares", rooms.shares, expect_handler=ignore_expect)
    app.router.add_get("/healthz", rooms.healthz)
    app.router.add_get("/readyz", rooms.readyz)
    app.router.add_get("/metrics", rooms.metrics)
    if admin_key is not None:
        desk = _Desk(doors=backend, keys=ApiKeys([admin_key]))
        app.router.add_get("/incidents/{id}", desk.incident)
    if signing_secret:
        signature = SignatureVerifier(signing_secret)
        SlackEndpoints(backend=backend, signature=signature, clock=clock or Clock(), patience=body_timeout).register(
            app
        )
    return app


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rooms:
    """Where BigPanda and the orchestrator come in."""

    doors: Backend
    keys: ApiKeys
    header: str
    max_bytes: int
    patience: float

    async def shares(self, request: web.Request) -> web.Response:
        """Take one POST of BigPanda's webhook. The order is the point: no byte of a body is read for a wrong key."""
        if request.app[IN_FLIGHT].draining:
            raise unavailable("stopping", "relay is stopping here; please send it again.", close=True)
        _unlock(request, self.keys, self.header)
        body = await read_body(request, limit=self.max_bytes, seconds=self.patience)
        try:
            accepted = await self.doors.accept(body, _shown(request, self.header))
        except ShareError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, error.reason, str(error)) from error
        except StoreError as error:
            # Whoever did not keep it has logged why. That sentence names machines and files: it is not for the sender.
            raise unavailable("not_kept", "The database did not keep it; please send it again.") from error
        told = {"share": accepted.share, "incident": accepted.incident, "routes": accepted.routes}
        return _json(told, HTTPStatus.ACCEPTED)

    async def healthz(self, _request: web.Request) -> web.Response:
        """Live is whoever answers."""
        return _json({"alive": True})

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready is who can keep a share; the rest is told without turning red."""
        if request.app[IN_FLIGHT].draining:
            return _json({"ready": False, "stopping": True}, HTTPStatus.SERVICE_UNAVAILABLE)
        readiness = await self.doors.readiness()
        status = HTTPStatus.OK if readiness.ok else HTTPStatus.SERVICE_UNAVAILABLE
        return _json({"ready": readiness.ok, **readiness.detail}, status)

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give what Prometheus comes for."""
        body, content_type = await self.doors.metrics()
        return web.Response(body=body, headers={"Content-Type": content_type})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """Where operators come in, with a key of their own."""

    doors: Backend
    keys: ApiKeys

    async def incident(self, request: web.Request) -> web.Response:
        """Tell all about one incident."""
        _unlock(request, self.keys, None)
        known = await self.doors.incident(request.match_info["id"])
        if known is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_incident", "No share of this incident was ever kept.")
        return _json(known)


def _unlock(request: web.Request, keys: ApiKeys, header: str | None) -> None:
    shown = presented_keys(request.headers, header)
    if keys.accepts(shown):
        return
    where = "as Authorization: Bearer" if header is None else f"in {header}, or as Authorization: Bearer"
    detail = "The key that came with the request is not a valid one." if shown else f"A key is needed, {where}."
    raise Problem(HTTPStatus.UNAUTHORIZED, "unauthorized", detail, headers={"WWW-Authenticate": "Bearer"})


def _shown(request: web.Request, header: str) -> dict[str, str]:
    """List the headers without those that carry a key; a header that came several times is joined, as HTTP has it."""
    secret = {header.lower(), "authorization", "proxy-authorization", "cookie"}
    names = {name.lower(): name for name in request.headers}
    return {
        name: ", ".join(_readable(value) for value in request.headers.getall(name))
        for lowered, name in names.items()
        if lowered not in secret
    }


def _readable(value: str) -> str:
    """Undo the lone surrogates that aiohttp makes of bytes that are not UTF-8: no database and no JSON takes those."""
    raw = value.encode("utf-8", "surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _json(value: Any, status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=orjson.dumps(value), content_type="application/json")


@web.middleware
async def _answer_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn everything that is raised into an answer, and never into a 500: that would not be sent again."""
    try:
        return await handler(request)
    except Problem as problem:
        log.warning(
            "refused", method=request.method, path=request.path, status=problem.status.value, reason=problem.reason
        )
        return _told(request, problem)
    except web.HTTPClientError as error:
        return _told(request, from_aiohttp(error))
    except (Exception, asyncio.CancelledError) as error:
        # What is cancelled is either this request, which the server cuts off, or something that it was waiting for:
        # then its share was not kept, and its sender has to hear so.
        if isinstance(error, asyncio.CancelledError) and _is_being_cut_off():
            raise
        log.exception("request_failed", method=request.method, path=request.path)
        return _told(request, unexpected_error())


def _told(request: web.Request, problem: Problem) -> web.Response:
    request.app[PROBLEM_OBSERVER](problem.status.value, problem.reason)
    return problem.response()


def _is_being_cut_off() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    with request.app[IN_FLIGHT].track():
        return await handler(request)
