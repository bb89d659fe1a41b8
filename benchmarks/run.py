"""`make bench`: measures relay against baselines in the same run, and writes RESULTS.md.

All traffic stays on this machine. `--full` measures the whole size: the storm of 1,000 incidents to its last message,
and a million stored incidents. This takes about half an hour, because Slack's limits apply in real time. Names of parts
(accepting, hanging, idle, postgresql, routes, size, storm) run only these parts, and write no file.
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


async def run_parts(parts: list[str], *, full: bool) -> list[Figure]:
    figures: list[Figure] = []
    accept_us = 1000.0

    async def measure_routes(_folder: Path) -> list[Figure]:
        return routes.measure(accept_us)

    todo: dict[str, Part] = {
        "accepting": accepting.measure,
        "hanging": hanging.measure,
        "routes": measure_routes,
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
            part_figures = await part(Path(folder))
            print(f"{name} ({time.perf_counter() - started:.0f} s)\n{table(part_figures)}\n", flush=True)
        if name == "accepting":
            accept_us = part_figures[0].value
        figures += part_figures
    return figures


async def whole_storm(folder: Path) -> list[Figure]:
    return await storm.measure(folder, storm.WHOLE)


async def small_storm(folder: Path) -> list[Figure]:
    """Measure the acceptance of the whole storm, and a small storm until its last message."""
    accepted, drained = folder / "accepted", folder / "drained"
    accepted.mkdir()
    drained.mkdir()
    return [*await storm.measure(accepted, storm.WHOLE, drain=False), *await storm.measure(drained, storm.SMALL)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure (everything)")
    parser.add_argument("--full", action="store_true", help="the whole size")
    parser.add_argument("--remark", default="", help="a sentence about the machine, above the table")
    options = parser.parse_args()
    everything = ["accepting", "hanging", "routes", "idle", "postgresql", "size", "storm"]
    load_before = os.getloadavg()[0]
    figures = asyncio.run(run_parts(options.parts or everything, full=options.full))
    if not options.parts:
        where = f"{machine()}. Load before the run: {load_before:.1f}. {options.remark}".strip()
        head = f"# Measured speed\n\nrelay {relay.__version__}, {datetime.now(UTC):%Y-%m-%d}, on {where}\n\n"
        (HERE / "RESULTS.md").write_text(f"{head}{table(figures)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
