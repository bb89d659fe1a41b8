"""Shares of incidents: POSTed to every integration, and held back until the callback where that is configured."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from relay.sandbox.bigpanda.incident import Body, FakeIncident
from relay.sandbox.bigpanda.users import AUTOSHARE, FakeBigPandaUser

_POST_TIMEOUT: Final = aiohttp.ClientTimeout(total=30)
CALLBACK_TIMEOUT: Final = 300.0
"""Seconds after which updates are sent without a callback (https://docs.bigpanda.io/en/bigpanda-callback-service)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareTrigger:
    """Why a share is sent: BigPanda's name of the event, its time, the sender, and the comment if it is one."""

    event: str
    at: float
    sender: FakeBigPandaUser = AUTOSHARE
    comment: str | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class Integration:
    """A Notifications Webhook: where it POSTs, with which headers, and what its shares include.

    The options have BigPanda's names (https://docs.bigpanda.io/en/notifications-webhook.html). All are on here; in
    BigPanda, all but the incident tags are off by default. `callbacks`: updates of an incident wait for the callback
    after its first share, at most `CALLBACK_TIMEOUT`.
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

    def body(self, incident: FakeIncident, environment: Mapping[str, str], trigger: ShareTrigger) -> Body:
        """The share of an incident as it is now; `environment` goes into the metadata."""
        metadata: Body = {"sender": {"name": trigger.sender.name, "email": trigger.sender.email}}
        if self.add_metadata:
            metadata |= environment
        if self.send_comments and trigger.comment is not None:
            metadata["comment"] = {"comment": trigger.comment, "environment": environment["environment"]}
        if self.add_assignments and incident.was_assigned:
            people = {"assignee": incident.assignee, "assigner": incident.assigner}
            metadata |= {role: user.as_share() if user else None for role, user in people.items()}
        body: Body = {"incident": incident.as_share(), **incident.siblings, "metadata": metadata}
        if self.add_incident_tags:
            body["incidentTags"] = [{"id": tag, "value": value} for tag, value in incident.tags.items()]
        if self.add_event_types:
            body["event_types"] = [{"event": trigger.event, "time": int(trigger.at)}]
        return body


@dataclass(slots=True, kw_only=True, eq=False)
class SentShare:
    """One share: what was sent where and when, and the status of the answer (None: no answer)."""

    integration: Integration
    incident: str
    at: float
    body: Body
    status: int | None = None


Target = tuple[Integration, str]
"""One incident at one integration."""


class ShareSender:
    """All `integrations`, and what was shared to them, in order (`sent_shares`). Times are Unix seconds of the clock.

    Shares of one incident go to one integration one after the other, in the order of the events. `share_delay` is how
    long after a change it is shared (seconds).
    """

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        """Start without integrations; `sleep` makes everything wait that takes time."""
        self.integrations: list[Integration] = []
        self.share_delay = 0.0
        self.sent_shares: list[SentShare] = []
        self.now = clock
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._waiting: set[asyncio.Task[None]] = set()
        self._turns: dict[Target, asyncio.Lock] = {}
        self._first: set[Target] = set()
        self._held: dict[Target, list[Body]] = {}

    def schedule(self, incident: FakeIncident, environment: Mapping[str, str], trigger: ShareTrigger) -> None:
        """Share an incident as it is now to every integration, after `share_delay` seconds."""
        incident.shared = incident.shared or bool(self.integrations)
        due = self.now() + self.share_delay
        for integration in self.integrations:
            body = integration.body(incident, environment, trigger)
            self._run(self._sending, self._share((integration, incident.id), body, due))

    def release_updates(self, incident: str, app_key: str) -> bool:
        """Send the held updates of an incident to the integrations with that key; returns whether there are any."""
        called = [integration for integration in self.integrations if integration.app_key == app_key]
        for integration in called:
            self._release((integration, incident))
        return bool(called)

    def has_sent(self, incident: str, body: bytes) -> bool:
        """Whether this body is one of the shares of an incident that were sent."""
        try:
            share = json.loads(body)
        except ValueError:
            return False
        return any(share == sent.body for sent in self.sent_shares if sent.incident == incident)

    def call_later(self, seconds: float, action: Callable[[], None]) -> None:
        """Run something after so many seconds; `wait_until_idle` does not wait for it."""
        self._run(self._waiting, self._after(seconds, action))

    def call_soon(self, seconds: float, action: Callable[[], None]) -> None:
        """Run the delayed effect of a call; `wait_until_idle` waits for it."""
        self._run(self._sending, self._after(seconds, action))

    @property
    def idle(self) -> bool:
        """Whether all changes are shared, and the shares are answered."""
        return not self._sending

    async def wait_until_idle(self) -> None:
        """Wait until all changes are shared, and the shares are answered."""
        while self._sending:
            await asyncio.gather(*self._sending)

    async def close(self) -> None:
        """Cancel everything that waits or is being sent."""
        tasks = self._sending | self._waiting
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _run(self, tasks: set[asyncio.Task[None]], work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _after(self, seconds: float, action: Callable[[], None]) -> None:
        await self._sleep(seconds)
        action()

    async def _share(self, target: Target, body: Body, due: float) -> None:
        async with self._turns.setdefault(target, asyncio.Lock()):
            if (wait := due - self.now()) > 0:
                await self._sleep(wait)
            if target in self._held:
                self._held[target].append(body)
                return
            if target[0].callbacks and target not in self._first:
                self._hold_updates(target)
            self._first.add(target)
            await self._post(target, body)

    def _hold_updates(self, target: Target) -> None:
        held = self._held[target] = []

        def give_up() -> None:
            if self._held.get(target) is held:
                self._release(target)

        self.call_later(CALLBACK_TIMEOUT, give_up)

    def _release(self, target: Target) -> None:
        for body in self._held.pop(target, []):
            self._run(self._sending, self._share(target, body, self.now()))

    async def _post(self, target: Target, body: Body) -> None:
        integration, incident = target
        share = SentShare(integration=integration, incident=incident, at=self.now(), body=body)
        self.sent_shares.append(share)
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_POST_TIMEOUT)
        headers = {"Content-Type": "application/json", **integration.headers}
        try:
            async with self._session.post(integration.url, data=json.dumps(body), headers=headers) as answer:
                share.status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            share.status = None
