"""The page's HTTP side: its files, a stream of what changes in the workspace, and the way to the relay behind it.

It is for one machine: it answers to the host names of this machine alone (so that no other web site can read it through
a name that it points here), and takes a share, and what its reader does in the workspace, only from itself.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any, Final

import aiohttp
from aiohttp import web

from relay.sandbox.page import state as view
from relay.sandbox.page import static_files as files
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.page.user_actions import UserActions, content_is_json
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.server import FakeSlack

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Only the page's own scripts run, whatever an alert says, and nothing is fetched from elsewhere."""

_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FILES: Final = ("draw.js", "draw.css", "page.js", "page.css", "incident.js", "interactions.js")
_KEEP_ALIVE: Final = 15.0
"""Seconds of silence after which a listening page is told that all is well."""

_SESSION: Final = web.AppKey("page_session", aiohttp.ClientSession)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Page:
    """The page of one workspace. `backstage` is the relay that posts into it, where there is one; may be set later.

    `host` is where it listens: an address that is not of this machine's own loop lets anybody in who can reach it.
    """

    def __init__(self, slack: FakeSlack, backstage: RelayClient | None = None, *, host: str = "127.0.0.1") -> None:
        """Belong to a workspace."""
        self.relay = backstage
        self._slack = slack
        self._acts = UserActions(slack)
        self._host = host
        self._caption = ""
        self._closing = False

    def show_caption(self, caption: str) -> None:
        """Say on the page what is happening just now."""
        self._caption = caption
        self._slack.changes.notify()

    def add_routes(self, app: web.Application) -> None:
        """Put the page at the root of an application."""
        app.router.add_get("/", self._guarded(self._index))
        app.router.add_get("/page/{file}", self._guarded(self._file))
        app.router.add_get("/events", self._guarded(self._events))
        app.router.add_get("/sample", self._guarded(self._sample))
        app.router.add_get("/incidents/{id}", self._guarded(self._incident))
        app.router.add_post("/shares", self._guarded(self._share))
        app.router.add_post("/acts/{act}", self._guarded(self._act))
        app.cleanup_ctx.append(_session)
        app.on_shutdown.append(self._close)

    async def _close(self, _app: web.Application) -> None:
        self._closing = True
        self._slack.changes.notify()

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self._is_own(request.url.host or "") or not _is_from_here(request):
                raise web.HTTPForbidden(text="This page is for the machine that it runs on.\n")
            return await handler(request)

        return guarded

    def _is_own(self, host: str) -> bool:
        if host in {"localhost", self._host}:
            return True
        try:
            return ip_address(host).is_loopback or ip_address(self._host).is_unspecified
        except ValueError:
            return False

    # --- files ---

    async def _index(self, _request: web.Request) -> web.Response:
        return _told(files.text("index.html"), "html")

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in _FILES:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return _told(files.text(name), name.rpartition(".")[2])

    # --- what happens in the workspace ---

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: all that stands there now, and from then on what changes."""
        response = web.StreamResponse(headers={**_HEADERS, "Content-Type": "text/event-stream"})
        await response.prepare(request)
        stream = _Stream(self._slack)
        try:
            while not self._closing:
                seen = self._slack.changes.count
                for event in stream.events(self._caption, relay=self.relay is not None):
                    await response.write(event)
                if not await self._slack.changes.wait_for_change(seen, _KEEP_ALIVE):
                    await response.write(b": still here\n\n")
        except ConnectionResetError:
            pass  # the reader left
        return response

    # --- what its reader does there ---

    async def _act(self, request: web.Request) -> web.Response:
        act = request.match_info["act"]
        if not self._acts.has(act):
            raise web.HTTPNotFound(text="There is nothing like that to do.\n")
        if not content_is_json(request):
            raise web.HTTPUnsupportedMediaType(text="This is told in JSON.\n")
        status, told = await self._acts.perform(act, await request.read())
        return _passed_on(status, json.dumps(told).encode())

    # --- the relay behind it ---

    async def _sample(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.relay.sample if self.relay else "", headers=_HEADERS)

    async def _incident(self, request: web.Request) -> web.Response:
        if self.relay is None:
            return _nobody()
        return _passed_on(*await self.relay.incident(request.app[_SESSION], request.match_info["id"]))

    async def _share(self, request: web.Request) -> web.Response:
        if self.relay is None:
            return _nobody()
        return _passed_on(*await self.relay.share(request.app[_SESSION], await request.read()))


class _Stream:
    """What one reader has been told already."""

    def __init__(self, slack: FakeSlack) -> None:
        self._slack = slack
        self._frame: Any = None
        self._views: list[Any] = []
        self._told: dict[tuple[str, str], Any] = {}

    def events(self, caption: str, *, relay: bool) -> Iterator[bytes]:
        """What is new since the last time: the frame (channels, names, caption), messages, and what modals are open."""
        frame = {
            **view.names(self._slack),
            "list": view.channels(self._slack),
            "people": view.people(self._slack),
            "caption": caption,
            "relay": relay,
        }
        if frame != self._frame:
            self._frame = frame
            yield _event("frame", frame)
        changed = [view.message(self._slack, message) for message in self._standing() if self._is_news(message)]
        if changed:
            yield _event("messages", changed)
        if gone := self._gone():
            yield _event("gone", gone)
        if (views := view.views(self._slack)) != self._views:
            self._views = views
            yield _event("views", views)

    def _standing(self) -> list[FakeMessage]:
        return [message for channel in self._slack.channels.values() for message in view.standing(channel)]

    def _is_news(self, message: FakeMessage) -> bool:
        key = (message.channel, message.ts)
        version = _version(message)
        if self._told.get(key) == version:
            return False
        self._told[key] = version
        return True

    def _gone(self) -> list[list[str]]:
        standing = {(message.channel, message.ts) for message in self._standing()}
        gone = [key for key in self._told if key not in standing]
        for key in gone:
            del self._told[key]
        return [list(key) for key in gone]


def _version(message: FakeMessage) -> tuple[Any, ...]:
    """Differs wherever a reader would see a difference."""
    reactions = tuple((name, len(users)) for name, users in message.reactions.items())
    return len(message.versions), message.deleted, message.broadcast, message.edited_at, reactions


def _event(name: str, data: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _is_from_here(request: web.Request) -> bool:
    """Whether a browser says that another site is behind this; whoever is no browser says nothing."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}


def _told(text: str, kind: str) -> web.Response:
    return web.Response(text=text, content_type=_TYPES[kind], headers=_HEADERS)


def _passed_on(status: int, body: bytes) -> web.Response:
    return web.Response(status=status, body=body, content_type="application/json", headers=_HEADERS)


def _nobody() -> web.Response:
    told = b'{"title": "no relay behind this page", "detail": "Start the sandbox with --relay, or run relay demo."}'
    return _passed_on(HTTPStatus.NOT_FOUND, told)


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        app[_SESSION] = session
        yield
