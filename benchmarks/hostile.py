"""What hostile surroundings cost relay: the longest block of its event loop, and its memory, each beside an idle relay.

`python -m benchmarks.hostile --before FOLDER` measures this relay and an older copy of its source, one row after the
other, and writes HOSTILE.md. Without `--before`, or with names of rows, it prints only.

Each row starts a relay, lets it rest, does one hostile thing for a few seconds, and meanwhile sends small shares with
another key. The blocks come from `loop_probe.py`, inside relay; the memory is that of relay and of all its workers
together, sampled. A row that takes too long or too much memory is ended, and says so. The rows are those of SECURITY.md
and of `tests/adversarial`, which check what relay then does.
"""

import argparse
import asyncio
import gzip
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

import relay as measured_relay
from benchmarks.measure import HERE, KEY, Server, flood, machine, relay, shares
from relay.sandbox.faults import InjectedFault, RawResponse, SideEffect
from relay.sandbox.slack.apps import Bot
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.server import FakeSlack, serve_slack

REST, LONGEST = 2.0, 60.0
"""Seconds for which relay rests before, and after which a row is given up."""

MOST_MEGABYTES = 6_000
"""The memory at which relay is killed."""

OTHER_KEY, ADMIN_KEY = "another-key-of-the-benchmarks", "admin-key-of-the-benchmarks"
CHANNEL = "C0BENCH001"
ROUTES = (
    "version: 1\nstorm: off\nfallback: C0BENCH001\nroutes:\n  - {name: all, post: [C0BENCH001], template: incident}\n"
)
POST = "chat.postMessage"


@dataclass
class Scene:
    """A running relay and what surrounds it. `statuses` are the answers to the hostile sender."""

    server: Server
    slack: FakeSlack
    session: aiohttp.ClientSession
    folder: Path
    statuses: list[int] = field(default_factory=list)

    async def share(self, body: Any, key: str = KEY, **headers: str) -> int:
        """Send a share, and return the status; 0 if there is no answer."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        try:
            async with self.session.post(
                f"http://127.0.0.1:{self.server.port}/shares", data=data, headers={"X-Relay-Key": key, **headers}
            ) as answer:
                await answer.read()
                status = answer.status
        except (aiohttp.ClientError, OSError):
            status = 0
        if key == KEY:
            self.statuses.append(status)
        return status

    async def get(self, path: str) -> int:
        """Read a document for operators, and return its size."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        async with self.session.get(url, headers={"Authorization": f"Bearer {ADMIN_KEY}"}) as answer:
            return len(await answer.read())

    async def shares(self, number: int, prefix: str = "h") -> None:
        """Send small shares."""
        for each in range(number):
            await self.share(incident(f"{prefix}{each}"))

    def fault(self, behaviour: Any, method: str = POST, **more: Any) -> None:
        """Let calls to Slack fail from now on."""
        self.slack.faults.add(InjectedFault(behaviour=behaviour, method=method, times=None, **more))


Action = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One hostile thing. `wrong` is what it once led to, where figures do not say it."""

    name: str
    what: str
    do: Action
    wrong: str = ""
    routes: str = ROUTES
    template: str = ""
    settings: dict[str, str] = field(default_factory=dict)


def incident(name: str, **fields: Any) -> dict[str, Any]:
    """Return a small share."""
    return {"incident": {"id": name, "status": "critical", **fields}}


# -- The rows ----------------------------------------------------------------------------------------------------------


async def c1(scene: Scene) -> None:
    body = orjson.dumps(incident("big", incidentTags={f"t{number}": 1 for number in range(800_000)}))
    await scene.share(gzip.compress(body, 1), **{"Content-Encoding": "gzip"})
    for each in range(10):
        await scene.share(incident("big", changedOn=int(time.time()) + each))
        await asyncio.sleep(0.3)


async def c2(scene: Scene) -> None:
    body = orjson.dumps({**incident("large"), "padding": [["x" * 10, number] for number in range(450_000)]})
    await asyncio.gather(*(scene.share(body) for _ in range(12)))


async def c3(scene: Scene) -> None:
    alerts = [{"id": f"a{each}", "status": "critical", "tags": {"host": f"db-{each}"}} for each in range(100_000)]
    await scene.share({"incident": {"id": "many", "status": "critical", "alerts": alerts}})
    await scene.get("/incidents/many")


async def posted(scene: Scene) -> None:
    """Share an incident whose card the operator's template makes, and wait until it is there."""
    before = len(scene.slack.channel("bench").messages)
    await scene.share(incident("t"))
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST / 2):
            while len(scene.slack.channel("bench").messages) == before:  # noqa: ASYNC110  it happens in another process
                await asyncio.sleep(0.1)


