"""SSL_CERT_FILE, HTTPS_PROXY and NO_PROXY, in a process of its own, against TLS servers and a proxy.

OpenSSL reads SSL_CERT_FILE when a process starts, so each case is a new process. They run side by side.
"""

import asyncio
import json
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

CALLS = """
import asyncio, json, sys
from relay.bigpanda.client import BigPandaClient
from relay.http.session import make_session
from relay.slack.client import SlackClient

async def main():
    async with make_session() as session:
        outcomes = []
        for url in sys.argv[1:]:
            slack = await SlackClient(session, "xoxb-1-2-secret", base_url=url + "/api/").auth_test()
            bigpanda = await BigPandaClient(session, "key", base_url=url).tag_definitions()
            outcomes.append([slack.reason, bigpanda.reason, getattr(slack, "remedy", "")])
        print(json.dumps(outcomes))

asyncio.run(main())
"""
ANSWER = b'HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: 11\\r\\n\\r\\n{"ok":true}'.replace(
    b"\\r\\n", b"\r\n"
)


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority (`ca.pem`) and what it signed, by the names below; `self` signed itself."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    signs = ("-addext", "keyUsage=critical,keyCertSign", "-days", "30")  # Python 3.13 and newer insist on it
    openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA", *signs)
    for name, host, days in (("good", "IP:127.0.0.1,DNS:slack.example", "30"), ("other", "DNS:other.example", "30")):
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(f"subjectAltName={host}\nauthorityKeyIdentifier=keyid\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days, "-extfile", f"{name}.ext")
        openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    itself = ("-addext", "subjectAltName=IP:127.0.0.1", "-days", "30")
    openssl(folder, "req", "-x509", *key, "-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=self", *itself)
    return folder


@asynccontextmanager
async def tls_server(certificates: Path, name: str) -> AsyncIterator[int]:
    """Serve `{"ok": true}` over TLS with that certificate; yield the port."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(ANSWER)
            await writer.drain()

    async with await asyncio.start_server(_quietly(serve), "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@dataclass
class Proxy:
    """A proxy that tunnels every CONNECT to one port, whatever host was asked for."""

    to: int
    port: int = 0
    asked: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split()[1].decode())
        upstream, to_upstream = await asyncio.open_connection("127.0.0.1", self.to)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pipe(reader, to_upstream), _pipe(upstream, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def _quietly(serve):
    """A handler that ends in peace where the other side goes away."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    return handle


@asynccontextmanager
async def tunnelling(to: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(to)
    async with await asyncio.start_server(_quietly(proxy.serve), "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy


async def call(*urls: str, **environment: str) -> list[list[str]]:
    """Call Slack and BigPanda at these addresses in a process of its own: both reasons, and Slack's remedy."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CALLS, *urls, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    outcomes: list[list[str]] = json.loads(output)
    return outcomes


async def test_a_configured_authority_is_trusted_and_other_certificate_problems_are_named(certificates):
    async with AsyncExitStack() as stack:
        good, other, itself = [
            f"https://127.0.0.1:{await stack.enter_async_context(tls_server(certificates, name))}"
            for name in ("good", "other", "self")
        ]
        trusting, plain = await asyncio.gather(
            call(good, other, itself, SSL_CERT_FILE=str(certificates / "ca.pem")), call(good)
        )
    assert [reasons[:2] for reasons in trusting] == [
        ["ok", "ok"],
        ["certificate_of_another_host"] * 2,
        ["certificate_self_signed"] * 2,
    ]
    assert plain[0][:2] == ["certificate_of_unknown_authority"] * 2
    assert "SSL_CERT_FILE" in plain[0][2]


async def test_calls_go_through_the_proxy_except_to_hosts_that_are_exempt(certificates):
    async with tls_server(certificates, "good") as port, tunnelling(port) as proxy:
        settings = {
            "HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}",
            "NO_PROXY": "exempt.invalid",
            "SSL_CERT_FILE": str(certificates / "ca.pem"),
        }
        through, exempt = await call("https://slack.example", "https://exempt.invalid", **settings)
    assert through[:2] == ["ok", "ok"]
    assert exempt[:2] == ["name_not_resolved"] * 2  # so relay called it directly
    assert set(proxy.asked) == {"slack.example:443"}
