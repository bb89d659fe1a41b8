"""The HTTP server: a workspace that answers under /api/ as Slack does, with rate limits and injected faults.

A call is logged when it arrives. It needs a token and must pass the rate limits. Then a fault may apply, and only then
does the call take effect.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from relay.sandbox.calls import ReceivedCall
from relay.sandbox.faults import DropConnection, RawResponse, rate_limited
from relay.sandbox.http_api import FakeApi, bearer_token, serve_app, to_response
from relay.sandbox.rate_limits import SlackRateLimiter
from relay.sandbox.slack import arguments as read
from relay.sandbox.slack.apps import DEFAULT_SCOPES, TokenGrant
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.errors import MethodError
from relay.sandbox.slack.interactions import InteractiveWorkspace
from relay.sandbox.slack.methods import METHODS, perform
from relay.sandbox.slack.plain_text import message_lines, transcript
from relay.sandbox.slack.socket_mode import CONNECTIONS_OPEN, FakeSocketMode

_MAX_BODY: Final = 8 * 1024**2


class FakeSlack(InteractiveWorkspace, FakeApi[ReceivedCall]):
    """A fake Slack: a workspace and its users, with rate limits (`limits`), faults (`faults`) and a log of `calls`.

    `socket_mode` is a transport to the app, beside `RequestUrl`; the app connects to it with `app_token`.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        token: str = "xoxb-sandbox",  # noqa: S107  a fake token opens nothing
        scopes: Iterable[str] = DEFAULT_SCOPES,
    ) -> None:
        """Make an empty workspace with one token; `clock` gives Unix seconds, `sleep` makes slow answers wait."""
        InteractiveWorkspace.__init__(self, clock=clock, token=token, scopes=scopes)
        FakeApi.__init__(self, SlackRateLimiter(), sleep)
        self.socket_mode = FakeSocketMode(self.bot.app_id)
        self.app_token = "xapp-sandbox"  # noqa: S105  the same
        self.install(self.app_token, scopes=["connections:write"], app_level=True)

    def transcript(self, channel: str, *, for_people: bool = False) -> str:
        """What a reader of the channel (id or name) sees."""
        return transcript(self, self.channel(channel), for_people=for_people)

    def text_of(self, message: FakeMessage) -> str:
        """What one message shows to its reader."""
        return "\n".join(message_lines(self, message))

    def app(self) -> web.Application:
        """The application; /api/ at its address is the base URL of a Slack client."""
        app = web.Application(client_max_size=_MAX_BODY)
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
            if isinstance(ref := call.arguments.get("channel"), str):
                channel = self.find_channel(ref)
                call.channel = channel.id if channel else ref
            token = bearer_token(request)
            caller = self.authenticate(call.arguments.get("token") if token is None else token)
        except MethodError as error:
            return RawResponse(body=json.dumps(error.answer))
        headers["X-OAuth-Scopes"] = caller.scope_list()
        if (method := METHODS.get(call.method)) is not None and method.scope is not None:
            headers["X-Accepted-OAuth-Scopes"] = method.scope
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
        except MethodError as error:
            return RawResponse(body=json.dumps(error.answer))
        call.took_effect = True
        self.changes.notify()
        return RawResponse(body=json.dumps(answer))


@asynccontextmanager
async def serve_slack(
    slack: FakeSlack,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    next_free: bool = False,
    add_routes: Callable[[web.Application], None] | None = None,
) -> AsyncIterator[str]:
    """Serve a workspace, and give the base URL for a client, `http://HOST:PORT/api/`. Port 0 means any free one.

    `next_free`: as in `serve_app`. `add_routes` may add to the application, for example a page (`relay.sandbox.page`).
    """
    app = slack.app()
    if add_routes is not None:
        add_routes(app)
    async with serve_app(app, host, port, next_free=next_free) as address:
        yield f"{address}/api/"
