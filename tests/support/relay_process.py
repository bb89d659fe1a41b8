"""The real `relay serve` as a separate process, with HTTP on both sides."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.busy_machine import Stopwatch
from tests.support.forked_relay import ForkedRelay, fork

KEY = "key-of-the-webhook"
TIMEOUT = 100.0
"""Seconds of patience with a busy machine: no test measures them."""


@dataclass
class Process:
    """A running relay: its address, and its log lines."""

    process: asyncio.subprocess.Process | ForkedRelay
    session: aiohttp.ClientSession
    url: str = ""
    logged: list[dict[str, Any]] = field(default_factory=list)
    reads_log: asyncio.Event = field(default_factory=asyncio.Event)
    _new_line: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Read the log, until `reads_log` is cleared."""
        self.reads_log.set()

    async def share(self, body: Any, **headers: str) -> aiohttp.ClientResponse:
        """Post a body with the right key."""
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return await self.session.post(f"{self.url}/shares", data=data, headers={"X-Relay-Key": KEY, **headers})

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.json()

    async def line(self, event: str) -> dict[str, Any]:
        """Wait for the first log line of that event."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                for line in self.logged:
                    if line.get("event") == event:
                        return line
                if self.process.returncode is not None:
                    raise AssertionError(f"relay ended with {self.process.returncode}: {self.logged}")
                await self._new_line.wait()
                self._new_line.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; check it whenever the process logs, and every 50 ms."""
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self._new_line.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._new_line.wait()

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            await self.reads_log.wait()
            try:
                self.logged.append(json.loads(line))
            except ValueError:
                self.logged.append({"raw": line.decode()})
            self._new_line.set()
        await self.process.wait()  # its log ends a moment before the process does
        self._new_line.set()

    async def stop_within(self, seconds: float) -> None:
        """Ask it to stop, and check that it ends with 0 in time; what a busy machine adds does not count."""
        stopwatch = Stopwatch(self.process.pid)
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT):
            while self.process.returncode is None:  # `wait` would also wait for the end of the log
                assert stopwatch.seconds < seconds
                await asyncio.sleep(0.01)
        assert self.process.returncode == 0

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(TIMEOUT):
            return await self.process.wait()


def environment(folder: Path, slack_url: str, **more: str) -> dict[str, str]:
    """The environment of `relay serve`, without this machine's own settings."""
    known = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **known,
        "RELAY_LISTEN": "127.0.0.1:0",
        "RELAY_ROUTES": str(folder / "routes.yaml"),
        "RELAY_TEMPLATES": str(folder / "templates"),
        "RELAY_DATABASE_URL": f"sqlite:///{folder / 'relay.db'}",
        "RELAY_WEBHOOK_KEYS": f"an-older-key,{KEY}",
        "RELAY_LOG_FORMAT": "json",
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_API_URL": slack_url,
    } | more


SERVE = (sys.executable, "-m", "relay", "serve")


async def launch(
    folder: Path,
    slack_url: str,
    session: aiohttp.ClientSession,
    command: Sequence[str] | None = None,
    prepare: Callable[[], object] | None = None,
    /,
    *,
    pass_fds: Sequence[int] = (),
    **more: str,
) -> Process:
    """Start a relay, without waiting until it serves: a forked one that calls `prepare` first, or with a command.

    Only a command can have open files.
    """
    variables = {name: value for name, value in environment(folder, slack_url, **more).items() if value}
    if command is None:
        assert not pass_fds
        return Process(await fork(["serve"], variables, folder, prepare=prepare), session)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=variables,
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        pass_fds=pass_fds,
    )
    return Process(process, session)


@asynccontextmanager
async def running(
    folder: Path,
    slack_url: str,
    *,
    command: Sequence[str] | None = None,
    prepare: Callable[[], object] | None = None,
    pass_fds: Sequence[int] = (),
    **more: str,
) -> AsyncIterator[Process]:
    """Run a relay until the block ends; kill it then if the test has not stopped it."""
    async with aiohttp.ClientSession() as session:
        relay = await launch(folder, slack_url, session, command, prepare, pass_fds=pass_fds, **more)
        reading = asyncio.create_task(relay.read())
        try:
            serving = await relay.line("serving")
            relay.url = f"http://{serving['host']}:{serving['port']}"
            yield relay
        finally:
            relay.reads_log.set()
            await relay.stop(signal.SIGKILL)
            await reading


async def failed_start(folder: Path, slack_url: str = "http://127.0.0.1:9/api/", **more: str) -> tuple[int, str]:
    """Start a relay that cannot serve; return its exit code and its stderr."""
    async with aiohttp.ClientSession() as session:
        relay = await launch(folder, slack_url, session, pass_fds=(), **more)
        async with asyncio.timeout(TIMEOUT):
            _, stderr = await relay.process.communicate()
        return relay.process.returncode or 0, stderr.decode().strip()


async def until(condition: Callable[[], object]) -> None:
    """Wait for an effect of another process."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110  another process sets no event
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def children(pid: int) -> list[int]:
    """The processes that a process has started (proc_pid_task_children(5) of each of its threads)."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for each in lists for child in each.read_text().split() if is_running(int(child))]
