"""A server over real HTTP that gives prepared responses, odd ones too, and records the requests."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit


@dataclass
class Request:
    verb: str
    target: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def path(self):
        return urlsplit(self.target).path

    @property
    def method(self):
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class HttpPeer:
    """A server in the place of Slack or BigPanda: it answers each request with the next of `responses`.

    These are raw bytes. None hangs. An empty response, and one with `Connection: close`, cuts the connection.
    """

    responses: list[bytes | None]
    base: str = "/"
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    unresponsive: bool = False
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _open: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.base}"

    async def serve(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while not self.unresponsive:
                self.requests.append(await self._read(reader))
                self.arrived.set()
                response = self.responses[min(len(self.requests), len(self.responses)) - 1]
                if response is None:
                    await reader.read()
                writer.write(response or b"")
                await writer.drain()
                if not response or b"Connection: close" in response:
                    break
        writer.transport.abort()

    async def _read(self, reader):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        verb, target, _ = head[0].split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:]) if name}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(verb, target, dict(parse_qsl(urlsplit(target).query)), headers, body)

    async def close(self):
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


def http_response(status=200, body="", kind="application/json", **headers):
    """Return the raw bytes of a response."""
    text = body if isinstance(body, (str, bytes)) else json.dumps(body)
    raw = text if isinstance(text, bytes) else text.encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    head = f"HTTP/1.1 {status} Reason\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n{more}\r\n"
    return head.encode() + raw


@contextlib.asynccontextmanager
async def http_peers(base="/"):
    """Yield a function that starts servers whose URL ends in `base`; they end with the block."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(*responses, unresponsive=False):
            peer = HttpPeer(list(responses), base=base, unresponsive=unresponsive)
            server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
            peer.port = server.sockets[0].getsockname()[1]
            stack.push_async_callback(server.wait_closed)
            stack.push_async_callback(peer.close)
            stack.callback(server.close)
            return peer

        yield start
