"""The way out: shares of incidents, POSTed to whoever integrates, and held back until the callback where asked for."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from relay.sandbox.bigpanda.incident import Body, FakeIncident
from relay.sandbox.bigpanda.users import AUTOSHARE, FakeBigPandaUser

_PATIENCE: Final = aiohttp.ClientTimeout(total=30)
CALLBACK_TIMEOUT: Final = 300.0
"""Seconds after which updates are let go of without a callback (https://docs.bigpanda.io/en/bigpanda-callback-service)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareEvent:
    """What a share is about: BigPanda's name of what happened, when, who shares it, and the comment if it is one."""

    event: str
    at: float
    sender: FakeBigPandaUser = AUTOSHARE
    comment: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Integration:
    """A Notifications Webhook that was set up: where it POSTs, with which headers, and what its shares tell.

    The options bear BigPanda's names (https://docs.bigpanda.io/en/notifications-webhook.html). All are on here; there,
    all but the incident tags are off until somebody asks for them. `callbacks`: updates of an incident wait for the
    callback after its first share, at most `HELD_AT_MOST`.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    app_key: str = "app-sandbox"
    add_assignments: bool = True
    send_comments: bool = True
    add_event_types: bool = True
    add_metadata: bool = True
    add_incident_tags: bool = True
    callbacks: bool = False

    def body(self, incident: FakeIncident, environment: Mapping[str, str], news: ShareEvent) -> Body:
        """The share of an incident as it is now; `environment` is what the metadata says of where it is shared from."""
        metadata: Body = {"sender": {"name": news.sender.name, "email": news.sender.email}}
        if self.add_metadata:
            metadata |= environment
        if self.send_comments and news.comment is not None:
            metadata["comment"] = {"comment": news.comment, "environment": environment["environment"]}
        if self.add_assignments and incident.was_assigned:
            people = {"assignee": incident.assignee, "assigner": incident.assigner}
            metadata |= {role: user.as_share() if user else None for role, user in people.items()}
        body: Body = {"incident": incident.as_share(), **incident.siblings, "metadata": metadata}
        if self.add_incident_tags:
            body["incidentTags"] = [{"id": known, "value": value} for known, value in incident.tags.items()]
        if self.add_event_types:
            body["event_types"] = [{"event": news.event, "time": int(news.at)}]
        return body


@dataclass(slots=True, kw_only=True, eq=False)
class SentShare:
    """One share: what was sent where and when, and with which status it was answered (None: not at all)."""

    integration: Integration
    incident: str
    at: float
    body: Body
    status: int | None = None


Place = tuple[Integration, str]
"""One incident at one integration."""


@dataclass(slots=True, eq=False)
class _Lock:
    """What waits for the callback."""

    waiting: list[Body] = field(default_factory=list)


class ShareSender:
    """All integrations, and what was shared to them.

    Shares of one incident go to one integration one after the other, in the order of what happened.
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        """Begin with none; `sleep` is what everything waits by that takes its time."""
        self.integrations: list[Integration] = []
        self.delay = 0.0
        self.log: list[SentShare] = []
        self._now = clock
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self._turns: dict[Place, asyncio.Lock] = {}
        self._first: set[Place] = set()
        self._locks: dict[Place, _Lock] = {}

    # --- what others may do ---

    def schedule(self, incident: FakeIncident, environment: Mapping[str, str], news: ShareEvent) -> None:
        """Share an incident as it is now, to everybody, after `delay` seconds."""
        incident.shared = incident.shared or bool(self.integrations)
        due = self._now() + self.delay
        for integration in self.integrations:
            body = integration.body(incident, environment, news)
            self._run(self._under_way, self._share((integration, incident.id), body, due))

    def release_updates(self, incident: str, app_key: str) -> bool:
        """Let go of the updates of an incident at the integrations of that key; whether there is any such."""
        meant = [integration for integration in self.integrations if integration.app_key == app_key]
        for integration in meant:
            self._unlock((integration, incident))
        return bool(meant)

    def call_later(self, seconds: float, then: Callable[[], None]) -> None:
        """Let something happen by itself after so many seconds; `settled` does not wait for it."""
        self._run(self._waiting, self._after(seconds, then))

    def call_soon(self, seconds: float, then: Callable[[], None]) -> None:
        """The same for what a call has set going: `settled` waits for it."""
        self._run(self._under_way, self._after(seconds, then))

    @property
    def idle(self) -> bool:
        """Whether nothing is under way."""
        return not self._under_way

    async def wait_until_idle(self) -> None:
        """Wait until everything that is under way has been shared and answered."""
        while self._under_way:
            await asyncio.gather(*self._under_way)

    async def close(self) -> None:
        """Stop everything that waits, and what is under way too."""
        tasks = self._under_way | self._waiting
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- how ---

    def _run(self, among: set[asyncio.Task[None]], doing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(doing)
        among.add(task)
        task.add_done_callback(among.discard)

    async def _after(self, seconds: float, then: Callable[[], None]) -> None:
        await self._sleep(seconds)
        then()

    async def _share(self, place: Place, body: Body, due: float) -> None:
        async with self._turns.setdefault(place, asyncio.Lock()):
            if (wait := due - self._now()) > 0:
                await self._sleep(wait)
            if place in self._locks:
                self._locks[place].waiting.append(body)
                return
            if place[0].callbacks and place not in self._first:
                self._lock(place)
            self._first.add(place)
            await self._post(place, body)

    def _lock(self, place: Place) -> None:
        lock = self._locks[place] = _Lock()

        def give_up() -> None:
            if self._locks.get(place) is lock:
                self._unlock(place)

        self.call_later(CALLBACK_TIMEOUT, give_up)

    def _unlock(self, place: Place) -> None:
        lock = self._locks.pop(place, None)
        for body in lock.waiting if lock else ():
            self._run(self._under_way, self._share(place, body, self._now()))

    async def _post(self, place: Place, body: Body) -> None:
        integration, incident = place
        shared = SentShare(integration=integration, incident=incident, at=self._now(), body=body)
        self.log.append(shared)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_PATIENCE)
        headers = {"Content-Type": "application/json", **integration.headers}
        try:
            async with self._session.post(integration.url, data=json.dumps(body), headers=headers) as answer:
                shared.status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            shared.status = None
