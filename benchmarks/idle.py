"""From a share to Slack being called when there is nothing else to do, against a handler that calls Slack directly."""

import asyncio
import statistics
import time
from pathlib import Path

from measure import Server, Wire, baseline, fdatasync_ms, relay, request, shares
from table import Figure
from workspace import all_found, channels_of, routed, routes_to

from relay.sandbox import Slack, serving

MORE_MS = 10.0
PACE = 0.35
"""Seconds between relay's shares: the posts of a whole workspace have a budget, which is not what is measured here."""
CHANNELS = 12
"""So many that none is posted to more often than once in four seconds: a channel's budget is not measured either."""


async def measure(folder: Path, *, count: int = 60) -> list[Figure]:
    slack = Slack()
    channels = channels_of(slack, CHANNELS)
    async with (
        serving(slack) as url,
        relay(folder, routes_to(channels), slack=url) as house,
        baseline(url) as bare,
    ):
        await all_found(slack)
        servers = {"relay": house, "bare": bare}
        took: dict[str, list[float]] = {name: [] for name in servers}
        wires = {name: await Wire.connect(server.port) for name, server in servers.items()}
        before = house.cpu_seconds
        for number in range(count):
            for name, server in servers.items():
                share = _request(f"{name}-{number}-", channels[number % CHANNELS], server)
                took[name].append(await _called(slack, wires[name], share))
                await asyncio.sleep(PACE / 2)
        busy = (house.cpu_seconds - before) / count * 1000
        sync = fdatasync_ms(folder)
    relayed, direct = (statistics.median(took[name]) * 1000 for name in servers)
    return [
        Figure(
            what="from a share to Slack called, idle, against a handler that calls it directly",
            measured=f"{relayed:.1f} ms against {direct:.1f} ms: {relayed - direct:+.1f} ms",
            wanted=f"at most {MORE_MS:.0f} ms more",
            met=relayed - direct <= MORE_MS,
            note=f"medians of {count} each, taken in turn; relay's takes two commits (fdatasync: {sync:.2f} ms), and "
            f"{busy:.1f} ms of a processor for all that belongs to the share",
        )
    ]


def _request(prefix: str, channel: str, server: Server) -> bytes:
    (body,) = shares(prefix, 1)
    return request(routed(body, channel), server.port)


async def _called(slack: Slack, wire: Wire, share: bytes) -> float:
    """Seconds by the stand-in's own log, so that it does not matter how often it is looked at."""
    before, started = len(slack.called("chat.postMessage")), time.time()
    answered = asyncio.create_task(wire.send(share))
    async with asyncio.timeout(10):
        while len(slack.called("chat.postMessage")) == before:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.005)
    await answered
    return slack.called("chat.postMessage")[-1].at - started
