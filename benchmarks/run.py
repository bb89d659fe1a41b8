"""`make bench`: measures relay against baselines that are started in the same run, and writes RESULTS.md.

All traffic stays on this machine, and every loop has an end. `--full` is the whole size (the storm of 1,000 incidents
played to its end, a million stored incidents), which takes about half an hour, since Slack's limits are kept in real
time. Names of parts (accepting, hanging, idle, postgresql, routes, size, storm) run these alone, and write nothing.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import relay
from benchmarks import accepting, hanging, idle, postgresql, routes, size, storm
from benchmarks.measure import HERE, machine
from benchmarks.table import Figure, table

Part = Callable[[Path], Awaitable[list[Figure]]]


async def measured(parts: list[str], *, full: bool) -> list[Figure]:
    figures: list[Figure] = []
    accept_us = 1000.0

    async def judge(_folder: Path) -> list[Figure]:
        return routes.measure(accept_us)

    todo: dict[str, Part] = {
        "accepting": accepting.measure,
        "hanging": hanging.measure,
        "routes": judge,
        "idle": idle.measure,
        "postgresql": postgresql.measure,
        "size": lambda folder: size.measure(folder, copies=10 if full else 1),
        "storm": whole_storm if full else small_storm,
    }
    for name, part in todo.items():
        if name not in parts:
            continue
        with tempfile.TemporaryDirectory(prefix="relay-bench-", dir=os.environ.get("BENCH_FOLDER")) as folder:
            started = time.perf_counter()
            found = await part(Path(folder))
            print(f"{name} ({time.perf_counter() - started:.0f} s)\n{table(found)}\n", flush=True)
        if name == "accepting":
            accept_us = found[0].value
        figures += found
    return figures


async def whole_storm(folder: Path) -> list[Figure]:
    return await storm.measure(folder, storm.WHOLE)


async def small_storm(folder: Path) -> list[Figure]:
    """The whole one is only taken, not played to its end; a small one is both."""
    taken, told = folder / "taken", folder / "told"
    taken.mkdir()
    told.mkdir()
    return [*await storm.measure(taken, storm.WHOLE, drain=False), *await storm.measure(told, storm.SMALL)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure (everything)")
    parser.add_argument("--full", action="store_true", help="the whole size")
    parser.add_argument("--remark", default="", help="a sentence about the machine that stands above the table")
    asked = parser.parse_args()
    everything = ["accepting", "hanging", "routes", "idle", "postgresql", "size", "storm"]
    load_before = os.getloadavg()[0]
    figures = asyncio.run(measured(asked.parts or everything, full=asked.full))
    if not asked.parts:
        where = f"{machine()}. Load before the run: {load_before:.1f}. {asked.remark}".strip()
        head = f"# Measured speed\n\nrelay {relay.__version__}, {datetime.now(UTC):%Y-%m-%d}, on {where}\n\n"
        (HERE / "RESULTS.md").write_text(f"{head}{table(figures)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
