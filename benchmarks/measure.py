"""The tools of all benchmarks: server processes, a load generator, and facts about the machine."""

import asyncio
import os
import platform
import socket
import statistics
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

KEY = "key-of-the-benchmarks"
HERE = Path(__file__).parent
SAMPLE = HERE.parent / "relay" / "samples" / "documented-sample.json"
UNREACHABLE_SLACK = "http://127.0.0.1:9/api/"
"""An address without a server: relay stores shares and makes cards, but sends nothing."""


SERVE = (sys.executable, "-m", "relay", "serve")


def serve_of(tree: Path) -> tuple[str, ...]:
    """Return the command that serves another checkout of relay, which has an environment `.venv`."""
    return str(tree / ".venv" / "bin" / "relay"), "serve"


class Server:
    """A server in a separate process."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, started_at: float) -> None:
        """Note a process that was started at `started_at` (Unix seconds) and has just answered."""
        self.process = process
        self.port = port
        self.started_at = started_at
        self.started_in = time.time() - started_at

    @property
    def megabytes(self) -> float:
        """The memory that it uses now."""
        return self._megabytes("VmRSS:")

    @property
    def most_megabytes(self) -> float:
        """The most memory that it has used."""
        return self._megabytes("VmHWM:")

    def _megabytes(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition(name)[2].split()[0]) / 1024

    @property
    def cpu_seconds(self) -> float:
        """The CPU time that it has used; Linux has a clock for each process, see clock_getcpuclockid(3)."""
        return time.clock_gettime(~self.process.pid << 3 | 2)

    async def not_planned(self) -> int:
        """Return how many accepted shares are not planned; 0 where relay plans each share at once."""
        address = f"http://127.0.0.1:{self.port}/readyz"
        answer = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read())
        return int(orjson.loads(answer).get("not_planned", 0))

    async def all_planned(self) -> int:
        """Return once no accepted share waits to be planned: how often the server was asked."""
        asked = 1
        while await self.not_planned():
            await asyncio.sleep(0.05)
            asked += 1
        return asked

    async def cost_of_asking(self) -> float:
        """Return the CPU seconds that one such question costs; nothing else may be going on."""
        before = self.cpu_seconds
        await self.not_planned()
        return self.cpu_seconds - before


@asynccontextmanager
async def relay(  # noqa: PLR0913  each has a name
    folder: Path,
    routes: str,
    *,
    slack: str = UNREACHABLE_SLACK,
    database: str = "relay.db",
    command: Sequence[str] = SERVE,
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[Server]:
    """Run `relay serve` with a database: a file in the folder, or a URL; `more` settings come last."""
    port = free_port()
    (folder / "routes.yaml").write_text(routes, encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "RELAY_LISTEN": f"127.0.0.1:{port}",
        "RELAY_ROUTES": str(folder / "routes.yaml"),
        "RELAY_TEMPLATES": str(folder / "templates"),
        "RELAY_DATABASE_URL": database if "://" in database else f"sqlite:///{folder / database}",
        "RELAY_WEBHOOK_KEYS": KEY,
        "RELAY_LOG_FORMAT": "json",
        "SLACK_BOT_TOKEN": "xoxb-sandbox",
        "SLACK_API_URL": slack,
        **(more or {}),
    }
    with (folder / "relay.log").open("ab") as log:
        async with running(command, environment, port, log.fileno()) as server:
            yield server


@asynccontextmanager
async def baseline(*arguments: str) -> AsyncIterator[Server]:
    """Run `baseline.py` in a separate process."""
    port = free_port()
    command = [sys.executable, str(HERE / "baseline.py"), str(port), *arguments]
    async with running(command, {"PATH": os.environ["PATH"]}, port, asyncio.subprocess.DEVNULL) as server:
        yield server


def free_port() -> int:
    """Return a port of this machine on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@asynccontextmanager
async def running(command: Sequence[str], environment: dict[str, str], port: int, log: int) -> AsyncIterator[Server]:
    """Run a server in a separate process, from its first answer on."""
    started_at = time.time()
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
    try:
        await _until_it_answers(process, port)
        yield Server(process, port, started_at)
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(60):
            await process.wait()


async def _until_it_answers(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(120):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.005)
                continue
            writer.close()
            return
    raise SystemExit(f"a server ended with {process.returncode} before it answered")


# -- Shares ------------------------------------------------------------------------------------------------------------


