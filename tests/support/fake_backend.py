"""A Backend that keeps shares in memory, for tests of the server alone."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from relay.model.errors import NoIncident, NotJson, QueryError
from relay.server.backend import Readiness, ShareReceipt


class FakeBackend:
    """A Backend that stores shares in a list, and raises `fails`."""

    def __init__(self) -> None:
        self.stored: list[tuple[bytes, Mapping[str, str]]] = []
        self.fails: BaseException | None = None
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.inside = self.most_inside = 0
        self.exposition = b"relay_shares_total 1\n"
        self.current = Readiness(ok=True, detail={"slack": "unreachable", "letters": 3})

    async def accept(self, body: bytes, headers: Mapping[str, str], sender: int = 0) -> ShareReceipt:
        self.entered.set()
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        try:
            await self.open.wait()
        finally:
            self.inside -= 1
        if self.fails is not None:
            raise self.fails
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise NotJson("The body is not JSON.") from error
        if (
            not isinstance(document, dict)
            or not isinstance(document.get("incident"), dict)
            or "id" not in document["incident"]
        ):
            raise NoIncident("Nothing in the body names an incident.")
        self.stored.append((body, headers))
        return ShareReceipt(
            share=len(self.stored), incident=str(document["incident"]["id"]), routes=("payments", "noc")
        )

    async def readiness(self) -> Readiness:
        if self.fails is not None:
            raise self.fails
        return self.current

    async def incidents(self, parameters: Iterable[tuple[str, str]]) -> bytes:
        given = dict(parameters)
        if "opne" in given:
            raise QueryError("Unknown parameter 'opne'.")
        return json.dumps({"incidents": [given], "next": None}).encode()

    async def incident(self, incident: str) -> bytes | None:
        return json.dumps({"id": incident, "shares": []}).encode() if incident in {"i/1", "{i}\n1"} else None

    async def shares(self, incident: str) -> bytes | None:
        return json.dumps({"of": incident}).encode() if incident in {"i/1", "x/shares"} else None

    async def on_interaction(self, payload: Mapping[str, Any]) -> None:
        raise AssertionError(payload)

    on_event = on_command = on_interaction

    async def metrics(self) -> tuple[bytes, str]:
        return self.exposition, "text/plain; version=0.0.4; charset=utf-8"


def share(incident: str = "i1", **more: Any) -> bytes:
    return json.dumps({"incident": {"id": incident, **more}}).encode()
