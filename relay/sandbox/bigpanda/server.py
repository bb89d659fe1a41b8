"""The HTTP surface: an organisation that answers as BigPanda's API does, with its limits and whatever goes wrong.

A call is logged when it arrives; then it needs a key, then it has to be admitted, then it may be struck by a fault, and
only then it takes effect.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from relay.sandbox.bigpanda.calls import BigPandaCall
from relay.sandbox.bigpanda.endpoints import ENDPOINTS, Endpoint, parse_body
from relay.sandbox.bigpanda.errors import ApiError
from relay.sandbox.bigpanda.incident import FakeIncident
from relay.sandbox.bigpanda.organisation import Organisation
from relay.sandbox.bigpanda.share_body import ParsedShare
from relay.sandbox.bigpanda.sharing import Integration, SentShare
from relay.sandbox.bigpanda.users import AUTOSHARE, FakeApiKey, FakeBigPandaUser
from relay.sandbox.faults import DropConnection, FaultInjector, RawResponse
from relay.sandbox.rate_limits import RateLimiter
from relay.sandbox.serving import serve_app, to_response

RELAY_USER: Final = FakeBigPandaUser(id="5506e4fbe7e0e40000000002", name="relay", email="relay@bigpanda.example")
"""The service account whose key there is at first."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeBigPanda(Organisation):
    """BigPanda's stand-in: an organisation, its limits (`limits`), its faults (`faults`) and the log of `calls`.

    Everything that happens to an incident, by a call or by a verb of this class, is shared to every integration of
    `shares_to` after `share_delay` seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        key: str = "BPUsandbox",
        user: FakeBigPandaUser = RELAY_USER,
    ) -> None:
        """Make an organisation with one key; `clock` tells Unix seconds, `sleep` is what all waiting is done by."""
        super().__init__(clock=clock, sleep=sleep, key=key, user=user)
        self.limits = RateLimiter(allowed={each.name: each.per_second for each in ENDPOINTS}, seconds=1.0)
        self.faults = FaultInjector(sleep)
        self.calls: list[BigPandaCall] = []

    # --- what it is told to be like ---

    @property
    def rate_limits(self) -> bool:
        """Whether calls that come too fast are refused; off at first, may be set."""
        return self.limits.enabled

    @rate_limits.setter
    def rate_limits(self, enabled: bool) -> None:
        self.limits.enabled = enabled

    def pause(self, call: str, seconds: float) -> None:
        """Answer a call with 429 for so many seconds, whatever `rate_limits` says."""
        self.limits.pause(call, self.now(), seconds)

    @property
    def share_delay(self) -> float:
        """Seconds from what happens to its share; may be set."""
        return self.sharing.delay

    @share_delay.setter
    def share_delay(self, seconds: float) -> None:
        self.sharing.delay = seconds

    def add_integration(self, url: str, headers: Mapping[str, str] | None = None, **options: Any) -> Integration:
        """Share to this address from now on; the options are the fields of `Integration`."""
        integration = Integration(url=url, headers=headers or {}, **options)
        self.sharing.integrations.append(integration)
        return integration

    # --- what is seen of it ---

    def calls_to(self, call: str) -> list[BigPandaCall]:
        """The calls of one kind, in the order in which they came."""
        return [each for each in self.calls if each.method == call]

    @property
    def sent_shares(self) -> list[SentShare]:
        """All shares that went out, in the order in which they went."""
        return self.sharing.log

    @property
    def idle(self) -> bool:
        """Whether everything that happened is shared, and the shares are answered."""
        return self.sharing.idle

    async def wait_until_idle(self) -> None:
        """Wait until everything that happened is shared, and the shares are answered."""
        await self.sharing.wait_until_idle()

    # --- what happens by itself ---

    async def start_incident(self, share: Mapping[str, Any]) -> FakeIncident:
        """Let an incident begin that this body of a webhook tells of, and share it."""
        incident = self.add_incident(share)
        await self.send_share(incident.id, "incident#new")
        return incident

    async def apply_and_send(self, share: Mapping[str, Any]) -> FakeIncident:
        """Let be so what this body of a webhook tells, and share it as that: its event, its comment, its sender.

        Of an incident that is there already only what differs from the body before is taken, so that what calls did to
        it meanwhile stays.
        """
        heard = ParsedShare.parse(share)
        new = heard.fields["id"] not in self.incidents
        incident = self.apply_share(heard)
        event = heard.event or ("incident#new" if new else "incident#updated")
        if heard.comment is not None:
            incident.comments.append(heard.comment)
            incident.add_activity("incident_commented", self.now(), heard.sender, {"comment": heard.comment})
        self.queue_share(incident, event, sender=heard.sender, comment=heard.comment)
        await self.wait_until_idle()
        return incident

    async def update_incident(self, incident: str, event: str = "incident#updated", **changes: Any) -> FakeIncident:
        """Let something happen to an incident: fields of a share's `incident` that are different now. It is shared."""
        found = self.incident(incident)
        found.touch(self.now())
        found.fields |= changes
        await self.send_share(incident, event)
        return found

    async def resolve_incident(self, incident: str) -> FakeIncident:
        """Let an incident and its alerts be over. It is shared."""
        found = self.incident(incident)
        self.resolve(found, AUTOSHARE)
        await self.wait_until_idle()
        return found

    async def send_share(self, incident: str, event: str = "manual", *, sender: FakeBigPandaUser = AUTOSHARE) -> None:
        """Share an incident as it is; returns when that and all else has been answered."""
        self.queue_share(self.incident(incident), event, sender=sender)
        await self.wait_until_idle()

    # --- HTTP ---

    def app(self) -> web.Application:
        """The application, to be served at the address that clients take for BigPanda's."""
        app = web.Application()
        for endpoint in ENDPOINTS:
            app.router.add_route(endpoint.verb, endpoint.path, self._handles(endpoint))
        app.router.add_route("*", "/{tail:.*}", self._handles(None))
        app.on_shutdown.append(self._shut_down)
        return app

    async def _shut_down(self, _app: web.Application) -> None:
        self.faults.release()
        await self.sharing.close()

    def _handles(self, endpoint: Endpoint | None) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            name = endpoint.name if endpoint else f"{request.method} {request.path}"
            call = BigPandaCall(method=name, at=self.now(), arguments={})
            self.calls.append(call)
            return to_response(request, call, await self._respond(request, call, endpoint), {})

        return handle

    async def _respond(
        self, request: web.Request, call: BigPandaCall, endpoint: Endpoint | None
    ) -> RawResponse | DropConnection:
        try:
            caller = self.authenticate(_bearer(request))
            known = self._admitted(call, endpoint)
            call.arguments = {**request.match_info, **request.query}
            told = parse_body(await request.read(), request.content_type, known.fields)
            call.arguments = {**call.arguments, **told}
            if known.permission is not None:
                caller.require(known.permission)
        except ApiError as refusal:
            return _said(refusal.status, refusal.body)
        return await self.faults.run(call, lambda: self._perform(known, caller, call))

    def _admitted(self, call: BigPandaCall, endpoint: Endpoint | None) -> Endpoint:
        if endpoint is None:
            raise ApiError(HTTPStatus.NOT_FOUND, "Not Found")
        if self.limits.admit(call.method, None, call.at) is not None:
            raise ApiError(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests")
        return endpoint

    def _perform(self, endpoint: Endpoint, caller: FakeApiKey, call: BigPandaCall) -> RawResponse:
        try:
            status, answer = endpoint.run(self, caller, call.arguments)
        except ApiError as refusal:
            return _said(refusal.status, refusal.body)
        call.took_effect = True
        return _said(status, answer)


@asynccontextmanager
async def serve_bigpanda(bigpanda: FakeBigPanda, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve an organisation, and give the base address for a client, `http://HOST:PORT`. Port 0 means any free one."""
    async with serve_app(bigpanda.app(), host, port) as address:
        yield address


def _bearer(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _said(status: HTTPStatus, answer: Any) -> RawResponse:
    return RawResponse(status=status, body="" if answer is None else json.dumps(answer))
