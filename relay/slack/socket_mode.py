"""Socket Mode: Slack sends clicks, commands and events over a connection that relay opens: no public address needed.

https://docs.slack.dev/apis/events-api/using-socket-mode. Each envelope goes to a handler and is acknowledged once the
handler has stored it. Slack sends an unacknowledged envelope again, over another connection. Slack renews connections
every few hours; relay opens the new one before the old one ends.

Relay reads no further while `MAX_PENDING` envelopes are not stored yet. It ends a connection that sends no hello, no
answer to a ping, a message of more than a megabyte, or junk again and again.

Relay does not use the client of slack_sdk (3.47.0). It retries a failed URL for ever, although a URL is valid for one
connection. Nobody owns the tasks that it starts, and its waits cannot be tested.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import aiohttp
import orjson
import structlog

from relay.http.json_fields import JsonObject, parse_object, text_field
from relay.http.session import proxy_for
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock
from relay.slack.client import BASE_URL
from relay.slack.gateway import Observer, SlackGateway
from relay.slack.outcomes import Read, Rejected, Retryable
from relay.slack.responses import socket_url_of

PayloadHandler: TypeAlias = Callable[[JsonObject], Awaitable[JsonObject | None]]
"""Stores a payload and returns what to answer. If it raises, the payload was not stored."""

STABLE_AFTER: Final = 30.0
"""Seconds after which a connection counts as stable: the next one is opened at once, and the backoff starts again."""

_LONGEST_WAIT: Final = 60.0
_FINISH_SECONDS: Final = 3.0
"""How long relay may acknowledge pending envelopes when it stops. Slack waits no longer either."""
_OVERLAP: Final = 30.0
"""Seconds for which relay still reads a connection that Slack ends; Slack closes it after about ten."""
_HEARTBEAT: Final = 10.0
"""Seconds between two pings. A connection that answers none for half of that is dead."""
_MAX_MESSAGE_BYTES: Final = 1024 * 1024
"""A click carries the whole card, which has less than 200 KB."""

MAX_PENDING: Final = 16
"""The most envelopes of one connection that are being stored."""

HELLO_WITHIN: Final = 10.0
"""Seconds within which Slack must say hello on a new connection."""

MAX_JUNK: Final = 100
"""The most messages of one connection that are not JSON objects."""

_HANDLE_WITHIN: Final = 10.0
"""Seconds within which an envelope must be stored; Slack sends it again after three."""

_MAX_REASON: Final = 80

_REMEDY: Final = (
    "Check SLACK_APP_TOKEN: it must be an app-level token (xapp-...) of relay's Slack app with the scope "
    "connections:write, and Socket Mode must be on in the app's settings."
)

_FAILED: Final = "There is no connection to Slack; relay tries again."

log = structlog.get_logger(__name__)


class SocketMode:
    """Relay's connection to Slack, over which clicks and events come."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        session: aiohttp.ClientSession,
        app_token: str,
        *,
        on_interaction: PayloadHandler,
        on_event: PayloadHandler,
        on_command: PayloadHandler | None = None,
        base_url: str = BASE_URL,
        clock: Clock | None = None,
        observer: Observer | None = None,
    ) -> None:
        """Use a session that is closed later, in the running loop, and handlers for the messages from Slack.

        Raises `SettingsError` where `base_url` is no http or https address.
        """
        self._session = session
        self._clock = clock or Clock()
        self._slack = SlackGateway(session, app_token, self._clock, base_url=base_url, observer=observer)
        self._schemes = ("wss://", "ws://") if base_url.startswith("http:") else ("wss://",)
        handlers = {"interactive": on_interaction, "events_api": on_event, "slash_commands": on_command}
        self._handlers: Mapping[str, PayloadHandler] = {kind: each for kind, each in handlers.items() if each}
        self._connections: set[_Connection] = set()
        self._failures = 0
        self._retry_after = 0.0

    @property
    def connected(self) -> bool:
        """Whether clicks and events can arrive now."""
        return any(connection.greeted for connection in self._connections)

    async def run(self, stop: asyncio.Event) -> None:
        """Stay connected until `stop` is set. Then acknowledge what has arrived, and close."""
        stopped = asyncio.create_task(stop.wait(), name="socket stop")
        try:
            async with asyncio.TaskGroup() as tasks:
                while not stop.is_set():
                    await self._keep_connection(tasks, stopped)
                for connection in self._connections:
                    connection.closing = True
                await asyncio.gather(*(connection.finish() for connection in tuple(self._connections)))
        finally:
            stopped.cancel()

    async def _keep_connection(self, tasks: asyncio.TaskGroup, stopped: asyncio.Task[Any]) -> None:
        """Open one connection, wait until it ends or Slack announces its end, then wait as long as the backoff says."""
        began = self._clock.monotonic()
        connection = await _unless_done(stopped, self._connect())
        if connection is not None:
            self._connections.add(connection)
            tasks.create_task(self._listen(connection), name="socket")
            await _unless_done(stopped, connection.ending.wait())
        if self._clock.monotonic() - began >= STABLE_AFTER:
            self._failures = 0
            return
        self._failures += 1
        wait = max(self._retry_after, min(_LONGEST_WAIT, backoff(self._failures, "socket")))
        await _unless_done(stopped, self._clock.sleep(wait))

    async def _connect(self) -> "_Connection | None":
        outcome = await self._slack.open_socket()
        self._retry_after = (isinstance(outcome, Retryable) and outcome.retry_after) or 0.0
        url = socket_url_of(outcome) if isinstance(outcome, Read) else ""
        if not url.startswith(self._schemes):
            if isinstance(outcome, Rejected):
                detail = "Slack rejects the connection; relay tries again."
                log.error("socket_rejected", reason=outcome.reason, code=outcome.code, detail=detail, remedy=_REMEDY)
            else:
                log.warning("socket_failed", reason=outcome.reason, detail=_FAILED)
            return None
        try:
            stream = await self._session.ws_connect(
                url,
                heartbeat=_HEARTBEAT,
                max_msg_size=_MAX_MESSAGE_BYTES,
                proxy=proxy_for("http" + url.removeprefix("ws")),  # proxies are configured for http: and https:
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("socket_failed", reason=type(error).__name__, detail=_FAILED)
            return None
        return _Connection(stream, self._handlers)

    async def _listen(self, connection: "_Connection") -> None:
        try:
            await connection.listen(self._clock)
        finally:
            self._connections.discard(connection)
            connection.end()


@dataclass(slots=True, eq=False)
class _Connection:
    """One connection. `ending` is set as soon as Slack announces its end, or it has ended."""

    stream: aiohttp.ClientWebSocketResponse
    handlers: Mapping[str, PayloadHandler]
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    hello: asyncio.Event = field(default_factory=asyncio.Event)
    closing: bool = False
    _pending: set[asyncio.Task[None]] = field(default_factory=set)
    _junk: int = 0

    async def listen(self, clock: Clock) -> None:
        """Handle what arrives until the connection ends, or for a while after Slack announced its end."""
        reading = asyncio.create_task(self._read(), name="socket reading")
        try:
            await _unless_done(reading, _first_done(self.hello.wait(), clock.sleep(HELLO_WITHIN)))
            if not self.hello.is_set():
                log.warning("socket_failed", reason="no_hello", detail=_FAILED)
                return
            await _unless_done(reading, self.ending.wait())
            self.end()  # envelopes that are still pending here do not delay the next connection
            await _unless_done(reading, clock.sleep(_OVERLAP))
        finally:
            reading.cancel()
            [failure] = await asyncio.gather(reading, return_exceptions=True)
            if isinstance(failure, Exception):
                log.error("socket_failed", reason=type(failure).__name__, detail=_FAILED, exc_info=failure)
            await self.finish()
        log.info("socket_closed", detail="A connection to Slack is closed.")

    @property
    def greeted(self) -> bool:
        """Whether clicks and events can arrive over it."""
        return self.hello.is_set() and not self.ending.is_set()

    def end(self) -> None:
        """Mark it as ending: relay needs another connection."""
        self.ending.set()

    async def finish(self) -> None:
        """Wait until pending envelopes are acknowledged, but not for long, and close."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=_FINISH_SECONDS)
        for task in self._pending:
            task.cancel()
        await self.stream.close()

    async def _read(self) -> None:
        """Dispatch what arrives. While too much is pending nothing is read, and Slack's side has to wait."""
        async for message in self.stream:
            while len(self._pending) >= MAX_PENDING:
                await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
            envelope = parse_object(message.data) if message.type is aiohttp.WSMsgType.TEXT else {}
            if envelope:
                self._dispatch(envelope)
                continue
            self._junk += 1
            if self._junk > MAX_JUNK:
                log.warning("socket_failed", reason="not_json", detail=_FAILED)
                return

    def _dispatch(self, envelope: JsonObject) -> None:
        match envelope.get("type"):
            case "hello" if not self.hello.is_set():
                self.hello.set()
                log.info("socket_open", detail="Slack sends clicks and events over this connection.")
            case "disconnect" if not self.ending.is_set():
                reason = str(envelope.get("reason"))[:_MAX_REASON]
                log.info("socket_ending", reason=reason, detail="Slack ends the connection, and relay opens another.")
                self.end()
            case _ if text_field(envelope, "envelope_id") and not self.closing:
                task = asyncio.create_task(self._handle(envelope), name="socket envelope")
                self._pending.add(task)
                task.add_done_callback(self._pending.discard)

    async def _handle(self, envelope: JsonObject) -> None:
        """Give an envelope to its handler, and acknowledge it once it is stored. Without a handler, acknowledge it."""
        handler, payload = self.handlers.get(text_field(envelope, "type")), envelope.get("payload")
        answer = None
        try:
            if handler is not None and isinstance(payload, Mapping):
                async with asyncio.timeout(_HANDLE_WITHIN):
                    answer = await handler(payload)
        except Exception:
            detail = "Relay could not store what Slack sent; Slack sends it again."
            log.exception("socket_envelope_failed", type=envelope.get("type"), detail=detail)
            return
        more = {"payload": answer} if answer is not None and envelope.get("accepts_response_payload") else {}
        try:
            await self.stream.send_str(orjson.dumps({"envelope_id": envelope["envelope_id"], **more}).decode())
        except (ConnectionError, RuntimeError):
            # Slack sends the envelope again, and the handler recognises the repeat.
            log.info("socket_acknowledgement_lost", detail="Slack sends it again, and relay ignores the repeat.")


async def _first_done(*work: Awaitable[Any]) -> None:
    """Wait until one of these is done, and cancel the others."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _unless_done(other: asyncio.Task[Any], work: Awaitable[Any]) -> Any:
    """Return the result of the work. If `other` is done first, cancel the work and return None."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, other], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.wait([task])
