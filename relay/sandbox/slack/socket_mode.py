"""Socket Mode: the app connects to Slack, and hears over that socket what people do.

https://docs.slack.dev/apis/events-api/using-socket-mode. `apps.connections.open` gives an address that is good for one
connection; each envelope is to be acknowledged within three seconds, or another socket is given it.

    slack.interactivity = slack.socket_mode
    slack.socket_mode.refresh()  # what Slack does now and then: "disconnect", and the app has to come again
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.parse import quote

from aiohttp import WSCloseCode, WSMsgType, web

from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.interactivity import ACKNOWLEDGE_TIMEOUT, Acknowledgement, Payload, PayloadKind
from relay.sandbox.slack.users import TokenGrant

CONNECTIONS_OPEN: Final = "apps.connections.open"
"""The method that gives an address out; it is of the server, which alone knows where it listens."""

MAX_CONNECTIONS: Final = 10
"""Sockets that an app may have open at once."""

_ATTEMPTS: Final = 3
_LIFE: Final = 18_060
"""Seconds after which Slack says that it will refresh a connection."""


@dataclass(slots=True, eq=False)
class FakeSocket:
    """One connection of the app. A `deaf` one takes envelopes as ever, and none of its acknowledgements counts."""

    number: int
    request: web.Request
    stream: web.WebSocketResponse
    ignores_acknowledgements: bool = False
    waiting: dict[str, asyncio.Future[Payload]] = field(default_factory=dict)


class FakeSocketMode:
    """The app's connections. `patience` is how long an acknowledgement is waited for (seconds)."""

    def __init__(self, app_id: str) -> None:
        """Begin with none."""
        self.timeout = ACKNOWLEDGE_TIMEOUT
        self.open: list[FakeSocket] = []
        self.opened = 0
        self._app = app_id
        self._numbers = count(1)
        self._tickets: set[str] = set()
        self._arrived = asyncio.Event()
        self._turn = 0

    # --- the way in ---

    def address(self, caller: TokenGrant, host: str) -> Payload:
        """apps.connections.open: where to connect, once. https://docs.slack.dev/reference/methods/apps.connections.open."""
        if not caller.app_level:
            raise MethodError("not_allowed_token_type")
        caller.require("connections:write")
        ticket = f"ticket-{next(self._numbers)}"
        self._tickets.add(ticket)
        return {"url": f"ws://{host}/link/?ticket={quote(ticket)}&app_id={self._app}"}

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """Take a connection, and listen to it until it ends."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            raise web.HTTPUnauthorized(text="This address was used, or never given out.\n")
        self._tickets.discard(ticket)
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        if len(self.open) >= MAX_CONNECTIONS:
            await _say(stream, {"type": "disconnect", "reason": "too_many_websockets", "debug_info": self._about(0)})
            await stream.close()
            return stream
        socket = FakeSocket(next(self._numbers), request, stream)
        await self._listen(socket)
        return stream

    async def _listen(self, socket: FakeSocket) -> None:
        self.open.append(socket)
        self.opened += 1
        try:
            hello = {"type": "hello", "num_connections": len(self.open), "debug_info": self._about(socket.number)}
            await _say(socket.stream, {**hello, "connection_info": {"app_id": self._app}})
            self._arrived.set()
            async for message in socket.stream:
                if message.type is WSMsgType.TEXT and not socket.ignores_acknowledgements:
                    _acknowledge(socket, message.data)
        except ConnectionError:
            pass  # it went while it was greeted
        finally:
            self.open.remove(socket)
            for waiting in socket.waiting.values():
                waiting.cancel()

    def _about(self, number: int) -> Payload:
        return {"host": f"applink-{number}", "build_number": 1, "approximate_connection_time": _LIFE}

    # --- what is told ---

    async def deliver(self, kind: PayloadKind, payload: Payload, *, retry: int = 0) -> Acknowledgement:
        """Send an envelope; where it is not acknowledged in time, again, over another socket if there is one."""
        why = "the app has no socket open"
        envelope: Payload = {"envelope_id": f"envelope-{next(self._numbers)}", "type": kind, "payload": payload}
        envelope["accepts_response_payload"] = kind == "interactive"
        for attempt in range(retry, retry + _ATTEMPTS):
            socket = await self._next()
            if socket is None:
                break
            again = {"retry_attempt": attempt, "retry_reason": "timeout" if attempt else ""}
            answer = await self._sent(socket, {**envelope, **(again if kind == "events_api" else {})})
            if answer is not None:
                return Acknowledgement(acknowledged=True, answer=answer or None)
            why = f"no acknowledgement within {self.timeout:g} seconds"
        return Acknowledgement(acknowledged=False, reason=why)

    async def _next(self) -> FakeSocket | None:
        """The sockets in turn; where there is none, the first that comes in time."""
        if not self.open:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self.timeout):
                    await self._arrived.wait()
        if not self.open:
            return None
        self._turn += 1
        return self.open[self._turn % len(self.open)]

    async def _sent(self, socket: FakeSocket, envelope: Payload) -> Payload | None:
        """What was acknowledged with; None where it was not."""
        waiting: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
        socket.waiting[envelope["envelope_id"]] = waiting
        try:
            await _say(socket.stream, envelope)
            await asyncio.wait([waiting], timeout=self.timeout)
            return waiting.result() if waiting.done() and not waiting.cancelled() else None
        except ConnectionError:
            return None
        finally:
            socket.waiting.pop(envelope["envelope_id"], None)

    # --- what Slack does by itself ---

    async def refresh(self, reason: str = "refresh_requested") -> None:
        """Tell every connection that it ends, and end it. Before that Slack sends the reason `warning`."""
        for socket in list(self.open):
            await _say(
                socket.stream, {"type": "disconnect", "reason": reason, "debug_info": self._about(socket.number)}
            )
            if reason != "warning":
                await socket.stream.close()

    def cut(self) -> None:
        """Cut every connection without a word."""
        for socket in list(self.open):
            if socket.request.transport is not None:
                socket.request.transport.abort()

    async def close(self) -> None:
        """The end of the server: every connection is closed."""
        for socket in list(self.open):
            await socket.stream.close(code=WSCloseCode.GOING_AWAY)


def _acknowledge(socket: FakeSocket, text: str) -> None:
    with suppress(ValueError):
        told: Any = json.loads(text)
        waiting = socket.waiting.get(told.get("envelope_id", "")) if isinstance(told, dict) else None
        if waiting is not None and not waiting.done():
            payload = told.get("payload")
            waiting.set_result(payload if isinstance(payload, dict) else {})


async def _say(stream: web.WebSocketResponse, told: Payload) -> None:
    await stream.send_str(json.dumps(told))
