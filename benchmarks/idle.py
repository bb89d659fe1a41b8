"""From a share to Slack being called when there is nothing else to do, against a handler that calls Slack directly."""

import asyncio
import statistics
import time
from pathlib import Path
from typing import Any

import orjson
from measure import SAMPLE, Wire, baseline, fdatasync_ms, relay, request
from table import Figure

from relay.sandbox import Slack, serving

MORE_MS = 10.0
PACE = 0.35
"""Seconds between shares: the posts of a whole workspace have a budget, which is not what is measured here."""


CHANNELS = 30
"""So many that none is posted to more often than once in ten seconds: a channel's budget is not measured either."""


async def measure(folder: Path, *, count: int = 60) -> list[Figure]:
    slack = Slack()
    channels = [f"C0IDLE{number:04}" for number in range(CHANNELS)]
    for number, channel in enumerate(channels):
        slack.add_channel(channel, f"idle-{number}")
    routes = "version: 1\nroutes:\n" + "".join(
        f"  - {{name: r{number}, match: {{tags: {{lane: l{number}}}}}, post: [{channel}]}}\n"
        for number, channel in enumerate(channels)
    )
    async with serving(slack) as url, relay(folder, routes, slack=url) as house, baseline(url) as bare:
        await _all_found(slack, channels)
        wires = {server: await Wire.connect(server.port) for server in (house, bare)}
        took: dict[Any, list[float]] = {house: [], bare: []}
        for number in range(count):
            lane = number % CHANNELS
            for server, name in ((house, "relay"), (bare, "bare")):
                body = _share(f"{name}-{number}", channels[lane], f"l{lane}")
                took[server].append(await _called(slack, wires[server], request(body, server.port)))
                await asyncio.sleep(PACE / 2)
        sync = fdatasync_ms(folder)
        relayed, direct = (statistics.median(took[server]) * 1000 for server in (house, bare))
    return [
        Figure(
            what="from a share to Slack called, idle, against a handler that calls it directly",
            measured=f"{relayed:.1f} ms against {direct:.1f} ms: {relayed - direct:+.1f} ms",
            wanted=f"at most {MORE_MS:.0f} ms more",
            met=relayed - direct <= MORE_MS,
            note=f"medians of {count} each, taken in turn; relay's takes two commits, and fdatasync {sync:.2f} ms",
        )
    ]


async def _all_found(slack: Slack, channels: list[str]) -> None:
    """Relay looks its channels up when it starts; the last of them costs the budget of a minute or so."""
    async with asyncio.timeout(180):
        while len(slack.called("conversations.join")) < len(channels):  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)


def _share(incident: str, channel: str, lane: str) -> bytes:
    sample = orjson.loads(SAMPLE.read_bytes())
    told = sample["incident"] | {"id": incident, "channel": channel, "changedOn": int(time.time())}
    return orjson.dumps(sample | {"incident": told, "incidentTags": [{"id": "lane", "name": "lane", "value": lane}]})


async def _called(slack: Slack, wire: Wire, share: bytes) -> float:
    before, started = len(slack.called("chat.postMessage")), time.time()
    answered = asyncio.create_task(wire.send(share))
    async with asyncio.timeout(10):
        while len(slack.called("chat.postMessage")) == before:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.0002)
    await answered
    return slack.called("chat.postMessage")[-1].at - started
