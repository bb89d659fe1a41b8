"""`make bench`: measures relay against baselines in the same run, and writes RESULTS.md.

All traffic stays on this machine. `--full` measures the whole size: the storm of 1,000 incidents to its last message,
and a million stored incidents. This takes about half an hour, because Slack's limits apply in real time. With names of
parts, only these run, and no file is written. `--tree PATH` is another checkout of relay, with its environment in
`.venv`: `sustained` measures it in turn with this one.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import relay
from benchmarks import accepting, board, hanging, idle, postgresql, resting, routes, size, storm, sustained
from benchmarks.measure import HERE, machine
from benchmarks.table import Figure, table

Part = Callable[[Path], Awaitable[list[Figure]]]

PARTS = ("accepting", "sustained", "hanging", "routes", "idle", "resting", "postgresql", "size", "board", "storm")


async def run_parts(parts: Sequence[str], *, full: bool, tree: Path | None) -> list[Figure]:
    figures: list[Figure] = []
    accept_us = 1000.0

    async def measure_routes(_folder: Path) -> list[Figure]:
        return routes.measure(accept_us)

    todo: dict[str, Part] = {
        "accepting": accepting.measure,
        "sustained": lambda folder: sustained.measure(folder, tree=tree),
        "hanging": hanging.measure,
        "routes": measure_routes,
        "idle": idle.measure,
        "resting": resting.measure,
        "postgresql": postgresql.measure,
        "size": lambda folder: size.measure(folder, copies=10 if full else 1),
        "board": board.measure,
        "storm": whole_storm if full else small_storm,
    }
    for name in (name for name in PARTS if name in parts):
        with tempfile.TemporaryDirectory(prefix="relay-bench-", dir=os.environ.get("BENCH_FOLDER")) as folder:
            started = time.perf_counter()
            part_figures = await todo[name](Path(folder))
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
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure: {', '.join(PARTS)} (everything)")
    parser.add_argument("--full", action="store_true", help="the whole size")
    parser.add_argument("--tree", type=Path, help="another checkout of relay, to compare with")
    parser.add_argument("--remark", default="", help="a sentence about the machine, above the table")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    load_before = os.getloadavg()[0]
    figures = asyncio.run(run_parts(options.parts or PARTS, full=options.full, tree=options.tree))
    if not options.parts:
        where = f"{machine()}. Load before the run: {load_before:.1f}. {options.remark}".strip()
        head = f"# Measured speed\n\nrelay {relay.__version__}, {datetime.now(UTC):%Y-%m-%d}, on {where}\n\n"
        (HERE / "RESULTS.md").write_text(f"{head}{table(figures)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
