"""The relay behind the page: what it knows of an incident, and where shares of one's own go. Both over its HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp

_PATIENCE: Final = aiohttp.ClientTimeout(total=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayClient:
    """Where a relay listens (`http://HOST:PORT`), and the keys by which the page may ask it.

    The keys stay on this side: the page's own address answers for it. `sample` is a share to begin with, as text;
    `kept` is told of each body that the page sent and relay kept. It must not raise.
    """

    url: str
    webhook_key: str = ""
    admin_key: str = ""
    sample: str = ""
    on_accepted: Callable[[bytes], None] = lambda _: None

    async def incident(self, session: aiohttp.ClientSession, incident: str) -> tuple[int, bytes]:
        """`GET /incidents/{id}`: status and body as relay gave them."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        return await self._ask(session, "GET", f"/incidents/{quote(incident, safe='')}", headers=headers)

    async def share(self, session: aiohttp.ClientSession, body: bytes) -> tuple[int, bytes]:
        """`POST /shares`: status and body as relay gave them."""
        headers = {"Authorization": f"Bearer {self.webhook_key}", "Content-Type": "application/json"}
        status, answer = await self._ask(session, "POST", "/shares", headers=headers, data=body)
        if status == HTTPStatus.ACCEPTED:
            self.on_accepted(body)
        return status, answer

    async def _ask(self, session: aiohttp.ClientSession, method: str, path: str, **how: Any) -> tuple[int, bytes]:
        """A relay that does not answer is told as a problem, in the form in which relay tells its own."""
        try:
            async with session.request(method, self.url.rstrip("/") + path, timeout=_PATIENCE, **how) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            told = b'{"title": "relay does not answer", "detail": "Is it running where the page was told?"}'
            return HTTPStatus.BAD_GATEWAY, told
