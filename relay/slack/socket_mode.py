"""Socket Mode: what people do in Slack comes over a connection that relay opens, so that it needs no public address.

https://docs.slack.dev/apis/events-api/using-socket-mode. Each envelope is handed to whoever listens, and acknowledged
once it is kept: what was not acknowledged comes again, over another connection. Slack renews connections every few
hours; the new one is there before the old one ends.

slack_sdk has a client for this, which was tried (3.47.0) and is not used: an address is good for one connection, and
when that fails it tries the same address again for ever; what it starts nobody owns, and its waits cannot be told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import aiohttp
import orjson
import structlog
from yarl import URL

from relay.http.session import proxy_for
from relay.ratelimit.budgets import backoff
from relay.runtime.clock import Clock
from relay.slack.client import BASE_URL, SlackClient
from relay.slack.outcomes import Read, Rejected, Retryable, SlackOutcome
from relay.slack.responses import socket_url_of

Payload: TypeAlias = Mapping[str, Any]
PayloadHandler: TypeAlias = Callable[[Payload], Awaitable[Payload | None]]
"""Takes a payload, returns once it is kept, with what to answer; what it raises means that it was not kept."""

STABLE_AFTER: Final = 30.0
"""Seconds after which a connection counts as a good one: the next is made at once, and waits begin anew."""

_LONGEST_WAIT: Final = 60.0
_LAST_WORDS: Final = 3.0
"""Seconds in which what is being kept when relay stops can still be acknowledged: Slack waits no longer either."""
_OVERLAP: Final = 30.0
"""Seconds for which a connection that Slack has given notice is listened to; Slack closes it after about ten."""
_HEARTBEAT: Final = 10.0
"""Seconds between two pings; a connection that answers none for half of that is dead."""
_LARGEST: Final = 4 * 1024 * 1024

_REMEDY: Final = (
    "Check SLACK_APP_TOKEN: it must be an app-level token (xapp-...) of relay's Slack app with the scope "
    "connections:write, and Socket Mode must be on in the app's settings."
)

log = structlog.get_logger(__name__)


class SocketMode:
    """Relay's connection to Slack, over which clicks and events come. `connected` says whether there is one now."""

    def __init__(  # noqa: PLR0913  each has a name
        self,
        session: aiohttp.ClientSession,
        app_token: str,
        *,
        on_interaction: PayloadHandler,
        on_event: PayloadHandler,
        base_url: str = BASE_URL,
        clock: Clock | None = None,
    ) -> None:
        """Take a session that outlives this, inside the running loop, and who takes interactions and events.

        Raises `SettingsError` where `base_url` is no http or https address.
        """
        self._session = session
        self._slack = SlackClient(session, app_token, base_url=base_url)
        self._takers: Mapping[str, PayloadHandler] = {"interactive": on_interaction, "events_api": on_event}
        self._clock = clock or Clock()
        self._lines: set[_Line] = set()
        self._failures = 0
        self._asked_to_wait = 0.0

    @property
    def connected(self) -> bool:
        """Whether clicks and events can come in now."""
        return any(line.greeted for line in self._lines)

    async def run(self, stop: asyncio.Event) -> None:
        """Be connected until told to stop; then keep and acknowledge what has come, and close."""
        told = asyncio.create_task(stop.wait(), name="socket stopping")
        try:
            async with asyncio.TaskGroup() as tasks:
                while not stop.is_set():
                    await self._stay_connected(tasks, told)
                for line in self._lines:
                    line.closing = True
                await asyncio.gather(*(line.finish() for line in tuple(self._lines)))
        finally:
            told.cancel()

    async def _stay_connected(self, tasks: asyncio.TaskGroup, told: asyncio.Task[Any]) -> None:
        """One connection, from the asking for it to its end or to Slack's notice of it."""
        began = self._clock.monotonic()
        line = await _unless(told, self._connect())
        if line is not None:
            self._lines.add(line)
            tasks.create_task(self._listen(line), name="socket")
            await _unless(told, line.noticed.wait())
        if self._clock.monotonic() - began >= STABLE_AFTER:
            self._failures = 0
            return
        self._failures += 1
        wait = max(self._asked_to_wait, min(_LONGEST_WAIT, backoff(self._failures, "socket")))
        await _unless(told, self._clock.sleep(wait))

    async def _connect(self) -> "_Line | None":
        answer = await self._slack.open_socket()
        self._asked_to_wait = (isinstance(answer, Retryable) and answer.retry_after) or 0.0
        address = socket_url_of(answer) if isinstance(answer, Read) else ""
        if not address:
            _tell(answer)
            return None
        try:
            stream = await self._session.ws_connect(
                address,
                heartbeat=_HEARTBEAT,
                max_msg_size=_LARGEST,
                proxy=proxy_for(_as_http(address)),
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("socket_failed", reason=type(error).__name__)
            return None
        return _Line(stream, self._takers)

    async def _listen(self, line: "_Line") -> None:
        try:
            await line.listen(self._clock)
        finally:
            self._lines.discard(line)
            line.end()


@dataclass(slots=True, eq=False)
class _Line:
    """One connection. `noticed` is set once Slack has said that it will end, or once it has ended."""

    stream: aiohttp.ClientWebSocketResponse
    takers: Mapping[str, PayloadHandler]
    noticed: asyncio.Event = field(default_factory=asyncio.Event)
    greeted: bool = False
    closing: bool = False
    _taking: set[asyncio.Task[None]] = field(default_factory=set)

    async def listen(self, clock: Clock) -> None:
        """Take what comes until the connection ends; after Slack's notice not much longer."""
        reading = asyncio.create_task(self._read(), name="socket reading")
        try:
            await _unless(reading, self.noticed.wait())
            self.end()  # what is still being kept here does not delay the next connection
            await _unless(reading, clock.sleep(_OVERLAP))
        finally:
            reading.cancel()
            await self.finish()
        log.info("socket_closed")

    def end(self) -> None:
        """It ends, or has ended: another one is wanted."""
        self.greeted = False
        self.noticed.set()

    async def finish(self) -> None:
        """Let what is being kept be acknowledged, within bounds, and close."""
        if self._taking:
            await asyncio.wait(self._taking, timeout=_LAST_WORDS)
        for taking in self._taking:
            taking.cancel()
        await self.stream.close()

    async def _read(self) -> None:
        async for message in self.stream:
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)

    def _take(self, text: str) -> None:
        envelope = _parsed(text)
        match envelope.get("type"):
            case "hello":
                self.greeted = True
                log.info("socket_open")
            case "disconnect":
                log.info("socket_ends", reason=str(envelope.get("reason")))
                self.end()
            case _ if isinstance(envelope.get("envelope_id"), str) and not self.closing:
                taking = asyncio.create_task(self._keep(envelope), name="socket envelope")
                self._taking.add(taking)
                taking.add_done_callback(self._taking.discard)

    async def _keep(self, envelope: Payload) -> None:
        """Hand an envelope on, and acknowledge it once it is kept. What nobody here takes is acknowledged as well."""
        taker, payload = self.takers.get(str(envelope.get("type"))), envelope.get("payload")
        answer = None
        try:
            if taker is not None and isinstance(payload, Mapping):
                answer = await taker(payload)
        except Exception:
            log.exception("socket_envelope_not_kept", type=envelope.get("type"))
            return
        told = {"payload": answer} if answer is not None and envelope.get("accepts_response_payload") else {}
        try:
            await self.stream.send_str(orjson.dumps({"envelope_id": envelope["envelope_id"], **told}).decode())
        except (ConnectionError, RuntimeError):
            log.info("socket_acknowledgement_lost")  # it comes again, and whoever keeps it knows it by then


async def _unless(other: asyncio.Task[Any], work: Awaitable[Any]) -> Any:
    """What the work comes to; None where the other is done before it, which ends the work."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task, other], return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.wait([task])


def _tell(answer: SlackOutcome) -> None:
    if isinstance(answer, Rejected):
        log.error("socket_refused", reason=answer.reason, code=answer.code, remedy=_REMEDY)
    else:
        log.warning("socket_failed", reason=answer.reason)


def _as_http(address: str) -> str:
    """The address with the scheme by which proxies are named."""
    url = URL(address)
    return str(url.with_scheme({"wss": "https", "ws": "http"}.get(url.scheme, url.scheme)))


def _parsed(text: str) -> Payload:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        told = None
    return told if isinstance(told, dict) else {}
