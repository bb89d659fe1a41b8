"""A sender that is slow, sends too much or sends nothing does not block the others."""

import asyncio
import gzip
import io
import itertools
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp.web_protocol import RequestHandler

from relay.config.settings import Listen
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.server import body as body_module
from relay.server import slack_endpoints
from relay.server.byte_budget import MAX_WAITING, ByteBudget, Reservation
from relay.server.connection import MAX_HEAD, PIECE
from relay.server.connections import ConnectionLimits
from relay.server.endpoints import create_app
from relay.server.file_limit import OTHER_FILES, connection_limits, raise_file_limit
from relay.server.lifecycle import listen
from relay.server.problem import Problem
from tests.support.fake_backend import FakeBackend, share
from tests.support.load_probe import load_probe
from tests.support.relay_process import KEY, Process, running

OTHER_KEY = "an-older-key"
PATIENCE = 100.0
"""Seconds within which anything happens in these tests, on a busy machine."""


def head(length: int | str, *more: str, path: str = "/shares", key: str = KEY) -> bytes:
    body = f"Content-Length: {length}" if isinstance(length, int) else length
    return "\r\n".join((f"POST {path} HTTP/1.1", "Host: relay", f"X-Relay-Key: {key}", body, *more, "", "")).encode()


def request(body: bytes, *more: str, key: str = KEY) -> bytes:
    return head(len(body), *more, key=key) + body


@dataclass
class Peer:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def status(self) -> int:
        """Return the status of the next response, and read the rest of it; 0 if the server has ended the connection."""
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await self.reader.readuntil(b"\r\n\r\n")
                length = next(int(line.split(b":")[1]) for line in answer.split(b"\r\n") if b"Content-Length" in line)
                await self.reader.readexactly(length)
                return int(answer.split(b" ")[1])
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0

    async def send(self, raw: bytes) -> int:
        self.writer.write(raw)
        return await self.status()


@dataclass
class Server:
    """The server alone, its backend, and what it counted as problems."""

    backend: FakeBackend
    address: tuple[str, int]
    problems: Counter[str]
    peers: list[Peer] = field(default_factory=list)

    async def connect(self) -> Peer:
        self.peers.append(Peer(*await asyncio.open_connection(*self.address)))
        return self.peers[-1]

    def close(self) -> None:
        for peer in self.peers:
            peer.writer.close()
            peer.writer.transport.abort()

    async def share(self, body: bytes | None = None, key: str = OTHER_KEY) -> int:
        return await (await self.connect()).send(request(body or share(), key=key))


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[Server]:
    backend, problems = FakeBackend(), Counter[str]()
    app = create_app(
        backend,
        keys=[KEY, OTHER_KEY],
        header="X-Relay-Key",
        on_problem=lambda _status, reason: problems.update([reason]),
        **options,
    )
    async with listen(app, Listen(host="127.0.0.1", port=0), "RELAY_LISTEN", drain_seconds=0) as address:
        with closing(Server(backend, address, problems)) as server:
            yield server


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  no event says that the server has noticed
            await asyncio.sleep(0.01)


# --- connections ---

WAYS_TO_WAIT = {
    "says nothing": b"",
    "an endless head": b"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Slow: ",
    "a body that stops": head(99) + b"{",
    "a chunk that stops": head("Transfer-Encoding: chunked") + b"5\r\n{",
    "a body for Slack": head(99, f"X-Slack-Request-Timestamp: {time.time():.0f}", path="/slack/events") + b"{",
    "kept alive": b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n",
    "kept alive with a key": request(share()),
    "HTTP/1.0 kept alive": b"GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "waits for 100 Continue": head(99, "Expect: 100-continue"),
}


@pytest.mark.parametrize("sent", WAYS_TO_WAIT.values(), ids=WAYS_TO_WAIT)
async def test_waiting_connections_do_not_block_a_share(sent):
    async with serving(limits=ConnectionLimits(most=8), signing_secret="the-signing-secret") as server:
        for _ in range(40):
            peer = await server.connect()
            peer.writer.write(sent)
        for _ in range(5):
            assert await server.share() == 202
    assert server.problems["too_many_connections"] >= 40 + 5 - 8