async def d1(scene: Scene) -> None:
    connections = []
    for _ in range(1200):
        with suppress(OSError):
            connections.append(socket.create_connection(("127.0.0.1", scene.server.port), timeout=1))
    await scene.shares(100)
    for connection in connections:
        connection.close()


async def d3(scene: Scene) -> None:
    await scene.shares(5, "before")
    (scene.folder / "relay.db").unlink()
    await scene.shares(50, "after")


@asynccontextmanager
async def endless(*, megabytes: int) -> AsyncIterator[str]:
    """A Slack whose answers are gzip bombs."""
    squeeze = zlib.compressobj(1, zlib.DEFLATED, 31)
    bomb = b"".join([*(squeeze.compress(bytes(1024**2)) for _ in range(megabytes)), squeeze.flush()])

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/api/"))


async def d5(scene: Scene) -> None:
    scene.fault(RawResponse(status=307, headers={"Location": "http://127.0.0.1:9/"}))
    await scene.shares(30)
    await asyncio.sleep(3)


async def d6(scene: Scene) -> None:
    scene.fault(RawResponse(body='{"ok": true, "channel": "C0BENCH001", "ts": "1.0\\u0000"}'))
    await scene.shares(30)
    await asyncio.sleep(6)


async def d7(scene: Scene) -> None:
    for each in range(100):
        await scene.share(incident(f"ahead{each}", changedOn=int(time.time()) + 3600))
    await asyncio.sleep(2)


async def d8(scene: Scene) -> None:
    folder = scene.folder / "templates"
    folder.mkdir(exist_ok=True)
    os.mkfifo(folder / "card.j2")
    for name in ("a", "b", "c"):
        (folder / name).mkdir()
        for other in ("a", "b", "c"):
            (folder / name / other).symlink_to(folder / other)
    (scene.folder / "routes.yaml").write_text(ROUTES + "# changed\n")
    await scene.shares(50)
    await asyncio.sleep(4)


async def d9(scene: Scene) -> None:
    def copy(call: Any) -> None:
        content = MessageContent(text="a copy", metadata=call.arguments["metadata"])
        scene.slack.channel("bench").add_message(content, OTHER_BOT)

    scene.fault(SideEffect(copy))
    scene.fault(RawResponse(status=500), probability=0.5, seed=1)
    await scene.shares(20)
    await asyncio.sleep(8)


OTHER_BOT = Bot(user_id="U0OTHER", bot_id="B0OTHER", app_id="A0OTHER", name="other")


async def d10(scene: Scene) -> None:
    await scene.shares(5, "before")
    scene.slack.grants[scene.slack.token].bot = OTHER_BOT
    await scene.shares(50)
    await asyncio.sleep(3)


async def d11(scene: Scene) -> None:
    async with asyncio.timeout(20):
        while not scene.slack.socket_mode.open:  # noqa: ASYNC110  it happens in another process
            await asyncio.sleep(0.05)
    stream = scene.slack.socket_mode.open[0].stream
    for each in range(20_000):
        envelope = {"type": "events_api", "envelope_id": f"e{each}", "payload": {"event": {"type": "message"}}}
        await stream.send_str(orjson.dumps(envelope).decode())
    await asyncio.sleep(5)


