"""Relay is killed at random moments under load while Slack fails; then the messages in the channels are checked.

Each incident is shared a few times. Each share is sent again until a relay answers 202. Meanwhile relays are killed
with SIGKILL and started again. After the load, relay gets time to finish its work. Then each incident must have one
card with its current state, and its thread must contain each comment once, in order. A change of state must also stand
there once if the card was in Slack when the change was shared, and never twice.
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
ANSWER_TIMEOUT = 1.5
"""Seconds without an answer after which a share is sent again."""

_CHANNELS = [f"C0LANE{number:04}" for number in range(LANES)]
ROUTES = "version: 1\nroutes:\n" + "".join(
    f'  - {{name: lane{number}, match: {{tags: {{lane: "{number}"}}}}, post: [{channel}]}}\n'
    for number, channel in enumerate(_CHANNELS)
)

PHRASES = {"critical": "*Critical*", "ok": "Resolved"}
STATE_EMOJIS = {"critical": "🔴", "ok": "✅"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The sizes of a run; `kill_after` is the range of seconds from serving to the kill.

    One start in eight is killed before relay serves.
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
class SharedIncident:
    """One incident: its accepted shares, and the texts that its thread must contain."""

    name: str
    lane: int
    shares: int = 0
    status: str = ""
    comments: list[str] = field(default_factory=list)
    expected_changes: list[str] = field(default_factory=list)
    done: bool = False

    @property
    def channel(self) -> str:
        return _CHANNELS[self.lane]


@dataclass
class Tally:
    """Counts of the events of a run."""

    kills: int = 0
    kills_of_the_delivering: int = 0
    shares: int = 0
    resent: int = 0
    active_faults: list[ActiveFault] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(each.applied for each in self.active_faults)


class Relay:
    """One relay that is killed and started again."""

    def __init__(self, name: str, folder: Path, slack_url: str, session: aiohttp.ClientSession, url: str) -> None:
        self.name, self._folder, self._slack_url, self._session, self._url = name, folder, slack_url, session, url
        self.process: Process | None = None
        self.serving = asyncio.Event()

    @property
    def delivers(self) -> bool:
        events = [line.get("event") for line in (self.process.logged if self.process else ())]
        deliveries = [number for number, event in enumerate(events) if event == "delivering"]
        return bool(deliveries) and "lease_lost" not in events[deliveries[-1] :]

    async def run_once(self, tally: Tally, lifetime: float | None) -> None:
        """Start relay, and kill it `lifetime` seconds after it serves, or `-lifetime` seconds after its start.

        Without a lifetime, run until cancelled.
        """
        more = {"RELAY_DATABASE_URL": self._url} if self._url else {}
        self.process = await launch(self._folder, self._slack_url, self._session, **more)
        tasks = [asyncio.create_task(self.process.read()), asyncio.create_task(self._announce(self.process))]
        try:
            if lifetime is None or lifetime > 0:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(tasks[:1], timeout=lifetime and abs(lifetime))
            if lifetime is None or self.process.process.returncode is not None:
                raw_lines = [line for line in self.process.logged if "raw" in line][-20:]
                raise AssertionError(f"relay {self.name} ended by itself: {raw_lines}")
            tally.kills += 1
            tally.kills_of_the_delivering += self.delivers
        finally:
            self.serving.clear()
            await self.process.stop(signal.SIGKILL)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _announce(self, process: Process) -> None:
        with suppress(AssertionError):  # the process was killed before it served
            line = await process.line("serving")
            process.url = f"http://{line['host']}:{line['port']}"
            self.serving.set()


class Soak:
    """One run: the load, the kills and the final check."""

    def __init__(self, plan: Plan, slack: FakeSlack, relays: Sequence[Relay], url: str) -> None:
        self.plan, self.slack, self.relays, self.url = plan, slack, relays, url
        self.tally, self.incidents = Tally(), list[SharedIncident]()
        self._random = random.Random(plan.seed)
        self._over = asyncio.Event()

    async def run(self) -> list[str]:
        """Run the load with kills, wait until the work is done, and return the faults."""
        self._arm()
        async with asyncio.TaskGroup() as tasks:
            killers = [
                tasks.create_task(self._kill_and_restart(relay, number)) for number, relay in enumerate(self.relays)
            ]
            await self._load()
            self.slack.faults.clear()
            wrong = await self._settled()
            for killer in killers:
                killer.cancel()
        return wrong

    def _arm(self) -> None:
        before, after = self.plan.lost_before, self.plan.lost_after
        lost = [
            *((POST, behaviour, False, before / 2) for behaviour in (SERVER_ERROR, DropConnection())),
            *(
                (POST, behaviour, True, after / 4)
                for behaviour in (UNAVAILABLE, DropConnection(), ErrorCode("fatal_error"))
            ),
            (POST, SlowAnswer(0.7), True, after),
            (POST, SlowAnswer(0.7), False, after),
            *((EDIT, behaviour, True, after / 2) for behaviour in (DropConnection(), SERVER_ERROR)),
            *((method, UNAVAILABLE, False, before) for method in (HISTORY, REPLIES)),
        ]
        for number, (method, behaviour, after_effect, probability) in enumerate(lost):
            fault = InjectedFault(
                behaviour=behaviour,
                after_effect=after_effect,
                method=method,
                times=None,
                probability=probability,
                seed=self.plan.seed * 100 + number,
            )
            self.tally.active_faults.append(self.slack.faults.add(fault))
        self.slack.history_lag = self.plan.lag

    # --- kills ---

    async def _kill_and_restart(self, relay: Relay, number: int) -> None:
        generator = random.Random(f"{self.plan.seed} {number}")
        while not self._over.is_set() and not self._killed_enough:
            while_starting = generator.random() < 1 / 8
            await relay.run_once(
                self.tally, -generator.uniform(0.1, 2.0) if while_starting else generator.uniform(*self.plan.kill_after)
            )
        await relay.run_once(self.tally, None)

    @property
    def _killed_enough(self) -> bool:
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
        while time.monotonic() < until and len(self.incidents) < self.plan.incidents:
            number = len(self.incidents)
            incident = SharedIncident(f"incident-{number:05}", self._random.randrange(LANES))
            self.incidents.append(incident)
            await self._share_all(incident, until)

    async def _share_all(self, incident: SharedIncident, until: float) -> None:
        statuses = ["warning", "critical", *(["ok"] if self._random.random() < 0.7 else [])]
        for number, status in enumerate(statuses):
            await self._share(incident, status, comment=number == 1 or self._random.random() < 0.5)
            if time.monotonic() < until:
                await asyncio.sleep(self._random.uniform(*self.plan.pause))
        incident.done = True

    async def _share(self, incident: SharedIncident, status: str, *, comment: bool) -> None:
        phrase = PHRASES.get(status, "")
        if phrase and self._roots(incident):
            incident.expected_changes.append(phrase)
        incident.shares, incident.status = incident.shares + 1, status
        at = int(time.time())
        body: dict[str, Any] = {
            "incident": {
                "id": incident.name,
                "status": status,
                "changedOn": at,
                "alerts": [{"id": "a", "status": status, "tags": [{"name": "host", "value": incident.name}]}],
            },
            "incidentTags": [{"id": "lane", "value": str(incident.lane)}],
        }
        if comment:
            text = f"note {incident.shares} of {incident.name}."
            incident.comments.append(text)
            body["metadata"] = {"comment": {"comment": text}, "sender": {"name": "Dana"}}
        await self._send_until_accepted(body)

    async def _send_until_accepted(self, body: dict[str, Any]) -> None:
        """Send the share to any relay until one answers 202."""
        tries = 0
        while True:
            relay = self._random.choice(self.relays)
            if relay.serving.is_set() and relay.process is not None:
                tries += 1
                with suppress(aiohttp.ClientError, TimeoutError, OSError):
                    async with asyncio.timeout(ANSWER_TIMEOUT), await relay.process.share(body) as answer:
                        if answer.status == 202:
                            self.tally.shares += 1
                            self.tally.resent += tries - 1
                            return
                        assert answer.status == 503, (answer.status, await answer.text())
            await asyncio.sleep(0.05)

    # --- the end ---

    async def _settled(self) -> list[str]:
        """Wait until there are no faults and no work, twice in a row; return the faults that remain."""
        until = time.monotonic() + self.plan.patience
        quiet, wrong = 0, ["nothing was checked"]
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
                f"{lane.cards} {lane.work}s due in {lane.channel} for {lane.age:.0f} s" for lane in backlog.channels
            ]
            doubts = [f"{backlog.in_doubt} in doubt"] if backlog.in_doubt else []
            return [*lanes, *doubts, *([f"{backlog.dead_letters} dead letters"] if backlog.dead_letters else [])]
        return ["the database cannot be read"]

    def wrong(self) -> Iterator[str]:
        """Yield the faults that a reader would see, incident by incident."""
        for incident in self.incidents:
            if incident.shares:
                yield from (f"{incident.name}: {fault}" for fault in self._wrong_of(incident))

    def _wrong_of(self, incident: SharedIncident) -> Iterator[str]:
        roots = self._roots(incident)
        if len(roots) != 1:
            yield f"{'LOST' if not roots else 'DOUBLE'}: {len(roots)} cards"
            return
        card_text = self.slack.text_of(roots[0])
        if STATE_EMOJIS.get(incident.status, "🟡") not in card_text and incident.status in STATE_EMOJIS:
            yield f"UNTRUE: {incident.status}, and the card says {card_text.splitlines()[:1]}"
        yield from self._wrong_in_thread(incident, roots[0])

    def _wrong_in_thread(self, incident: SharedIncident, root: FakeMessage) -> Iterator[str]:
        thread = "\n".join(self.slack.text_of(reply) for reply in self.slack.channel(incident.channel).thread(root.ts))
        for text in (*incident.comments, *incident.expected_changes):
            if (times := thread.count(text)) != 1:
                yield f"{'LOST' if times == 0 else 'DOUBLE'}: {text!r} stands there {times} times"
        for text in PHRASES.values():
            if text not in incident.expected_changes and thread.count(text) > 1:
                yield f"DOUBLE: {text!r} stands there {thread.count(text)} times"
        for texts in (incident.comments, incident.expected_changes):
            if sorted(texts, key=thread.find) != texts:
                yield f"ORDER: {texts}"
        strays = [each for each in self._all(incident) if "relay_entry" in str(each.metadata) and not each.thread_ts]
        if visible := [stray for stray in strays if not stray.deleted]:
            yield f"DOUBLE: {len(visible)} strays"

    def _roots(self, incident: SharedIncident) -> list[FakeMessage]:
        return [each for each in self._all(incident) if "relay_card" in str(each.metadata) and not each.deleted]

    def _all(self, incident: SharedIncident) -> list[FakeMessage]:
        return [each for each in self.slack.channel(incident.channel).all_messages if _incident(each) == incident.name]

    @property
    def deleted_duplicates(self) -> int:
        """The number of duplicates that relay deleted."""
        return sum(message.deleted for channel in _CHANNELS for message in self.slack.channel(channel).all_messages)


def _incident(message: FakeMessage) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("incident", ""))


@asynccontextmanager
async def soaking(folder: Path, plan: Plan, url: str = "") -> AsyncIterator[Soak]:
    """Set up a workspace and relays; they share the database at `url`, by default a new SQLite file."""
    (folder / "routes.yaml").write_text(ROUTES)
    slack = FakeSlack()
    for number, channel in enumerate(_CHANNELS):
        slack.add_channel(channel, f"lane-{number}")
    async with serve_slack(slack) as slack_url, aiohttp.ClientSession() as session:
        relays = [Relay(str(number), folder, slack_url, session, url) for number in range(plan.relays)]
        yield Soak(plan, slack, relays, url or f"sqlite:///{folder / 'relay.db'}")
