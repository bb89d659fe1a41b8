"""How an app receives what users do: over HTTP, signed, or over its Socket Mode connection (`slack.socket_mode`).

    slack.interactivity = RequestUrl("http://127.0.0.1:8080", signing_secret="...")
    delivery = await slack.click("U0ANN", "noc", card.ts, "relay_assign")
    assert delivery.acknowledged

Slack waits three seconds for a 2xx, also for clicks on link buttons
(https://docs.slack.dev/interactivity/handling-user-interaction).
"""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlencode

import aiohttp

Payload = dict[str, Any]
PayloadKind = Literal["interactive", "slash_commands", "events_api"]

ACKNOWLEDGE_TIMEOUT: Final = 3.0
"""Seconds in which Slack expects the acknowledgement."""


@dataclass(slots=True, kw_only=True)
class Acknowledgement:
    """The outcome of one attempt to deliver a payload.

    `answer` is the JSON that came with the acknowledgement. `status` is the HTTP status, None over a socket or without
    an answer. `reason` says why there was no acknowledgement.
    """

    acknowledged: bool = False
    status: int | None = None
    answer: Payload | None = None
    reason: str = ""


@dataclass(slots=True, kw_only=True, eq=False)
class PayloadDelivery(Acknowledgement):
    """A payload sent to the app, when (Unix seconds), and the outcome of the last attempt."""

    kind: PayloadKind
    payload: Payload
    at: float
    attempts: int = 0


class AppTransport(Protocol):
    """A way to deliver payloads to the app."""

    async def deliver(self, kind: PayloadKind, payload: Payload, *, retry: int = 0) -> Acknowledgement:
        """Deliver and wait for the acknowledgement; `retry` counts from 1 where the payload was sent before."""


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """The app's request URLs: `url` + /slack/actions, /slack/commands and /slack/events, signed as Slack signs.

    `clock` gives the signature's time (Unix seconds); `timeout` is how long to wait for an answer (seconds).
    """

    url: str
    signing_secret: str = field(repr=False)
    clock: Callable[[], float] = time.time
    timeout: float = ACKNOWLEDGE_TIMEOUT

    async def deliver(self, kind: PayloadKind, payload: Payload, *, retry: int = 0) -> Acknowledgement:
        """POST a payload: interactions and commands as forms, events as JSON."""
        body, content_type = json.dumps(payload), "application/x-www-form-urlencoded"
        match kind:
            case "interactive":
                path, body = "actions", urlencode({"payload": body})
            case "slash_commands":
                path, body = "commands", urlencode(payload)
            case _:
                path, content_type = "events", "application/json"
        again = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"} if retry else {}
        signature = signature_headers(self.signing_secret, body.encode(), self.clock())
        headers = {"Content-Type": content_type, **signature, **again}
        return await self.post(f"/slack/{path}", body.encode(), headers)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Acknowledgement:
        """POST anything, as somebody other than Slack might."""
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url.rstrip("/") + path, data=body, headers=headers) as answer,
            ):
                return _acknowledgement(answer.status, await answer.read())
        except TimeoutError:
            return Acknowledgement(acknowledged=False, reason=f"no answer within {self.timeout:g} seconds")
        except aiohttp.ClientError as error:
            return Acknowledgement(acknowledged=False, reason=f"no connection ({type(error).__name__})")


def signature_headers(secret: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of a signature: https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    timestamp = str(int(now))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def _acknowledgement(status: int, body: bytes) -> Acknowledgement:
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Acknowledgement(acknowledged=False, status=status, reason=f"HTTP {status}")
    try:
        answer = json.loads(body) if body else None
    except ValueError:
        answer = None  # Slack ignores a body that is not JSON
    return Acknowledgement(acknowledged=True, status=status, answer=answer if isinstance(answer, dict) else None)
