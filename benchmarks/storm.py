"""A storm: many incidents, ten shares of each, three channels, Slack's limits on; against the floor that these set.

The floor is computed from the run's own log: the last share's moment, or the most that any budget needs for the calls
that were made, (calls - burst) / rate, whichever is later. Apart from time, nothing may be wasted: each card has one
root, no edit shows what is shown already, Slack rate-limits nothing, and no call tells less than what was kept
a tenth of a second before it.
"""

import asyncio
import re
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from benchmarks.measure import SAMPLE, Wire, relay, request
from benchmarks.table import Figure
from benchmarks.workspace import all_found, channels_of, routes_to
from relay.ratelimit.budgets import CHANNEL_POSTS, Limit
from relay.sandbox.calls import ReceivedCall
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.methods import RATE_LIMITS

CHANNELS = 3
WANTED = 1.05
ANSWERED = 1.0
MEGABYTES = 200.0
SHARES = 10
WIRES = 20
QUIET = 12.0
"""Seconds without a call after which everything is reported: longer than any budget makes a call wait."""
OVERTAKEN = 0.1
"""Seconds after which what was kept must be in whatever is sent."""

_TALK = (2, 5)
_TURN = re.compile(r"turn-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """So many incidents, and the seconds over which their shares come."""

    incidents: int
    lasts: float


SMALL = Storm(incidents=60, lasts=10.0)
WHOLE = Storm(incidents=1000, lasts=60.0)


@dataclass(slots=True)
class Kept:
    """What the generator saw: seconds to each answer, and when each incident's shares had been kept (Unix seconds)."""

    took: list[float] = field(default_factory=list)
    turns: dict[str, dict[int, float]] = field(default_factory=dict)

    def told_by(self, incident: str, moment: float) -> int:
        """The newest turn of an incident that was kept by then."""
        return max((turn for turn, at in self.turns[incident].items() if at <= moment), default=-1)


async def measure(folder: Path, storm: Storm, *, drain: bool = True) -> list[Figure]:
    """Send the storm and, with `drain`, wait until all is reported (twelve minutes or more for the whole storm)."""
    slack = FakeSlack()
    slack.rate_limits = True
    channels = channels_of(slack, CHANNELS)
    kept = Kept()
    async with serve_slack(slack) as url, relay(folder, routes_to(channels), slack=url) as server:
        await all_found(slack)
        before, started = len(slack.calls), time.time()
        wires = [await Wire.connect(server.port) for _ in range(WIRES)]
        todo = list(_shares(storm, channels))
        await asyncio.gather(*(_some(wire, server.port, todo[n::WIRES], storm, kept) for n, wire in enumerate(wires)))
        last_share, called = time.time() - started, len(slack.calls) - before
        if drain:
            await _quiet(slack, limit=storm.incidents * SHARES * 2.0 + 120)
        megabytes = server.most_megabytes
    figures = [_taken(storm, kept, last_share, called, megabytes)]
    if drain:
        calls = [call for call in slack.calls[before:] if call.method in ("chat.postMessage", "chat.update")]
        figures += [_drained(storm, calls, started, last_share), _waste(storm, calls, kept, _cards(folder))]
    return figures


def _shares(storm: Storm, channels: Sequence[str]) -> Iterator[tuple[str, int, bytes]]:
    """Ten shares of each incident: it comes as a warning, worsens, is talked about, and is resolved.

    Each bears its turn in a tag that the card shows; all that happens to an incident fits into one reply.
    """
    sample = orjson.loads(SAMPLE.read_bytes())
    start = int(time.time())
    for turn in range(SHARES):
        for number in range(storm.incidents):
            told = sample["incident"] | {"id": f"storm-{number}", "changedOn": start + turn}
            told |= {"status": "Warning" if turn == 0 else "Critical", "active": True}
            if turn == SHARES - 1:
                told |= {"status": "Ok", "active": False, "endedOn": start + turn}
            share = sample | {"incident": told, "event_types": []}
            tags = {"lane": channels[number % len(channels)], "turn": f"turn-{turn}"}
            share["incidentTags"] = [{"id": name, "name": name, "value": value} for name, value in tags.items()]
            if turn in _TALK:
                share["metadata"] = sample.get("metadata", {}) | {"comment": f"step {turn}"}
            yield f"storm-{number}", turn, orjson.dumps(share)


async def _some(wire: Wire, port: int, todo: list[tuple[str, int, bytes]], storm: Storm, kept: Kept) -> None:
    started = time.perf_counter()
    for number, (incident, turn, body) in enumerate(todo):
        due = started + storm.lasts * number / len(todo)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sent = time.perf_counter()
        status = await wire.send(request(body, port))
        if status != 202:  # noqa: PLR2004  what a share that is kept is answered with
            raise SystemExit(f"answered {status}, not 202")
        kept.took.append(time.perf_counter() - sent)
        kept.turns.setdefault(incident, {})[turn] = time.time()


async def _quiet(slack: FakeSlack, limit: float) -> None:
    async with asyncio.timeout(limit):
        while time.time() - slack.calls[-1].at < QUIET:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.5)


