"""Slack's endpoints: clicks, modals and shortcuts at /slack/actions, /slack/commands, and replies at /slack/events.

Slack expects a response within three seconds, and does not send again what was answered 200. So the backend returns
after the payload is on disk, and acts on it later. If the response is not 2xx, Slack tells the person that it failed
(https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response), or sends an event again, up to
three times (https://docs.slack.dev/apis/events-api#retries).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from aiohttp import web

from relay.http.json_fields import parse_object
from relay.runtime.clock import Clock
from relay.server.backend import Backend
from relay.server.body import BodyReader
from relay.server.connections import CONNECTIONS
from relay.server.problem import Problem, json_response
from relay.server.slack_signature import SignatureVerifier
from relay.slack.interactions import Challenge, parse_event

MAX_BYTES: Final = 1024 * 1024
"""The largest body that relay accepts from Slack. A click contains the whole message, which is far smaller."""

BODY_TIMEOUT: Final = 3.0
"""Seconds in which a body must arrive: anybody may send one, and Slack itself waits no longer for the response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackEndpoints:
    """The endpoints. They accept only requests with Slack's signature."""

    backend: Backend
    signature: SignatureVerifier
    clock: Clock
    bodies: BodyReader = field(
        default_factory=lambda: BodyReader(limit=MAX_BYTES, within=BODY_TIMEOUT, budget=4 * MAX_BYTES)
    )

    async def actions(self, request: web.Request) -> web.Response:
        """Accept a click, a submitted modal or a shortcut: JSON in the form field `payload`."""
        payload = _parse_object(_form(await self._verified_body(request)).get("payload", ""))
        return json_response(await self.backend.on_interaction(payload))

    async def commands(self, request: web.Request) -> web.Response:
        """Accept a slash command: a form. The response is what the person reads."""
        return json_response(await self.backend.on_command(_form(await self._verified_body(request))))

    async def events(self, request: web.Request) -> web.Response:
        """Accept an event: JSON. Slack's check that this is relay's address is answered here."""
        payload = _parse_object(await self._verified_body(request))
        event = parse_event(payload)
        if isinstance(event, Challenge):
            return json_response({"challenge": event.text})
        return json_response(await self.backend.on_event(payload))

    async def _verified_body(self, request: web.Request) -> bytes:
        """The body, after its signature was verified. If the request is too old, its body is not read."""
        if not self.signature.is_recent(request.headers, self.clock.now()):
            raise _unsigned("The request's timestamp is missing, or is more than five minutes off.")
        async with self.bodies.read(request) as body:
            if not self.signature.matches(request.headers, body):
                raise _unsigned("The request is not signed with this app's signing secret.")
            request.app[CONNECTIONS].accepted(request.protocol)
            return body


def _unsigned(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "invalid_signature", detail, close=True)


def _form(body: bytes) -> dict[str, str]:
    """The fields of a form; none if it has too many."""
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=100)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _parse_object(text: str | bytes) -> Mapping[str, Any]:
    payload = parse_object(text)
    if not payload:
        raise Problem(HTTPStatus.BAD_REQUEST, "not_json", "The payload is not a JSON object.")
    return payload
