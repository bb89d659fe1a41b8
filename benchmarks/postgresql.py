"""The cost of storing a share on PostgreSQL, against SQLite on the same disk."""

import statistics
from dataclasses import astuple
from pathlib import Path

from benchmarks.accepting import P99_MS, RATE, ROUTES, in_turn, steady_shares
from benchmarks.idle import CHANNELS, medians_ms
from benchmarks.measure import flood, relay, shares, steadily
from benchmarks.sustained import BACKLOG, until_planned_in_turn
from benchmarks.table import Figure
from benchmarks.workspace import all_found, channels_of, routes_to
from relay.sandbox.slack.server import FakeSlack, serve_slack
from tests.support.postgres import a_server

NAMES = ("sqlite", "postgresql")


async def measure(folder: Path) -> list[Figure]:
    """Measure both; PostgreSQL runs on this machine with its defaults and shares the processors with relay."""
    for name in NAMES:
        (folder / name).mkdir()
    with a_server(folder) as server:
        figures = await _accepting(folder, server.get_uri())
    with a_server(folder) as server:
        return [*figures, await _idle(folder, server.get_uri())]


async def _accepting(folder: Path, url: str, *, rounds: int = 7, count: int = 2000) -> list[Figure]:
    here, there = (folder / name for name in NAMES)
    async with relay(here, ROUTES) as on_sqlite, relay(there, ROUTES, database=url) as on_postgresql:
        both = [on_sqlite, on_postgresql]
        for each in both:
            await flood(each.port, list(shares("warm", 500)))
        rates, busy, cpu = await in_turn(both, rounds, count)
        before, after = [await steadily(each.port, steady_shares(), RATE) for each in both]
        planned = await until_planned_in_turn(both, rounds=3, count=BACKLOG)
    ratios = [rate / other for other, rate in zip(*rates, strict=True)]
    other, rate = (statistics.median(each) for each in rates)
    theirs, ours = (statistics.median(each) for each in cpu)
    planned_ratios = [there.rate / here.rate for here, there in zip(*planned, strict=True)]
    sqlite, postgresql = (
        [statistics.median(each) for each in zip(*map(astuple, some), strict=True)] for some in planned
    )
    return [
        Figure(
            what="shares stored per second on PostgreSQL, against SQLite",
            measured=f"{rate:.0f} against {other:.0f}: {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f}-{max(ratios):.2f})",
            note=f"CPU time per share, without PostgreSQL's server: {ours:.0f} us against {theirs:.0f} "
            f"us; the generator used {busy:.0%} of a processor at most",
        ),
        Figure(
            what="shares per second until all are planned, on PostgreSQL, against SQLite",
            measured=f"{postgresql[0]:.0f} against {sqlite[0]:.0f}: {statistics.median(planned_ratios):.2f}",
            note=f"CPU time per planned share, without PostgreSQL's server: {postgresql[1]:.0f} us against "
            f"{sqlite[1]:.0f} us",
        ),
        Figure(
            what=f"99th percentile of accepting at {RATE} shares per second on PostgreSQL, against SQLite",
            measured=f"{after} against {before}",
            wanted=f"at most {P99_MS:.0f} ms",
            met=after.p99_ms <= P99_MS,
            note=f"the generator's own lateness is {after.late_ms:.1f} ms",
        ),
    ]


async def _idle(folder: Path, url: str, *, count: int = 40) -> Figure:
    slack = FakeSlack()
    channels = channels_of(slack, CHANNELS)
    here, there = (folder / name for name in NAMES)
    async with (
        serve_slack(slack) as address,
        relay(here, routes_to(channels), slack=address, database="idle.db") as on_sqlite,
        relay(there, routes_to(channels), slack=address, database=url) as on_postgresql,
    ):
        await all_found(slack)
        sqlite, postgresql = await medians_ms(slack, [on_sqlite, on_postgresql], channels, count)
    return Figure(
        what="time from a share to the call to Slack, idle, on PostgreSQL, against SQLite",
        measured=f"{postgresql:.1f} ms against {sqlite:.1f} ms: {postgresql - sqlite:+.1f} ms",
        note=f"medians of {count} each, measured in turn",
    )
