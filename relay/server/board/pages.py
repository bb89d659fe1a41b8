"""The board's addresses: what each page shows, and what each button does."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import sha256
from http import HTTPStatus
from importlib import resources
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import structlog
from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from yarl import URL

from relay import __version__
from relay.model.board_links import PAGE_NAMES, incident_path
from relay.model.errors import QueryError, ShareError, StoreError, StoreUnusable
from relay.rendering.wording import EMOJI, duration
from relay.sandbox.page.document import static_file
from relay.server.board.access import HEADERS, Cookie, WrongKeys, is_from_own_page
from relay.server.board.sessions import MAX_NAME, Role, Session, Sessions
from relay.server.body import BodyReader
from relay.server.connections import CONNECTIONS
from relay.server.problem import Problem
from relay.tools.board.channels import read_channels
from relay.tools.board.incident import read_incident_view
from relay.tools.board.letters import discard_letter, letter_body, read_letters, retry_letter
from relay.tools.board.mutes import FIELDS, end_mute, extend_mute, make_mute, read_mutes
from relay.tools.board.now import read_now
from relay.tools.board.routes import read_routes, try_share
from relay.tools.board.source import BoardSource
from relay.tools.letters import LetterId

REFRESH_SECONDS: Final = 10
"""How often a page refreshes its lists."""

PAGE_SECONDS = 15.0
"""How long a page waits for a database that hangs. The action of a button is not cut off: it may happen anyway."""

MAX_FORM: Final = 1024 * 1024
"""Bytes of a form; the longest is the playground's."""

MAX_LOGIN: Final = 8 * 1024
"""Bytes of the form that signs in. Anybody may send it, so it shares nothing with the forms of those who are let in."""

MAX_FIELDS: Final = 50

_DRAWN: Final = frozenset({"draw.js", "draw.css"})
"""The files that draw messages; the demo's page has them, too."""

_STATIC: Final = {
    "draw.js": "text/javascript",
    "draw.css": "text/css",
    "board.js": "text/javascript",
    "board.css": "text/css",
    "icon.svg": "image/svg+xml",
    "htmx-2.0.11.min.js": "text/javascript",
}
_FOR_EVER: Final = "private, max-age=31536000, immutable"
"""For a file that is asked for by its version: another version has another address."""

_FOLDER: Final = resources.files("relay.server.board")

log = structlog.get_logger("relay.board")

Form = Mapping[str, str]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
PageHandler = Callable[[web.Request, Session], Awaitable[web.Response]]
ActionHandler = Callable[[web.Request, Session, Form], Awaitable[web.Response]]