async def d12(scene: Scene) -> None:
    await asyncio.gather(*(scene.share(b"{" * 9_000_000) for _ in range(25)))


async def patterns(scene: Scene) -> None:
    text = "aacacaacca" * 299
    alerts = [{"id": f"a{each}", "status": "critical", "tags": {"msg": f"{each}{text}"}} for each in range(180)]
    for each in range(10):
        await scene.share({"incident": {"id": f"slow{each}", "status": "critical", "alerts": alerts}})


SLOW_ROUTES = "version: 1\nstorm: off\nfallback: C0BENCH001\nroutes:\n" + "".join(
    f"  - {{name: r{each}, match: {{alert_tags: {{msg: {{not: '/.*a.{{500}}b/'}}}}}}, post: [C0BENCH001]}}\n"
    for each in range(20)
)


async def same_ts(scene: Scene) -> None:
    scene.fault(RawResponse(body='{"ok": true, "channel": "C0BENCH001", "ts": "1700000000.000100"}'))
    await scene.shares(50)
    await asyncio.sleep(6)


async def flooded(scene: Scene) -> None:
    with suppress(SystemExit):  # one was refused
        await flood(scene.server.port, list(shares("flood", 20_000)))


KNOT = (
    "{% set ns = namespace(t=(1,)) %}{% for i in range(60) %}{% set ns.t = (ns.t, ns.t) %}{% endfor %}"
    "{{ {}.get(ns.t) }}"
)
SWELLS = '{{ "%(a)1200000000s" | format(a="x") }}' + '{{ "x" | indent(99000, first=true) }}' * 700

ROWS = (
    Row(name="start", what="nothing hostile: the first card after a start", do=posted),
    Row(name="usual", what="nothing hostile: 100 small shares", do=lambda scene: scene.shares(100)),
    Row(name="C1", what="800,000 tags as gzip, then ten small updates of that incident", do=c1),
    Row(name="C2", what="twelve bodies of 9.5 MB at once", do=c2),
    Row(name="C3", what="100,000 alerts, and the incident read by an operator", do=c3),
    Row(name="C4", what="a template that hashes 2^60 entries", do=posted, template=KNOT),
    Row(name="D1", what="1,200 idle connections, 1,024 open files", do=d1, wrong="shares refused"),
    Row(name="D2", what="templates that make long texts", do=posted, template=SWELLS),
    Row(name="D3", what="the database is deleted", do=d3, wrong="202 for shares that are lost"),
    Row(name="D4", what="Slack answers with 500 MB of gzip", do=posted),
    Row(name="D5", what="Slack redirects each post", do=d5, wrong="messages sent elsewhere"),
    Row(name="D6", what="a NUL in each ts", do=d6, wrong="a channel stuck"),
    Row(name="D7", what="100 shares from a clock that is an hour ahead", do=d7, wrong="shares not posted"),
    Row(name="D8", what="a FIFO and loops of links among the templates", do=d8, wrong="no reload any more"),
    Row(name="D9", what="another app copies each post, answers get lost", do=d9, wrong="a copy taken for the card"),
    Row(name="D10", what="the token becomes that of another bot", do=d10, wrong="not noticed"),
    Row(
        name="D11",
        what="20,000 envelopes over Socket Mode",
        do=d11,
        settings={"SLACK_APP_TOKEN": "xapp-sandbox"},
    ),
    Row(name="D12", what="25 bodies of 9 MB that are no JSON", do=d12, wrong="1,000 quarantined bodies lost"),
    Row(name="patterns", what="slow patterns on the worst records", do=patterns, routes=SLOW_ROUTES),
    Row(name="flood", what="20,000 small shares of 4,000 incidents over 64 connections", do=flooded),
    Row(name="same ts", what="Slack gives each post the same ts", do=same_ts, wrong="a traceback for each"),
)


