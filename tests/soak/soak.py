"""Relay is killed at random moments under load while Slack fails; then the messages in the channels are checked.

Each incident is shared a few times. Each share is sent again until a relay answers 202. Meanwhile relays are killed
with SIGKILL and started again; if there are several, some are also paused for so long that another one takes over their
work. From time to time many incidents are shared at once, each share as soon as the previous one is accepted, so that
shares wait in the inbox. A relay is killed then, and more shares arrive when it starts again.

After the load, relay gets time to finish its work. Then the inbox must be empty, and each incident must have one card
with its current state. Its thread must contain each comment once, in order. It must also contain each change of state
once if the card was in Slack when the change was shared, and never twice.

With `lose_after`, the SQLite database is also deleted once, while relay is dead, and each incident is shared once more.
What was not in Slack by then may be missing; everything else holds as before.
"""

import asyncio
import random
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
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
from relay.store.types import Backlog
from tests.support.relay_process import SERVE, Process, launch

POST, EDIT, HISTORY, REPLIES = "chat.postMessage", "chat.update", "conversations.history", "conversations.replies"
LANES = 6
ANSWER_TIMEOUT = 5.0
"""Seconds without an answer after which a share is sent again."""

FLOOD_LANES = 30
"""Channels of the incidents that are shared at once: Slack takes about one message per second in each."""

_CHANNELS = [f"C0LANE{number:04}" for number in range(LANES + FLOOD_LANES)]

