"""The relay behind the page, over its HTTP API: what it knows of an incident, and where pasted shares go."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import aiohttp

_TIMEOUT: Final = aiohttp.ClientTimeout(total=15)
_NO_ANSWER: Final = b'{"title": "relay does not answer", "detail": "Is it running at the configured address?"}'


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayClient:
    """Where a relay listens (`http://HOST:PORT`), and the keys for its API; the keys never reach the browser.

    `sample` is the share that the page offers to paste, as text. `on_accepted` is called with each body that the page
    sent and relay accepted; it must not raise.
    """

    url: str
    webhook_key: str = ""
    admin_key: str = ""
    sample: str = ""
    on_accepted: Callable[[bytes], None] = lambda _: None

    async def incident(self, session: aiohttp.ClientSession, incident: str) -> tuple[int, bytes]:
        """`GET /incidents/{id}`: relay's status and body."""
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        return await self._request(session, "GET", f"/incidents/{quote(incident, safe='')}", headers=headers)

    async def share(self, session: aiohttp.ClientSession, body: bytes) -> tuple[int, bytes]:
        """`POST /shares`: relay's status and body."""
        headers = {"Authorization": f"Bearer {self.webhook_key}", "Content-Type": "application/json"}
        status, answer = await self._request(session, "POST", "/shares", headers=headers, data=body)
        if status == HTTPStatus.ACCEPTED:
            self.on_accepted(body)
        return status, answer

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, **options: Any
    ) -> tuple[int, bytes]:
        """No answer becomes a problem, in the form of relay's own problems."""
        try:
            async with session.request(method, self.url.rstrip("/") + path, timeout=_TIMEOUT, **options) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return HTTPStatus.BAD_GATEWAY, _NO_ANSWER