async def test_the_connection_that_has_waited_longest_is_closed_first():
    async with serving(limits=ConnectionLimits(most=3)) as server:
        peers = []
        for _ in range(4):
            peers.append(await server.connect())
            await peers[-1].send(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
        assert await peers[0].status() == 0
        for peer in peers[1:]:
            assert await peer.send(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n") == 200


async def test_connections_without_a_key_do_not_close_those_with_one():
    async with serving(limits=ConnectionLimits(most=8)) as server:
        proxy = [await server.connect() for _ in range(4)]
        for peer in proxy:
            assert await peer.send(request(share())) == 202
        for _ in range(30):
            await server.connect()
        for peer in proxy:
            assert await peer.send(request(share())) == 202


async def test_slow_senders_with_a_key_do_not_close_all_those_without_one():
    async with serving(limits=ConnectionLimits(most=8)) as server:
        for _ in range(30):
            peer = await server.connect()
            peer.writer.write(head(99))
        fresh = [await server.connect() for _ in range(3)]
        for peer in fresh:
            assert await peer.send(request(share(), key=OTHER_KEY)) == 202


async def test_a_share_that_is_being_stored_is_answered_despite_many_connections():
    async with serving(limits=ConnectionLimits(most=3)) as server:
        server.backend.open.clear()
        peer = await server.connect()
        peer.writer.write(request(share()))
        await server.backend.entered.wait()
        for _ in range(20):
            await server.connect()
        await until(lambda: server.problems["too_many_connections"] >= 18)
        server.backend.open.set()
        assert await peer.status() == 202


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
async def test_a_request_without_a_body_is_answered_despite_many_connections(path, monkeypatch):
    async with serving(limits=ConnectionLimits(most=3)) as server:
        entered, answer = asyncio.Event(), asyncio.Event()
        for name in ("readiness", "metrics"):
            usual = getattr(server.backend, name)

            async def wait(usual=usual):
                entered.set()
                await answer.wait()
                return await usual()

            monkeypatch.setattr(server.backend, name, wait)
        peer = await server.connect()
        peer.writer.write(f"GET {path} HTTP/1.1\r\nHost: relay\r\n\r\n".encode())
        await entered.wait()
        for _ in range(20):
            await server.connect()
        await until(lambda: server.problems["too_many_connections"] >= 18)
        answer.set()
        assert await peer.status() == 200


async def test_clients_that_do_not_read_their_response_are_closed_first():
    async with serving(limits=ConnectionLimits(most=8)) as server:
        server.backend.exposition = b"x" * 8_000_000
        for _ in range(8):
            client = await server.connect()
            client.writer.transport.pause_reading()
            client.writer.write(b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n")
        for _ in range(8):
            assert await server.share() == 202
    assert server.problems["too_many_connections"] >= 8


@pytest.mark.parametrize("sent", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nX-A: b\r\n"])
async def test_a_connection_is_closed_if_its_request_header_does_not_arrive(sent):
    async with serving(limits=ConnectionLimits(head=0.1)) as server:
        assert await (await server.connect()).send(sent) == 0
        assert server.problems == {"too_slow": 1}


async def test_a_slow_request_header_ends_the_connection_even_if_it_never_pauses():
    async with serving(limits=ConnectionLimits(head=0.3)) as server:
        peer = await server.connect()

        async def drip() -> None:
            peer.writer.write(b"GET /healthz HTTP/1.1\r\n")
            for number in range(int(PATIENCE * 100)):
                peer.writer.write(b"X-%d: y\r\n" % number)
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await peer.status() == 0
        dripping.cancel()
    assert server.problems == {"too_slow": 1}


async def test_closing_an_idle_connection_is_not_counted_as_a_problem():
    async with serving(limits=ConnectionLimits(idle=0.1)) as server:
        peer = await server.connect()
        assert await peer.send(request(share())) == 202
        assert await peer.status() == 0
    assert not server.problems


async def test_a_response_that_nobody_reads_ends_the_connection():
    async with serving(limits=ConnectionLimits(request=0.3)) as server:
        server.backend.exposition = b"x" * 8_000_000
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(server.address)
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: relay\r\n\r\n")
            await until(lambda: server.problems["too_slow"])
        async with asyncio.timeout(PATIENCE):
            while await server.share() != 202:  # that request has little time, too, and the machine may be busy
                server.problems.clear()


async def test_the_size_of_a_request_header_is_limited_even_after_another_request():
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"v" * 4000) for number in range(2 * MAX_HEAD // 4000))
    async with serving() as server:
        server.backend.open.clear()
        for before in (b"", request(share())):
            peer = await server.connect()
            peer.writer.write(before + b"GET /healthz HTTP/1.1\r\n" + lines)
            assert await peer.status() == 0
    assert server.problems == {"head_too_large": 2}


async def test_a_long_header_within_the_limit_and_a_long_body_are_accepted():
    lines = [f"X-{number}: {'v' * 4000}" for number in range(MAX_HEAD // 4000 - 1)]
    async with serving() as server:
        peer = await server.connect()
        for body in (share(), share(title="x" * 3 * MAX_HEAD)):
            assert await peer.send(request(body, *lines)) == 202
            assert await peer.send(request(body)) == 202


async def test_pipelined_requests_are_answered_in_their_order():
    async with serving() as server:
        peer = await server.connect()
        bodies = [share(f"i{number}", title="x" * (number % 7) * 9000) for number in range(150)]
        peer.writer.write(b"".join(request(body) for body in bodies))
        assert [await peer.status() for _ in bodies] == [202] * len(bodies)
        assert [stored for stored, _ in server.backend.stored] == bodies


@pytest.mark.parametrize("size", [1, 7, 4096])
async def test_a_body_arrives_as_it_was_sent_in_chunks_of_any_size(size):
    body = share(title="".join(map(str, range(40_000))))
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece)
        for piece in (body[start : start + size] for start in range(0, len(body), size))
    )
    async with serving() as server:
        peer = await server.connect()
        assert await peer.send(head("Transfer-Encoding: chunked") + chunks + b"0\r\n\r\n" + request(share())) == 202
        assert await peer.status() == 202
        assert [stored for stored, _ in server.backend.stored] == [body, share()]


async def test_connections_take_turns_in_parsing(monkeypatch):
    sizes, real = [], RequestHandler.data_received

    def watched(connection: RequestHandler, data: bytes) -> None:
        sizes.append(len(data))
        real(connection, data)

    monkeypatch.setattr(RequestHandler, "data_received", watched)
    async with serving() as server:
        chunks = head("Transfer-Encoding: chunked", key="no key") + b"1\r\n \r\n" * 100_000
        assert await (await server.connect()).send(chunks) == 401
        assert await server.share(share().ljust(1_000_000)) == 202
    assert max(sizes) <= PIECE


@pytest.mark.parametrize("rest", [request(share("i2")), b""])
async def test_a_client_that_half_closes_the_connection_gets_its_answer(rest):
    async with serving() as server:
        peer = await server.connect()
        peer.writer.write(head(200_000)[:-4] + b"\r\nConnection: close\r\n\r\n" + share().ljust(200_000) + rest)
        peer.writer.write_eof()
        assert await peer.status() == 202


@pytest.mark.parametrize(
    ("sent", "status"), [(request(share()), 202), (b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n", 200)]
)
async def test_a_small_request_is_answered_without_further_data(sent, status):
    async with serving() as server:
        peer = await server.connect()
        peer.writer.write(sent)
        peer.writer.write_eof()
        assert await peer.status() == status
        await peer.reader.read()  # until relay closes


async def test_a_client_that_leaves_in_the_middle_of_a_body_gets_no_answer():
    async with serving() as server:
        peer = await server.connect()
        peer.writer.write(head(100) + b"{")
        peer.writer.write_eof()
        assert await peer.reader.read() == b""


# --- large bodies ---


def large(number: int, size: int = 6_000_000) -> bytes:
    return share(f"large{number}").ljust(size)


async def test_large_bodies_of_one_key_wait_for_each_other_and_small_ones_do_not_wait():
    async with serving() as server:
        server.backend.open.clear()
        peers = [await server.connect() for _ in range(12)]
        for number, peer in enumerate(peers):
            peer.writer.write(request(large(number)))
        await until(lambda: server.backend.inside == 2)
        small = [asyncio.create_task(server.share(key=key)) for key in (KEY, OTHER_KEY)]
        await until(lambda: server.backend.inside == 4)  # two large bodies fit into the budget
        other = asyncio.create_task(server.share(large(99), key=OTHER_KEY))
        await until(lambda: server.backend.inside == 5)
        server.backend.open.set()
        assert [await each for each in (*small, other)] == [202] * 3
        assert [await peer.status() for peer in peers] == [202] * 12


@pytest.mark.parametrize("form", ["chunked", "gzip", "gzip bomb"])
async def test_a_large_body_of_unknown_size_counts_as_the_largest(form):
    plain = os.urandom(9_000_000) if form == "gzip" else share().ljust(9_000_000)
    raw = gzip.compress(plain, 1)
    sent = head(len(raw), "Content-Encoding: gzip") + raw
    if form == "chunked":
        sent = head("Transfer-Encoding: chunked") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(plain), plain)
    async with serving() as server:
        server.backend.open.clear()
        peers = [await server.connect() for _ in range(4)]
        for peer in peers:
            peer.writer.write(sent)
        await until(lambda: server.backend.inside == 1)
        await asyncio.sleep(0.2)
        server.backend.open.set()
        assert [await peer.status() for peer in peers] == [400 if form == "gzip" else 202] * 4
        assert server.backend.most_inside == 1


async def test_a_large_body_counts_until_it_is_stored_even_if_its_sender_has_disconnected():
    async with serving() as server:
        server.backend.open.clear()
        for number in range(6):
            peer = await server.connect()
            peer.writer.write(request(large(number)))
            if number < 2:
                await until(lambda: server.backend.inside == number + 1)  # noqa: B023
            peer.writer.close()
        await asyncio.sleep(0.2)
        assert server.backend.inside == 2
        server.backend.open.set()
    assert server.backend.most_inside == 2


async def test_a_sender_that_floods_gets_a_503_with_retry_after():
    budget = ByteBudget(100, wait_seconds=0.05)
    await budget.reserve(100)
    with pytest.raises(Problem) as late:
        await budget.reserve(1)
    assert (late.value.status, late.value.reason) == (503, "busy")
    patient = ByteBudget(100)
    await patient.reserve(100)
    waiting = [asyncio.create_task(patient.reserve(1)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Problem):
        await patient.reserve(1)
    patient.release(100)
    await asyncio.gather(*waiting)


async def test_a_budget_is_used_in_the_order_of_arrival_and_returned_completely():
    budget, order = ByteBudget(100), []

    async def use(name: str, size: int) -> None:
        reservation = Reservation(budget)
        await reservation.take(size)
        order.append(name)
        await asyncio.sleep(0)
        reservation.shrink(size // 2)
        await asyncio.sleep(0)
        reservation.shrink(0)

    async with asyncio.TaskGroup() as tasks:
        for name, size in (("a", 60), ("large", 90), ("b", 10), ("c", 100), ("d", 1)):
            tasks.create_task(use(name, size))
    assert order == ["a", "large", "b", "c", "d"]
    async with asyncio.timeout(PATIENCE):
        await budget.reserve(100)


async def test_a_cancelled_wait_takes_nothing_from_the_budget():
    budget = ByteBudget(100)
    await budget.reserve(100)
    waiting = [asyncio.create_task(budget.reserve(50)) for _ in range(3)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    budget.release(100)
    async with asyncio.timeout(PATIENCE):
        await budget.reserve(100)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_a_body_that_becomes_large_is_decompressed_in_a_thread(coding, monkeypatch):
    large_in_loop: list[bool] = []
    loop_thread, real = threading.get_ident(), body_module.decompress

    def watched(data: bytes, limit: int) -> bytes | None:
        large_in_loop.append(threading.get_ident() == loop_thread and limit > body_module.SMALL_BODY)
        return real(data, limit)

    monkeypatch.setattr(body_module, "decompress", watched)
    compress = gzip.compress if coding == "gzip" else zlib.compress
    async with serving() as server:
        for body in (share(), share().ljust(9_000_000)):
            peer = await server.connect()
            assert await peer.send(request(compress(body), f"Content-Encoding: {coding}")) == 202
        assert [stored for stored, _ in server.backend.stored] == [share(), share().ljust(9_000_000)]
    assert large_in_loop
    assert not any(large_in_loop)


async def test_a_body_without_a_signature_keeps_a_connection_only_for_seconds(monkeypatch):
    monkeypatch.setattr(slack_endpoints, "BODY_TIMEOUT", 0.1)
    async with serving(signing_secret="the-signing-secret") as server:
        peer = await server.connect()
        stamp = f"X-Slack-Request-Timestamp: {int(time.time())}"
        assert await peer.send(head(500_000, stamp, path="/slack/events") + b"{") == 503
    assert server.problems == {"too_slow": 1}


# --- what is kept ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Team", KEY),
        ("X-Team", f"Token {OTHER_KEY}"),
        ("X-Team", f"a, {KEY}, b"),
        ("X-Team", "a%20key%20with%20blanks"),
        ("X-Relay-Integration", "the-admin-key"),
        (f"X-{KEY}", "1"),
        ("Content-Type", f"text/plain; key={KEY}"),
        ("X-Team", "xoxb-another-secret"),
    ],
)
async def test_a_header_that_contains_a_key_is_not_stored(name, value):
    async with serving(
        admin_key="the-admin-key", secrets=["xoxb-another-secret", "a key with blanks", "short"]
    ) as server:
        peer = await server.connect()
        assert await peer.send(request(share(), f"{name}: {value}", "X-Other: short and kept")) == 202
        ((_, headers),) = server.backend.stored
    assert name not in headers
    assert headers["X-Other"] == "short and kept"


# --- open files ---


@pytest.mark.parametrize("soft", [64, 256, 512, 1024, 2048, 4096, 1_048_576, resource.RLIM_INFINITY])
def test_connections_leave_enough_open_files_for_everything_else(monkeypatch, soft):
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (soft, soft))
    limits = connection_limits()
    assert limits.most > 0 < limits.backlog
    if soft == resource.RLIM_INFINITY or soft >= 4096:
        assert limits == ConnectionLimits()
    else:
        assert limits.most + 2 * limits.backlog <= max(soft - OTHER_FILES, soft // 2)


def test_the_soft_limit_is_raised_as_far_as_needed():
    """In a process of its own, which can lower the hard limit but not raise it again."""
    limits = {(5000, 20_000): 5000, (256, 20_000): 4096, (256, 1024): 1024}
    code = (
        "import resource; from relay.server.file_limit import raise_file_limit\n"
        f"for each in {list(limits)}:\n"
        "    resource.setrlimit(resource.RLIMIT_NOFILE, each)\n"
        "    raise_file_limit(); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [int(line) for line in result.stdout.split()] == [*limits.values()]


# --- the whole process ---

ROUTES = "version: 1\nchannels: {noc: C0123456789}\nroutes:\n  - {name: everything, post: [noc]}\n"
FEW_FILES = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (1024, 1024))


def bloated(tags: int) -> bytes:
    every = [{"id": f"tag{number}", "value": str(number)} for number in range(tags)]
    return json.dumps({"incident": {"id": "bloated", "status": "Critical"}, "incidentTags": every}).encode()


@contextmanager
def idle_connections(url: str, number: int) -> Iterator[None]:
    host, port = url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(number):
            stack.enter_context(socket.create_connection((host, int(port))))
        yield


def peak_memory(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))


def children(process: int) -> list[int]:
    return [
        int(number)
        for thread in Path(f"/proc/{process}/task").iterdir()
        for number in (thread / "children").read_text().split()
    ]


async def post_large(relay: Process, body: bytes) -> int:
    """Post a large body; return the status, 0 if relay had to close the connection."""
    headers = {"X-Relay-Key": KEY}
    with suppress(aiohttp.ClientError):
        async with relay.session.post(f"{relay.url}/shares", data=io.BytesIO(body), headers=headers) as answer:
            return answer.status
    return 0


async def change_bloated(relay: Process) -> None:
    """Share an incident with as many tags as fit into one share, then a small change of it every second."""
    await post_large(relay, bloated(240_000))
    for state in itertools.cycle(("Warning", "Critical")):
        await post_large(relay, share("bloated", status=state))
        await asyncio.sleep(1)


async def test_one_sender_gets_quick_answers_while_others_send_hostile_requests(tmp_path):
    """Beside a bloated incident that changes all the time, twelve large bodies and 1,200 idle connections."""
    raise_file_limit()
    (tmp_path / "routes.yaml").write_text(ROUTES)
    workspace = FakeSlack()
    workspace.add_channel("C0123456789", "noc")
    taken = []
    async with (
        serve_slack(workspace) as slack,
        running(tmp_path, slack, prepare=FEW_FILES) as relay,
        load_probe(relay) as probe,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as other,
    ):
        with idle_connections(relay.url, 1200):
            changing = asyncio.create_task(change_bloated(relay))
            flood = [asyncio.create_task(post_large(relay, b"[" + b"0," * 4_700_000)) for _ in range(12)]
            for number in range(20):
                began = time.monotonic()
                body = {"incident": {"id": f"i{number}", "status": "Critical"}}
                async with other.post(f"{relay.url}/shares", json=body, headers={"X-Relay-Key": OTHER_KEY}) as answer:
                    assert answer.status == 202
                taken.append(time.monotonic() - began)
                await asyncio.sleep(0.05)
            memory = sum(peak_memory(process) for process in (probe.pid, *children(probe.pid)))
            assert {each.result() for each in flood if each.done()} <= {400, 503}
            for each in (changing, *flood):
                each.cancel()
        load = f"slowest {max(taken):.2f} s, {probe}, {memory >> 20} MB with the processes that it started"
        assert memory < 512 << 20, load
        assert sorted(taken)[-2] < 5, load
        assert not [line for line in relay.logged if "configuration_invalid" in line.values()]