PHRASES = {"critical": "*Critical*", "ok": "Resolved"}
STATE_EMOJIS = {"critical": "🔴", "ok": "✅"}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The sizes of a run; `kill_after` is the range of seconds from serving to the kill.

    One start in eight is killed before relay serves. Every `flood_every` seconds so many incidents are shared at once
    as `flood` says. One life in eight is `frozen` for so many seconds, if it says so.
    """

    seed: int
    relays: int
    seconds: float
    kills: int | None = None
    incidents: int = 100_000
    at_once: int = 14
    pause: tuple[float, float] = (0.5, 6.0)
    kill_after: tuple[float, float] = (0.1, 3.0)
    flood: int = 0
    flood_every: tuple[float, float] = (15.0, 45.0)
    frozen: tuple[float, float] | None = None
    lag: float = 4.0
    lost_before: float = 0.04
    lost_after: float = 0.08
    patience: float = 420.0
    """Seconds without any progress after which what is not done yet counts as wrong."""
    lose_after: float | None = None
    command: Sequence[str] | None = SERVE
    prepare: Callable[[], object] | None = None
    """How a relay is started: with a command, or without one forked (`prepare` is only for that)."""


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
    again: bool = False
    may_be_lost: set[str] = field(default_factory=set)

    @property
    def channel(self) -> str:
        return _CHANNELS[self.lane]


@dataclass
class Tally:
    """Counts of the events of a run."""

    kills: int = 0
    lost_databases: int = 0
    cards_when_lost: int = 0
    kills_of_the_delivering: int = 0
    shares: int = 0
    resent: int = 0
    floods: int = 0
    kills_with_unplanned: int = 0
    left_unplanned: int = 0
    freezes: int = 0
    active_faults: list[ActiveFault] = field(default_factory=list)

    @property
    def faults(self) -> int:
        return sum(each.applied for each in self.active_faults)


class Relay:
    """One relay that is killed and started again."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Process]], folder: Path) -> None:
        self.name, self._start, self.folder = name, start, folder
        self.process: Process | None = None
        self.serving, self.kill = asyncio.Event(), asyncio.Event()

    @property
    def delivers(self) -> bool:
        events = [line.get("event") for line in (self.process.logged if self.process else ())]
        deliveries = [number for number, event in enumerate(events) if event == "delivering"]
        return bool(deliveries) and "lease_lost" not in events[deliveries[-1] :]

    async def run_once(self, tally: Tally, lifetime: float | None, frozen: float = 0.0) -> None:
        """Start relay, and kill it `lifetime` seconds after it serves, or `-lifetime` seconds after its start.

        It is killed earlier if `kill` is set. First it is stopped for `frozen` seconds, as a suspended machine is.
        Without a lifetime, run until cancelled.
        """
        self.process = await self._start()
        tasks = [asyncio.create_task(self.process.read()), asyncio.create_task(self._announce(self.process))]
        try:
            if lifetime is None or lifetime > 0:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                await self._freeze(tally, frozen)
            await self._until_killed(tasks[0], lifetime)
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

    async def _until_killed(self, reading: asyncio.Task[None], lifetime: float | None) -> None:
        self.kill.clear()
        killed = asyncio.create_task(self.kill.wait())
        ends = {reading} if lifetime is None else {reading, killed}
        try:
            await asyncio.wait(ends, timeout=lifetime and abs(lifetime), return_when=asyncio.FIRST_COMPLETED)
        finally:
            killed.cancel()

    async def _freeze(self, tally: Tally, seconds: float) -> None:
        if seconds and self.process is not None and self.process.process.returncode is None:
            tally.freezes += 1
            self.process.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            self.process.process.send_signal(signal.SIGCONT)

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
        self._sharing_again: asyncio.TaskGroup
        self._began = time.monotonic()
        self._indexed, self._messages = Counter[str](), defaultdict[str, list[FakeMessage]](list)

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
            while_starting, freezes = generator.random() < 1 / 8, generator.random() < 1 / 8
            lifetime = -generator.uniform(0.1, 2.0) if while_starting else generator.uniform(*self.plan.kill_after)
            frozen = generator.uniform(*self.plan.frozen) if self.plan.frozen and freezes else 0.0
            await relay.run_once(self.tally, lifetime, frozen)
            if self.plan.lose_after is not None and time.monotonic() > self._began + self.plan.lose_after:
                await self._lose_database(relay)
            if self.plan.flood:
                left = await self._unplanned()
                self.tally.left_unplanned += left
                self.tally.kills_with_unplanned += left > 0
        await relay.run_once(self.tally, None)

    async def _unplanned(self) -> int:
        """The shares that are in the inbox now."""
        backlog = await self._backlog()
        return backlog.unplanned_shares if backlog else 0

    @property
    def _killed_enough(self) -> bool:
        return self.plan.kills is not None and self.tally.kills >= self.plan.kills

    async def _lose_database(self, relay: Relay) -> None:
        """Delete the database of a relay that is dead, once; note what is in Slack by then."""
        if self.tally.lost_databases or self._over.is_set():
            return
        self.tally.lost_databases += 1
        await asyncio.sleep(self.plan.lag + 1.0)  # Slack's history shows all that was posted
        for file in relay.folder.glob("relay.db*"):
            file.unlink()
        for incident in self.incidents:
            thread = self._thread(incident)
            self.tally.cards_when_lost += bool(self.roots(incident))
            texts = (*incident.comments, *incident.expected_changes)
            incident.may_be_lost |= {each for each in texts if each not in thread}
            incident.again = True
            if incident.done:
                self._sharing_again.create_task(self._share_again(incident))

    async def _share_again(self, incident: SharedIncident) -> None:
        """Share it as it is: BigPanda's next share of an incident whose last one was lost."""
        if incident.shares:
            await self._send_until_accepted(self._body(incident), self.relays)

    # --- load ---

    async def _load(self) -> None:
        until = time.monotonic() + self.plan.seconds
        async with asyncio.TaskGroup() as tasks:
            self._sharing_again = tasks
            for _ in range(self.plan.at_once):
                tasks.create_task(self._incidents(until))
            if self.plan.flood:
                tasks.create_task(self._floods(until))
            await asyncio.sleep(self.plan.seconds)
            self._over.set()

    async def _incidents(self, until: float) -> None:
        while time.monotonic() < until and len(self.incidents) < self.plan.incidents:
            incident = self._new_incident(self._random.randrange(LANES))
            await self._share_all(incident, until, self.plan.pause, self.relays)

    def _new_incident(self, lane: int) -> SharedIncident:
        incident = SharedIncident(f"incident-{len(self.incidents):05}", lane)
        self.incidents.append(incident)
        return incident

    async def _floods(self, until: float) -> None:
        """Share many incidents at once, to one relay or to all, and kill one in between."""
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(*self.plan.flood_every))
            self.tally.floods += 1
            relays = self.relays if self._random.random() < 0.5 else [self._random.choice(self.relays)]
            lanes = [LANES + number % FLOOD_LANES for number in range(self.plan.flood)]
            kill_at = self.tally.shares + self._random.randrange(len(lanes))
            async with asyncio.TaskGroup() as tasks:
                for lane in lanes:
                    tasks.create_task(self._share_all(self._new_incident(lane), until, (0.0, 0.0), relays))
                tasks.create_task(self._kill_at(kill_at, self._random.choice(relays)))

    async def _kill_at(self, shares: int, relay: Relay) -> None:
        """Kill a relay as soon as so many shares are accepted."""
        while self.tally.shares < shares:  # noqa: ASYNC110  no event counts them
            await asyncio.sleep(0.001)
        relay.kill.set()

    async def _share_all(
        self, incident: SharedIncident, until: float, pause: tuple[float, float], relays: Sequence[Relay]
    ) -> None:
        statuses = ["warning", "critical", *(["ok"] if self._random.random() < 0.7 else [])]
        for number, status in enumerate(statuses):
            await self._share(incident, status, relays, comment=number == 1 or self._random.random() < 0.5)
            if time.monotonic() < until:
                await asyncio.sleep(self._random.uniform(*pause))
        if incident.again:
            await self._share_again(incident)
        incident.done = True

    async def _share(self, incident: SharedIncident, status: str, relays: Sequence[Relay], *, comment: bool) -> None:
        phrase = PHRASES.get(status, "")
        if phrase and self.roots(incident):
            incident.expected_changes.append(phrase)
        incident.shares, incident.status = incident.shares + 1, status
        body = self._body(incident)
        if comment:
            text = f"note {incident.shares} of {incident.name}."
            incident.comments.append(text)
            body["metadata"] = {"comment": {"comment": text}, "sender": {"name": "Dana"}}
        await self._send_until_accepted(body, relays)

    def _body(self, incident: SharedIncident) -> dict[str, Any]:
        alert = {"id": "a", "status": incident.status, "tags": [{"name": "host", "value": incident.name}]}
        now = {"id": incident.name, "status": incident.status, "changedOn": int(time.time()), "alerts": [alert]}
        return {"incident": now, "incidentTags": [{"id": "lane", "value": str(incident.lane)}]}

    async def _send_until_accepted(self, body: dict[str, Any], relays: Sequence[Relay]) -> None:
        """Send the share to any of these relays until one answers 202."""
        tries = 0
        while True:
            relay = self._random.choice(relays)
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
        moved_at, before = time.monotonic(), (0, -1)
        quiet, wrong = 0, ["nothing was checked"]
        while quiet < 2 and time.monotonic() < moved_at + self.plan.patience:
            await asyncio.sleep(0.5)
            wrong = list(self.wrong()) + await self._waiting()
            quiet = 0 if wrong else quiet + 1
            done = sum(call.method in {POST, EDIT} for call in self.slack.calls), await self._unplanned()
            if done != before:
                moved_at, before = time.monotonic(), done
        return wrong

    async def _waiting(self) -> list[str]:
        backlog = await self._backlog()
        if backlog is None:
            return ["the database cannot be read"]
        lanes = [f"{lane.cards} {lane.work}s due in {lane.channel} for {lane.age:.0f} s" for lane in backlog.channels]
        counts = {
            "in doubt": backlog.in_doubt,
            "dead letters": backlog.dead_letters,
            "shares in the inbox": backlog.unplanned_shares,
            "shares set aside": backlog.failed_shares,
        }
        return [*lanes, *(f"{count} {what}" for what, count in counts.items() if count)]

    async def _backlog(self) -> Backlog | None:
        with suppress(StoreError):
            store = await Store.open(self.url, exclusive=False)
            try:
                return await store.backlog(time.time())
            finally:
                await store.close()
        return None

    def wrong(self) -> Iterator[str]:
        """Yield the faults that a reader would see, incident by incident."""
        for incident in self.incidents:
            if incident.shares:
                yield from (f"{incident.name}: {fault}" for fault in self._wrong_of(incident))

    def _wrong_of(self, incident: SharedIncident) -> Iterator[str]:
        roots = self.roots(incident)
        if len(roots) != 1:
            yield f"{'LOST' if not roots else 'DOUBLE'}: {len(roots)} cards"
            return
        card_text = self.slack.text_of(roots[0])
        if STATE_EMOJIS.get(incident.status, "🟡") not in card_text and incident.status in STATE_EMOJIS:
            yield f"UNTRUE: {incident.status}, and the card says {card_text.splitlines()[:1]}"
        yield from self._wrong_in_thread(incident)

    def _thread(self, incident: SharedIncident) -> str:
        channel = self.slack.channel(incident.channel)
        replies = (reply for root in self.roots(incident) for reply in channel.thread(root.ts))
        return "\n".join(self.slack.text_of(reply) for reply in replies)

    def _wrong_in_thread(self, incident: SharedIncident) -> Iterator[str]:
        thread = self._thread(incident)
        for text in (*incident.comments, *incident.expected_changes):
            if (times := thread.count(text)) != 1 and (times or text not in incident.may_be_lost):
                yield f"{'LOST' if times == 0 else 'DOUBLE'}: {text!r} stands there {times} times"
        for text in PHRASES.values():
            if text not in incident.expected_changes and thread.count(text) > 1:
                yield f"DOUBLE: {text!r} stands there {thread.count(text)} times"
        for expected in (incident.comments, incident.expected_changes):
            texts = [text for text in expected if text in thread]
            if sorted(texts, key=thread.find) != texts:
                yield f"ORDER: {texts}"
        strays = [each for each in self._all(incident) if "relay_entry" in str(each.metadata) and not each.thread_ts]
        if visible := [stray for stray in strays if not stray.deleted]:
            yield f"DOUBLE: {len(visible)} strays"

    def roots(self, incident: SharedIncident) -> list[FakeMessage]:
        """Its cards in Slack, without those that were deleted."""
        return [each for each in self._all(incident) if "relay_card" in str(each.metadata) and not each.deleted]

    def _all(self, incident: SharedIncident) -> list[FakeMessage]:
        messages = self.slack.channel(incident.channel).all_messages
        for message in messages[self._indexed[incident.channel] :]:
            self._messages[_incident(message)].append(message)
        self._indexed[incident.channel] = len(messages)
        return self._messages[incident.name]

    @property
    def deleted_duplicates(self) -> int:
        """The number of duplicates that relay deleted."""
        channels = {incident.channel for incident in self.incidents}
        return sum(message.deleted for channel in channels for message in self.slack.channel(channel).all_messages)


