"""A relay whose board is served, with incidents that have hostile titles."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from relay.server.board import access
from relay.server.board.pages import BoardPages
from relay.server.board.sessions import Role
from relay.server.endpoints import create_app
from relay.tools.board.source import BoardSource, SlackStatus
from tests.support.fake_backend import FakeBackend
from tests.support.relay_in_process import ROUTES, RelayInProcess, run_relay

KEYS = {Role.READER: "the-admin-key", Role.OPERATOR: "the-operator-key"}
HOSTILE = "</title><script>alert(1)</script> \u202egnp.exe \"'><img src=x onerror=alert(1)>"


@dataclass
class Board:
    """The board of one relay, as a browser reaches it."""

    relay: RelayInProcess
    source: BoardSource
    client: TestClient
    faults: list[Any]
    status: list[SlackStatus]
    csrf: str = ""

    @property
    def origin(self) -> str:
        return str(self.client.make_url("/")).rstrip("/")

    async def get(self, path: str = "", **headers: str) -> tuple[Any, str]:
        response = await self.client.get(f"/board{path}", headers=headers, allow_redirects=False)
        return response, await response.text()

    async def post(self, path: str, origin: str | None = "own", **form: str) -> tuple[Any, str]:
        headers = {} if origin is None else {"Origin": self.origin if origin == "own" else origin}
        form = {"csrf": self.csrf} | form
        response = await self.client.post(f"/board{path}", data=form, headers=headers, allow_redirects=False)
        return response, await response.text()

    async def sign_in(self, role: Role = Role.OPERATOR, name: str = "Dana") -> Any:
        response, text = await self.post("/login", key=KEYS[role], name=name)
        assert response.status == 303, text
        _, page = await self.get()
        self.csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
        assert self.csrf
        return response


@asynccontextmanager
async def serve_board(
    folder, *, public_url: str = "", incidents: int = 1, routes: str = ROUTES, secrets: Sequence[str] = ()
) -> AsyncIterator[Board]:
    async with run_relay(folder, routes=routes) as relay:
        for number in range(incidents):
            await relay.share(f"i{number}", status="critical", alerts=[{"id": "a", "description": HOSTILE}])
        await relay.advance(60)
        faults: list[Any] = []
        status = [SlackStatus(status="ok")]
        source = BoardSource(
            store=relay.store,
            clock=relay.clock,
            live=lambda: relay.configuration,
            faults=lambda: tuple(faults),
            slack=lambda: status[0],
            link=lambda channel, ts: f"https://example.slack.com/archives/{channel}/p{ts}",
            decide=relay.ingest.decide,
            wake=relay.leader.wake,
        )
        app = create_app(
            FakeBackend(),
            keys=["webhook-key"],
            header="X-Relay-Key",
            secrets=secrets,
            board=BoardPages(source, KEYS, public_url),
        )
        async with TestClient(TestServer(app)) as client:
            yield Board(relay, source, client, faults, status)


@pytest.fixture
async def board(tmp_path, monkeypatch) -> AsyncIterator[Board]:
    monkeypatch.setattr(access, "FIRST_DELAY", 0.0)
    async with serve_board(tmp_path) as board:
        yield board