def _taken(storm: Storm, kept: Kept, lasted: float, called: int, megabytes: float) -> Figure:
    slowest = max(kept.took)
    return Figure(
        what=f"a storm of {storm.incidents:,} incidents x {SHARES} shares in {storm.lasts:.0f} s: the slowest 202",
        measured=f"{slowest * 1000:.0f} ms; {megabytes:.0f} MB at most",
        wanted=f"at most {ANSWERED:.0f} s and {MEGABYTES:.0f} MB",
        met=slowest <= ANSWERED and megabytes <= MEGABYTES,
        note=f"{len(kept.took):,} shares, the last after {lasted:.1f} s; meanwhile relay called Slack "
        f"{called} times, as often as Slack's limits allow",
    )


def _drained(storm: Storm, calls: list[ReceivedCall], started: float, last_share: float) -> Figure:
    floor, why = _floor([call for call in calls if call.took_effect], last_share)
    drained = max(call.at for call in calls) - started
    return Figure(
        what=f"that storm of {storm.incidents:,} incidents until its last message in {CHANNELS} channels, against the "
        "shortest time",
        measured=f"{drained:.1f} s against {floor:.1f} s: {drained / floor:.3f}",
        wanted=f"at most {WANTED}",
        met=drained / floor <= WANTED,
        note=f"the shortest time that the limits allow follows from {why}; {_counts(calls)}",
    )


def _floor(calls: list[ReceivedCall], last_share: float) -> tuple[float, str]:
    needs = {"the last share": last_share}
    methods = Counter(call.method for call in calls)
    for method in ("chat.postMessage", "chat.update"):
        needs[f"{method} of the workspace"] = _needs(methods[method], RATE_LIMITS[method])
    for channel, posts in Counter(call.channel for call in calls if call.method == "chat.postMessage").items():
        needs[f"the posts of {channel}"] = _needs(posts, CHANNEL_POSTS)
    why = max(needs, key=lambda name: needs[name])
    return needs[why], why


def _needs(calls: int, limit: Limit) -> float:
    return max(0.0, (calls - limit.burst) / (limit.steady / 60))


def _counts(calls: list[ReceivedCall]) -> str:
    return ", ".join(f"{count} {method}" for method, count in sorted(Counter(call.method for call in calls).items()))


def _cards(folder: Path) -> Mapping[str, int]:
    """How many cards relay has in each state."""
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        return dict(database.execute("SELECT state, count(*) FROM card GROUP BY state").fetchall())


def _waste(storm: Storm, calls: list[ReceivedCall], kept: Kept, cards: Mapping[str, int]) -> Figure:
    done = [call for call in calls if call.took_effect]
    roots = [call for call in done if call.method == "chat.postMessage" and not call.arguments.get("thread_ts")]
    missing = storm.incidents - cards.get("posted", 0) - cards.get("cancelled", 0)
    wasted = {
        "cards too many": len(roots) - cards.get("posted", 0),
        "cards not shown": missing,
        "edits that change nothing": _equal(done),
        "outdated calls": sum(_overtaken(call, kept) for call in _with_incident(done)),
        "rate-limited": sum(call.status == 429 for call in calls),  # noqa: PLR2004  Too Many Requests
    }
    told = ", ".join(f"{cards[state]:,} {state}" for state in sorted(cards))
    return Figure(
        what="waste of that storm",
        measured=", ".join(f"{count} {what}" for what, count in wasted.items()),
        wanted="nothing",
        met=not any(wasted.values()),
        note=f"cards: {told}; {len(done) - len(roots):,} other calls",
    )


def _equal(calls: list[ReceivedCall]) -> int:
    shown: dict[str, bytes] = {}
    equal = 0
    for call in calls:
        if call.method == "chat.update":
            ts, said = str(call.arguments["ts"]), _said(call)
            equal += shown.get(ts) == said
            shown[ts] = said
    return equal


def _said(call: ReceivedCall) -> bytes:
    return orjson.dumps({name: call.arguments.get(name) for name in ("text", "blocks", "attachments")})


def _with_incident(calls: list[ReceivedCall]) -> Iterator[tuple[str, ReceivedCall]]:
    """A post bears the incident in its metadata; an edit has the ts of a post."""
    posted: dict[str, str] = {}
    for call in calls:
        if call.method == "chat.postMessage":
            incident = posted[str(call.answer["ts"])] = _metadata(call)
            yield incident, call
        else:
            yield posted[str(call.arguments["ts"])], call


def _metadata(call: ReceivedCall) -> str:
    metadata = call.arguments["metadata"]
    parsed = orjson.loads(metadata) if isinstance(metadata, str) else metadata
    return str(parsed["event_payload"]["incident"])


def _overtaken(told: tuple[str, ReceivedCall], kept: Kept) -> bool:
    """Whether a call tells an older turn than the newest that was kept a tenth of a second before it."""
    incident, call = told
    turns = [int(turn) for turn in _TURN.findall(_said(call).decode())]
    return bool(turns) and max(turns) < kept.told_by(incident, call.at - OVERTAKEN)