def _routes(channels: Sequence[str]) -> str:
    return "version: 1\nstorm: off\nroutes:\n" + "".join(
        f'  - {{name: lane{number}, match: {{tags: {{lane: "{number}"}}}}, post: [{channel}]}}\n'
        for number, channel in enumerate(channels)
    )


def _incident(message: FakeMessage) -> str:
    return str(((message.metadata or {}).get("event_payload") or {}).get("incident", ""))


@asynccontextmanager
async def soaking(folder: Path, plan: Plan, url: str = "") -> AsyncIterator[Soak]:
    """Set up a workspace and relays; they share the database at `url`, by default a new SQLite file."""
    channels = _CHANNELS if plan.flood else _CHANNELS[:LANES]
    (folder / "routes.yaml").write_text(_routes(channels))
    slack = FakeSlack()
    for number, channel in enumerate(channels):
        slack.add_channel(channel, f"lane-{number}")
    async with serve_slack(slack) as slack_url, aiohttp.ClientSession() as session:
        more = {"RELAY_DATABASE_URL": url} if url else {}
        start = partial(launch, folder, slack_url, session, plan.command, plan.prepare, **more)
        relays = [Relay(str(number), start, folder) for number in range(plan.relays)]
        yield Soak(plan, slack, relays, url or f"sqlite:///{folder / 'relay.db'}")
