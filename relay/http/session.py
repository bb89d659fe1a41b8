"""Sessions for both clients: proxies, a last check before a request is sent, and whether a failed request was sent.

A failed call is only useful with the answer to "may it have arrived?". So the session reports when a call gets a
connection, and `failure_from` sorts exceptions into "surely not done" and "nobody knows"
(`Failure.is_surely_not_done`).

To get a connection may take seconds. A relay that was allowed to call may have lost the lease by then, so a check can
run right before the first byte (`check_before_send`).

Relay trusts no answer: a session follows no redirect, and reads at most `MAX_ANSWER_BYTES` of a body, decompressed.
"""

import json
import select
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from relay.http.lenient_json import parse_strict_json
from relay.http.outcome import Failure
from relay.model.errors import NotJson, RelayError, SettingsError
from relay.model.json_types import JSON

MAX_ANSWER_BYTES = 10 * 1024**2
"""The most bytes of an answer's body: as many as a share may have. A page of 200 full messages has a few megabytes."""

MAX_ANSWER_VALUES = 500_000
"""About the most values of an answer's JSON. `[],` takes 3 bytes on the wire and 64 in memory."""

KEEP_IDLE = 30.0
"""Seconds after which an idle connection is dropped: before a server does so, or a gateway on the way forgets it.

They do after 60 seconds or more, usually (nginx: 75,
https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_timeout; Envoy: an hour; a load balancer of AWS: 60).
"""

MAX_CONNECTIONS = 20
"""The most connections of a session at once."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def make_session() -> aiohttp.ClientSession:
    """Make a session for the clients, inside the running loop. The caller closes it.

    It never sends a request twice, follows no redirect and limits each answer. It sends nothing on a connection that
    the other side has closed: such a request would end in doubt.
    """
    trace = _ConnectionTrace()
    trace.on_connection_create_end.append(_on_connection)
    trace.on_connection_reuseconn.append(_on_connection)
    trace.on_request_headers_sent.append(_before_send)
    return aiohttp.ClientSession(
        connector=_Connector(limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_IDLE, ttl_dns_cache=60),
        timeout=aiohttp.ClientTimeout(total=30.0, sock_connect=5.0),
        trace_configs=[trace],
        middlewares=[_refuse_redirect, _send_once],
        response_class=_LimitedResponse,
    )


def proxy_for(url: str) -> str | None:
    """Return the proxy from HTTPS_PROXY or HTTP_PROXY; None for loopback, and where NO_PROXY exempts the address."""
    address = URL(url)
    if address.host in _LOOPBACK or proxy_bypass(address.host_port_subcomponent or ""):
        return None
    return getproxies().get(address.scheme) or None


def checked_base_url(base_url: str, setting: str, example: str) -> str:
    """Return the address unchanged. Raises `SettingsError`, which names the setting, unless it is http or https."""
    try:
        address = URL(base_url)
    except ValueError as error:
        raise SettingsError(f"{setting} is not an address; expected one such as {example}") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise SettingsError(
            f"{setting} must begin with https:// or http:// and a host, as in {example}; found {base_url!r}"
        )
    return base_url


class _ConnectionCutError(aiohttp.ClientError):
    """The connection broke after the request may have been sent."""


async def _send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once: by itself, aiohttp repeats a GET, PUT or DELETE whose connection broke.

    It repeats only after these exceptions, and only another class of exception stops it. After a
    `ClientConnectorError` there never was a connection, and aiohttp does not repeat.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _ConnectionCutError(str(error)) from error


# -- What came back? ---------------------------------------------------------------------------------------------------


class _AnswerTooLargeError(aiohttp.ClientError):
    """The answer is larger than relay reads."""


class _RedirectError(aiohttp.ClientError):
    """The answer sends relay to another address."""


class _LimitedResponse(aiohttp.ClientResponse):
    """A response with a limit for its body, also where Slack's SDK reads it, which has no limit of its own."""

    async def read(self) -> bytes:
        """Return the whole body. The status of an error is enough: a body that is too large counts as empty.

        Raises:
            aiohttp.ClientError: the body of a success is too large, or broke off.
        """
        if self._body is None:
            self._body = await self._read_limited()
        # aiohttp's own `read` keeps this body, and waits until the connection is free for the next call.
        return self._body if self.closed else await super().read()

    async def json(self, **_options: Any) -> Any:
        """Return the JSON without what a database or a terminal cannot hold (`clean_text`), for the SDK of Slack.

        Raises:
            json.JSONDecodeError: it is not JSON.
            aiohttp.ClientError: it is not said to be JSON, is too large, or broke off.
        """
        body = await self.read()
        if self.content_type != "application/json":
            raise aiohttp.ContentTypeError(self.request_info, self.history, status=self.status, headers=self.headers)
        try:
            return parse_answer(body)
        except NotJson as error:
            raise json.JSONDecodeError(str(error), "", 0) from error

    async def _read_limited(self) -> bytes:
        body = bytearray()
        try:
            async for chunk in self.content.iter_any():
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    return self._without_body()
        except BaseException:
            self.close()
            raise
        return bytes(body)

    def _without_body(self) -> bytes:
        self.close()
        if self.ok:
            raise _AnswerTooLargeError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes")
        return b""


