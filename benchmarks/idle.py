"""The time from a share to the call to Slack in an idle relay, against a handler that calls Slack directly."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Connection, Server, baseline, fdatasync_ms, relay, request, shares
from benchmarks.table import Figure
from benchmarks.workspace import all_found, channels_of, routed, routes_to
from relay.sandbox.slack.server import FakeSlack, serve_slack

MORE_MS = 10.0
PACE = 0.35
"""Seconds between shares: slow enough that the workspace's budget for posts does not delay them."""
CHANNELS = 12
"""So many that each gets at most one post in four seconds: the budget of a channel does not delay them either."""


async def measure(folder: Path, *, count: int = 60) -> list[Figure]:
    slack = FakeSlack()
    channels = channels_of(slack, CHANNELS)
    async with (
        serve_slack(slack) as url,
        relay(folder, routes_to(channels), slack=url) as server,
        baseline(url) as bare,
    ):
        await all_found(slack)
        before = server.cpu_seconds
        relayed, direct = await medians_ms(slack, [server, bare], channels, count)
        busy = (server.cpu_seconds - before) / count * 1000
        sync = fdatasync_ms(folder)
    return [
        Figure(
            what="time from a share to the call to Slack, idle, against a handler that calls it directly",
            measured=f"{relayed:.1f} ms against {direct:.1f} ms: {relayed - direct:+.1f} ms",
            wanted=f"at most {MORE_MS:.0f} ms more",
            met=relayed - direct <= MORE_MS,
            note=f"medians of {count} each, in turn; relay makes two commits (fdatasync: {sync:.2f} ms), and "
            f"uses {busy:.1f} ms of CPU time for everything that belongs to the share",
        )
    ]


async def medians_ms(slack: FakeSlack, servers: Sequence[Server], channels: list[str], count: int) -> list[float]:
    """Return the median milliseconds from a share to the call to Slack for each server, one share at a time."""
    took: list[list[float]] = [[] for _ in servers]
    connections = [await Connection.connect(server.port) for server in servers]
    for number in range(count):
        for place, server in enumerate(servers):
            share = _request(f"idle{place}-{number}-", channels[number % CHANNELS], server)
            took[place].append(await _called(slack, connections[place], share))
            await asyncio.sleep(PACE / 2)
    return [statistics.median(each) * 1000 for each in took]


def _request(prefix: str, channel: str, server: Server) -> bytes:
    (body,) = shares(prefix, 1)
    return request(routed(body, channel), server.port)


async def _called(slack: FakeSlack, connection: Connection, share: bytes) -> float:
    """Return the seconds by the log of the fake Slack, which does not depend on the polling interval."""
    before, started = len(slack.calls_to("chat.postMessage")), time.time()
    answered = asyncio.create_task(connection.send(share))
    async with asyncio.timeout(10):
        while len(slack.calls_to("chat.postMessage")) == before:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.005)
    await answered
    return slack.calls_to("chat.postMessage")[-1].at - started
