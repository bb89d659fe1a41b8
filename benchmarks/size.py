"""Memory, start time and cost of a share, with few and with many open incidents in the database."""

import asyncio
import shutil
import statistics
from pathlib import Path

from benchmarks.accepting import in_turn
from benchmarks.filling import CHANNEL, ROUTES, fill, multiply, show_all_but
from benchmarks.measure import Server, flood, relay, shares
from benchmarks.table import Figure
from relay.sandbox.slack.server import FakeSlack, serve_slack

FEW = 1_000
DUE = 1_000
MEGABYTES = 200.0
COST_RATIO = 1.25
MORE_SECONDS = 1.0


async def measure(folder: Path, *, many: int = 100_000, copies: int = 1) -> list[Figure]:
    """Measure with `many` incidents, and with `many * copies` if `copies` is more than one."""
    counts = list(dict.fromkeys((FEW, many, many * copies)))
    await fill(folder / f"{FEW}.db", FEW)
    await fill(folder / f"{many}.db", many)
    if copies > 1:
        shutil.copy(folder / f"{many}.db", folder / f"{many * copies}.db")
        multiply(folder / f"{many * copies}.db", copies)
    started = [await _first_post(folder, count) for count in (FEW, many)]
    figures = [
        Figure(
            what=f"start to the first post, {DUE:,} cards due, with {many:,} stored incidents, against {FEW:,}",
            measured=f"{started[1]:.2f} s against {started[0]:.2f} s",
            wanted=f"at most {MORE_SECONDS:.0f} s more",
            met=started[1] - started[0] <= MORE_SECONDS,
            note="from the start of the process to the call's arrival at Slack; medians of three",
        )
    ]
    for count in counts[1:]:
        figures += await _against_few(folder, count)
    return figures


async def _first_post(folder: Path, count: int) -> float:
    """Seconds from the start of relay to its first post."""
    took = []
    for turn in range(3):
        database = folder / f"{count}-{turn}.db"
        shutil.copy(folder / f"{count}.db", database)
        show_all_but(database, DUE)
        slack = FakeSlack()
        slack.add_channel(CHANNEL, "all", member=True)
        async with serve_slack(slack) as url, relay(folder, ROUTES, slack=url, database=database.name) as server:
            async with asyncio.timeout(60):
                while not slack.calls_to("chat.postMessage"):  # noqa: ASYNC110  it happens in another process
                    await asyncio.sleep(0.02)
            took.append(slack.calls_to("chat.postMessage")[0].at - server.started_at)
    return statistics.median(took)


async def _against_few(folder: Path, count: int) -> list[Figure]:
    async with (
        relay(folder, ROUTES, database=f"{FEW}.db") as small,
        relay(folder, ROUTES, database=f"{count}.db") as large,
    ):
        await asyncio.sleep(2.0)
        starts = [_StartCosts(server) for server in (small, large)]
        for server in (small, large):
            await flood(server.port, list(shares("warm", 500)))
        rates, _, cpu = await in_turn([small, large], rounds=5, count=1000)
        size = (folder / f"{count}.db").stat().st_size / 1e6
        after = large.most_megabytes
    rate, few_rate = statistics.median(rates[1]), statistics.median(rates[0])
    cost, few_cost = statistics.median(cpu[1]), statistics.median(cpu[0])
    return [
        Figure(
            what=f"memory with {count:,} open incidents, against {FEW:,}",
            measured=f"{starts[1].megabytes:.0f} MB at rest against {starts[0].megabytes:.0f} MB; {after:.0f} MB "
            "at most during 5,500 more shares",
            wanted=f"at most {MEGABYTES:.0f} MB",
            met=after <= MEGABYTES,
            note=f"it answers {starts[1].started_in:.1f} s after its start, against {starts[0].started_in:.1f} s "
            f"(CPU time: {starts[1].cpu:.1f} s against {starts[0].cpu:.1f} s); its database has {size:,.0f} MB",
        ),
        Figure(
            what=f"cost of a share with {count:,} stored incidents, against {FEW:,}",
            measured=f"{cost:.0f} us against {few_cost:.0f} us: {cost / few_cost:.2f}",
            wanted=f"at most {COST_RATIO}",
            met=cost / few_cost <= COST_RATIO,
            note=f"CPU time, in turn; {rate:.0f} shares per second against {few_rate:.0f}",
        ),
    ]


class _StartCosts:
    """Memory, CPU time and start time of a server before its first share."""

    def __init__(self, server: Server) -> None:
        self.megabytes, self.cpu, self.started_in = server.megabytes, server.cpu_seconds, server.started_in
