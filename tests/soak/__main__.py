"""`make soak`: relay is killed under load for a given time, on SQLite and on PostgreSQL with three relays.

    python -m tests.soak --minutes 10 [--seed 1] [--on sqlite|postgresql|pgbouncer|both] [--lose]

`pgbouncer` is PostgreSQL with two relays behind PgBouncer in transaction mode, which must be installed. Of `both`, each
database gets half of the time, one after the other; with `--at-once` both run at the same time.
The exit code is 1 if anything was lost, duplicated, out of order or untrue in the end.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console

from tests.soak.soak import Plan, Soak, soaking
from tests.support.pgbouncer import pgbouncer
from tests.support.postgres import a_server, postgresql

console = Console(highlight=False)

RELAYS = {"sqlite": 1, "postgresql": 3, "pgbouncer": 2}
KILL_AFTER = {"sqlite": (0.1, 8.0), "postgresql": (0.1, 15.0), "pgbouncer": (0.1, 15.0)}
"""Seconds that a relay serves. One of several delivers, and the next one has to wait until its lease expires."""

FLOOD, FLOOD_EVERY = 60, (60.0, 120.0)
"""Incidents that are shared at once, and the seconds between two times: Slack takes 240 posts a minute of one relay."""

FROZEN = (5.0, 25.0)
"""Seconds that one of several relays is stopped: the others take over its lease, and then its shares."""


@contextmanager
def behind_pgbouncer() -> Iterator[str]:
    """The URL of a PostgreSQL behind PgBouncer in transaction mode."""
    with a_server() as server, pgbouncer(server) as url:
        yield url


DATABASES = {"sqlite": lambda: nullcontext(""), "postgresql": postgresql, "pgbouncer": behind_pgbouncer}


async def soak(database: str, seconds: float, seed: int, *, lose: bool = False) -> bool:
    """Run the test on one database; return whether it found no fault."""
    with tempfile.TemporaryDirectory(prefix="relay-soak-") as name:
        folder, started = Path(name), time.monotonic()
        plan = Plan(
            seed=seed,
            relays=RELAYS[database],
            seconds=seconds,
            kill_after=KILL_AFTER[database],
            flood=FLOOD,
            flood_every=FLOOD_EVERY,
            frozen=FROZEN if RELAYS[database] > 1 else None,
            lose_after=seconds / 2 if lose and database == "sqlite" else None,
        )
        with DATABASES[database]() as url:
            async with soaking(folder, plan, url) as run:
                faults = await run.run()
    print_report(database, run, faults, time.monotonic() - started)
    return not faults


def print_report(database: str, run: Soak, faults: list[str], seconds: float) -> None:
    """Print the counts and the faults."""
    kinds = Counter(word for fault in faults for word in ("LOST", "DOUBLE", "UNTRUE", "ORDER") if word in fault)
    cards = [message for incident in run.incidents for message in run.roots(incident)]
    replies = sum(len(run.slack.channel(card.channel).thread(card.ts)) for card in cards)
    tally = run.tally
    console.print(
        f"{database}: {tally.kills} kills ({tally.kills_of_the_delivering} of the delivering relay), "
        f"{tally.freezes} relays frozen, {tally.faults} faults of Slack, in {seconds:.0f} s\n"
        f"  {len(run.incidents)} incidents, {tally.shares} shares ({tally.resent} sent again), {tally.floods} floods; "
        f"{tally.left_unplanned} shares in the inbox after {tally.kills_with_unplanned} of the kills\n"
        f"  {tally.lost_databases} databases deleted, with {tally.cards_when_lost} cards in Slack\n"
        f"  {len(cards)} cards, {replies} replies; {len(run.slack.calls)} calls to Slack\n"
        f"  lost {kinds['LOST']}, duplicated {kinds['DOUBLE']} (deleted in time: {run.deleted_duplicates}), "
        f"untrue {kinds['UNTRUE']}, out of order {kinds['ORDER']}",
        soft_wrap=True,
    )
    for fault in faults:
        console.print(f"  {fault}", style="red")


async def run_all(databases: list[str], minutes: float, seed: int, *, at_once: bool, lose: bool) -> bool:
    """Run the test on all databases; return whether it found no fault."""
    seconds = minutes * 60 / (1 if at_once else len(databases))
    runs = [soak(database, seconds, seed, lose=lose) for database in databases]
    return all(await asyncio.gather(*runs) if at_once else [await each for each in runs])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--on", choices=[*RELAYS, "both"], default="both")
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--lose", action="store_true", help="delete the SQLite database after half of the time")
    options = parser.parse_args()
    databases = ["sqlite", "postgresql"] if options.on == "both" else [options.on]
    sys.exit(
        0
        if asyncio.run(run_all(databases, options.minutes, options.seed, at_once=options.at_once, lose=options.lose))
        else 1
    )


if __name__ == "__main__":
    main()
