"""How many shares a second are kept on disk, and how long one takes, against a handler that only decodes their JSON."""

import statistics
from pathlib import Path

from measure import Server, baseline, fdatasync_ms, flood, percentile, relay, shares, steadily
from table import Figure

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
WANTED, P99_MS, RATE = 0.3, 50.0, 200


async def measure(folder: Path, *, rounds: int = 5, count: int = 2000) -> list[Figure]:
    async with relay(folder, ROUTES) as house, baseline() as bare:
        for server in (house, bare):
            await flood(server.port, list(shares("warm", 200)))
        rates, busy, cpu = await _in_turn([house, bare], rounds, count)
        took = await steadily(house.port, list(shares("steady-", RATE * 10)), RATE)
    ratios = [one / other for one, other in zip(*rates, strict=True)]
    rate, other = (statistics.median(each) for each in rates)
    ratio, p99 = statistics.median(ratios), percentile(took, 99) * 1000
    return [
        Figure(
            what="shares kept a second, against a handler that only decodes them",
            measured=f"{rate:.0f} against {other:.0f}: {ratio:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
            wanted=f"at least {WANTED}",
            met=ratio >= WANTED,
            note=f"a share's processor time: {cpu[0]:.0f} us against {cpu[1]:.0f} us ({cpu[1] / cpu[0]:.2f}); the "
            f"generator took {busy:.0%} of a processor at most; fdatasync takes {fdatasync_ms(folder):.2f} ms",
            value=cpu[0],
        ),
        Figure(
            what=f"99 % of accepts at {RATE} a second",
            measured=f"{p99:.1f} ms (half: {statistics.median(took) * 1000:.1f} ms)",
            wanted=f"at most {P99_MS:.0f} ms",
            met=p99 <= P99_MS,
            note=f"from when each was due to its answer; {len(took)} shares",
        ),
    ]


async def _in_turn(
    servers: list[Server], rounds: int, count: int
) -> tuple[list[list[float]], float, tuple[float, ...]]:
    """Rates of each server, the generator's busiest share of a processor, microseconds of each server for a share."""
    rates: list[list[float]] = [[] for _ in servers]
    busy = [0.0]
    before = [server.cpu_seconds for server in servers]
    for turn in range(rounds):
        bodies = list(shares(f"r{turn}-", count))
        for server, told in zip(servers, rates, strict=True):
            rate, generator = await flood(server.port, bodies)
            told.append(rate)
            busy.append(generator)
    spent = (server.cpu_seconds - start for server, start in zip(servers, before, strict=True))
    return rates, max(busy), tuple(each / rounds / count * 1e6 for each in spent)
