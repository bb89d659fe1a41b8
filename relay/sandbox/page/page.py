"""The page's HTTP endpoints: its files, a stream of changes in the workspace, and the relay behind it.

The page is for one machine. It answers only to this machine's own host names, so that no other web site can read it
through a name that points here. It takes shares and user actions only from its own origin.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp import web

from relay.sandbox.page import state
from relay.sandbox.page.document import static_file
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.page.user_actions import ACTIONS, UserActions
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.server import FakeSlack

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only the page's own scripts run, whatever an alert says, and nothing is loaded from elsewhere."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TYPES: Final = {"": "text/html", "css": "text/css", "js": "text/javascript"}
_FILES: Final = ("draw.js", "draw.css", "page.js", "page.css", "incident.js", "interactions.js")
_KEEP_ALIVE: Final = 15.0
"""Seconds without changes after which the stream sends a comment."""

_NO_RELAY: Final = (
    b'{"title": "no relay behind this page", "detail": "Start the sandbox with --relay, or run relay demo."}'
)

_SESSION: Final = web.AppKey("page_session", aiohttp.ClientSession)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The page of one workspace.

    `relay` is the relay that posts into it, if any, and `board` the address of its board; both can be set later.

    `host` is where it listens: with an address other than loopback, everybody who reaches it can use it.
    """

    def __init__(self, slack: FakeSlack, relay: RelayClient | None = None, *, host: str = "127.0.0.1") -> None:
        self.relay = relay
        self.board = ""
        self._slack = slack
        self._actions = UserActions(slack)
        self._host = host
        self._caption = ""
        self._closing = False
        self._replay: asyncio.Event | None = None

    def show_caption(self, caption: str) -> None:
        """Show on the page what is happening."""
        self._caption = caption
        self._slack.changes.notify()

    async def wait_for_replay(self) -> None:
        """Offer a replay on the page, and wait until a reader asks for it."""
        self._replay = replay = asyncio.Event()
        self._slack.changes.notify()
        await replay.wait()

    def add_routes(self, app: web.Application) -> None:
        """Put the page at the root of an application."""
        app.router.add_get("/", self._guarded(self._file))
        app.router.add_get("/page/{file}", self._guarded(self._file))
        app.router.add_get("/events", self._guarded(self._events))
        app.router.add_get("/sample", self._guarded(self._sample))
        app.router.add_get("/incidents/{id}", self._guarded(self._incident))
        app.router.add_get("/incidents/{id}/shares", self._guarded(self._shares_of_incident))
        app.router.add_post("/shares", self._guarded(self._share))
        app.router.add_post("/actions/{action}", self._guarded(self._action))
        app.router.add_post("/replay", self._guarded(self._start_replay))
        app.cleanup_ctx.append(_session)
        app.on_shutdown.append(self._close)

    async def _close(self, _app: web.Application) -> None:
        self._closing = True
        self._slack.changes.notify()

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            # A browser says so where another site sends this; other clients say nothing.
            same_origin = request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
            if not self._is_own_host(request.url.host or "") or not same_origin:
                raise web.HTTPForbidden(text="This page can be used only on the machine that it runs on.\n")
            return await handler(request)

        return guarded

    def _is_own_host(self, host: str) -> bool:
        if host in {"localhost", self._host}:
            return True
        try:
            return ip_address(host).is_loopback or ip_address(self._host).is_unspecified
        except ValueError:
            return False

    # --- files ---

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info.get("file", "")
        if name and name not in _FILES:
            raise web.HTTPNotFound(text="There is no such file.\n")
        kind = _TYPES[name.rpartition(".")[2]]
        return web.Response(text=static_file(name or "index.html"), content_type=kind, headers=_HEADERS)

    # --- the workspace ---

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: the present state, and from then on what changes."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream = _Stream(self._slack)
        try:
            while not self._closing:
                count = self._slack.changes.count
                for event in stream.events(self._surroundings):
                    await response.write(event)
                if not await self._slack.changes.wait_for_change(count, _KEEP_ALIVE):
                    await response.write(b": still here\n\n")
        except ConnectionResetError:
            pass  # the reader left
        return response

    @property
    def _surroundings(self) -> dict[str, Any]:
        """What the page shows around the workspace."""
        return {
            "caption": self._caption,
            "relay": self.relay is not None,
            "replay": self._replay is not None,
            "board": self.board,
        }

    async def _start_replay(self, request: web.Request) -> web.Response:
        _require_json(request)
        if self._replay is None:
            raise web.HTTPConflict(text="There is nothing to replay now.\n")
        self._replay.set()
        self._replay = None
        self._slack.changes.notify()
        return _json_response(HTTPStatus.OK, b"{}")

    async def _action(self, request: web.Request) -> web.Response:
        action = request.match_info["action"]
        if action not in ACTIONS:
            raise web.HTTPNotFound(text="There is no such action.\n")
        _require_json(request)
        status, answer = await self._actions.perform(action, await request.read())
        return _json_response(status, json.dumps(answer).encode())

    # --- the relay behind it ---

    async def _sample(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.relay.sample if self.relay else "", headers=_HEADERS)

    async def _incident(self, request: web.Request) -> web.Response:
        if self.relay is None:
            return _json_response(HTTPStatus.NOT_FOUND, _NO_RELAY)
        return _json_response(*await self.relay.incident(request.app[_SESSION], request.match_info["id"]))

    async def _shares_of_incident(self, request: web.Request) -> web.Response:
        if self.relay is None:
            return _json_response(HTTPStatus.NOT_FOUND, _NO_RELAY)
        return _json_response(*await self.relay.shares(request.app[_SESSION], request.match_info["id"]))

    async def _share(self, request: web.Request) -> web.Response:
        if self.relay is None:
            return _json_response(HTTPStatus.NOT_FOUND, _NO_RELAY)
        return _json_response(*await self.relay.share(request.app[_SESSION], await request.read()))


class _Stream:
    """What was sent to one reader, and what is new for it."""

    def __init__(self, slack: FakeSlack) -> None:
        self._slack = slack
        self._frame: Any = None
        self._views: list[Any] | None = None
        self._sent: dict[tuple[str, str], Any] = {}

    def events(self, surroundings: Mapping[str, Any]) -> Iterator[bytes]:
        """The changes since the last time: the frame (channels, names, surroundings), messages, and open modals.

        The first time, the modals are sent even if there are none: the page shows none that were open before it.
        """
        frame = {**state.frame(self._slack), **surroundings}
        if frame != self._frame:
            self._frame = frame
            yield _event("frame", frame)
        channels = self._slack.channels.values()
        shown = {(each.channel, each.ts): each for channel in channels for each in state.shown_messages(channel)}
        versions = {key: _version(message) for key, message in shown.items()}
        changed = [key for key in shown if self._sent.get(key) != versions[key]]
        gone = [key for key in self._sent if key not in shown]
        self._sent = versions
        if changed:
            yield _event("messages", [state.message_state(self._slack, shown[key]) for key in changed])
        if gone:
            yield _event("gone", gone)
        if (views := state.views(self._slack)) != self._views:
            self._views = views
            yield _event("views", views)


def _require_json(request: web.Request) -> None:
    """A form of another web site cannot send this type without a preflight request."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="The body must be JSON.\n")


def _version(message: FakeMessage) -> tuple[Any, ...]:
    """Differs wherever a reader would see a difference."""
    return len(message.versions), message.deleted, message.broadcast, message.edited_at


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _json_response(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", headers=_HEADERS)


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        app[_SESSION] = session
        yield