# -- The measurement ---------------------------------------------------------------------------------------------------


class Watch:
    """Samples the memory of all processes that the benchmark has started, in MB, and ends them at the limit."""

    def __init__(self) -> None:
        self.megabytes, self._done = 0.0, threading.Event()

    @property
    def over(self) -> bool:
        """Whether they had more than they may have."""
        return self.megabytes > MOST_MEGABYTES

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Sample until the block ends."""
        thread = threading.Thread(target=self._sample)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.05):
            self.megabytes = max(self.megabytes, sum(map(_megabytes, _started(os.getpid()))))
            if self.over:
                end_all()


def end_all() -> None:
    """Kill all processes that the benchmark has started."""
    for pid in list(_started(os.getpid())):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _started(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text().split():
                yield int(child)
                yield from _started(int(child))


def _megabytes(pid: int) -> float:
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024**2
    return 0.0


@dataclass(kw_only=True)
class Measured:
    """What a row has cost: (clock, processor time) of the longest block in ms, None if relay stopped to react.

    `idle` is that of the same relay at rest. `others` are the answers to another sender, and the seconds they took.
    """

    idle: tuple[float, float] | None = None
    blocks: tuple[float, float] | None = None
    watch: Watch = field(default_factory=Watch)
    statuses: list[int] = field(default_factory=list)
    others: list[tuple[int, float]] = field(default_factory=list)
    ended: str = ""

    @property
    def cells(self) -> tuple[str, ...]:
        """Its cells in the table, in the order of `MEASURES`."""
        accepted = sum(status == HTTPStatus.ACCEPTED for status, _ in self.others)
        slowest = max((seconds for _, seconds in self.others), default=0.0)
        if self.watch.over:
            block, memory = "killed", f"over {MOST_MEGABYTES:,} MB"
        else:
            block, memory = self._block, f"{self.watch.megabytes:,.0f} MB"
        answers = ", ".join(f"{number} x {status or 'none'}" for status, number in Counter(self.statuses).items())
        return block, memory, f"{accepted} of {len(self.others)}, {slowest:.1f} s", answers

    @property
    def _block(self) -> str:
        if self.blocks is None:
            return self.ended or "**does not react**"
        clock, processor = self.blocks
        at_rest = f"{self.idle[0]:,.0f} ms" if self.idle else "?"
        return f"{processor:,.0f} ms (clock {clock:,.0f} ms, at rest {at_rest})"


MEASURES = (
    "longest block, processor time",
    "most memory",
    "others: accepted, slowest",
    "answers to the hostile sender",
)
HEADS = ("row", "what", "what was wrong", *(f"{name}: {when}" for name in MEASURES for when in ("before", "after")))


async def measure(row: Row, tree: Path) -> Measured:
    """Run one row with the relay whose source is in that folder."""
    result = Measured()
    place = tempfile.TemporaryDirectory(prefix="relay-hostile-", dir=os.environ.get("BENCH_FOLDER"))
    with place as name, result.watch.watching():
        try:
            async with asyncio.timeout(LONGEST + 30):
                await _run(row, tree, Path(name), result)
        except (TimeoutError, OSError, aiohttp.ClientError):
            pass  # it does not react any more
        except SystemExit:
            result.ended = "**does not start**"
        finally:
            end_all()
    return result


async def _run(row: Row, tree: Path, folder: Path, result: Measured) -> None:
    slack = FakeSlack()
    slack.add_channel(CHANNEL, "bench", member=True)
    if row.template:
        place = folder / "templates" / "incident"
        place.mkdir(parents=True)
        (place / "card.j2").write_text(row.template)
    probe = folder / "probe.json"
    command: tuple[str, ...] = (sys.executable, str(HERE / "loop_probe.py"), str(probe), "serve")
    if row.name == "D1":
        command = ("prlimit", "--nofile=1024:", *command)
    more = {
        "RELAY_WEBHOOK_KEYS": f"{KEY},{OTHER_KEY}",
        "RELAY_ADMIN_KEY": ADMIN_KEY,
        "PYTHONPATH": str(tree),
        **row.settings,
    }
    async with serve_slack(slack) as url, endless(megabytes=500 if row.name == "D4" else 1) as bombs:
        address = bombs if row.name == "D4" else url
        async with (
            relay(folder, row.routes, slack=address, command=command, more=more) as server,
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LONGEST)) as session,
        ):
            scene = Scene(server, slack, session, folder, result.statuses)
            if row.name != "start" and not row.template:
                await scene.share(incident("first"), OTHER_KEY)
            await asyncio.sleep(REST)
            await _blocks(server, probe)
            await asyncio.sleep(REST)
            result.idle = await _blocks(server, probe)
            sending = asyncio.create_task(_others(scene, result))
            with suppress(TimeoutError):
                async with asyncio.timeout(LONGEST):
                    await row.do(scene)
            sending.cancel()
            result.blocks = await _blocks(server, probe)
            end_all()


async def _others(scene: Scene, result: Measured) -> None:
    """Send small shares with another key, one after the other."""
    number = 0
    while True:
        began = time.perf_counter()
        status = await scene.share(incident(f"other{number}"), OTHER_KEY)
        result.others.append((status, time.perf_counter() - began))
        number += 1
        await asyncio.sleep(0.2)


async def _blocks(server: Server, probe: Path) -> tuple[float, float] | None:
    """The longest step since the last time: by the clock and in processor time, in ms. None if relay does not react."""
    before = _read(probe)
    with suppress(ProcessLookupError):
        server.process.send_signal(signal.SIGUSR2)
    for _ in range(200):
        await asyncio.sleep(0.05)
        if (written := _read(probe)) and written != before:
            clock, processor = orjson.loads(written)
            return clock * 1000, processor * 1000
    return None


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


# -- The table ---------------------------------------------------------------------------------------------------------


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def line(row: Row, before: Measured | None, after: Measured) -> str:
    """Return a row of the table."""
    pairs = zip(before.cells if before else ("",) * len(MEASURES), after.cells, strict=True)
    return _line((row.name, row.what, row.wrong, *(cell for pair in pairs for cell in pair)))


INTRODUCTION = """# Hostile senders, files and answers

