"""`make soak`: relay killed under load for as long as told, on SQLite and on PostgreSQL with three relays.

    python tests/soak.py --minutes 10 [--seed 1] [--on sqlite|postgresql|both]

Both databases take half of the time each, one after the other, unless `--at-once` says that the machine can do both.
Leaves with 1 where anything was lost, doubled, out of order or untrue in the end.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from tests.soak.soak import Plan, Soak, soaking
from tests.support.postgres import postgresql

console = Console(highlight=False)

RELAYS = {"sqlite": 1, "postgresql": 3}
KILL_AFTER = {"sqlite": (0.1, 3.0), "postgresql": (0.1, 9.0)}
"""Seconds that a relay serves. Of three one delivers, and the next one has to wait for its lease to run out."""


async def soak(database: str, seconds: float, seed: int) -> bool:
    """One run; whether nothing was wrong in the end."""
    with tempfile.TemporaryDirectory(prefix="relay-soak-") as name:
        folder, started = Path(name), time.monotonic()
        plan = Plan(seed=seed, relays=RELAYS[database], seconds=seconds, kill_after=KILL_AFTER[database])
        with postgresql() if database == "postgresql" else nullcontext("") as url:
            async with soaking(folder, plan, url) as run:
                wrong = await run.run()
    told(database, run, wrong, time.monotonic() - started)
    return not wrong


def told(database: str, run: Soak, wrong: list[str], seconds: float) -> None:
    """Print what happened."""
    kinds = Counter(word for fault in wrong for word in ("LOST", "DOUBLE", "UNTRUE", "ORDER") if word in fault)
    cards = [message for life in run.lives for message in run._roots(life)]
    replies = sum(len(run.slack.channel(card.channel).thread(card.ts)) for card in cards)
    console.print(
        f"{database}: {run.tally.kills} kills ({run.tally.kills_of_the_delivering} of the one that delivered), "
        f"{run.tally.faults} faults of Slack, {run.tally.resent} shares sent again, in {seconds:.0f} s\n"
        f"  {len(run.lives)} incidents, {run.tally.shares} shares, {len(cards)} cards, {replies} replies; "
        f"{len(run.slack.calls)} calls to Slack\n"
        f"  lost {kinds['LOST']}, doubled {kinds['DOUBLE']} (taken back in time: {run.taken_back}), "
        f"untrue {kinds['UNTRUE']}, out of order {kinds['ORDER']}"
    )
    for fault in wrong:
        console.print(f"  {fault}", style="red")


async def run_all(databases: list[str], minutes: float, seed: int, *, at_once: bool) -> bool:
    """All runs; whether nothing was wrong in any."""
    seconds = minutes * 60 / (1 if at_once else len(databases))
    runs = [soak(database, seconds, seed) for database in databases]
    return all(await asyncio.gather(*runs) if at_once else [await each for each in runs])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--on", choices=[*RELAYS, "both"], default="both")
    parser.add_argument("--at-once", action="store_true")
    asked = parser.parse_args()
    databases = list(RELAYS) if asked.on == "both" else [asked.on]
    sys.exit(0 if asyncio.run(run_all(databases, asked.minutes, asked.seed, at_once=asked.at_once)) else 1)


if __name__ == "__main__":
    main()
