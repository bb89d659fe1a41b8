"""The HTTP surface: a workspace that answers under /api/ as Slack does, with its limits and whatever goes wrong.

A call is logged when it arrives; then it needs a token, then it has to be admitted, then it may be struck by a fault,
and only then it takes effect.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from relay.sandbox.calls import ReceivedCall
from relay.sandbox.faults import DropConnection, FaultInjector, RawResponse, rate_limited
from relay.sandbox.rate_limits import SlackRateLimiter
from relay.sandbox.serving import serve_app, to_response
from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.interactions import InteractiveWorkspace
from relay.sandbox.slack.methods import METHODS, perform
from relay.sandbox.slack.socket_mode import CONNECTIONS_OPEN, FakeSocketMode
from relay.sandbox.slack.transcript import lines, transcript
from relay.sandbox.slack.users import DEFAULT_SCOPES, TokenGrant

_LARGEST_BODY: Final = 8 * 1024**2


class FakeSlack(InteractiveWorkspace):
    """Slack's stand-in: a workspace and its people, its rate limits (`limits`), its faults (`faults`), and all `calls`.

    `sockets` is a way to the app, beside `HTTP`; `app_token` is what it asks for one by.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        token: str = "xoxb-sandbox",  # noqa: S107  a stand-in's token opens nothing
        scopes: Iterable[str] = DEFAULT_SCOPES,
    ) -> None:
        """Make an empty workspace with one token; `clock` tells Unix seconds, `sleep` is what slow answers wait by."""
        super().__init__(clock=clock, token=token, scopes=scopes)
        self.limits = SlackRateLimiter()
        self.faults = FaultInjector(sleep)
        self.calls: list[ReceivedCall] = []
        self.socket_mode = FakeSocketMode(self.bot.app_id)
        self.app_token = "xapp-sandbox"  # noqa: S105  it opens nothing
        self.install(self.app_token, scopes=["connections:write"], app_level=True)

    @property
    def rate_limits(self) -> bool:
        """Whether calls that come too fast are refused; off at first, may be set."""
        return self.limits.enabled

    @rate_limits.setter
    def rate_limits(self, enabled: bool) -> None:
        self.limits.enabled = enabled

    def pause(self, method: str, seconds: float) -> None:
        """Answer a method with 429 for so many seconds, whatever `rate_limits` says."""
        self.limits.pause(method, self.now(), seconds)

    def transcript(self, channel: str) -> str:
        """What a reader of the channel (id or name) sees."""
        return transcript(self, self.channel(channel))

    def text_of(self, message: FakeMessage) -> str:
        """What one message shows its reader."""
        return "\n".join(lines(self, message))

    def calls_to(self, method: str) -> list[ReceivedCall]:
        """The calls of one method, in the order in which they came."""
        return [call for call in self.calls if call.method == method]

    def app(self) -> web.Application:
        """The application, to be served at an address whose /api/ is then the base address of a Slack client."""
        app = web.Application(client_max_size=_LARGEST_BODY)
        app.router.add_route("*", "/api/{method}", self._handle)
        app.router.add_get("/link/", self.socket_mode.connect)
        app.on_shutdown.append(self._shut_down)
        return app

    async def _shut_down(self, _app: web.Application) -> None:
        self.faults.release()
        await self.socket_mode.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = ReceivedCall(method=request.match_info["method"], at=self.now(), arguments={})
        self.calls.append(call)
        headers: dict[str, str] = {}
        return to_response(request, call, await self._respond(request, call, headers), headers)

    async def _respond(
        self, request: web.Request, call: ReceivedCall, headers: dict[str, str]
    ) -> RawResponse | DropConnection:
        try:
            call.arguments = await read.read(request)
            call.channel = self._channel_of(call)
            caller = self.authenticate(read.token(request, call.arguments))
        except MethodError as refusal:
            return _said(refusal.answer)
        headers.update(_scopes(caller, call.method))
        wait = self.limits.admit(call.method, call.channel, call.at)
        if wait is not None:
            return rate_limited(wait)
        return await self.faults.run(call, lambda: self._perform(caller, call, request.host))

    def _perform(self, caller: TokenGrant, call: ReceivedCall, host: str) -> RawResponse:
        try:
            if call.method == CONNECTIONS_OPEN:
                answer = {"ok": True, **self.socket_mode.address(caller, host)}
            else:
                answer = perform(self, caller, call.method, call.arguments)
        except MethodError as refusal:
            return _said(refusal.answer)
        call.took_effect = True
        self.changes.notify()
        return _said(answer)

    def _channel_of(self, call: ReceivedCall) -> str | None:
        ref = call.arguments.get("channel")
        if not isinstance(ref, str):
            return None
        channel = self.find_channel(ref)
        return channel.id if channel else ref


@asynccontextmanager
async def serve_slack(
    slack: FakeSlack,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    add_routes: Callable[[web.Application], None] | None = None,
) -> AsyncIterator[str]:
    """Serve a workspace, and give the base address for a client, `http://HOST:PORT/api/`. Port 0 means any free one.

    `furnish` may put more into the application than Slack has, such as a page (`relay.sandbox.page`).
    """
    app = slack.app()
    if add_routes is not None:
        add_routes(app)
    async with serve_app(app, host, port) as address:
        yield f"{address}/api/"


async def run(slack: FakeSlack, host: str = "127.0.0.1", port: int = 8090) -> None:
    """Serve a workspace until cancelled."""
    async with serve_slack(slack, host, port):
        await asyncio.Event().wait()


def _said(answer: dict[str, Any]) -> RawResponse:
    return RawResponse(body=json.dumps(answer))


def _scopes(caller: TokenGrant, method: str) -> dict[str, str]:
    """What Slack says on every answer: the scopes that a token has, and the one that the method wants."""
    known = METHODS.get(method)
    accepted = {"X-Accepted-OAuth-Scopes": known.scope} if known and known.scope else {}
    return {"X-OAuth-Scopes": caller.scope_list(), **accepted}