relay {version}, {day}, on {machine}. Load before the run: {load:.1f}. *Before* is {before}.

```sh
git worktree add --detach ../before {before}
python -m benchmarks.hostile --before ../before
```

Each row is ended after {seconds:.0f} seconds, or at {memory:,} MB (killed). A relay that does not react still blocks
its event loop ten seconds after the end of the row. Blocks by the clock say mostly how busy the machine was. The memory
is that of relay and its workers together.

"""


def _version(tree: Path) -> str:
    """Return the commit of a folder."""
    command = ("git", "-C", str(tree), "rev-parse", "--short", "HEAD")
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  a fixed command
    return found.stdout.strip() or tree.name


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="what to measure (everything)")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="an older copy of relay's source")
    options = parser.parse_args()
    lines = [_line(HEADS), _line(("---",) * len(HEADS))]
    load = os.getloadavg()[0]
    print("\n".join(lines), flush=True)
    for row in ROWS:
        if not options.rows or row.name in options.rows:
            before = asyncio.run(measure(row, options.before.resolve())) if options.before else None
            lines.append(line(row, before, asyncio.run(measure(row, HERE.parent))))
            print(lines[-1], flush=True)
    if options.before and not options.rows:
        introduction = INTRODUCTION.format(
            version=measured_relay.__version__,
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=machine(),
            load=load,
            before=_version(options.before),
            seconds=LONGEST,
            memory=MOST_MEGABYTES,
        )
        (HERE / "HOSTILE.md").write_text(introduction + "\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
