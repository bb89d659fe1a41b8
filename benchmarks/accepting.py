"""Shares stored per second, and the time to accept one, against a handler that only decodes the JSON."""

import statistics
from pathlib import Path

from benchmarks.measure import Server, baseline, fdatasync_ms, flood, relay, shares, steadily
from benchmarks.table import Figure

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
TARGET_RATIO, P99_MS, RATE = 0.35, 10.0, 200
SECONDS = 10


async def measure(folder: Path, *, rounds: int = 7, count: int = 2000) -> list[Figure]:
    async with relay(folder, ROUTES) as relay_server, baseline() as bare:
        for server in (relay_server, bare):
            await flood(server.port, list(shares("warm", 500)))
        rates, busy, cpu = await in_turn([relay_server, bare], rounds, count)
        with_relay, without_relay = [
            await steadily(server.port, steady_shares(), RATE) for server in (relay_server, bare)
        ]
    ratios = [one / other for one, other in zip(*rates, strict=True)]
    rate, other = (statistics.median(each) for each in rates)
    ratio, ours, theirs = statistics.median(ratios), *(statistics.median(each) for each in cpu)
    return [
        Figure(
            what="shares stored per second, against a handler that only decodes them",
            measured=f"{rate:.0f} against {other:.0f}: {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            wanted=f"at least {TARGET_RATIO}",
            met=ratio >= TARGET_RATIO,
            note=f"CPU time per share, with planning: {ours:.0f} us against {theirs:.0f} us ({theirs / ours:.2f}); the "
            f"generator used {busy:.0%} of a processor at most; fdatasync takes {fdatasync_ms(folder):.2f} ms",
            value=ours,
        ),
        Figure(
            what=f"99th percentile of accepting at {RATE} shares per second, against that handler",
            measured=f"{with_relay} against {without_relay}",
            wanted=f"at most {P99_MS:.0f} ms",
            met=with_relay.p99_ms <= P99_MS,
            note=f"from the moment when a share was due to its answer; {len(with_relay.took)} shares; "
            f"{with_relay.late_ms:.1f} ms of relay's figure is the generator's own lateness",
        ),
    ]


def steady_shares() -> list[bytes]:
    """Ten seconds of shares."""
    return list(shares("steady-", RATE * SECONDS))


async def in_turn(servers: list[Server], rounds: int, count: int) -> tuple[list[list[float]], float, list[list[float]]]:
    """Measure in turn: rates of each server, the highest CPU load of the generator, CPU microseconds per share.

    Nobody is measured while another server still plans what it has accepted. The CPU time includes planning. It does
    not include the questions whether all is planned: with many waiting cards, one costs as much as hundreds of shares.
    """
    rates: list[list[float]] = [[] for _ in servers]
    cpu: list[list[float]] = [[] for _ in servers]
    busy = 0.0
    for turn in range(rounds):
        bodies = list(shares(f"r{turn}-", count))
        for server, server_rates, spent in zip(servers, rates, cpu, strict=True):
            await server.all_planned()
            asking = await server.cost_of_asking()
            before = server.cpu_seconds
            rate, generator = await flood(server.port, bodies)
            asked = await server.all_planned()
            server_rates.append(rate)
            spent.append((server.cpu_seconds - before - asked * asking) / count * 1e6)
            busy = max(busy, generator)
    return rates, busy, cpu