def request(body: bytes, port: int, path: str = "/shares") -> bytes:
    """Return the bytes of a POST of a share, or of another JSON document."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Relay-Key: {KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def shares(prefix: str, count: int, *, per_incident: int = 5) -> Iterator[bytes]:
    """Yield documented bodies: `per_incident` of each incident, each with a change."""
    sample = orjson.loads(SAMPLE.read_bytes())
    start = int(time.time()) - count
    for number in range(count):
        incident = sample["incident"] | {
            "id": f"{prefix}{number // per_incident}",
            "changedOn": start + number,
            "status": ("Warning", "Critical")[number % per_incident % 2],
        }
        yield orjson.dumps(sample | {"incident": incident, "event_types": []})


# -- The generator -----------------------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """A raw HTTP connection with as little work as possible between a request and its answer."""

    def __init__(self) -> None:
        """Start without a connection."""
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[int] | None = None
        self._buffer = b""

    @classmethod
    async def connect(cls, port: int) -> "Connection":
        """Connect to a server on this machine."""
        return (await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port))[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport  # type: ignore[assignment]  # a TCP connection has this type

    def data_received(self, data: bytes) -> None:
        """Assemble the answer, and read its status."""
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(rest) >= length and self._answer is not None:
            self._buffer = rest[length:]
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Wake the waiting tasks."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionError("closed"))

    async def send(self, request_bytes: bytes) -> int:
        """Send a request, and return the status of the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request_bytes)
        return await self._answer

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()


async def flood(port: int, bodies: Sequence[bytes], *, connections: int = 64) -> tuple[float, float]:
    """Send all as fast as possible; return the accepted shares per second and the CPU load of the generator."""
    pool = [await Connection.connect(port) for _ in range(connections)]
    queue = iter([request(body, port) for body in bodies])

    async def drain(connection: Connection) -> None:
        for each in queue:
            _check_accepted(await connection.send(each))

    cpu_before, started = time.process_time(), time.perf_counter()
    await asyncio.gather(*(drain(connection) for connection in pool))
    took = time.perf_counter() - started
    for connection in pool:
        connection.close()
    return len(bodies) / took, (time.process_time() - cpu_before) / took


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds per share: `took` from its due time to its answer, `late` from its due time until it was sent."""

    took: list[float]
    late: list[float]

    def __str__(self) -> str:
        """Format the figures for the table."""
        half, most = statistics.median(self.took) * 1000, percentile(self.took, 99) * 1000
        return f"{most:.1f} ms (median: {half:.1f} ms)"

    @property
    def p99_ms(self) -> float:
        """The 99th percentile of the time to an answer, in milliseconds."""
        return percentile(self.took, 99) * 1000

    @property
    def late_ms(self) -> float:
        """The 99th percentile of the generator's lateness in milliseconds, which `took` includes."""
        return percentile(self.late, 99) * 1000


async def steadily(port: int, bodies: Sequence[bytes], rate: float) -> Pace:
    """Send `rate` shares a second, whether or not the earlier ones were answered."""
    idle = [await Connection.connect(port) for _ in range(20)]
    requests = [request(body, port) for body in bodies]
    pace = Pace([], [])

    async def one(request_bytes: bytes, due: float) -> None:
        connection = idle.pop() if idle else await Connection.connect(port)
        pace.late.append(time.perf_counter() - due)
        status = await connection.send(request_bytes)
        pace.took.append(time.perf_counter() - due)
        idle.append(connection)
        _check_accepted(status)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, each in enumerate(requests):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(each, due))
    for connection in idle:
        connection.close()
    return pace


def _check_accepted(status: int) -> None:
    if status != 202:  # noqa: PLR2004  the status of an accepted share
        raise SystemExit(f"answered {status}, not 202")


# -- The machine -------------------------------------------------------------------------------------------------------


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that `percent` of the values do not exceed."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def fdatasync_ms(folder: Path, times: int = 200) -> float:
    """Return the median time of writing and syncing four kilobytes, in milliseconds."""
    took = []
    descriptor = os.open(folder / "fdatasync", os.O_CREAT | os.O_WRONLY)
    try:
        for _ in range(times):
            os.write(descriptor, b"x" * 4096)
            started = time.perf_counter()
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - started)
    finally:
        os.close(descriptor)
    return statistics.median(took) * 1000


def machine() -> str:
    """Describe this machine in one line."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    name = info.partition("model name")[2].partition(":")[2].split("\n", 1)[0].strip() or platform.processor()
    memory = int(Path("/proc/meminfo").read_text(encoding="ascii").split()[1]) / 1024**2
    return f"{os.cpu_count()} x {name}, {memory:.0f} GB, {platform.system()}, Python {platform.python_version()}"
