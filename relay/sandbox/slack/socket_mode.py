"""Socket Mode: the app connects to Slack, and receives over that socket what users do.

https://docs.slack.dev/apis/events-api/using-socket-mode. `apps.connections.open` gives an address that is good for one
connection. An envelope must be acknowledged within three seconds, or another socket gets it.

    slack.interactivity = slack.socket_mode
    slack.socket_mode.refresh()  # as Slack does now and then: it sends "disconnect", and the app has to reconnect
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.parse import quote

from aiohttp import WSCloseCode, WSMsgType, web

from relay.sandbox.slack.apps import TokenGrant
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.interactivity import ACKNOWLEDGE_TIMEOUT, Acknowledgement, Payload, PayloadKind

CONNECTIONS_OPEN: Final = "apps.connections.open"
"""The method that gives an address; the server runs it, since only the server knows where it listens."""

MAX_CONNECTIONS: Final = 10
"""Sockets that an app may have open at once."""

_ATTEMPTS: Final = 3
_CONNECTION_SECONDS: Final = 18_060
"""How long a connection lasts, as Slack announces it."""


@dataclass(slots=True, eq=False)
class FakeSocket:
    """One connection of the app. With `ignores_acknowledgements`, none of its acknowledgements counts."""

    number: int
    request: web.Request
    stream: web.WebSocketResponse
    ignores_acknowledgements: bool = False
    waiting: dict[str, asyncio.Future[Payload]] = field(default_factory=dict)

    async def send(self, payload: Payload) -> None:
        """Send JSON."""
        await self.stream.send_str(json.dumps(payload))

    async def disconnect(self, reason: str) -> None:
        """Announce that the connection ends."""
        await self.send({"type": "disconnect", "reason": reason, "debug_info": self.debug_info()})

    def debug_info(self) -> Payload:
        """What Slack tells of its side of the connection."""
        host = f"applink-{self.number}"
        return {"host": host, "build_number": 1, "approximate_connection_time": _CONNECTION_SECONDS}

    def acknowledge(self, text: str) -> None:
        """Take what the app sent as the acknowledgement of an envelope."""
        with suppress(ValueError):
            message: Any = json.loads(text)
            waiting = self.waiting.get(message.get("envelope_id", "")) if isinstance(message, dict) else None
            if waiting is not None and not waiting.done():
                payload = message.get("payload")
                waiting.set_result(payload if isinstance(payload, dict) else {})


class FakeSocketMode:
    """The app's connections. `timeout` is how long to wait for an acknowledgement (seconds)."""

    def __init__(self, app_id: str) -> None:
        self.timeout = ACKNOWLEDGE_TIMEOUT
        self.open: list[FakeSocket] = []
        self.opened = 0
        self._app_id = app_id
        self._numbers = count(1)
        self._tickets: set[str] = set()
        self._connected = asyncio.Event()
        self._turn = 0

    # --- connections ---

    def address(self, caller: TokenGrant, host: str) -> Payload:
        """apps.connections.open: where to connect, once. https://docs.slack.dev/reference/methods/apps.connections.open."""
        if not caller.app_level:
            raise MethodError("not_allowed_token_type")
        caller.require("connections:write")
        ticket = f"ticket-{next(self._numbers)}"
        self._tickets.add(ticket)
        return {"url": f"ws://{host}/link/?ticket={quote(ticket)}&app_id={self._app_id}"}

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Accept a connection, and read from it until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPUnauthorized(text="This address was used already, or is unknown.\n")
        self._tickets.discard(ticket)
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        if len(self.open) >= MAX_CONNECTIONS:
            await FakeSocket(0, request, stream).disconnect("too_many_websockets")
            await stream.close()
        else:
            await self._listen(FakeSocket(next(self._numbers), request, stream))
        return stream

    async def _listen(self, socket: FakeSocket) -> None:
        self.open.append(socket)
        self.opened += 1
        try:
            hello = {"type": "hello", "num_connections": len(self.open), "debug_info": socket.debug_info()}
            await socket.send({**hello, "connection_info": {"app_id": self._app_id}})
            self._connected.set()
            async for message in socket.stream:
                if message.type is WSMsgType.TEXT and not socket.ignores_acknowledgements:
                    socket.acknowledge(message.data)
        except ConnectionError:
            pass  # it closed during the hello
        finally:
            self.open.remove(socket)
            for waiting in socket.waiting.values():
                waiting.cancel()

    # --- deliveries ---

    async def deliver(self, kind: PayloadKind, payload: Payload, *, retry: int = 0) -> Acknowledgement:
        """Send an envelope; if it is not acknowledged in time, again, over another socket if there is one."""
        reason = "the app has no socket open"
        envelope: Payload = {"envelope_id": f"envelope-{next(self._numbers)}", "type": kind, "payload": payload}
        envelope["accepts_response_payload"] = kind != "events_api"
        for attempt in range(retry, retry + _ATTEMPTS):
            socket = await self._next_socket()
            if socket is None:
                break
            again = {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
            answer = await self._answer(socket, {**envelope, **(again if kind == "events_api" else {})})
            if answer is not None:
                return Acknowledgement(acknowledged=True, answer=answer or None)
            reason = f"no acknowledgement within {self.timeout:g} seconds"
        return Acknowledgement(acknowledged=False, reason=reason)

    async def _next_socket(self) -> FakeSocket | None:
        """The sockets in turn; where there is none, the first that connects in time."""
        if not self.open:
            self._connected.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await self._connected.wait()
        if not self.open:
            return None
        self._turn += 1
        return self.open[self._turn % len(self.open)]

    async def _answer(self, socket: FakeSocket, envelope: Payload) -> Payload | None:
        """The payload of the acknowledgement; None without one."""
        waiting: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        socket.waiting[envelope["envelope_id"]] = waiting
        try:
            await socket.send(envelope)
            await asyncio.wait([waiting], timeout=self.timeout)
            return waiting.result() if waiting.done() and not waiting.cancelled() else None
        except ConnectionError:
            return None
        finally:
            socket.waiting.pop(envelope["envelope_id"], None)

    # --- what Slack does by itself ---

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Announce the end of every connection, and end it. Before that Slack sends the reason `warning`."""
        for socket in list(self.open):
            await socket.disconnect(reason)
            if reason != "warning":
                await socket.stream.close()

    def cut(self) -> None:
        """Cut every connection without an announcement."""
        for socket in list(self.open):
            if socket.request.transport is not None:
                socket.request.transport.abort()

    async def close(self) -> None:
        """Close every connection, as a server that stops."""
        for socket in list(self.open):
            await socket.stream.close(code=WSCloseCode.GOING_AWAY)
