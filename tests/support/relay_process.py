"""The real `relay serve`, as a process of its own, talked to over HTTP on both sides."""

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

KEY = "key-of-the-webhook"
PATIENCE = 30.0


@dataclass
class Process:
    """A running relay: where it listens, and what it has logged."""

    process: asyncio.subprocess.Process
    session: aiohttp.ClientSession
    url: str = ""
    logged: list[dict[str, Any]] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        """Its log is read, until `heard` is cleared."""
        self.heard.set()

    async def share(self, body: Any, **headers: str) -> aiohttp.ClientResponse:
        """Post a share with the right key, whatever the body."""
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return await self.session.post(f"{self.url}/shares", data=data, headers={"X-Relay-Key": KEY, **headers})

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.json()

    async def line(self, event: str) -> dict[str, Any]:
        """The first log line of that event, whenever it comes."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for line in self.logged:
                    if line.get("event") == event:
                        return line
                if self.process.returncode is not None:
                    raise AssertionError(f"relay ended with {self.process.returncode}: {self.logged}")
                await self._news.wait()
                self._news.clear()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something holds; it is asked whenever the process logs, and now and then."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await self._news.wait()

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            await self.heard.wait()
            try:
                self.logged.append(json.loads(line))
            except ValueError:
                self.logged.append({"raw": line.decode()})
            self._news.set()
        self._news.set()

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()


def environment(folder: Path, slack_url: str, **more: str) -> dict[str, str]:
    """What `relay serve` finds around it; nothing of this machine's own settings."""
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
    folder: Path, slack_url: str, session: aiohttp.ClientSession, command: Sequence[str] = SERVE, **more: str
) -> Process:
    """Start a relay; it may still be starting, or refuse to."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env={name: value for name, value in environment(folder, slack_url, **more).items() if value},
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    return Process(process, session)


@asynccontextmanager
async def running(
    folder: Path, slack_url: str, *, command: Sequence[str] = SERVE, **more: str
) -> AsyncIterator[Process]:
    """A relay that serves; it is killed at the end if the test has not stopped it."""
    async with aiohttp.ClientSession() as session:
        relay = await launch(folder, slack_url, session, command, **more)
        reading = asyncio.create_task(relay.read())
        try:
            serving = await relay.line("serving")
            relay.url = f"http://{serving['host']}:{serving['port']}"
            yield relay
        finally:
            relay.heard.set()
            await relay.stop(signal.SIGKILL)
            await reading


async def refusal(folder: Path, slack_url: str = "http://127.0.0.1:9/api/", **more: str) -> tuple[int, str]:
    """Start a relay that will not serve: its exit code, and what it says."""
    async with aiohttp.ClientSession() as session:
        relay = await launch(folder, slack_url, session, **more)
        async with asyncio.timeout(PATIENCE):
            _, said = await relay.process.communicate()
        return relay.process.returncode or 0, said.decode().strip()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another process brings about."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  it rings no bell here
            await asyncio.sleep(0.01)
