"""Relay killed at random moments under load, with Slack failing, and what a reader of the channels finds in the end.

Incidents live through a few shares each; every share is sent again until some relay has answered 202, as a sender that
wants to be heard does. Meanwhile relays are killed with SIGKILL and started again. When the load is over everything
gets time to settle; then each incident must have one card that is true, and each comment must stand once in its thread,
in order. A change of state must stand there once as well if the card stood in Slack when it was shared (before that,
the card says it), and never twice.
"""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from relay.model.errors import StoreError
from relay.sandbox.faults import (
    SERVER_ERROR,
    UNAVAILABLE,
    ActiveFault,
    DropConnection,
    ErrorCode,
    InjectedFault,
    SlowAnswer,
)
from relay.sandbox.slack.channel import FakeMessage
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.store.store import Store
from tests.support.relay_process import Process, launch

POST, EDIT, HISTORY, REPLIES = "chat.postMessage", "chat.update", "conversations.history", "conversations.replies"
LANES = 6
GATE = 1.5
"""Seconds that a share may take to be answered before its sender tries again."""

_CHANNELS = [f"C0LANE{number:04}" for number in range(LANES)]
ROUTES = "version: 1\nroutes:\n" + "".join(
    f'  - {{name: lane{number}, match: {{tags: {{lane: "{number}"}}}}, post: [{channel}]}}\n'
    for number, channel in enumerate(_CHANNELS)
)

