"""Shares per second until all of them are planned, and the time to accept a share while others wait to be planned."""

import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accepting import ROUTES
from benchmarks.measure import SERVE, Pace, Server, baseline, flood, relay, serve_of, shares, steadily
from benchmarks.table import Figure

TARGET_RATIO = 1.7
BACKLOG = 6000
BEHIND_MS, RATE = 50.0, 200
BEHIND_SECONDS = 2
"""Seconds of sending behind the backlog: planning it takes about as long."""


@dataclass(frozen=True, slots=True)
class Planned:
    """Shares per second until all were planned, and microseconds of CPU time for each of them."""

    rate: float
    cpu_us: float


async def measure(folder: Path, *, tree: Path | None = None, rounds: int = 5, count: int = BACKLOG) -> list[Figure]:
    """Measure relay and, in turn, the relay of another checkout, `tree`."""
    commands = {"this": SERVE} if tree is None else {"this": SERVE, "other": serve_of(tree)}
    async with AsyncExitStack() as stack:
        servers = []
        for name, command in commands.items():
            (folder / name).mkdir()
            servers.append(await stack.enter_async_context(relay(folder / name, ROUTES, command=command)))
        bare = await stack.enter_async_context(baseline())
        measured = await until_planned_in_turn(servers, rounds, count)
        before = await _bare_cpu_us(bare, count)
        behind = await _behind_backlog(servers[0], rounds=3)
    return [_sustained(measured, before, tree), _accepting_behind(*behind)]


async def until_planned_in_turn(servers: Sequence[Server], rounds: int, count: int) -> list[list[Planned]]:
    """Measure the servers in turn, after a round that does not count; return the rounds of each server."""
    measured: list[list[Planned]] = [[] for _ in servers]
    for turn in range(rounds + 1):
        bodies = list(shares(f"sustained{turn}-", count))
        for server, planned in zip(servers, measured, strict=True):
            planned.append(await _until_planned(server, bodies))
    return [planned[1:] for planned in measured]


async def _until_planned(server: Server, bodies: Sequence[bytes]) -> Planned:
    cpu, started = server.cpu_seconds, time.perf_counter()
    await flood(server.port, bodies)
    await server.all_planned()
    took = time.perf_counter() - started
    return Planned(len(bodies) / took, (server.cpu_seconds - cpu) / len(bodies) * 1e6)


async def _bare_cpu_us(bare: Server, count: int) -> float:
    cpu = bare.cpu_seconds
    await flood(bare.port, list(shares("bare-", count)))
    return (bare.cpu_seconds - cpu) / count * 1e6


async def _behind_backlog(server: Server, rounds: int) -> tuple[Pace, list[int], list[int]]:
    """Send steadily behind a backlog; return how long it took, and the sizes of the backlogs before and after."""
    pace, before, after = Pace([], []), [], []
    for turn in range(rounds):
        await flood(server.port, list(shares(f"backlog{turn}-", BACKLOG)))
        before.append(await server.not_planned())
        some = await steadily(server.port, list(shares(f"behind{turn}-", RATE * BEHIND_SECONDS)), RATE)
        after.append(await server.not_planned())
        pace.took.extend(some.took)
        pace.late.extend(some.late)
        await server.all_planned()
    return pace, before, after


def _sustained(measured: Sequence[Sequence[Planned]], bare_us: float, tree: Path | None) -> Figure:
    rates = [statistics.median(each.rate for each in planned) for planned in measured]
    cpu = [statistics.median(each.cpu_us for each in planned) for planned in measured]
    note = f"CPU time per planned share: {cpu[0]:.0f} us; the handler that only decodes shares uses {bare_us:.0f} us"
    if tree is None:
        return Figure(
            what="shares per second until all are planned",
            measured=f"{rates[0]:.0f}",
            note=f"{note}; `--tree PATH` compares it with another checkout",
        )
    ratios = [this.rate / other.rate for this, other in zip(*measured, strict=True)]
    ratio = statistics.median(ratios)
    return Figure(
        what="shares per second until all are planned, against the other checkout",
        measured=f"{rates[0]:.0f} against {rates[1]:.0f}: {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        wanted=f"at least {TARGET_RATIO}",
        met=ratio >= TARGET_RATIO,
        note=f"{note}, the other checkout {cpu[1]:.0f} us ({cpu[1] / cpu[0]:.2f} times as much)",
    )


def _accepting_behind(pace: Pace, before: Sequence[int], after: Sequence[int]) -> Figure:
    return Figure(
        what=f"99th percentile of accepting at {RATE} shares per second behind {BACKLOG:,} shares that are not planned",
        measured=str(pace),
        wanted=f"at most {BEHIND_MS:.0f} ms",
        met=pace.p99_ms <= BEHIND_MS,
        note=f"{len(pace.took)} shares; {min(before):,} or more were not planned before and {max(after):,} or fewer "
        f"after them; the generator's own lateness is {pace.late_ms:.1f} ms",
    )
