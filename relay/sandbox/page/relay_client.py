"""The relay behind the page, over its HTTP API: what it knows of an incident, and where pasted shares go."""

import json
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

    `sample` is the share that the page offers to paste, as text.
    """

    url: str
    webhook_key: str = ""
    admin_key: str = ""
    sample: str = ""

    async def incident(self, session: aiohttp.ClientSession, incident: str) -> tuple[int, bytes]:
        """`GET /incidents/{id}`: relay's status and body."""
        return await self._get(session, f"/incidents/{quote(incident, safe='')}")

    async def shares(self, session: aiohttp.ClientSession, incident: str) -> tuple[int, bytes]:
        """`GET /incidents/{id}/shares`: relay's status and body."""
        return await self._get(session, f"/incidents/{quote(incident, safe='')}/shares")

    async def newest_share(self, incident: str) -> bytes | None:
        """The body of an incident's newest share from any sender; None if relay has none, or does not answer."""
        async with aiohttp.ClientSession() as session:
            status, answer = await self.shares(session, incident)
        if status != HTTPStatus.OK:
            return None
        body: str = json.loads(answer)["shares"][-1]["body"]
        return body.encode()

    async def share(self, session: aiohttp.ClientSession, body: bytes) -> tuple[int, bytes]:
        """`POST /shares`: relay's status and body."""
        headers = {"Authorization": f"Bearer {self.webhook_key}", "Content-Type": "application/json"}
        return await self._request(session, "POST", "/shares", headers=headers, data=body)

    async def _get(self, session: aiohttp.ClientSession, path: str) -> tuple[int, bytes]:
        return await self._request(session, "GET", path, headers={"Authorization": f"Bearer {self.admin_key}"})

    async def _request(
        self, session: aiohttp.ClientSession, method: str, path: str, **options: Any
    ) -> tuple[int, bytes]:
        """No answer becomes a problem, in the form of relay's own problems."""
        try:
            async with session.request(method, self.url.rstrip("/") + path, timeout=_TIMEOUT, **options) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            return HTTPStatus.BAD_GATEWAY, _NO_ANSWER
