"""Memory, time to start and speed with few and with many open incidents in the database."""

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from measure import flood, relay, shares
from table import Figure

from relay.planning import Card, Plan, Story, plan
from relay.rulebook import load
from relay.share import Share, parse
from relay.store import Store

ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
FEW = 1_000
GROUP = 200
MEGABYTES = 200.0
SLOWER = 0.8


async def measure(folder: Path, *, many: int = 10_000) -> list[Figure]:
    figures, rates = [], {}
    for count in (FEW, many):
        database = f"{count}.db"
        await _fill(folder / database, count)
        async with relay(folder, ROUTES, database=database) as house:
            await asyncio.sleep(2.0)
            at_rest, to_start = house.megabytes, house.cpu_seconds
            rates[count] = statistics.median([await _speed(house.port, f"new{turn}-") for turn in range(3)])
            after = house.megabytes
            size = (folder / database).stat().st_size / 1e6
            figures.append(
                Figure(
                    what=f"memory with {count:,} open incidents",
                    measured=f"{at_rest:.0f} MB at rest, {after:.0f} MB after 3,000 shares more",
                    wanted=f"at most {MEGABYTES:.0f} MB",
                    met=after <= MEGABYTES,
                    note=f"it answers {house.started_in:.1f} s after its start (processor: {to_start:.1f} s); "
                    f"its database has {size:.0f} MB",
                )
            )
    ratio = rates[many] / rates[FEW]
    return [
        *figures,
        Figure(
            what=f"shares kept a second with {many:,} open incidents, against {FEW:,}",
            measured=f"{rates[many]:.0f} against {rates[FEW]:.0f}: {ratio:.2f}",
            wanted=f"at least {SLOWER}",
            met=ratio >= SLOWER,
        ),
    ]


async def _speed(port: int, prefix: str) -> float:
    return (await flood(port, list(shares(prefix, 1000))))[0]


async def _fill(file: Path, count: int) -> None:
    """By the same door as ever, but for HTTP."""
    rulebook = load(ROUTES)

    def planned(story: Story | None, cards: Sequence[Card], share: Share, same: Mapping[str, str]) -> Plan:
        return plan(rulebook, story, cards, share, same)

    store = await Store.open(f"sqlite:///{file}")
    try:
        await store.want_channels(rulebook.refs)
        parsed = _parsed(count)
        while group := list(islice(parsed, GROUP)):
            await store.accept(group, planned)
    finally:
        await store.close()


def _parsed(count: int) -> Iterator[Share]:
    for body in shares("open-", count, per_incident=1):
        yield parse(body, {}, time.time())
