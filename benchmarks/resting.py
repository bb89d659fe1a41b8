"""What relay needs while nothing happens, and to start: memory, CPU time, and the CPU time of its commands."""

import asyncio
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measure import Server, baseline, relay
from benchmarks.table import Figure
from benchmarks.workspace import all_found, channels_of, routes_to
from relay.sandbox.slack.server import FakeSlack, serve_slack

MEGABYTES, START_SECONDS, IDLE_MS = 90.0, 0.9, 1.5
CHECK_SECONDS, HELP_SECONDS = 1.1, 0.25
SETTLED = 10.0
"""Seconds after its start in which relay reads Slack's lists and its database."""
WATCHED = 60.0
"""Seconds during which nothing happens."""


async def measure(folder: Path) -> list[Figure]:
    slack = FakeSlack()
    routes = routes_to(channels_of(slack, 3))
    async with baseline() as bare, serve_slack(slack) as url:
        async with relay(folder, routes, slack=url):  # makes the database, and compiles the modules
            await all_found(slack)
        async with relay(folder, routes, slack=url) as server:
            await asyncio.sleep(SETTLED)
            start, memory = (server.cpu_seconds, bare.cpu_seconds), (server.megabytes, bare.megabytes)
            idle = await _idle_ms(server, bare)
    return [*_at_rest(start, memory, idle), *_commands()]


async def _idle_ms(*servers: Server) -> list[float]:
    """Return how many milliseconds of a processor each server uses in a second."""
    before, started = [server.cpu_seconds for server in servers], time.perf_counter()
    await asyncio.sleep(WATCHED)
    took = time.perf_counter() - started
    return [(server.cpu_seconds - cpu) / took * 1000 for server, cpu in zip(servers, before, strict=True)]


def _at_rest(start: tuple[float, float], memory: tuple[float, float], idle: list[float]) -> list[Figure]:
    return [
        Figure(
            what="memory at rest on SQLite, against a handler that only decodes shares",
            measured=f"{memory[0]:.0f} MB against {memory[1]:.0f} MB",
            wanted=f"at most {MEGABYTES:.0f} MB",
            met=memory[0] <= MEGABYTES,
        ),
        Figure(
            what="CPU time to start, against that handler",
            measured=f"{start[0]:.2f} s against {start[1]:.2f} s",
            wanted=f"at most {START_SECONDS} s",
            met=start[0] <= START_SECONDS,
            note=f"until {SETTLED:.0f} s after the first answer, with a database that exists, and Slack's lists read",
        ),
        Figure(
            what="CPU time per second while nothing happens, against that handler",
            measured=f"{idle[0]:.2f} ms against {idle[1]:.2f} ms",
            wanted=f"at most {IDLE_MS} ms",
            met=idle[0] <= IDLE_MS,
            note=f"during {WATCHED:.0f} s",
        ),
    ]


def _commands() -> list[Figure]:
    """Measure commands against an interpreter that does nothing."""
    nothing = _cpu_seconds("-c", "pass")
    rows = {
        "check": (CHECK_SECONDS, "median of five; it checks the repository's `routes.yaml` and `templates`"),
        "--help": (HELP_SECONDS, "median of five"),
    }
    figures = []
    for name, (limit, note) in rows.items():
        took = _cpu_seconds("-m", "relay", name)
        figures.append(
            Figure(
                what=f"CPU time of `relay {name}`, against an interpreter that does nothing",
                measured=f"{took:.3f} s against {nothing:.3f} s",
                wanted=f"at most {limit} s",
                met=took <= limit,
                note=note,
            )
        )
    return figures


def _cpu_seconds(*arguments: str) -> float:
    """Return the median CPU time of five runs of Python, after one that may compile modules."""
    return statistics.median([_once(arguments) for _ in range(6)][1:])


def _once(arguments: tuple[str, ...]) -> float:
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  our own command
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime
