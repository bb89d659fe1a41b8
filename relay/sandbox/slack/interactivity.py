"""How an app receives what people do: over HTTP, signed, or over its own socket (`socket_mode`).

    slack.interactivity = HTTP("http://127.0.0.1:8080", signing_secret="...")
    delivery = await slack.click("U0ANN", "noc", card.ts, "relay_assign")
    assert delivery.acknowledged

Slack waits three seconds for a 2xx (https://docs.slack.dev/interactivity/handling-user-interaction), a link button's
press among what is to be answered.
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
PayloadKind = Literal["interactive", "events_api"]

ACKNOWLEDGE_TIMEOUT: Final = 3.0
"""Seconds in which Slack wants its acknowledgement."""


@dataclass(slots=True, kw_only=True, eq=False)
class PayloadDelivery:
    """One thing that was told to the app: what, when (Unix seconds), and what came of the last attempt.

    `answer` is the JSON that came with the acknowledgement; `status` is HTTP's, None over a socket or where nobody
    answered; `why` says why there was no acknowledgement.
    """

    kind: PayloadKind
    payload: Payload
    at: float
    attempts: int = 0
    acknowledged: bool = False
    status: int | None = None
    answer: Payload | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What came back from one attempt; see `Delivery`."""

    acknowledged: bool
    status: int | None = None
    answer: Payload | None = None
    reason: str = ""


class AppTransport(Protocol):
    """A way to the app."""

    async def deliver(self, kind: PayloadKind, payload: Payload, *, retry: int = 0) -> Acknowledgement:
        """Tell the app, and wait for its acknowledgement; `retry` counts from 1 where the same is told again."""


@dataclass(frozen=True, slots=True)
class RequestUrl:
    """The app's request addresses: `url` + /slack/actions and `url` + /slack/events, signed as Slack signs.

    `clock` tells the signature's time (Unix seconds); `patience` is how long an answer is waited for (seconds).
    """

    url: str
    signing_secret: str = field(repr=False)
    clock: Callable[[], float] = time.time
    timeout: float = ACKNOWLEDGE_TIMEOUT

    async def deliver(self, kind: PayloadKind, payload: Payload, *, retry: int = 0) -> Acknowledgement:
        """POST it: what people press as a form, what they say as JSON."""
        path, body, content_type = _written(kind, payload)
        again = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": "http_timeout"} if retry else {}
        headers = {"Content-Type": content_type, **signature_headers(self.signing_secret, body, self.clock()), **again}
        return await self.post(path, body, headers)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Acknowledgement:
        """POST anything, as somebody might who is not Slack."""
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url.rstrip("/") + path, data=body, headers=headers) as answer,
            ):
                return _answered(answer.status, await answer.read())
        except TimeoutError:
            return Acknowledgement(acknowledged=False, reason=f"no answer within {self.timeout:g} seconds")
        except aiohttp.ClientError as error:
            return Acknowledgement(acknowledged=False, reason=f"no connection ({type(error).__name__})")


def signature_headers(secret: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of a signature: https://docs.slack.dev/authentication/verifying-requests-from-slack."""
    timestamp = str(int(now))
    digest = hmac.new(secret.encode(), f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


def _written(kind: PayloadKind, payload: Payload) -> tuple[str, bytes, str]:
    if kind == "interactive":
        form = urlencode({"payload": json.dumps(payload)}).encode()
        return "/slack/actions", form, "application/x-www-form-urlencoded"
    return "/slack/events", json.dumps(payload).encode(), "application/json"


def _answered(status: int, body: bytes) -> Acknowledgement:
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Acknowledgement(acknowledged=False, status=status, reason=f"HTTP {status}")
    try:
        told = json.loads(body) if body else None
    except ValueError:
        told = None  # words, which Slack does not look at
    return Acknowledgement(acknowledged=True, status=status, answer=told if isinstance(told, dict) else None)