def parse_answer(body: bytes) -> JSON:
    """Parse the JSON of an answer; every string in it is clean (`relay.http.lenient_json`).

    Raises:
        NotJson: it is not JSON.
        aiohttp.ClientError: it has too many values.
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > MAX_ANSWER_VALUES:
        raise _AnswerTooLargeError(f"the answer has more than {MAX_ANSWER_VALUES} values")
    return parse_strict_json(body)


async def _refuse_redirect(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Follow no redirect: it would send alerts to another address, or turn a POST into a GET that looks done."""
    response = await send(request)
    if response.status in _REDIRECTS:
        response.close()
        raise _RedirectError(f"HTTP {response.status}")
    return response


_REDIRECTS = frozenset({301, 302, 303, 307, 308})  # https://www.rfc-editor.org/rfc/rfc9110#name-redirection-3xx


# -- Was it sent? ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ConnectionWatch:
    """Whether the present call has got a connection. From then on it may have been sent."""

    connected: bool


_watch: ContextVar[ConnectionWatch] = ContextVar("_watch")


class _ConnectionTrace(aiohttp.TraceConfig):
    """The trace of `make_session`; its class tells it from other traces."""


@contextmanager
def watch_connection(session: aiohttp.ClientSession) -> Iterator[ConnectionWatch]:
    """Watch the one call that is made inside. A session that is not from `make_session` counts as connected at once."""
    watch = ConnectionWatch(connected=not any(isinstance(trace, _ConnectionTrace) for trace in session.trace_configs))
    token = _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.reset(token)


async def _on_connection(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    if (watch := _watch.get(None)) is not None:
        watch.connected = True


class _Connector(aiohttp.TCPConnector):
    """Gives out no connection that the other side has closed.

    aiohttp knows what the event loop has read from a connection. Where the loop was busy, the end may still be unread.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's
    ) -> Connection:
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None or protocol not in self._used or not _has_unread(connection):
                if protocol is not None:
                    self._used.add(protocol)
                return connection
            connection.close()
            if (watch := _watch.get(None)) is not None:
                watch.connected = False


def _has_unread(connection: Connection) -> bool:
    """Return whether something has come on an idle connection: only its end can, or what nobody asked for."""
    if connection.transport is None:
        return True
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))


# -- May it still be sent? ---------------------------------------------------------------------------------------------

_check: ContextVar[Callable[[], None] | None] = ContextVar("_check", default=None)


@contextmanager
def check_before_send(check: Callable[[], None] | None) -> Iterator[None]:
    """Inside, and in all tasks begun there, run `check` before the first byte of each call; None: no check.

    The check stops a call by raising a `RelayError`, which reaches the caller. Nothing was sent then.
    """
    token = _check.set(check)
    try:
        yield
    finally:
        _check.reset(token)


async def _before_send(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    """Run the check. The event's name misleads: aiohttp sends it before it writes."""
    if (check := _check.get()) is not None:
        check()


# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
_CERTIFICATE_FAILURES: Mapping[int, Failure] = {
    9: Failure.CERTIFICATE_NOT_YET_VALID,
    10: Failure.CERTIFICATE_EXPIRED,
    18: Failure.CERTIFICATE_SELF_SIGNED,
    **dict.fromkeys((2, 19, 20, 21), Failure.CERTIFICATE_OF_UNKNOWN_AUTHORITY),
    **dict.fromkeys((62, 63, 64), Failure.CERTIFICATE_OF_ANOTHER_HOST),
}
"""OpenSSL's code -> what is wrong with a certificate."""

_FAILURES: tuple[tuple[type[Exception], Failure], ...] = (
    (aiohttp.ClientConnectorDNSError, Failure.NAME_NOT_RESOLVED),
    (aiohttp.ClientSSLError, Failure.TLS_FAILED),
    (aiohttp.ClientHttpProxyError, Failure.PROXY_REJECTED),
    (aiohttp.ClientProxyConnectionError, Failure.PROXY_REJECTED),
    (aiohttp.ClientConnectorError, Failure.NOT_CONNECTED),
    (aiohttp.ConnectionTimeoutError, Failure.CONNECT_TIMED_OUT),
    (_RedirectError, Failure.REDIRECTED),
    (_AnswerTooLargeError, Failure.ANSWER_TOO_LARGE),
)
"""What aiohttp raises only while it makes the connection, and what relay refuses."""


def failure_from(error: Exception, watch: ConnectionWatch) -> Failure:
    """Return what an exception of a watched call means. Raises what a check before sending raised."""
    if isinstance(error, RelayError):
        raise error
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        code: int = getattr(error.certificate_error, "verify_code", 0)
        return _CERTIFICATE_FAILURES.get(code, Failure.CERTIFICATE_REJECTED)
    for kind, failure in _FAILURES:
        if isinstance(error, kind):
            return failure
    match error:
        case TimeoutError():
            return Failure.TIMED_OUT if watch.connected else Failure.CONNECT_TIMED_OUT
        case aiohttp.ClientError() | OSError():
            return Failure.CONNECTION_CUT if watch.connected else Failure.NOT_CONNECTED
        case _:
            return Failure.UNREADABLE if watch.connected else Failure.UNSENDABLE
