"""A storm: many incidents, ten shares of each, three channels, with Slack's limits; against the shortest time.

The shortest time follows from the log of the run: the time of the last share, or the longest time that a budget needs
for the calls, (calls - burst) / rate, whichever is later. No call may be wasted: each card has one root, each edit
changes something, Slack limits no call, and each call shows what was accepted a tenth of a second before it.
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

from benchmarks.measure import SAMPLE, Connection, relay, request
from benchmarks.table import Figure
from benchmarks.workspace import all_found, channels_of, routes_to
from relay.ratelimit.budgets import CHANNEL_POSTS, Limit
from relay.sandbox.calls import ReceivedCall
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.methods import RATE_LIMITS

CHANNELS = 3
TARGET_RATIO = 1.05
TARGET_SECONDS = 1.0
TARGET_MEGABYTES = 200.0
SHARES = 10
CONNECTIONS = 20
QUIET = 12.0
"""Seconds without a call after which the storm is over: longer than any budget delays a call."""
OUTDATED_AFTER = 0.1
"""Seconds after which each call must contain an accepted share."""

_COMMENT_TURNS = (2, 5)
_TURN = re.compile(r"turn-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """The number of incidents, and the seconds in which their shares arrive."""

    incidents: int
    seconds: float


SMALL = Storm(incidents=60, seconds=10.0)
WHOLE = Storm(incidents=1000, seconds=60.0)


@dataclass(slots=True)
class Accepted:
    """The seconds to each answer, and the Unix time at which each share of an incident was accepted."""

    took: list[float] = field(default_factory=list)
    turns: dict[str, dict[int, float]] = field(default_factory=dict)

    def newest_turn(self, incident: str, moment: float) -> int:
        """Return the newest turn of an incident that was accepted by then."""
        return max((turn for turn, at in self.turns[incident].items() if at <= moment), default=-1)


async def measure(folder: Path, storm: Storm, *, drain: bool = True) -> list[Figure]:
    """Send the storm and, with `drain`, wait for the last message (twelve minutes or more for the whole storm)."""
    slack = FakeSlack()
    slack.limits.enabled = True
    channels = channels_of(slack, CHANNELS)
    accepted = Accepted()
    async with serve_slack(slack) as url, relay(folder, routes_to(channels), slack=url) as server:
        await all_found(slack)
        before, started = len(slack.calls), time.time()
        connections = [await Connection.connect(server.port) for _ in range(CONNECTIONS)]
        todo = list(_shares(storm, channels))
        await asyncio.gather(
            *(
                _send_some(connection, server.port, todo[n::CONNECTIONS], storm, accepted)
                for n, connection in enumerate(connections)
            )
        )
        last_share, called = time.time() - started, len(slack.calls) - before
        if drain:
            await _wait_until_quiet(slack, limit=storm.incidents * SHARES * 2.0 + 120)
        megabytes = server.most_megabytes
    figures = [_acceptance(storm, accepted, last_share, called, megabytes)]
    if drain:
        calls = [call for call in slack.calls[before:] if call.method in ("chat.postMessage", "chat.update")]
        figures += [_drain_time(storm, calls, started, last_share), _waste(storm, calls, accepted, _cards(folder))]
    return figures


def _shares(storm: Storm, channels: Sequence[str]) -> Iterator[tuple[str, int, bytes]]:
    """Yield ten shares of each incident: it starts as a warning, worsens, gets comments, and is resolved.

    A tag that the card shows contains the turn; all changes of an incident fit into one reply.
    """
    sample = orjson.loads(SAMPLE.read_bytes())
    start = int(time.time())
    for turn in range(SHARES):
        for number in range(storm.incidents):
            fields = sample["incident"] | {"id": f"storm-{number}", "changedOn": start + turn}
            fields |= {"status": "Warning" if turn == 0 else "Critical", "active": True}
            if turn == SHARES - 1:
                fields |= {"status": "Ok", "active": False, "endedOn": start + turn}
            share = sample | {"incident": fields, "event_types": []}
            tags = {"lane": channels[number % len(channels)], "turn": f"turn-{turn}"}
            share["incidentTags"] = [{"id": name, "name": name, "value": value} for name, value in tags.items()]
            if turn in _COMMENT_TURNS:
                share["metadata"] = sample.get("metadata", {}) | {"comment": f"step {turn}"}
            yield f"storm-{number}", turn, orjson.dumps(share)


async def _send_some(
    connection: Connection, port: int, todo: list[tuple[str, int, bytes]], storm: Storm, accepted: Accepted
) -> None:
    started = time.perf_counter()
    for number, (incident, turn, body) in enumerate(todo):
        due = started + storm.seconds * number / len(todo)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        sent = time.perf_counter()
        status = await connection.send(request(body, port))
        if status != 202:  # noqa: PLR2004  the status of an accepted share
            raise SystemExit(f"answered {status}, not 202")
        accepted.took.append(time.perf_counter() - sent)
        accepted.turns.setdefault(incident, {})[turn] = time.time()


async def _wait_until_quiet(slack: FakeSlack, limit: float) -> None:
    async with asyncio.timeout(limit):
        while time.time() - slack.calls[-1].at < QUIET:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.5)


def _acceptance(storm: Storm, accepted: Accepted, lasted: float, called: int, megabytes: float) -> Figure:
    slowest = max(accepted.took)
    return Figure(
        what=f"a storm of {storm.incidents:,} incidents x {SHARES} shares in {storm.seconds:.0f} s: the slowest 202",
        measured=f"{slowest * 1000:.0f} ms; {megabytes:.0f} MB at most",
        wanted=f"at most {TARGET_SECONDS:.0f} s and {TARGET_MEGABYTES:.0f} MB",
        met=slowest <= TARGET_SECONDS and megabytes <= TARGET_MEGABYTES,
        note=f"{len(accepted.took):,} shares, the last after {lasted:.1f} s; meanwhile relay called Slack "
        f"{called} times, as often as Slack's limits allow",
    )


def _drain_time(storm: Storm, calls: list[ReceivedCall], started: float, last_share: float) -> Figure:
    shortest, why = _shortest_time([call for call in calls if call.took_effect], last_share)
    drained = max(call.at for call in calls) - started
    return Figure(
        what=f"that storm of {storm.incidents:,} incidents until its last message in {CHANNELS} channels, against the "
        "shortest time",
        measured=f"{drained:.1f} s against {shortest:.1f} s: {drained / shortest:.3f}",
        wanted=f"at most {TARGET_RATIO}",
        met=drained / shortest <= TARGET_RATIO,
        note=f"the shortest time that the limits allow follows from {why}; {_counts(calls)}",
    )


def _shortest_time(calls: list[ReceivedCall], last_share: float) -> tuple[float, str]:
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
    """Return the number of cards in each state."""
    with closing(sqlite3.connect(folder / "relay.db")) as database:
        return dict(database.execute("SELECT state, count(*) FROM card GROUP BY state").fetchall())


def _waste(storm: Storm, calls: list[ReceivedCall], accepted: Accepted, cards: Mapping[str, int]) -> Figure:
    done = [call for call in calls if call.took_effect]
    roots = [call for call in done if call.method == "chat.postMessage" and not call.arguments.get("thread_ts")]
    missing = storm.incidents - cards.get("posted", 0) - cards.get("cancelled", 0)
    wasted = {
        "cards too many": len(roots) - cards.get("posted", 0),
        "cards not shown": missing,
        "edits that change nothing": _equal_edits(done),
        "outdated calls": sum(_outdated(call, accepted) for call in _with_incident(done)),
        "rate-limited": sum(call.status == 429 for call in calls),  # noqa: PLR2004  Too Many Requests
    }
    card_states = ", ".join(f"{cards[state]:,} {state}" for state in sorted(cards))
    return Figure(
        what="waste of that storm",
        measured=", ".join(f"{count} {what}" for what, count in wasted.items()),
        wanted="nothing",
        met=not any(wasted.values()),
        note=f"cards: {card_states}; {len(done) - len(roots):,} other calls",
    )


def _equal_edits(calls: list[ReceivedCall]) -> int:
    shown: dict[str, bytes] = {}
    equal = 0
    for call in calls:
        if call.method == "chat.update":
            ts, visible = str(call.arguments["ts"]), _visible(call)
            equal += shown.get(ts) == visible
            shown[ts] = visible
    return equal


def _visible(call: ReceivedCall) -> bytes:
    return orjson.dumps({name: call.arguments.get(name) for name in ("text", "blocks", "attachments")})


def _with_incident(calls: list[ReceivedCall]) -> Iterator[tuple[str, ReceivedCall]]:
    """Yield each call with its incident: a post has it in its metadata, an edit has the ts of a post."""
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


def _outdated(incident_call: tuple[str, ReceivedCall], accepted: Accepted) -> bool:
    """Whether a call shows an older turn than the newest one that was accepted a tenth of a second before it."""
    incident, call = incident_call
    turns = [int(turn) for turn in _TURN.findall(_visible(call).decode())]
    return bool(turns) and max(turns) < accepted.newest_turn(incident, call.at - OUTDATED_AFTER)
