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

from relay.sandbox.bigpanda.calls import Call
from relay.sandbox.bigpanda.endpoints import ENDPOINTS, Endpoint, body
from relay.sandbox.bigpanda.share_body import Heard
from relay.sandbox.bigpanda.incident import Incident
from relay.sandbox.bigpanda.organisation import Organisation
from relay.sandbox.bigpanda.users import AUTOSHARE, Key, User
from relay.sandbox.bigpanda.errors import Refused
from relay.sandbox.bigpanda.sharing import Integration, Shared
from relay.sandbox.faults import Drop, Faults, Reply
from relay.sandbox.rate_limits import Window
from relay.sandbox.serving import answered, listening

RELAY: Final = User(id="5506e4fbe7e0e40000000002", name="relay", email="relay@bigpanda.example")
"""The service account whose key there is at first."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BigPanda(Organisation):
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
        user: User = RELAY,
    ) -> None:
        """Make an organisation with one key; `clock` tells Unix seconds, `sleep` is what all waiting is done by."""
        super().__init__(clock=clock, sleep=sleep, key=key, user=user)
        self.limits = Window(allowed={each.name: each.per_second for each in ENDPOINTS}, seconds=1.0)
        self.faults = Faults(sleep)
        self.calls: list[Call] = []

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

    def shares_to(self, url: str, headers: Mapping[str, str] | None = None, **options: Any) -> Integration:
        """Share to this address from now on; the options are the fields of `Integration`."""
        integration = Integration(url=url, headers=headers or {}, **options)
        self.sharing.integrations.append(integration)
        return integration

    # --- what is seen of it ---

    def called(self, call: str) -> list[Call]:
        """The calls of one kind, in the order in which they came."""
        return [each for each in self.calls if each.method == call]

    @property
    def shared(self) -> list[Shared]:
        """All shares that went out, in the order in which they went."""
        return self.sharing.log

    @property
    def resting(self) -> bool:
        """Whether everything that happened is shared, and the shares are answered."""
        return self.sharing.resting

    async def settled(self) -> None:
        """Wait until everything that happened is shared, and the shares are answered."""
        await self.sharing.settled()

    # --- what happens by itself ---

    async def begins(self, share: Mapping[str, Any]) -> Incident:
        """Let an incident begin that this body of a webhook tells of, and share it."""
        incident = self.add_incident(share)
        await self.share(incident.id, "incident#new")
        return incident

    async def tells(self, share: Mapping[str, Any]) -> Incident:
        """Let be so what this body of a webhook tells, and share it as that: its event, its comment, its sender.

        Of an incident that is there already only what differs from the body before is taken, so that what calls did to
        it meanwhile stays.
        """
        heard = Heard.of(share)
        new = heard.told["id"] not in self.incidents
        incident = self.apply_share(heard)
        event = heard.event or ("incident#new" if new else "incident#updated")
        if heard.comment is not None:
            incident.comments.append(heard.comment)
            incident.note("incident_commented", self.now(), heard.sender, {"comment": heard.comment})
        self.queue_share(incident, event, sender=heard.sender, comment=heard.comment)
        await self.settled()
        return incident

    async def happens(self, incident: str, event: str = "incident#updated", **changes: Any) -> Incident:
        """Let something happen to an incident: fields of a share's `incident` that are different now. It is shared."""
        found = self.incident(incident)
        found.changed(self.now())
        found.told |= changes
        await self.share(incident, event)
        return found

    async def ends(self, incident: str) -> Incident:
        """Let an incident and its alerts be over. It is shared."""
        found = self.incident(incident)
        self.resolve(found, AUTOSHARE)
        await self.settled()
        return found

    async def share(self, incident: str, event: str = "manual", *, sender: User = AUTOSHARE) -> None:
        """Share an incident as it is; returns when that and all else has been answered."""
        self.queue_share(self.incident(incident), event, sender=sender)
        await self.settled()

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
            call = Call(method=name, at=self.now(), arguments={})
            self.calls.append(call)
            return answered(request, call, await self._respond(request, call, endpoint), {})

        return handle

    async def _respond(self, request: web.Request, call: Call, endpoint: Endpoint | None) -> Reply | Drop:
        try:
            caller = self.authenticate(_bearer(request))
            known = self._admitted(call, endpoint)
            call.arguments = {**request.match_info, **request.query}
            told = body(await request.read(), request.content_type, known.fields)
            call.arguments = {**call.arguments, **told}
            if known.permission is not None:
                caller.need(known.permission)
        except Refused as refusal:
            return _said(refusal.status, refusal.answer)
        return await self.faults.around(call, lambda: self._perform(known, caller, call))

    def _admitted(self, call: Call, endpoint: Endpoint | None) -> Endpoint:
        if endpoint is None:
            raise Refused(HTTPStatus.NOT_FOUND, "Not Found")
        if self.limits.admit(call.method, None, call.at) is not None:
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests")
        return endpoint

    def _perform(self, endpoint: Endpoint, caller: Key, call: Call) -> Reply:
        try:
            status, answer = endpoint.run(self, caller, call.arguments)
        except Refused as refusal:
            return _said(refusal.status, refusal.answer)
        call.took_effect = True
        return _said(status, answer)


@asynccontextmanager
async def serving(bigpanda: BigPanda, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve an organisation, and give the base address for a client, `http://HOST:PORT`. Port 0 means any free one."""
    async with listening(bigpanda.app(), host, port) as address:
        yield address


def _bearer(request: web.Request) -> str | None:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


def _said(status: HTTPStatus, answer: Any) -> Reply:
    return Reply(status=status, body="" if answer is None else json.dumps(answer))
