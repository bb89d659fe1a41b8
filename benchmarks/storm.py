"""A storm: many incidents, ten shares of each, three channels, Slack's limits on; against the floor that these set.

The floor is computed from the run's own log: the last share's moment, or the most that any budget needs for the calls
that were made, (calls - burst) / rate, whichever is later. Apart from time, nothing may be wasted.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
from measure import SAMPLE, Wire, relay, request
from table import Figure

from relay.pacing import CHANNEL_POSTS, LIMITS, Limit
from relay.sandbox import Slack, serving
from relay.sandbox.calls import Call

CHANNELS = ("C0STORM0001", "C0STORM0002", "C0STORM0003")
WANTED = 1.05
SHARES = 10
LASTS = 10.0
"""Seconds in which the shares come."""
QUIET = 12.0
"""Seconds without a call after which all is told: longer than any budget makes a call wait."""

ROUTES = "version: 1\nroutes:\n" + "".join(
    f"  - {{name: r{number}, match: {{tags: {{lane: l{number}}}}}, post: [{channel}]}}\n"
    for number, channel in enumerate(CHANNELS)
)


async def measure(folder: Path, *, incidents: int = 60) -> list[Figure]:
    slack = Slack()
    slack.rate_limits = True
    for number, channel in enumerate(CHANNELS):
        slack.add_channel(channel, f"storm-{number}")
    async with serving(slack) as url, relay(folder, ROUTES, slack=url) as house:
        await asyncio.sleep(3.0)
        before, started = len(slack.calls), time.time()
        wires = [await Wire.connect(house.port) for _ in range(10)]
        bodies = [request(body, house.port) for body in _bodies(incidents)]
        await asyncio.gather(*(_some(wire, bodies[number::10]) for number, wire in enumerate(wires)))
        last_share = time.time() - started
        await _quiet(slack, limit=incidents * SHARES * 2.0 + 120)
        calls = slack.calls[before:]
    floor, why = _floor([call for call in calls if call.took_effect], last_share)
    drained = max(call.at for call in calls) - started
    return [
        Figure(
            what=f"a storm of {incidents} incidents x {SHARES} shares into {len(CHANNELS)} channels, against its floor",
            measured=f"{drained:.1f} s against {floor:.1f} s: {drained / floor:.3f}",
            wanted=f"at most {WANTED}",
            met=drained / floor <= WANTED,
            note=f"the floor is set by {why}; {_counts(calls)}",
        ),
        _waste(slack, calls, incidents),
    ]


def _bodies(incidents: int) -> Iterator[bytes]:
    """Ten shares of each incident: it comes as a warning, worsens, is talked about, and is resolved."""
    sample = orjson.loads(SAMPLE.read_bytes())
    start = int(time.time())
    for turn in range(SHARES):
        for number in range(incidents):
            told = sample["incident"] | {"id": f"storm-{number}", "changedOn": start + turn}
            told |= {"status": "Warning" if turn == 0 else "Critical", "active": True}
            if turn == SHARES - 1:
                told |= {"status": "Ok", "active": False, "endedOn": start + turn}
            share = sample | {"incident": told, "event_types": []}
            share["incidentTags"] = [{"id": "lane", "name": "lane", "value": f"l{number % len(CHANNELS)}"}]
            if 1 < turn < SHARES - 1:
                share["metadata"] = sample.get("metadata", {}) | {"comment": f"step {turn}"}
            yield orjson.dumps(share)


async def _some(wire: Wire, requests: list[bytes]) -> None:
    started = time.perf_counter()
    for number, each in enumerate(requests):
        await asyncio.sleep(max(0.0, started + LASTS * number / len(requests) - time.perf_counter()))
        status = await wire.send(each)
        if status != 202:  # noqa: PLR2004  what a share that is kept is answered with
            raise SystemExit(f"answered {status}, not 202")


async def _quiet(slack: Slack, limit: float) -> None:
    async with asyncio.timeout(limit):
        while time.time() - slack.calls[-1].at < QUIET:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.5)


def _floor(calls: list[Call], last_share: float) -> tuple[float, str]:
    needs = {"the last share": last_share}
    methods = Counter(call.method for call in calls)
    for method in ("chat.postMessage", "chat.update"):
        needs[f"{method} of the workspace"] = _needs(methods[method], LIMITS[method])
    for channel in CHANNELS:
        posts = sum(1 for call in calls if call.method == "chat.postMessage" and call.channel == channel)
        needs[f"the posts of {channel}"] = _needs(posts, CHANNEL_POSTS)
    why = max(needs, key=lambda name: needs[name])
    return needs[why], why


def _needs(calls: int, limit: Limit) -> float:
    return max(0.0, (calls - limit.burst) / (limit.steady / 60))


def _counts(calls: list[Call]) -> str:
    return ", ".join(f"{count} {method}" for method, count in sorted(Counter(call.method for call in calls).items()))


def _waste(slack: Slack, calls: list[Call], incidents: int) -> Figure:
    roots = sum(len(slack.channel(channel).messages) for channel in CHANNELS)
    shown: dict[str, str] = {}
    equal = 0
    for call in calls:
        if call.method == "chat.update" and call.took_effect:
            said = orjson.dumps({name: call.arguments.get(name) for name in ("text", "blocks", "attachments")}).decode()
            equal += shown.get(str(call.arguments["ts"])) == said
            shown[str(call.arguments["ts"])] = said
    refused = sum(1 for call in calls if call.status == 429)  # noqa: PLR2004  Too Many Requests
    return Figure(
        what="what that storm wasted",
        measured=f"{roots - incidents} cards too many, {equal} edits that change nothing, {refused} refused for haste",
        wanted="nothing",
        met=(roots - incidents, equal, refused) == (0, 0, 0),
        note=f"{roots} cards",
    )
