"""What the doors share of the way out: a session whose calls can be watched, the proxy, and why a call got no answer.

A call that failed is worth nothing without knowing whether it may have arrived. So the session tells when a call gets a
connection, and `failure` sorts what was raised into "surely not sent" and "nobody can say" (`Failure.is_sure`).

It also takes a last look before the first byte: to get a connection may take seconds, and who was allowed to call when
the call was decided on may not be any more (`guarded`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from relay.http.outcome import Failure
from relay.model.errors import RelayError, SettingsError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def make_session(*, connections: int = 20) -> aiohttp.ClientSession:
    """A session for the doors, inside the running loop; the caller closes it.

    Idle connections are dropped after five seconds, since a request on one that the other side has closed meanwhile
    ends in doubt. The trace tells calls that never got a connection (surely not sent) from those that did; and none is
    ever sent twice.
    """
    trace = _Watch()
    trace.on_connection_create_end.append(_reached)
    trace.on_connection_reuseconn.append(_reached)
    trace.on_request_headers_sent.append(_last_look)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=5.0, ttl_dns_cache=60),
        timeout=aiohttp.ClientTimeout(total=30.0, sock_connect=5.0),
        trace_configs=[trace],
        middlewares=[_once],
    )


def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for an address: HTTPS_PROXY or HTTP_PROXY, unless NO_PROXY exempts it.

    Loopback addresses never go through one.
    """
    address = URL(url)
    if address.host in _LOOPBACK or proxy_bypass(address.host_port_subcomponent or ""):
        return None
    return getproxies().get(address.scheme) or None


def checked_base_url(base_url: str, setting: str, example: str) -> str:
    """The address as it is; raises `SettingsError`, which names the setting, where it is no http or https address."""
    try:
        address = URL(base_url)
    except ValueError as error:
        raise SettingsError(f"{setting} is not an address; expected one such as {example}") from error
    if address.scheme not in {"http", "https"} or not address.host:
        raise SettingsError(
            f"{setting} must begin with https:// or http:// and a host, as in {example}; found {base_url!r}"
        )
    return base_url


class _Cut(aiohttp.ClientError):
    """The connection broke after the request may have been sent."""


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request, and never again: of its own aiohttp repeats a GET, PUT or DELETE whose connection broke.

    It does so at these exceptions alone, whose class is all that can stop it. Those of a connection that never came
    about are no reason for it, and stay what they are.
    """
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Cut(str(error)) from error


# -- Was it sent? ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ConnectionWatch:
    """Whether the call under way has got a connection: from then on it may have been sent."""

    connected: bool


_wire: ContextVar[ConnectionWatch] = ContextVar("_wire")


class _Watch(aiohttp.TraceConfig):
    """The trace of `make_session`, to be told from others."""


@contextmanager
def watch_connection(session: aiohttp.ClientSession) -> Iterator[ConnectionWatch]:
    """Watch the one call that is made within; with a session that is not of `make_session` nobody can say."""
    wire = ConnectionWatch(connected=not any(isinstance(trace, _Watch) for trace in session.trace_configs))
    token = _wire.set(wire)
    try:
        yield wire
    finally:
        _wire.reset(token)


async def _reached(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    if (wire := _wire.get(None)) is not None:
        wire.connected = True


# -- May it still be sent? ---------------------------------------------------------------------------------------------

_guard: ContextVar[Callable[[], None] | None] = ContextVar("_guard", default=None)


@contextmanager
def check_before_send(check: Callable[[], None] | None) -> Iterator[None]:
    """Within, and in all tasks that are begun there, `check` is asked before the first byte of a call; None: nobody is.

    What it raises (a `RelayError`) goes through the door to whoever makes the call, and nothing was sent.
    """
    token = _guard.set(check)
    try:
        yield
    finally:
        _guard.reset(token)


async def _last_look(_session: aiohttp.ClientSession, _context: SimpleNamespace, _params: object) -> None:
    """Despite the event's name: aiohttp tells it before it writes."""
    if (check := _guard.get()) is not None:
        check()


_BEFORE_SENDING: tuple[tuple[type[Exception], Failure], ...] = (
    (aiohttp.ClientConnectorDNSError, Failure.NAME_NOT_RESOLVED),
    (aiohttp.ClientSSLError, Failure.TLS_FAILED),
    (aiohttp.ClientHttpProxyError, Failure.PROXY_REFUSED),
    (aiohttp.ClientProxyConnectionError, Failure.PROXY_REFUSED),
    (aiohttp.ClientConnectorError, Failure.NOT_CONNECTED),
    (aiohttp.ConnectionTimeoutError, Failure.CONNECT_TIMED_OUT),
)
"""Raised by aiohttp while it makes the connection, and never later."""


def failure_from(error: Exception, wire: ConnectionWatch) -> Failure:
    """What an exception means that a call raised while `wire` was watching; raises what a guard raised."""
    if isinstance(error, RelayError):
        raise error
    for kind, found in _BEFORE_SENDING:
        if isinstance(error, kind):
            return found
    match error:
        case TimeoutError():
            return Failure.TIMED_OUT if wire.connected else Failure.CONNECT_TIMED_OUT
        case aiohttp.ClientError() | OSError():
            return Failure.CONNECTION_CUT if wire.connected else Failure.NOT_CONNECTED
        case _:
            return Failure.UNREADABLE if wire.connected else Failure.UNSENDABLE
