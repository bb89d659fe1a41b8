"""Who may open and use the pages: cookies, the Origin check, headers, and how wrong keys are slowed."""

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Final

from aiohttp import web
from yarl import URL

from relay.server.board.sessions import LIFETIME

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms without their origin
    "Cache-Control": "no-store",
    "Vary": "HX-Request, Cookie",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Of every page: only its own scripts run, whatever an alert says, and nothing is kept or loaded from elsewhere."""

FIRST_DELAY, LONGEST_DELAY = 0.25, 5.0
"""Seconds until a wrong key is answered: twice as many for each of the same address that still waits, and the most."""

MOST_WAITING = 100
"""Wrong keys that wait for their answer; beyond it they are answered at once, so that they do not hold connections."""


class Cookie:
    """The cookie of a session. It is bound to https exactly where the board's public address is."""

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https:")
        self.name = "__Host-relay" if self._secure else "relay"

    def set(self, response: web.Response, value: str) -> None:
        """Let the browser keep it. `Lax`: it is also sent to a page that a link in Slack opens."""
        response.set_cookie(
            self.name, value, max_age=int(LIFETIME), path="/", httponly=True, samesite="Lax", secure=self._secure
        )

    def delete(self, response: web.Response) -> None:
        """Let the browser forget it."""
        response.del_cookie(self.name, path="/", httponly=True, samesite="Lax", secure=self._secure)


def is_from_own_page(request: web.Request, public_url: str) -> bool:
    """Whether the request comes from a page of this board, as browsers say. Raises nothing.

    Without a public address, the page's host must be the host of the request: no header of a proxy is trusted.
    """
    origin = request.headers.get("Origin")
    if origin is None:
        return request.headers.get("Sec-Fetch-Site") == "same-origin"
    with suppress(ValueError):
        sent = URL(origin)
        if public_url:
            return sent == URL(public_url).origin()
        return sent.scheme in {"http", "https"} and sent.authority == request.host
    return False


class WrongKeys:
    """Slows those who guess keys, by their address. A right key is never slowed."""

    def __init__(self) -> None:
        self._waiting: Counter[str] = Counter()

    async def slow(self, address: str) -> None:
        """Wait before a wrong key of that address is answered."""
        if self._waiting.total() >= MOST_WAITING:
            return
        self._waiting[address] += 1
        try:
            await asyncio.sleep(min(LONGEST_DELAY, FIRST_DELAY * 2 ** self._waiting[address]))
        finally:
            self._waiting -= Counter([address])