PHRASES = {"critical": "*Critical*", "ok": "Resolved"}
FACES = {"critical": "🔴", "ok": "✅"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much of everything: `kill_after` are the seconds that a relay lives once it serves.

    One in eight is killed while it starts.
    """

    seed: int
    relays: int
    seconds: float
    kills: int | None = None
    incidents: int = 100_000
    at_once: int = 14
    pause: tuple[float, float] = (0.5, 6.0)
    kill_after: tuple[float, float] = (0.1, 3.0)
    lag: float = 4.0
    lost_before: float = 0.04
    lost_after: float = 0.08
    patience: float = 420.0


@dataclass
class Life:
    """One incident: what was shared of it and taken, and which of that the thread must tell."""

    name: str
    lane: int
    shares: int = 0
    status: str = ""
    comments: list[str] = field(default_factory=list)
    owed: list[str] = field(default_factory=list)
    done: bool = False

    @property
    def channel(self) -> str:
        return _CHANNELS[self.lane]


@dataclass
class Tally:
    """What happened."""

    kills: int = 0
    kills_of_the_delivering: int = 0
    shares: int = 0
    resent: int = 0
    armed: list[ActiveFault] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(each.applied for each in self.armed)


class Relay:
    """One relay that is killed and started again until it is left in peace."""

    def __init__(self, name: str, folder: Path, slack_url: str, session: aiohttp.ClientSession, url: str) -> None:
        self.name, self._folder, self._slack_url, self._session, self._url = name, folder, slack_url, session, url
        self.process: Process | None = None
        self.serving = asyncio.Event()

    @property
    def delivers(self) -> bool:
        events = [line.get("event") for line in (self.process.logged if self.process else ())]
        taken = [number for number, event in enumerate(events) if event == "delivering"]
        return bool(taken) and "lease_lost" not in events[taken[-1] :]

    async def live(self, tally: Tally, lifetime: float | None) -> None:
        """Start, and be killed so many seconds after it serves (less than none: after its start, while it makes ready).

        Without a number of them, live on until cancelled.
        """
        more = {"RELAY_DATABASE_URL": self._url} if self._url else {}
        self.process = await launch(self._folder, self._slack_url, self._session, **more)
        tasks = [asyncio.create_task(self.process.read()), asyncio.create_task(self._announce(self.process))]
        try:
            if lifetime is None or lifetime > 0:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(tasks[:1], timeout=lifetime and abs(lifetime))
            if lifetime is None or self.process.process.returncode is not None:
                said = [line for line in self.process.logged if "raw" in line][-20:]
                raise AssertionError(f"relay {self.name} ended by itself: {said}")
            tally.kills += 1
            tally.kills_of_the_delivering += self.delivers
        finally:
            self.serving.clear()
            await self.process.stop(signal.SIGKILL)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _announce(self, process: Process) -> None:
        with suppress(AssertionError):  # it was killed before it served
            line = await process.line("serving")
            process.url = f"http://{line['host']}:{line['port']}"
            self.serving.set()


class Soak:
    """The whole run."""

    def __init__(self, plan: Plan, slack: FakeSlack, relays: Sequence[Relay], url: str) -> None:
        self.plan, self.slack, self.relays, self.url = plan, slack, relays, url
        self.tally, self.lives = Tally(), list[Life]()
        self._random = random.Random(plan.seed)
        self._over = asyncio.Event()

    async def run(self) -> list[str]:
        """Load and kills, then peace; what is wrong in the end."""
        self._arm()
        async with asyncio.TaskGroup() as tasks:
            keepers = [tasks.create_task(self._keep(relay, number)) for number, relay in enumerate(self.relays)]
            await self._load()
            self.slack.faults.clear()
            wrong = await self._settled()
            for keeper in keepers:
                keeper.cancel()
        return wrong

    def _arm(self) -> None:
        before, after = self.plan.lost_before, self.plan.lost_after
        lost = [
            *((POST, does, False, before / 2) for does in (SERVER_ERROR, DropConnection())),
            *((POST, does, True, after / 4) for does in (UNAVAILABLE, DropConnection(), ErrorCode("fatal_error"))),
            (POST, SlowAnswer(0.7), True, after),
            (POST, SlowAnswer(0.7), False, after),
            *((EDIT, does, True, after / 2) for does in (DropConnection(), SERVER_ERROR)),
            *((method, UNAVAILABLE, False, before) for method in (HISTORY, REPLIES)),
        ]
        for number, (method, does, after_effect, probability) in enumerate(lost):
            fault = InjectedFault(
                behaviour=does,
                after_effect=after_effect,
                method=method,
                times=None,
                probability=probability,
                seed=self.plan.seed * 100 + number,
            )
            self.tally.armed.append(self.slack.faults.add(fault))
        self.slack.history_lag = self.plan.lag

    # --- kills ---

    async def _keep(self, relay: Relay, number: int) -> None:
        chance = random.Random(f"{self.plan.seed} {number}")
        while not self._over.is_set() and not self._enough:
            early = chance.random() < 1 / 8
            await relay.live(self.tally, -chance.uniform(0.1, 2.0) if early else chance.uniform(*self.plan.kill_after))
        await relay.live(self.tally, None)

    @property
    def _enough(self) -> bool:
        return self.plan.kills is not None and self.tally.kills >= self.plan.kills

    # --- load ---

    async def _load(self) -> None:
        until = time.monotonic() + self.plan.seconds
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.plan.at_once):
                tasks.create_task(self._incidents(until))
            await asyncio.sleep(self.plan.seconds)
            self._over.set()

    async def _incidents(self, until: float) -> None:
        while time.monotonic() < until and len(self.lives) < self.plan.incidents:
            number = len(self.lives)
            life = Life(f"incident-{number:05}", self._random.randrange(LANES))
            self.lives.append(life)
            await self._lived(life, until)

    async def _lived(self, life: Life, until: float) -> None:
        statuses = ["warning", "critical", *(["ok"] if self._random.random() < 0.7 else [])]
        for number, status in enumerate(statuses):
            await self._share(life, status, comment=number == 1 or self._random.random() < 0.5)
            if time.monotonic() < until:
                await asyncio.sleep(self._random.uniform(*self.plan.pause))
        life.done = True

    async def _share(self, life: Life, status: str, *, comment: bool) -> None:
        phrase = PHRASES.get(status, "")
        if phrase and self._roots(life):
            life.owed.append(phrase)
        life.shares, life.status = life.shares + 1, status
        at = int(time.time())
        body: dict[str, Any] = {
            "incident": {
                "id": life.name,
                "status": status,
                "changedOn": at,
                "alerts": [{"id": "a", "status": status, "tags": [{"name": "host", "value": life.name}]}],
            },
            "incidentTags": [{"id": "lane", "value": str(life.lane)}],
        }
        if comment:
            text = f"note {life.shares} of {life.name}."
            life.comments.append(text)
            body["metadata"] = {"comment": {"comment": text}, "sender": {"name": "Dana"}}
        await self._taken(body)

    async def _taken(self, body: dict[str, Any]) -> None:
        """Sent until it is answered 202, by whichever relay."""
        tries = 0
        while True:
            relay = self._random.choice(self.relays)
            if relay.serving.is_set() and relay.process is not None:
                tries += 1
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with asyncio.timeout(GATE), await relay.process.share(body) as answer:
                        if answer.status == 202:
                            self.tally.shares += 1
                            self.tally.resent += tries - 1
                            return
                        assert answer.status == 503, (answer.status, await answer.text())
            await asyncio.sleep(0.05)

    # --- the end ---

    async def _settled(self) -> list[str]:
        """Wait until nothing is wrong and nothing is left to do, twice in a row; else what is wrong after all."""
        until = time.monotonic() + self.plan.patience
        quiet, wrong = 0, ["nothing was looked at"]
        while quiet < 2 and time.monotonic() < until:
            await asyncio.sleep(0.5)
            wrong = list(self.wrong()) + await self._waiting()
            quiet = 0 if wrong else quiet + 1
        return wrong

    async def _waiting(self) -> list[str]:
        with suppress(StoreError):
            store = await Store.open(self.url, exclusive=False)
            try:
                backlog = await store.backlog(time.time())
            finally:
                await store.close()
            lanes = [
                f"{lane.cards} {lane.track}s due in {lane.channel} for {lane.age:.0f} s" for lane in backlog.channels
            ]
            doubts = [f"{backlog.in_doubt} in doubt"] if backlog.in_doubt else []
            return [*lanes, *doubts, *([f"{backlog.dead_letters} letters"] if backlog.dead_letters else [])]
        return ["the database cannot be read"]

    def wrong(self) -> Iterator[str]:
        """What a reader would find wrong, incident by incident."""
        for life in self.lives:
            if life.shares:
                yield from (f"{life.name}: {fault}" for fault in self._wrong_of(life))

    def _wrong_of(self, life: Life) -> Iterator[str]:
        roots = self._roots(life)
        if len(roots) != 1:
            yield f"{'LOST' if not roots else 'DOUBLE'}: {len(roots)} cards"
            return
        face = self.slack.text_of(roots[0])
        if FACES.get(life.status, "🟡") not in face and life.status in FACES:
            yield f"UNTRUE: {life.status}, and the card says {face.splitlines()[:1]}"
        yield from self._wrong_in_thread(life, roots[0])

    def _wrong_in_thread(self, life: Life, root: FakeMessage) -> Iterator[str]:
        told = "\n".join(self.slack.text_of(reply) for reply in self.slack.channel(life.channel).thread(root.ts))
        for text in (*life.comments, *life.owed):
            if (times := told.count(text)) != 1:
                yield f"{'LOST' if times == 0 else 'DOUBLE'}: {text!r} told {times} times"
        for text in PHRASES.values():
            if text not in life.owed and told.count(text) > 1:
                yield f"DOUBLE: {text!r} told {told.count(text)} times"
        for told_in_order in (life.comments, life.owed):
            if sorted(told_in_order, key=told.find) != told_in_order:
                yield f"ORDER: {told_in_order}"
        strays = [each for each in self._all(life) if "relay_entry" in str(each.metadata) and not each.thread_ts]
        if standing := [stray for stray in strays if not stray.deleted]:
            yield f"DOUBLE: {len(standing)} strays"

    def _roots(self, life: Life) -> list[FakeMessage]:
        return [each for each in self._all(life) if "relay_card" in str(each.metadata) and not each.deleted]

    def _all(self, life: Life) -> list[FakeMessage]:
        return [each for each in self.slack.channel(life.channel).all_messages if _incident(each) == life.name]

    @property
    def taken_back(self) -> int:
        """Messages that stood twice for a while, until relay deleted one."""
        return sum(message.deleted for channel in _CHANNELS for message in self.slack.channel(channel).all_messages)


def _incident(message: FakeMessage) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("incident", ""))


@asynccontextmanager
async def soaking(folder: Path, plan: Plan, url: str = "") -> AsyncIterator[Soak]:
    """A workspace and relays, ready to be run; `url` is the database that they share, else an SQLite file is made."""
    (folder / "routes.yaml").write_text(ROUTES)
    slack = FakeSlack()
    for number, channel in enumerate(_CHANNELS):
        slack.add_channel(channel, f"lane-{number}")
    async with serve_slack(slack) as slack_url, aiohttp.ClientSession() as session:
        relays = [Relay(str(number), folder, slack_url, session, url) for number in range(plan.relays)]
        yield Soak(plan, slack, relays, url or f"sqlite:///{folder / 'relay.db'}")
