"""The proxies of deploy/proxy: real ones, over TLS, hold every share while relay restarts, and expose nothing else."""

import asyncio
import gzip
import json
import re
import signal
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO
from itertools import count
from pathlib import Path

import aiohttp
import pytest
import yaml
from packaging.version import Version

from relay.config.settings import Listen
from relay.server.endpoints import MAX_BYTES, create_app
from relay.server.lifecycle import listen
from tests.support.fake_backend import FakeBackend
from tests.support.proxies import COMMANDS, OLDEST_CADDY, free_port, missing, proxy
from tests.support.relay_process import TIMEOUT, running, until

ROOT = Path(__file__).resolve().parents[2]
ROUTES = "version: 1\nroutes: [{name: all, post: [C0ALL00001]}]\n"
CHANNELS = {"C0ALL00001": "all"}
SENDERS = 10
KEY = {"X-Relay-Key": "key-of-the-webhook"}


@dataclass
class Server:
    """relay's own server, which can be stopped and started again on one port."""

    backend: FakeBackend = field(default_factory=FakeBackend)
    port: int = field(default_factory=free_port)
    _serving: AsyncExitStack | None = None

    async def start(self):
        app = create_app(
            self.backend, keys=[*KEY.values()], header=next(iter(KEY)), admin_key="operators", signing_secret="of-slack"
        )
        self._serving = AsyncExitStack()
        await self._serving.enter_async_context(
            listen(app, Listen(host="127.0.0.1", port=self.port), "RELAY_LISTEN", drain_seconds=3)
        )

    async def stop(self):
        serving, self._serving = self._serving, None
        if serving is not None:
            await serving.aclose()

    def incidents(self):
        return {json.loads(body)["incident"]["id"] for body, _ in self.backend.stored}


@pytest.fixture(params=sorted(COMMANDS))
def name(request):
    if why := missing(request.param):
        pytest.skip(why)
    return request.param


@asynccontextmanager
async def behind(name, folder, *, started=True, quick=False):
    """A server behind a proxy, and a client of the proxy; a `quick` proxy gives up after two seconds."""
    server = Server()
    try:
        if started:
            await server.start()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with (
            proxy(name, folder, server.port, quick=quick) as url,
            aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(ssl=False), timeout=timeout) as client,
        ):
            yield server, client
    finally:
        await server.stop()


def share(number):
    return {"incident": {"id": f"i{number}", "status": "critical"}}


async def test_every_share_is_answered_202_while_relay_restarts(name, tmp_path):
    answers: dict[int, int] = {}
    sent = 0
    running = True

    async def send(client):
        nonlocal sent
        while running:
            sent, number = sent + 1, sent
            async with client.post("/shares", json=share(number), headers=KEY) as answer:
                answers[number] = answer.status

    async with behind(name, tmp_path) as (server, client), asyncio.TaskGroup() as tasks:
        for _ in range(SENDERS):
            tasks.create_task(send(client))
        for _ in range(2):
            enough = len(answers) + 50
            await until(lambda enough=enough: len(answers) >= enough)
            await server.stop()
            await until(lambda: sent - len(answers) == SENDERS)  # each waits for an answer
            await server.start()
        await until(lambda enough=sent: all(number in answers for number in range(enough)))
        running = False
    assert set(answers.values()) == {202}
    assert server.incidents() == {f"i{number}" for number in range(sent)}


async def test_only_shares_and_slack_are_reachable(name, tmp_path):
    async with behind(name, tmp_path) as (_, client):
        for path in ("/metrics", "/readyz", "/healthz", "/incidents", "/board", "/", "/shares/../metrics", "/sharesx"):
            async with client.get(path, headers={"Authorization": "Bearer operators"}) as answer:
                assert answer.status == 404, path
        for path in ("/shares", "/shares/", "/slack/actions", "/slack/events"):
            async with client.post(path, json=share(1)) as answer:
                assert (answer.status, answer.content_type) == (401, "application/problem+json"), path


