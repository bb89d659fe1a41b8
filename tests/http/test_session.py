"""The proxy for an address, and a connection that was closed. (The tests of both clients cover the rest.)"""

import asyncio
import socket
import ssl
import threading

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from relay.http.outcome import CERTIFICATE_REMEDIES, Failure
from relay.http.session import ConnectionWatch, failure_from, make_session, proxy_for, watch_connection


@pytest.mark.parametrize(
    ("url", "exempt", "proxy"),
    [
        ("https://slack.com/api/", "", "http://proxy:3128"),
        ("https://slack.com/api/", "slack.com", None),
        ("https://wss.slack.com/api/", ".slack.com", None),
        ("https://slack.com/api/", "*", None),
        ("https://stand-in.internal:8443/api/", "stand-in.internal:8443", None),
        ("http://slack.com/api/", "", None),
        ("https://localhost:8081/api/", "", None),
        ("https://127.0.0.1:8081/api/", "", None),
        ("https://[::1]:8081/api/", "", None),
    ],
)
def test_the_proxy_of_the_environment_is_used_except_for_exempt_and_loopback_addresses(monkeypatch, url, exempt, proxy):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", exempt)

    assert proxy_for(url) == proxy


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (10, Failure.CERTIFICATE_EXPIRED),
        (18, Failure.CERTIFICATE_SELF_SIGNED),
        (20, Failure.CERTIFICATE_OF_UNKNOWN_AUTHORITY),
        (62, Failure.CERTIFICATE_OF_ANOTHER_HOST),
        (24, Failure.CERTIFICATE_REJECTED),
    ],
)
def test_the_problem_of_a_certificate_is_named(code, failure):
    problem = ssl.SSLCertVerificationError(1, "certificate verify failed")
    problem.verify_code = code
    key = ConnectionKey("slack.example", 443, True, True, None, None, None)  # noqa: FBT003  aiohttp's
    error = aiohttp.ClientConnectorCertificateError(key, problem)
    assert failure_from(error, ConnectionWatch(connected=False)) is failure
    assert failure.is_surely_not_done
    assert CERTIFICATE_REMEDIES[failure].endswith(".")


class ClosingServer(threading.Thread):
    """Accepts a number of connections; closes the first one after an answer, when a test asks for it."""

    def __init__(self, connections: int) -> None:
        super().__init__(daemon=True)
        self.requests = [0] * connections
        self.close, self.closed = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"

    def run(self) -> None:
        for number in range(len(self.requests)):
            connection, _ = self._listener.accept()
            if number + 1 == len(self.requests):
                self._listener.close()
            with connection:
                while connection.recv(65536):
                    self.requests[number] += 1
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    if number == 0 and self.close.wait():
                        break
            self.closed.set()

    def close_first(self) -> None:
        """Close the first connection. This blocks the event loop, so aiohttp does not notice it."""
        self.close.set()
        self.closed.wait()


async def post(session: aiohttp.ClientSession, url: str) -> bytes:
    async with session.post(url) as response:
        return await response.read()


async def test_nothing_is_sent_on_a_connection_that_the_other_side_closed_a_moment_ago():
    server = ClosingServer(2)
    server.start()
    async with make_session() as session:
        assert await post(session, server.url) == b"ok"
        server.close_first()
        assert [await post(session, server.url) for _ in range(3)] == [b"ok"] * 3
    await asyncio.to_thread(server.join)
    assert server.requests == [1, 3]


async def test_if_the_connection_was_closed_and_there_is_no_other_nothing_is_in_doubt():
    server = ClosingServer(1)
    server.start()
    async with make_session() as session:
        await post(session, server.url)
        server.close_first()
        with watch_connection(session) as watch, pytest.raises(aiohttp.ClientError) as raised:
            await post(session, server.url)
    assert failure_from(raised.value, watch).is_surely_not_done
    assert not watch.connected
    assert server.requests == [1]