class BoardPages:
    """The pages of one relay. `public_url` is its address for people; its path is in front of all addresses."""

    def __init__(self, source: BoardSource, keys: Mapping[Role, str], public_url: str = "") -> None:
        self._source = source
        self._sessions = Sessions(keys)
        self._public_url = public_url
        self._prefix = URL(public_url).path.rstrip("/") if public_url else ""
        self._base = f"{self._prefix}/board"
        self._cookie = Cookie(public_url)
        self._wrong_keys = WrongKeys()
        self._bodies = BodyReader(limit=MAX_FORM, within=10.0, budget=8 * MAX_FORM)
        self._login_bodies = BodyReader(limit=MAX_LOGIN, within=10.0, budget=MAX_FORM)

    def add_routes(self, app: web.Application) -> None:
        """Add the pages, with and without the path of the public address: a proxy may remove it."""
        prefixes = dict.fromkeys(("", self._prefix))
        for prefix in prefixes:
            base = f"{prefix}/board"
            app.router.add_get(f"{base}/static/{{file}}", self._safely(self._static))
            app.router.add_get(f"{base}/login", self._safely(self._show_login))
            app.router.add_post(f"{base}/login", self._safely(self._login))
            app.router.add_post(f"{base}/logout", self._action(self._logout))
            for path, show in self._pages().items():
                app.router.add_get(f"{base}{path}", self._page(show))
            for path, act in self._actions().items():
                app.router.add_post(f"{base}{path}", self._action(act, changes=path != "/routes"))
                if path not in self._pages():
                    app.router.add_get(f"{base}{path}", self._safely(partial(self._to_page, path.split("/")[1])))
        for prefix in prefixes:  # last: the path of the public address may be /board, too
            app.router.add_route("*", f"{prefix}/board/{{rest:(?s:.*)}}", self._safely(self._unknown))
        app.on_cleanup.append(self._close)

    async def _close(self, _app: web.Application) -> None:
        await self._source.renderer.close()

    def _pages(self) -> dict[str, PageHandler]:
        return {
            "": self._now,
            "/": self._now,
            "/incidents": self._incident,
            "/incidents/{id:(?s:.+)}": self._incident,
            "/channels": self._channels,
            "/letters": self._letters,
            "/letters/{letter}/body": self._letter_body,
            "/mutes": self._mutes,
            "/routes": self._routes,
        }

    def _actions(self) -> dict[str, ActionHandler]:
        return {
            "/letters/{letter}/retry": self._retry,
            "/letters/{letter}/discard": self._discard,
            "/mutes": self._make_mute,
            "/mutes/{mute:[0-9]{1,18}}/extend": self._extend_mute,
            "/mutes/{mute:[0-9]{1,18}}/end": self._end_mute,
            "/routes": self._try_share,
        }

    # --- who may see and do it ---

    def _safely(self, handler: Handler) -> Handler:
        """Put the board's headers on every answer, and make a page of what goes wrong."""

        async def safe(request: web.Request) -> web.StreamResponse:
            try:
                response = await handler(request)
            except StoreError as error:
                log.warning("board_unavailable", path=request.path, detail=str(error))
                text = "The database does not answer. Relay and this page continue by themselves as soon as it does."
                response = self._error(request, HTTPStatus.SERVICE_UNAVAILABLE, text)
            except QueryError as error:
                response = self._error(request, HTTPStatus.BAD_REQUEST, str(error))
            except Problem as problem:
                response = self._error(request, problem.status, problem.detail)
            except Exception as error:  # it costs one page, which still has its headers
                log.exception("board_failed", path=request.path, detail=f"A page of the board failed: {error}.")
                text = "This page failed. This is a bug in relay: please report it, with the traceback in the log."
                response = self._error(request, HTTPStatus.INTERNAL_SERVER_ERROR, text)
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return safe

    async def _to_page(self, page: str, _request: web.Request) -> web.Response:
        """Lead somebody who opens the address of a button, as a browser shows it after a click, to its page."""
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"{self._base}/{page}"})

    async def _unknown(self, _request: web.Request) -> web.Response:
        raise Problem(HTTPStatus.NOT_FOUND, "unknown_page", "There is no such page.")

    def _page(self, show: PageHandler) -> Handler:
        async def page(request: web.Request) -> web.StreamResponse:
            session = self._session(request)
            if session is None:
                return self._to_login(request)
            try:
                async with asyncio.timeout(PAGE_SECONDS):
                    return await show(request, session)
            except TimeoutError:
                raise StoreUnusable(f"A page of the board waited for {PAGE_SECONDS:g} seconds.") from None

        return self._safely(page)

    def _action(self, act: ActionHandler, *, changes: bool = False) -> Handler:
        async def action(request: web.Request) -> web.StreamResponse:
            self._check_origin(request)
            session = self._session(request)
            if session is None:
                return self._to_login(request)
            form = await self._form(request, self._bodies)
            if not secrets.compare_digest(form.get("csrf", "").encode(), session.csrf.encode()):
                raise Problem(HTTPStatus.FORBIDDEN, "stale_page", "This page is from another session; open it again.")
            if changes and not session.acts:
                detail = "You are signed in with the key that only reads. Sign in with RELAY_OPERATOR_KEY to do this."
                raise Problem(HTTPStatus.FORBIDDEN, "only_reads", detail)
            return await act(request, session, form)

        return self._safely(action)

    def _session(self, request: web.Request) -> Session | None:
        session = self._sessions.read(request.cookies.get(self._cookie.name, ""), self._source.clock.now())
        if session is not None:
            request.app[CONNECTIONS].accepted(request.protocol)
        return session

    def _check_origin(self, request: web.Request) -> None:
        if not is_from_own_page(request, self._public_url):
            detail = "The request does not come from this board."
            if self._public_url:
                detail += f" Its address is {self._public_url} (RELAY_PUBLIC_URL)."
            raise Problem(HTTPStatus.FORBIDDEN, "another_origin", detail)

    def _to_login(self, request: web.Request) -> web.Response:
        """To the sign-in page, and back. A refresh of a part of a page takes the whole page there."""
        where = request.path_qs if request.method == "GET" and "HX-Request" not in request.headers else ""
        if current := request.headers.get("HX-Current-URL"):
            where = _path(current)
        if self._prefix and not where.startswith(self._prefix):
            where = self._prefix + where
        address = f"{self._base}/login" + (f"?next={quote(where)}" if where.startswith(self._base) else "")
        if "HX-Request" in request.headers:
            return web.Response(status=HTTPStatus.UNAUTHORIZED, headers={"HX-Redirect": address})
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": address})

    async def _form(self, request: web.Request, bodies: BodyReader) -> Form:
        async with bodies.read(request) as body:
            try:
                return dict(
                    parse_qsl(body.decode("utf-8", "replace"), max_num_fields=MAX_FIELDS, keep_blank_values=True)
                )
            except ValueError:
                raise Problem(HTTPStatus.BAD_REQUEST, "bad_form", "The form has too many fields.") from None

    async def _show_login(self, request: web.Request) -> web.Response:
        return self._login_page(request.query.get("next", ""))

    def _login_page(self, after: str, problem: str = "") -> web.Response:
        status = HTTPStatus.UNAUTHORIZED if problem else HTTPStatus.OK
        return self._render("login.html", None, status=status, after=self._own(after), problem=problem)

    def _own(self, address: str) -> str:
        """The address of a page of the board; that of the first one, if it is another's."""
        plain = (
            address.isprintable()
            and "\\" not in address
            and (address + "/").startswith((self._base + "/", self._base + "?"))
        )
        return address if plain else self._base

    async def _login(self, request: web.Request) -> web.Response:
        self._check_origin(request)
        form = await self._form(request, self._login_bodies)
        after = form.get("next", "")
        name = " ".join(form.get("name", "").split())
        cookie = self._sessions.sign_in(form.get("key", ""), name, self._source.clock.now())
        if cookie is None:
            log.warning(
                "board_key_wrong", address=request.remote or "", detail="Somebody sent a wrong key to the board."
            )
            await self._wrong_keys.slow(request.remote or "")
            return self._login_page(
                after, "This key is not valid. Use the value of RELAY_ADMIN_KEY or RELAY_OPERATOR_KEY."
            )
        if not name or not name.isprintable():
            return self._login_page(after, "Enter your name: your actions here are logged with it.")
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": self._own(after)})
        self._cookie.set(response, cookie)
        return response

    async def _logout(self, _request: web.Request, _session: Session, _form: Form) -> web.Response:
        response = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"{self._base}/login"})
        self._cookie.delete(response)
        return response

    # --- the pages ---

    async def _now(self, request: web.Request, session: Session) -> web.Response:
        page = await read_now(self._source, request.query)
        return self._render("now.html", session, request, page=page, query=page.query)

    async def _incident(self, request: web.Request, session: Session) -> web.Response:
        incident = request.match_info.get("id", request.query.get("id", ""))
        view = await read_incident_view(self._source, incident)
        if view is None:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_incident", "Relay knows no incident with this id.")
        return self._render("incident.html", session, request, view=view, names=await self._names())

    async def _channels(self, request: web.Request, session: Session) -> web.Response:
        return self._render("channels.html", session, request, page=await read_channels(self._source))

    async def _letters(self, request: web.Request, session: Session, message: str = "") -> web.Response:
        return self._render("letters.html", session, request, page=await read_letters(self._source), message=message)

    async def _letter_body(self, request: web.Request, _session: Session) -> web.Response:
        letter = _letter(request)
        body = await letter_body(self._source, letter)
        if body is None:
            raise Problem(
                HTTPStatus.NOT_FOUND, "unknown_letter", f"There is no body of {letter}, or it no longer exists."
            )
        headers = {"Content-Disposition": f'attachment; filename="relay-letter-{letter}.json"'}
        return web.Response(body=body, content_type="application/octet-stream", headers=headers)

    async def _retry(self, request: web.Request, session: Session, _form: Form) -> web.Response:
        letter = _letter(request)
        message = await retry_letter(self._source, letter)
        log.info("letter_retried_on_board", letter=str(letter), by=session.name, detail=message)
        return await self._letters(request, session, message)

    async def _discard(self, request: web.Request, session: Session, form: Form) -> web.Response:
        letter, reason = _letter(request), " ".join(form.get("reason", "").split())
        if not reason:
            return await self._letters(request, session, f"Say why nobody needs {letter.description}; it is kept.")
        message = await discard_letter(self._source, letter, f"{reason} ({session.name})")
        log.info("letter_discarded_on_board", letter=str(letter), by=session.name, detail=message)
        return await self._letters(request, session, message)

    async def _mutes(self, request: web.Request, session: Session, message: str = "") -> web.Response:
        made = request.query.get("made", "")
        if not message and made.isdecimal():
            message = f"Mute {int(made[:18])} was made."
        given = {name: request.query[name] for name in FIELDS if name in request.query} if not message else {}
        return self._render("mutes.html", session, request, page=await read_mutes(self._source, given), message=message)

    async def _make_mute(self, request: web.Request, session: Session, form: Form) -> web.Response:
        page, made = await make_mute(self._source, form, session.name)
        if made is None:
            return self._render("mutes.html", session, request, page=page, message="")
        detail = f"Mute {made.id} was made."
        log.info("mute_made_on_board", mute=made.id, by=session.name, match=made.match, detail=detail)
        # Reloading the page that this leads to makes no second mute.
        return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": f"{self._base}/mutes?made={made.id}"})

    async def _extend_mute(self, request: web.Request, session: Session, form: Form) -> web.Response:
        number = int(request.match_info["mute"])
        message = await extend_mute(self._source, number, form.get("for", "").strip())
        log.info("mute_extended_on_board", mute=number, by=session.name, detail=message)
        return await self._mutes(request, session, message)

    async def _end_mute(self, request: web.Request, session: Session, _form: Form) -> web.Response:
        number = int(request.match_info["mute"])
        message = await end_mute(self._source, number, session.name)
        log.info("mute_ended_on_board", mute=number, by=session.name, detail=message)
        return await self._mutes(request, session, message)

    async def _routes(self, request: web.Request, session: Session) -> web.Response:
        return self._render("routes.html", session, request, page=await read_routes(self._source), trial=None, text="")

    async def _try_share(self, request: web.Request, session: Session, form: Form) -> web.Response:
        text, problem, trial = form.get("share", ""), "", None
        try:
            trial = await try_share(self._source, text)
        except ShareError as error:
            problem = str(error)
        page, names = await read_routes(self._source), await self._names()
        return self._render(
            "routes.html", session, request, page=page, trial=trial, text=text, problem=problem, names=names
        )

    async def _names(self) -> dict[str, Mapping[str, str]]:
        names = {ref: name.removeprefix("#") for ref, name in (await self._source.names()).items()}
        return {"channels": names, "users": names, "groups": names}

    async def _static(self, request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in _STATIC:
            raise Problem(HTTPStatus.NOT_FOUND, "unknown_file", "There is no such file.")
        is_this = _versioned(name).endswith(f"?v={request.query.get('v')}")
        headers = {"Cache-Control": _FOR_EVER if is_this else "no-cache"}
        return web.Response(text=_static_text(name), content_type=_STATIC[name], headers=headers)

    # --- as HTML ---

    def _render(
        self,
        template: str,
        session: Session | None,
        request: web.Request | None = None,
        status: HTTPStatus = HTTPStatus.OK,
        **values: Any,
    ) -> web.Response:
        now = self._source.clock.now()
        html = (
            _environment()
            .get_template(template)
            .render(
                base=self._base,
                session=session,
                here=self._prefix + request.path_qs.removeprefix(self._prefix) if request is not None else "",
                path=request.path.removeprefix(self._prefix).removeprefix("/board").rstrip("/")
                if request is not None
                else "",
                navigation=PAGE_NAMES.items(),
                now=now,
                version=__version__,
                refresh=REFRESH_SECONDS,
                max_name=MAX_NAME,
                age=lambda at: duration(max(0.0, now - at)),
                **values,
            )
        )
        return web.Response(text=html, content_type="text/html", status=status)

    def _error(self, request: web.Request, status: HTTPStatus, text: str) -> web.Response:
        return self._render(
            "error.html", self._session(request), request, status=status, title=status.phrase, text=text
        )


def _path(address: str) -> str:
    """The path and query of an address; nothing if it is none."""
    try:
        return URL(address).path_qs
    except ValueError:
        return ""


def _letter(request: web.Request) -> LetterId:
    try:
        return LetterId.parse(request.match_info["letter"])
    except ValueError as error:
        raise Problem(HTTPStatus.NOT_FOUND, "unknown_letter", f"{error}.") from error


@cache
def _static_text(name: str) -> str:
    return static_file(name) if name in _DRAWN else (_FOLDER / "static" / name).read_text(encoding="utf-8")


@cache
def _versioned(name: str) -> str:
    """The address of a file under that of all files, with the version by which it may be kept."""
    return f"{name}?v={sha256(_static_text(name).encode()).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    """Autoescape is on for every template: titles and tags come from outside."""
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(str(_FOLDER / "templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _moment, "segment": partial(quote, safe=""), "query": urlencode, "words": _words}
    environment.filters |= {"incident_path": incident_path, "versioned": _versioned}
    environment.filters["is_web"] = lambda address: address.startswith(("https://", "http://"))
    environment.globals["signs"] = EMOJI
    return environment


def _moment(at: float) -> Markup:
    """A moment in UTC, as an element that says it to machines, too."""
    moment = datetime.fromtimestamp(at, UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        f"{moment:%Y-%m-%dT%H:%M:%SZ}", f"{moment:%a %d %b %H:%M:%S} UTC"
    )


def _words(name: object) -> str:
    return str(name).replace("_", " ")
