"""The HTTP server: an organisation that answers as BigPanda's API does, with rate limits and injected faults.

A call is logged when it arrives. It needs a key and must pass the rate limits. Then a fault may apply, and only then
does the call take effect.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from relay.sandbox.bigpanda.endpoints import ENDPOINTS, Endpoint, parse_body
from relay.sandbox.bigpanda.errors import ApiError
from relay.sandbox.bigpanda.incident import FakeIncident, ParsedShare
from relay.sandbox.bigpanda.organisation import Organisation
from relay.sandbox.bigpanda.sharing import Integration
from relay.sandbox.bigpanda.users import AUTOSHARE, FakeApiKey, FakeBigPandaUser
from relay.sandbox.calls import ReceivedBigPandaCall
from relay.sandbox.faults import DropConnection, RawResponse
from relay.sandbox.http_api import FakeApi, bearer_token, serve_app, to_response
from relay.sandbox.rate_limits import RateLimiter

RELAY_USER: Final = FakeBigPandaUser(id="5506e4fbe7e0e40000000002", name="relay", email="relay@bigpanda.example")
"""The service account of the first key."""

FindShare = Callable[[str], Awaitable[bytes | None]]
"""Finds the body of the newest share of an incident, by its id."""

_INCIDENT_ARGUMENTS: Final = ("incident", "incident_id")
"""The names by which calls name an incident."""


class FakeBigPanda(Organisation, FakeApi[ReceivedBigPandaCall]):
    """A fake BigPanda: an organisation with rate limits (`limits`), faults (`faults`) and a log of `calls`.

    Everything that happens to an incident, by a call or by a method of this class, is shared to every integration after
    `share_delay` seconds.

    `find_share` finds the newest share of an incident that somebody else sent, for example with curl; None if there is
    none. With it, calls also know those incidents, as they are now.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        key: str = "BPUsandbox",
        user: FakeBigPandaUser = RELAY_USER,
    ) -> None:
        """Make an organisation with one key; `clock` gives Unix seconds, `sleep` makes everything wait."""
        Organisation.__init__(self, clock=clock, sleep=sleep, key=key, user=user)
        limits = RateLimiter(allowed={each.name: each.per_second for each in ENDPOINTS}, seconds=1.0)
        FakeApi.__init__(self, limits, sleep)
        self.find_share: FindShare | None = None

    def add_integration(self, url: str, headers: Mapping[str, str] | None = None, **options: Any) -> Integration:
        """Share to this address from now on; the options are the fields of `Integration`."""
        integration = Integration(url=url, headers=headers or {}, **options)
        self.integrations.append(integration)
        return integration

    # --- what happens without a call; each returns when the shares are answered ---

    async def start_incident(self, share: Mapping[str, Any]) -> FakeIncident:
        """Make the incident of this body of a share, and share it."""
        incident = self.add_incident(share)
        await self.send_share(incident.id, "incident#new")
        return incident

    async def apply_and_send(self, body: Mapping[str, Any]) -> FakeIncident:
        """Make what this body of a share says true, and share it with its event, its comment and its sender.

        For a known incident only what differs from the body before is applied, so that changes by calls stay.
        """
        share = ParsedShare.parse(body)
        new = share.fields["id"] not in self.incidents
        incident = self.apply_share(share)
        event = share.event or ("incident#new" if new else "incident#updated")
        if share.comment is not None:
            incident.comments.append(share.comment)
            incident.add_activity("incident_commented", self.now(), share.sender, {"comment": share.comment})
        self.queue_share(incident, event, sender=share.sender, comment=share.comment)
        await self.wait_until_idle()
        return incident

    async def update_incident(self, incident: str, event: str = "incident#updated", **changes: Any) -> FakeIncident:
        """Change fields of an incident, by their names in a share."""
        updated = self.incident(incident)
        updated.touch(self.now())
        updated.fields |= changes
        await self.send_share(incident, event)
        return updated

    async def resolve_incident(self, incident: str) -> FakeIncident:
        """Resolve an incident because its alerts ended."""
        resolved = self.incident(incident)
        self.resolve(resolved, AUTOSHARE)
        await self.wait_until_idle()
        return resolved

    async def send_share(self, incident: str, event: str = "manual", *, sender: FakeBigPandaUser = AUTOSHARE) -> None:
        """Share an incident as it is."""
        self.queue_share(self.incident(incident), event, sender=sender)
        await self.wait_until_idle()

    # --- HTTP ---

    def app(self) -> web.Application:
        """The application; its address is the base URL of a client of BigPanda."""
        app = web.Application()
        for endpoint in ENDPOINTS:
            app.router.add_route(endpoint.verb, endpoint.path, self._handler(endpoint))
        app.router.add_route("*", "/{tail:.*}", self._handler(None))
        app.on_shutdown.append(self._shut_down)
        return app

    async def _shut_down(self, _app: web.Application) -> None:
        self.faults.release()
        await self.close()

    def _handler(self, endpoint: Endpoint | None) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            name = endpoint.name if endpoint else f"{request.method} {request.path}"
            call = ReceivedBigPandaCall(method=name, at=self.now(), arguments={})
            self.calls.append(call)
            return to_response(request, call, await self._respond(request, call, endpoint), {})

        return handle

    async def _respond(
        self, request: web.Request, call: ReceivedBigPandaCall, endpoint: Endpoint | None
    ) -> RawResponse | DropConnection:
        try:
            caller = self.authenticate(bearer_token(request))
            known = self._admit(call, endpoint)
            call.arguments = {**request.match_info, **request.query}
            call.arguments |= parse_body(await request.read(), request.content_type, known)
            if known.permission is not None:
                caller.require(known.permission)
            await self._learn_from_elsewhere(call)
        except ApiError as error:
            return _json_response(error.status, error.body)
        return await self.faults.run(call, lambda: self._perform(known, caller, call))

    async def _learn_from_elsewhere(self, call: ReceivedBigPandaCall) -> None:
        """Learn the newest share of the incident that the call names, unless it is one that this organisation sent."""
        incident = next((call.arguments[name] for name in _INCIDENT_ARGUMENTS if name in call.arguments), None)
        if self.find_share is None or not isinstance(incident, str):
            return
        body = await self.find_share(incident)
        if body is not None and not self.has_sent(incident, body):
            self.learn_incident(body)

    def _admit(self, call: ReceivedBigPandaCall, endpoint: Endpoint | None) -> Endpoint:
        if endpoint is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "Not Found")
        if self.limits.admit(call.method, None, call.at) is not None:
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests")
        return endpoint

    def _perform(self, endpoint: Endpoint, caller: FakeApiKey, call: ReceivedBigPandaCall) -> RawResponse:
        try:
            status, answer = endpoint.run(self, caller, call.arguments)
        except ApiError as error:
            return _json_response(error.status, error.body)
        call.took_effect = True
        return _json_response(status, answer)


def serve_bigpanda(
    bigpanda: FakeBigPanda, host: str = "127.0.0.1", port: int = 0, *, next_free: bool = False
) -> AbstractAsyncContextManager[str]:
    """Serve an organisation, and give the base URL for a client, `http://HOST:PORT`. Port 0 means any free one.

    `next_free`: as in `serve_app`.
    """
    return serve_app(bigpanda.app(), host, port, next_free=next_free)


def _json_response(status: HTTPStatus, answer: Any) -> RawResponse:
    return RawResponse(status=status, body="" if answer is None else json.dumps(answer))
