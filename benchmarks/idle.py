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

MORE_MS, MORE_MS_WHEN_QUIET, CPU_MS = 4.5, 6.0, 7.5
PACE = 0.35
"""Seconds between shares: slow enough that the workspace's budget for posts does not delay them."""
QUIET_PACE = 12.0
"""Seconds between shares of a quiet night: connections to Slack are closed in the meantime, and memory is cold."""
CHANNELS = 12
"""So many that each gets at most one post in four seconds: the budget of a channel does not delay them either."""


async def measure(folder: Path, *, count: int = 60, quiet_count: int = 10) -> list[Figure]:
    slack = FakeSlack()
    channels = channels_of(slack, CHANNELS)
    async with (
        serve_slack(slack) as url,
        relay(folder, routes_to(channels), slack=url) as server,
        baseline(url) as bare,
    ):
        await all_found(slack)
        both = [server, bare]
        await medians_ms(slack, both, channels, CHANNELS, prefix="warm")
        before = [each.cpu_seconds for each in both]
        relayed, direct = await medians_ms(slack, both, channels, count)
        busy, bare_busy = [(each.cpu_seconds - cpu) / count * 1000 for each, cpu in zip(both, before, strict=True)]
        sync = fdatasync_ms(folder)
        quiet = await medians_ms(slack, both, channels, quiet_count, pace=QUIET_PACE, prefix="quiet")
    return [
        Figure(
            what="time from a share to the call to Slack, idle, against a handler that calls it directly",
            measured=f"{relayed:.1f} ms against {direct:.1f} ms: {relayed - direct:+.1f} ms",
            wanted=f"at most {MORE_MS} ms more",
            met=relayed - direct <= MORE_MS,
            note=f"medians of {count} each, in turn; fdatasync: {sync:.2f} ms",
        ),
        Figure(
            what=f"the same with a share in {QUIET_PACE:.0f} s",
            measured=f"{quiet[0]:.1f} ms against {quiet[1]:.1f} ms: {quiet[0] - quiet[1]:+.1f} ms",
            wanted=f"at most {MORE_MS_WHEN_QUIET:.0f} ms more",
            met=quiet[0] - quiet[1] <= MORE_MS_WHEN_QUIET,
            note=f"medians of {quiet_count} each, in turn",
        ),
        Figure(
            what="CPU time of everything that belongs to a share, idle, against that handler",
            measured=f"{busy:.1f} ms against {bare_busy:.1f} ms",
            wanted=f"at most {CPU_MS} ms",
            met=busy <= CPU_MS,
            note=f"mean of {count} shares, {PACE} s apart",
        ),
    ]


async def medians_ms(  # noqa: PLR0913  each has a name
    slack: FakeSlack,
    servers: Sequence[Server],
    channels: list[str],
    count: int,
    *,
    pace: float = PACE,
    prefix: str = "idle",
) -> list[float]:
    """Return the median milliseconds from a share to the call to Slack for each server, one share at a time."""
    took: list[list[float]] = [[] for _ in servers]
    connections = [await Connection.connect(server.port) for server in servers]
    for number in range(count):
        for place, server in enumerate(servers):
            share = _request(f"{prefix}{place}-{number}-", channels[number % CHANNELS], server)
            took[place].append(await until_called(slack, connections[place], share))
            await asyncio.sleep(pace / len(servers))
    for connection in connections:
        connection.close()
    return [statistics.median(each) * 1000 for each in took]


def _request(prefix: str, channel: str, server: Server) -> bytes:
    (body,) = shares(prefix, 1)
    return request(routed(body, channel), server.port)


async def until_called(slack: FakeSlack, connection: Connection, request_bytes: bytes) -> float:
    """Send a request, and return the seconds until Slack is called, by its log: polling does not change them."""
    before, started = len(slack.calls_to("chat.postMessage")), time.time()
    answered = asyncio.create_task(connection.send(request_bytes))
    async with asyncio.timeout(10):
        while len(slack.calls_to("chat.postMessage")) == before:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.005)
    await answered
    return slack.calls_to("chat.postMessage")[-1].at - started
