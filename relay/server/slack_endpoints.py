"""Where Slack comes in: clicks and modals at /slack/actions, what is said in threads at /slack/events.

Slack wants an answer within three seconds, and a 200 means that it will not send this again; so whoever listens returns
once what was done is on disk, and does it afterwards. Anything but a 2xx has Slack tell the person that it did not work
(https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response), or send an event again, up to
three times (https://docs.slack.dev/apis/events-api#retries).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias
from urllib.parse import parse_qs

import orjson
from aiohttp import web

from relay.runtime.clock import Clock
from relay.server.body import ignore_expect, read_body
from relay.server.lifecycle import IN_FLIGHT
from relay.server.problem import Problem, unavailable
from relay.server.slack_signature import SignatureVerifier
from relay.slack.interactions import Challenge, parse_event

Payload: TypeAlias = Mapping[str, Any]

MAX_BYTES: Final = 1024 * 1024
"""The largest body that is taken. Slack sends the whole message with a click, which is far below."""


class SlackBackend(Protocol):
    """Who is told what people do in Slack."""

    async def on_interaction(self, payload: Payload) -> Mapping[str, Any] | None:
        """Take an interaction payload, and return once it is on disk: what to answer as JSON, None for nothing.

        The same payload may come again. Whatever is raised means that it was not kept.
        """

    async def on_event(self, payload: Payload) -> Mapping[str, Any] | None:
        """Take an event of the Events API, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackEndpoints:
    """The two doors, which open to Slack's signature alone."""

    backend: SlackBackend
    signature: SignatureVerifier
    clock: Clock
    patience: float

    def register(self, app: web.Application) -> None:
        """Put the doors into an application."""
        app.router.add_post("/slack/actions", self.actions, expect_handler=ignore_expect)
        app.router.add_post("/slack/events", self.events, expect_handler=ignore_expect)

    async def actions(self, request: web.Request) -> web.Response:
        """Take a click, or a modal that was sent: JSON in the field `payload` of a form."""
        payload = _object(_field(await self._signed(request), "payload"))
        return _answer(await self.backend.on_interaction(payload))

    async def events(self, request: web.Request) -> web.Response:
        """Take an event: JSON. The question whether this is the right address is answered here."""
        payload = _object(await self._signed(request))
        match parse_event(payload):
            case Challenge(text=text):
                return _answer({"challenge": text})
            case _:
                return _answer(await self.backend.on_event(payload))

    async def _signed(self, request: web.Request) -> bytes:
        """The body, once it is known to be Slack's; of a request that is not of now no byte is read."""
        if request.app[IN_FLIGHT].draining:
            raise unavailable("stopping", "relay is stopping here; please send it again.", close=True)
        if not self.signature.is_recent(request.headers, self.clock.now()):
            raise _unsigned("The request does not say that it was made within the last five minutes.")
        body = await read_body(request, limit=MAX_BYTES, seconds=self.patience)
        if not self.signature.matches(request.headers, body):
            raise _unsigned("The signature under the request is not made with this app's signing secret.")
        return body


def _unsigned(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "unsigned", detail, close=True)


def _field(form: bytes, name: str) -> str:
    try:
        fields = parse_qs(form.decode("utf-8", "replace"), max_num_fields=100)
    except ValueError:  # more fields than that
        return ""
    return fields.get(name, [""])[-1]


def _object(text: str | bytes) -> Payload:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise Problem(HTTPStatus.BAD_REQUEST, "not_json", "What Slack sends is a JSON object, and this is none.")
    return told


def _answer(told: Mapping[str, Any] | None) -> web.Response:
    if told is None:
        return web.Response()
    return web.Response(body=orjson.dumps(told), content_type="application/json")