async def test_a_share_arrives_as_it_was_sent(name, tmp_path):
    async with behind(name, tmp_path) as (server, client):
        large = json.dumps(share("1") | {"padding": "x" * (MAX_BYTES - 100)}).encode()
        for number, (body, encoding) in enumerate(((large, {}), (gzip.compress(large), {"Content-Encoding": "gzip"}))):
            async with client.post("/shares?a=b", data=BytesIO(body), headers=KEY | encoding) as answer:
                assert answer.status == 202, await answer.text()
            assert server.backend.stored[number][0] == large
        async with client.post("/shares", data=BytesIO(b"x" * (MAX_BYTES + 1)), headers=KEY) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (413, "too_large")


async def test_a_relay_that_does_not_come_back_is_an_error_that_asks_for_a_retry(name, tmp_path):
    async with (
        behind(name, tmp_path, started=False, quick=True) as (_, client),
        client.post("/shares", json=share(1), headers=KEY) as answer,
    ):
        assert answer.status in {502, 503, 504}, "BigPanda sends nothing again that was answered 500"


async def test_nginx_delivers_a_share_whose_sender_did_not_wait(tmp_path):
    if why := missing("nginx"):
        pytest.skip(why)
    async with behind("nginx", tmp_path, started=False) as (server, client):
        sending = asyncio.create_task(client.post("/shares", json=share(1), headers=KEY))
        await until(lambda: "connect() failed" in (tmp_path / "error.log").read_text())
        sending.cancel()
        await asyncio.wait([sending])
        await server.start()
        await until(lambda: server.incidents() == {"i1"})


def test_the_proxy_of_compose_is_the_same_one_and_new_enough():
    proxy_service = yaml.safe_load((ROOT / "compose.proxy.yaml").read_text())["services"]["proxy"]
    image, _, version = proxy_service["image"].partition(":")
    assert (image, Version(version).release) == ("caddy", OLDEST_CADDY.release[:2])
    assert [volume["source"] for volume in proxy_service["volumes"] if isinstance(volume, dict)] == ["./deploy/proxy"]
    used = set(re.findall(r"\{\$(\w+)", (ROOT / "deploy" / "proxy" / "Caddyfile").read_text()))
    assert used == set(proxy_service["environment"])
    relay = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["relay"]
    assert relay["ports"] == ["127.0.0.1:8080:8080"], "relay itself is not public"
    assert proxy_service["environment"]["RELAY_UPSTREAM"] == "relay:8080"


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_every_share_is_answered_202_while_the_real_relay_is_restarted_under_load(name, number, folder, slack):
    """The proxy's file as it is, and 50 shares a second: through three restarts, none is answered otherwise."""
    port = free_port()
    answers: list[int] = []
    done = asyncio.Event()

    async def send(client):
        for each in count():
            async with client.post("/shares", json=share(f"{id(client)}-{each}"), headers=KEY) as answer:
                answers.append(answer.status)
            if done.is_set():
                return
            await asyncio.sleep(0.2)

    senders: list[asyncio.Task[None]] = []
    proxies, relays = folder / "proxy", {"RELAY_LISTEN": f"127.0.0.1:{port}"}
    proxies.mkdir()
    async with (
        proxy(name, proxies, port) as url,
        AsyncExitStack() as clients,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(SENDERS):
            connector = aiohttp.TCPConnector(ssl=False)
            client = await clients.enter_async_context(aiohttp.ClientSession(url, connector=connector))
            senders.append(tasks.create_task(send(client)))
        for restart in range(1, 4):
            async with running(folder, slack.url, **relays) as relay:
                await until(lambda restart=restart: len(answers) >= 200 * restart)
                await relay.stop(number)
        async with running(folder, slack.url, **relays):
            await until(lambda: len(answers) >= 800)
            done.set()
            await asyncio.wait(senders)
    assert Counter(answers) == {202: len(answers)}
