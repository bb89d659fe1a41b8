"""The HTTP endpoints, over real connections."""

import asyncio
import gzip
import hmac
import io
import json
import socket
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.cards.holds import Reason
from relay.config.settings import Listen
from relay.model.errors import SettingsError, StoreUnusable
from relay.server import endpoints
from relay.server.api_keys import ApiKeys
from relay.server.backend import Readiness
from relay.server.body import DecompressedTooLarge, decompress
from relay.server.endpoints import create_app
from relay.server.lifecycle import IN_FLIGHT, InFlightRequests, listen
from relay.slack.methods import Method
from tests.support.fake_backend import FakeBackend, share

KEY = "the-key-of-today"
WITH_KEY = {"X-Relay-Key": KEY}
LIMIT = 20_000


POST_SHARES = f"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Relay-Key: {KEY}\r\n"


def head(length: int | None = None) -> bytes:
    """The head of a request whose body has `length` bytes, by default those of `share()`."""
    return f"{POST_SHARES}Content-Length: {len(share()) if length is None else length}\r\n\r\n".encode()


def application(backend: FakeBackend, **options: Any) -> web.Application:
    chosen = {"keys": ["the-key-of-yesterday", KEY], "header": "X-Relay-Key", "max_bytes": LIMIT, **options}
    return create_app(backend, **chosen)


@asynccontextmanager
async def client_for(backend: FakeBackend, **options: Any) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(application(backend, **options))) as client:
        yield client


@pytest.fixture
async def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
async def client(backend: FakeBackend) -> AsyncIterator[TestClient]:
    async with client_for(backend) as client:
        yield client


async def problem(response: Any, status: int, reason: str) -> dict[str, Any]:
    """Assert that a response is a problem of RFC 9457 with this status and reason; return its JSON."""
    assert (response.status, response.content_type) == (status, "application/problem+json"), await response.text()
    document = await response.json()
    assert set(document) == {"type", "title", "status", "detail", "reason"}
    assert (document["type"], document["status"], document["reason"]) == ("about:blank", status, reason)
    assert document["detail"].endswith(".")
    assert KEY not in str(document)
    if status == 503:
        assert int(response.headers["Retry-After"]) > 0
    return document


# --- accepted shares ---


async def test_a_share_is_answered_202_with_its_number_incident_and_routes(client, backend):
    response = await client.post("/shares", data=share("i1"), headers=WITH_KEY)
    assert (response.status, response.content_type) == (202, "application/json")
    assert await response.json() == {"share": 1, "incident": "i1", "planned": True, "routes": ["payments", "noc"]}
    assert backend.stored[0][0] == share("i1")


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense", None]
)
async def test_a_json_body_is_accepted_with_any_content_type(client, kind):
    headers = WITH_KEY | ({"Content-Type": kind} if kind else {})
    skipped = [] if kind else ["Content-Type"]
    response = await client.post("/shares", data=share(), headers=headers, skip_auto_headers=skipped)
    assert response.status == 202


async def test_a_chunked_share_is_accepted(client, backend):
    async def pieces() -> AsyncIterator[bytes]:
        for byte in share():
            yield bytes([byte])

    response = await client.post("/shares", data=pieces(), headers=WITH_KEY)
    assert response.status == 202
    assert backend.stored[0][0] == share()


@pytest.mark.parametrize(
    ("coding", "compress"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
        ("identity, gzip", gzip.compress),
        ("gzip, deflate", lambda body: zlib.compress(gzip.compress(body))),
        ("gzip", lambda body: gzip.compress(body[:9]) + gzip.compress(body[9:]) + gzip.compress(b"")),
        ("gzip", lambda body: gzip.compress(body) + bytes(512)),
    ],
)
async def test_a_compressed_share_is_decompressed(client, backend, coding, compress):
    response = await client.post("/shares", data=compress(share()), headers=WITH_KEY | {"Content-Encoding": coding})
    assert response.status == 202
    assert backend.stored[0][0] == share()


@pytest.mark.parametrize("path", ["/shares", "/shares/", "//shares", "//shares//", "/shares?source=bigpanda"])
async def test_slashes_around_the_path_do_not_matter(backend, path):
    async with running(backend) as server, connect(*server.address) as (reader, writer):
        writer.write(head().replace(b"/shares", path.encode()) + share())
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    assert backend.stored


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/share", 404), ("POST", "/", 404), ("PUT", "/shares", 405)]
)
async def test_a_share_at_a_wrong_address_is_counted_with_its_own_reason(backend, method, path, status):
    problems = []
    async with client_for(backend, on_problem=lambda *seen: problems.append(seen)) as client:
        document = await problem(
            await client.request(method, path, data=share(), headers=WITH_KEY), status, "wrong_address"
        )
        assert document["detail"].endswith("Shares go to POST /shares.")
        await client.request(method, path, data=share(), headers={"X-Relay-Key": "a wrong key"})
    assert problems[0] == (status, "wrong_address")
    assert problems[1][1] != "wrong_address"


def test_many_gzip_members_cost_no_more_than_a_few():
    body = gzip.compress(b"x" * 100)
    assert decompress(body * 50, 10_000) == b"x" * 5_000
    assert decompress(body * 5_000, 1_000_000) is None
    with pytest.raises(DecompressedTooLarge):
        decompress(body * 50, 4_999)
    assert decompress(body + b"no gzip", 10_000) is None


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "nonsense"])
async def test_a_share_with_a_wrong_content_encoding_is_accepted_as_it_is(client, backend, coding):
    response = await client.post("/shares", data=share(), headers=WITH_KEY | {"Content-Encoding": coding})
    assert response.status == 202
    assert backend.stored[0][0] == share()


async def test_the_backend_gets_the_headers_without_those_that_carry_a_key(client, backend):
    headers = WITH_KEY | {"Authorization": "Bearer x", "Cookie": "a=b", "X-Relay-Integration": "emea", "X-Team": "noc"}
    await client.post("/shares", data=share(), headers=headers)
    headers_seen = backend.stored[0][1]
    assert headers_seen["X-Relay-Integration"] == "emea"
    assert headers_seen["X-Team"] == "noc"
    assert not {name.lower() for name in headers_seen} & {"x-relay-key", "authorization", "cookie"}


async def test_a_repeated_header_is_joined_and_non_utf8_bytes_become_readable(client, backend):
    raw = (
        b"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Relay-Key: " + KEY.encode() + b"\r\nX-Team: caf\xe9\r\n"
        b"x-team: \xc3\xa9t\xc3\xa9\r\nContent-Length: " + str(len(share())).encode() + b"\r\n\r\n" + share()
    )
    assert (await send_raw(client, raw)).startswith(b"HTTP/1.1 202")
    (headers_seen,) = [value for name, value in backend.stored[0][1].items() if name.lower() == "x-team"]
    assert headers_seen == "café, été"


# --- keys ---


@pytest.mark.parametrize("key", [KEY, "the-key-of-yesterday"])
async def test_every_key_is_valid_in_the_header_and_as_a_bearer_token(client, key):
    for headers in ({"x-relay-key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key}"}):
        response = await client.post("/shares", data=share(), headers=headers)
        assert response.status == 202


async def test_the_header_is_configurable(backend):
    async with client_for(backend, header="X-Secret") as client:
        assert (await client.post("/shares", data=share(), headers={"X-Secret": KEY})).status == 202
        assert (await client.post("/shares", data=share(), headers=WITH_KEY)).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Relay-Key": "wrong"},
        {"X-Relay-Key": ""},
        {"X-Relay-Key": KEY + "x"},
        {"X-Relay-Key": KEY[:-1]},
        {"X-Relay-Key": f"Bearer {KEY}"},
        {"X-Relay-Key": "ключ"},
        {"Authorization": KEY},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {},
    ],
)
async def test_a_wrong_or_missing_key_is_answered_401(client, backend, headers):
    response = await client.post("/shares", data=share(), headers=headers)
    document = await problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert not backend.stored
    assert "wrong" not in document["detail"]


async def test_a_wrong_key_is_rejected_before_the_body_arrives(client):
    raw = b"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Relay-Key: no\r\nContent-Length: 1000\r\n\r\n"
    assert (await send_raw(client, raw)).startswith(b"HTTP/1.1 401")


async def test_without_keys_every_request_is_rejected(backend):
    async with client_for(backend, keys=[]) as client:
        for headers in ({}, {"X-Relay-Key": ""}, WITH_KEY):
            await problem(await client.post("/shares", data=share(), headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("presented", [["first"], ["second"], ["third"], ["none"], ["first", "third"], []])
def test_every_key_is_compared_with_every_value_also_after_a_match(monkeypatch, presented):
    compared = []

    def counting(known: bytes, given: bytes) -> bool:
        compared.append((known, given))
        return known == given

    keys = ApiKeys(["first", "second", "third"])
    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert (keys.find(presented) is not None) is (presented not in (["none"], []))
    assert len(compared) == 3 * len(presented)
    assert all(len(known) == len(given) == 32 for known, given in compared)


@given(st.lists(st.text(min_size=1), max_size=4), st.lists(st.text(), max_size=3))
def test_a_value_is_accepted_exactly_if_it_is_one_of_the_keys(keys, presented):
    utf8 = [text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape") for text in (*keys, *presented)]
    known, shown = utf8[: len(keys)], utf8[len(keys) :]
    assert (ApiKeys(known).find(shown) is not None) is any(value in known for value in shown)


# --- rejected bodies ---


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\x00", b"incident=1", share()[:-1]])
async def test_a_body_that_is_not_json_is_answered_400(client, body):
    document = await problem(await client.post("/shares", data=body, headers=WITH_KEY), 400, "not_json")
    assert document["title"] == "Bad Request"
    assert document["detail"] == "The body is not JSON."


async def test_json_without_an_incident_is_answered_400(client):
    await problem(await client.post("/shares", data=b"{}", headers=WITH_KEY), 400, "no_incident")


async def test_a_body_at_the_limit_is_accepted_and_one_byte_more_is_answered_413(client):
    for size, status in ((LIMIT, 202), (LIMIT + 1, 413)):
        body = share() + b" " * (size - len(share()))
        response = await client.post("/shares", data=body, headers=WITH_KEY)
        assert response.status == status
    await problem(response, 413, "too_large")


async def test_by_default_ten_megabytes_are_accepted(backend):
    app = create_app(backend, keys=[KEY], header="X-Relay-Key")
    async with TestClient(TestServer(app)) as client:
        body = share() + b" " * (10 * 1000 * 1000 - len(share()))
        assert (await client.post("/shares", data=io.BytesIO(body), headers=WITH_KEY)).status == 202
        assert (await send_raw(client, head(11 * 1000 * 1000))).startswith(b"HTTP/1.1 413")


async def test_a_content_length_above_the_limit_is_rejected_without_reading(client):
    assert (await send_raw(client, head(LIMIT + 1))).startswith(b"HTTP/1.1 413")


async def test_reading_stops_as_soon_as_chunks_without_a_length_exceed_the_limit(client, backend):
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    chunked = f"{POST_SHARES}Transfer-Encoding: chunked\r\n\r\n".encode()
    answer = await send_raw(client, chunked + chunk * (LIMIT // 0x1000 + 1))  # its last chunk never comes
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"Connection: close" in answer
    assert not backend.entered.is_set()


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_small_body_that_decompresses_to_a_large_one_is_answered_413(client, coding, compress):
    bomb = compress(share() + b" " * 5_000_000)
    assert len(bomb) < LIMIT
    response = await client.post("/shares", data=bomb, headers=WITH_KEY | {"Content-Encoding": coding})
    await problem(response, 413, "too_large")


@given(st.binary(max_size=400))
def test_decompress_reverses_compression_and_never_fails_otherwise(body):
    assert decompress(gzip.compress(body), 400) == decompress(zlib.compress(body), 400) == body
    decompress(body, 10_000_000)
    if body:
        with pytest.raises(DecompressedTooLarge):
            decompress(gzip.compress(body), len(body) - 1)


def test_a_decompression_bomb_is_never_decompressed_completely():
    compressor = zlib.compressobj()
    bomb = b"".join(compressor.compress(bytes(1_000_000)) for _ in range(50)) + compressor.flush()
    tracemalloc.start()
    try:
        with pytest.raises(DecompressedTooLarge):
            decompress(bomb, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_compressed_body_that_is_cut_off_or_has_trailing_bytes_is_not_decompressed():
    compressed = gzip.compress(share())
    assert decompress(compressed[:-1], LIMIT) is None
    assert decompress(compressed + b"more", LIMIT) is None


async def test_a_body_that_stalls_is_answered_503_and_its_connection_is_closed(backend):
    async with client_for(backend, body_timeout=0) as client, connect_to(client) as (reader, writer):
        writer.write(head(9))
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write(b" " * 9)  # otherwise the server lingers to read it
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Connection: close" in answer
    assert b"Retry-After" in answer


async def test_a_client_that_disconnects_early_is_not_logged_as_an_error(client, backend):
    with structlog.testing.capture_logs() as logged:
        async with connect_to(client) as (_reader, writer):
            writer.write(head(99) + b"{")
            await wait_until(lambda: in_flight(client) == 1)
        await wait_until(lambda: in_flight(client) == 0)
    assert [(event["event"], event["reason"]) for event in logged] == [("request_rejected", "incomplete")]
    assert not backend.entered.is_set()


async def test_a_share_is_stored_even_if_its_sender_disconnects_meanwhile(client, backend):
    backend.open.clear()
    async with connect_to(client) as (_reader, writer):
        writer.write(head() + share())
        await backend.entered.wait()
    await wait_until(lambda: not transports(client))
    backend.open.set()
    await wait_until(lambda: in_flight(client) == 0)
    assert len(backend.stored) == 1


async def test_100_continue_is_sent_only_after_the_key_and_the_length_are_checked(client):
    expecting = head()[:-2] + b"Expect: 100-continue\r\n\r\n"
    rejected = await send_raw(client, expecting.replace(KEY.encode(), b"no"))
    assert rejected.startswith(b"HTTP/1.1 401")
    async with connect_to(client) as (reader, writer):
        writer.write(expecting)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(share())
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")


# --- never 500 ---


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(f"secret {KEY}"),
        TimeoutError(),
        ConnectionResetError(),
        KeyError("x"),
        web.HTTPInternalServerError(),
        asyncio.CancelledError(),
    ],
)
async def test_an_unexpected_error_is_answered_503_and_described_only_in_the_log(client, backend, error):
    backend.fails = error
    with structlog.testing.capture_logs() as logged:
        document = await problem(await client.post("/shares", data=share(), headers=WITH_KEY), 503, "unexpected_error")
        await problem(await client.get("/readyz"), 503, "unexpected_error")
    assert document["title"] == "Service Unavailable"
    assert "disk" not in document["detail"]
    assert [event["event"] for event in logged] == ["request_failed"] * 2


async def test_a_database_error_is_answered_503_without_its_text_and_without_a_second_traceback(client, backend):
    backend.fails = StoreUnusable("The disk of db7 is full.")
    with structlog.testing.capture_logs() as logged:
        response = await client.post("/shares", data=share(), headers=WITH_KEY)
        document = await problem(response, 503, "not_stored")
    assert int(response.headers["Retry-After"]) > 0
    assert "db7" not in document["detail"]
    assert [event["event"] for event in logged] == ["request_rejected"]
    assert "exc_info" not in logged[0]


async def test_an_error_in_another_middleware_is_answered_503_too(backend):
    @web.middleware
    async def broken(_request, _handler):
        raise ZeroDivisionError

    app = application(backend)
    app.middlewares.append(broken)
    async with TestClient(TestServer(app)) as client:
        await problem(await client.post("/shares", data=share(), headers=WITH_KEY), 503, "unexpected_error")
        await problem(await client.get("/healthz"), 503, "unexpected_error")


async def test_a_response_that_cannot_be_encoded_as_json_is_503(client, backend):
    backend.current = Readiness(ok=True, detail={"what": object()})
    await problem(await client.get("/readyz"), 503, "unexpected_error")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
bodies = st.one_of(
    st.binary(max_size=300),
    json_values.map(lambda value: json.dumps(value).encode()),
    st.builds(lambda value: json.dumps({"incident": value}).encode(), json_values),
    st.builds(lambda value: gzip.compress(json.dumps({"incident": {"id": value}}).encode()), json_values),
    st.integers(LIMIT - 2, LIMIT + 2).map(lambda size: b" " * size),
)
header_text = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=20)
codings = st.sampled_from(["gzip", "deflate", "br", "zstd", "identity", "gzip, gzip"]) | header_text


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies, key=st.just(KEY) | header_text, coding=st.none() | codings, kind=st.none() | header_text)
async def test_any_post_gets_an_expected_status_and_never_500(body, key, coding, kind):
    headers = {"X-Relay-Key": key}
    headers |= {"Content-Encoding": coding} if coding is not None else {}
    headers |= {"Content-Type": kind} if kind is not None else {}
    backend = FakeBackend()
    async with client_for(backend) as client:
        response = await client.post("/shares", data=body, headers=headers)
        assert response.status in {202, 400, 401, 413, 503}
        if response.status == 202:
            assert len(backend.stored) == 1
        else:
            document = await response.json(content_type="application/problem+json")
            assert document["status"] == response.status


SECRET = "s3cret-in-a-header"
MALFORMED = {
    "a long header": f"GET /healthz HTTP/1.1\r\nX-Relay-Key: {SECRET}{'x' * 9000}\r\n\r\n",
    "a long address": f"GET /{SECRET}{'x' * 9000} HTTP/1.1\r\nHost: relay\r\n\r\n",
    "many headers": f"GET / HTTP/1.1\r\nX-Relay-Key: {SECRET}\r\n" + "X-A: b\r\n" * 300 + "\r\n",
    "an invalid length": f"POST /shares HTTP/1.1\r\nX-Relay-Key: {SECRET}\r\nContent-Length: abc\r\n\r\n",
    "two lengths": f"POST /shares HTTP/1.1\r\nX: {SECRET}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a header without a colon": f"GET / HTTP/1.1\r\nX-Relay-Key {SECRET}\r\n\r\n",
    "another protocol": f"{SECRET}\r\n\r\n",
    "an unknown version": f"GET /{SECRET} HTTP/9\r\n\r\n",
    "the beginning of TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET,
    "repeated": f"{SECRET}\r\n\r\n" * 100,
}
BAD_CHUNKS = (
    f"POST /shares HTTP/1.1\r\nHost: relay\r\nX-A: {SECRET}\r\nTransfer-Encoding: chunked\r\n{{key}}\r\nzz{SECRET}\r\n"
)


async def send_to_server(server: "Server", raw: str) -> tuple[bytes, dict[str, Any], str]:
    """Send bytes to the server; return the first line of its response, its body's JSON, and everything as text."""
    async with connect(*server.address) as (reader, writer):
        writer.write(raw.encode("latin-1"))
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head.partition(b"\r\n")[0], orjson.loads(body), answer.decode("latin-1")


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED)
async def test_malformed_http_is_a_problem_that_echoes_nothing_and_is_logged_in_one_line(backend, caplog, raw):
    document: list[tuple[int, str]] = []
    observed = lambda status, reason: document.append((status, reason))  # noqa: E731
    async with running(backend, on_problem=observed) as server:
        with structlog.testing.capture_logs() as logged:
            line, problem, answer = await send_to_server(server, raw)
    assert line.endswith(b" 400 Bad Request")
    assert (problem["status"], problem["reason"]) == (400, "malformed_request")
    assert document == [(400, "malformed_request")]
    [event] = logged
    assert event == {
        "event": "request_rejected",
        "status": 400,
        "reason": "malformed_request",
        "client": "127.0.0.1",
        "detail": problem["detail"],
        "log_level": "warning",
    }
    assert not caplog.records
    assert SECRET not in answer
    assert "aiohttp" not in answer


async def test_no_response_names_the_versions_of_aiohttp_and_python(backend):
    async with running(backend) as server, aiohttp.ClientSession("http://{}:{}".format(*server.address)) as session:
        for path in ("/healthz", "/readyz", "/metrics", "/shares", "/nothing"):
            async with session.get(path) as answer:
                assert answer.headers["Server"] == "relay"


@pytest.mark.parametrize("key", ["", f"X-Relay-Key: {KEY}\r\n"])
async def test_invalid_chunks_are_a_problem_without_a_traceback_whether_or_not_the_key_is_valid(
    backend, caplog, key, monkeypatch
):
    monkeypatch.setitem(endpoints._PROTOCOL, "lingering_time", 0.1)
    head, end, chunks = BAD_CHUNKS.format(key=key).partition("\r\n\r\n")
    async with running(backend) as server:
        with structlog.testing.capture_logs() as logged:
            _, problem, answer = await send_to_server(server, head + end + chunks)
            async with connect(*server.address) as (reader, writer):
                writer.write((head + end).encode())
                await wait_until(lambda: server.requests.count == 1 or len(logged) > 1)
                writer.write(chunks.encode())
                later = await reader.read()
    assert problem["status"] == 400
    assert later.startswith(b"HTTP/1.1 400" if key else b"HTTP/1.1 401")
    assert [event["log_level"] for event in logged] == ["warning", "warning"]
    assert not caplog.records
    assert SECRET not in answer + later.decode() + str(logged)


async def test_a_request_that_aiohttp_rejects_itself_is_a_problem_that_echoes_nothing(backend):
    raw = f"GET /PATH HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nExpect: {SECRET}\r\n\r\n"
    async with running(backend) as server:
        for path in ("healthz", "nowhere"):
            _, problem, answer = await send_to_server(server, raw.replace("PATH", path))
            assert problem["status"] == 417
            assert SECRET not in answer


@settings(max_examples=80)
@given(head=st.binary(max_size=60), path=st.binary(max_size=40))
async def test_random_bytes_on_the_socket_never_get_a_500(head, path):
    async with client_for(FakeBackend(), admin_key="admin") as client:
        for raw in (head + b"\r\n\r\n", b"GET /incidents/" + path + b" HTTP/1.1\r\nHost: relay\r\n\r\n"):
            answer = await send_raw(client, raw, until_closed=True)
            assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500"))


# --- the other endpoints ---


async def test_healthz_is_200_while_the_process_runs(client, backend):
    backend.fails = RuntimeError("all is lost")
    assert (await client.get("/healthz")).status == 200


async def test_readyz_lists_other_problems_and_stays_200(client):
    response = await client.get("/readyz")
    assert response.status == 200
    assert await response.json() == {"ready": True, "slack": "unreachable", "letters": 3}


async def test_readyz_is_200_while_slack_limits_the_rate_although_methods_and_reasons_are_enums(client, backend):
    detail = {"rate_limited": {Method.POST: 20}, "held_cards": {Reason.RETRY: 2}}
    backend.current = Readiness(ok=True, detail=detail)
    response = await client.get("/readyz")
    assert response.status == 200
    expected = {"ready": True, "rate_limited": {"chat.postMessage": 20}, "held_cards": {"retry": 2}}
    assert await response.json() == expected


async def test_no_response_shows_a_secret_from_the_backend(backend):
    secret = 'hush/"hush'
    said = f"the driver says {secret} and {quote(secret, safe='')}"
    backend.current = Readiness(ok=False, detail={"store": said, "channels": {"a": [said]}})
    backend.exposition = b'relay_up{channel="hush/\\"hush",kind="x"} 1\n'
    async with client_for(backend, secrets=[secret, "ready"]) as client:
        shown = "the driver says [hidden] and [hidden]"
        expected = {"ready": False, "store": shown, "channels": {"a": [shown]}}
        assert await (await client.get("/readyz")).json() == expected
        assert await (await client.get("/metrics")).text() == 'relay_up{channel="[hidden]",kind="x"} 1\n'
        found = await problem(await client.get(f"/{quote(secret, safe='')}"), 404, "not_found")
        assert "hush" not in str(found)


async def test_readyz_is_503_if_no_share_can_be_stored(client, backend):
    backend.current = Readiness(ok=False, detail={"store": "read-only"})
    response = await client.get("/readyz")
    assert response.status == 503
    assert await response.json() == {"ready": False, "store": "read-only"}


async def test_metrics_have_the_content_type_of_prometheus(client):
    response = await client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert await response.text() == "relay_shares_total 1\n"


async def test_without_an_admin_key_the_incidents_endpoint_does_not_exist(client):
    for headers in ({}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": "Bearer "}):
        await problem(await client.get("/incidents/i1", headers=headers), 404, "not_found")


async def test_incidents_need_the_admin_key_as_a_bearer_token(backend):
    async with client_for(backend, admin_key="admin") as client:
        response = await client.get("/incidents/i%2F1", headers={"Authorization": "Bearer admin"})
        assert await response.json() == {"id": "i/1", "shares": []}
        unknown = await client.get("/incidents/i2", headers={"Authorization": "Bearer admin"})
        await problem(unknown, 404, "unknown_incident")
        for headers in ({}, WITH_KEY, {"X-Relay-Key": "admin"}, {"Authorization": f"Bearer {KEY}"}):
            await problem(await client.get("/incidents/i%2F1", headers=headers), 401, "unauthorized")
        await problem(await client.post("/shares", headers={"X-Relay-Key": "admin"}), 401, "unauthorized")


async def test_the_shares_of_an_incident_need_the_admin_key(backend):
    admin = {"Authorization": "Bearer admin"}
    async with client_for(backend, admin_key="admin") as client:
        for incident, path in (("i/1", "i%2F1"), ("x/shares", "x%2Fshares")):
            response = await client.get(f"/incidents/{path}/shares", headers=admin)
            assert await response.json() == {"of": incident}
        await problem(await client.get("/incidents/i2/shares", headers=admin), 404, "unknown_incident")
        await problem(await client.get("/incidents/x%2Fshares", headers=admin), 404, "unknown_incident")
        await problem(await client.get("/incidents/i%2F1/shares", headers=WITH_KEY), 401, "unauthorized")


async def test_the_list_of_incidents_gets_the_query_and_needs_the_admin_key(backend):
    async with client_for(backend, admin_key="admin") as client:
        admin = {"Authorization": "Bearer admin"}
        response = await client.get("/incidents?open=1&search=a%20b", headers=admin)
        assert await response.json() == {"incidents": [{"open": "1", "search": "a b"}], "next": None}
        await problem(await client.get("/incidents?opne=1", headers=admin), 400, "bad_query")
        await problem(await client.get("/incidents", headers=WITH_KEY), 401, "unauthorized")


async def test_an_unknown_path_or_method_is_a_problem(client):
    await problem(await client.get("/"), 404, "not_found")
    await problem(await client.post("/slack/actions"), 404, "not_found")
    response = await client.get("/shares")
    document = await problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "POST"
    assert document["detail"] == "This path allows POST, not GET."


async def test_success_is_not_logged_and_a_rejected_key_is_logged_without_the_key(client, caplog):
    caplog.set_level(0)
    with structlog.testing.capture_logs() as logged:
        await client.post("/shares", data=share(), headers=WITH_KEY)
        assert (logged, [record for record in caplog.records if record.name.startswith("aiohttp")]) == ([], [])
        await client.post("/shares", data=share(), headers={"X-Relay-Key": "almost-the-key"})
    assert [(event["event"], event["status"], event["log_level"]) for event in logged] == [
        ("request_rejected", 401, "warning")
    ]
    assert "almost" not in str(logged)


# --- start and stop ---


@dataclass
class Server:
    """A server under test: its address, the event that stops it, and its requests."""

    address: tuple[str, int]
    stop: asyncio.Event
    requests: InFlightRequests

    async def drain(self) -> None:
        """Stop the server, and wait until it accepts no more shares."""
        self.stop.set()
        await wait_until(lambda: self.requests.draining)


@asynccontextmanager
async def running(backend: FakeBackend, drain_seconds: float = 60, **options: Any) -> AsyncIterator[Server]:
    """Serve on a free port; at the end stop the server and wait for its end."""
    stop = asyncio.Event()
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    app = application(backend, **options)

    async def live() -> None:
        async with listen(app, Listen(host="127.0.0.1", port=0), "RELAY_LISTEN", drain_seconds=drain_seconds) as bound:
            address.set_result(bound)
            await stop.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(live(), name="server")
        try:
            yield Server(await address, stop, app[IN_FLIGHT])
        finally:
            stop.set()


async def test_a_share_that_is_being_stored_when_the_server_stops_is_answered_202(backend):
    backend.open.clear()
    async with running(backend) as server, connect(*server.address) as (reader, writer):
        writer.write(head() + share())
        await backend.entered.wait()
        await server.drain()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*server.address)
        backend.open.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")


async def test_a_body_that_is_still_arriving_when_the_server_stops_is_read_completely(backend):
    async with running(backend) as server, connect(*server.address) as (reader, writer):
        writer.write(head() + share()[:5])
        await wait_until(lambda: server.requests.count == 1)
        await server.drain()
        writer.write(share()[5:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")


async def test_a_stopping_server_accepts_a_share_on_an_open_connection_and_then_closes_it(backend):
    """A proxy cannot know that relay stops: it sends the next share over a connection that it has kept."""
    backend.open.clear()
    async with (
        running(backend) as server,
        connect(*server.address) as inner,
        connect(*server.address) as probe,
        connect(*server.address) as (reader, writer),
    ):
        for _, kept in (probe, (reader, writer)):
            kept.write(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
        assert b"Connection: close" not in await probe[0].readuntil(b"}") + await reader.readuntil(b"}")
        inner[1].write(head() + share())
        await backend.entered.wait()
        await server.drain()
        probe[1].write(b"GET /readyz HTTP/1.1\r\nHost: relay\r\n\r\n")
        answer = await probe[0].read()  # to its end: the connection is closed
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Connection: close" in answer
        writer.write(head() + share())
        await wait_until(lambda: backend.inside == 2)
        backend.open.set()
        assert (await inner[0].readline()).startswith(b"HTTP/1.1 202")
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 202")
        assert b"Connection: close" in answer
    assert len(backend.stored) == 2


async def test_a_request_that_never_ends_does_not_stop_the_server_from_stopping(backend, monkeypatch):
    monkeypatch.setattr("relay.server.lifecycle.SHUTDOWN_TIMEOUT", 0.01)
    backend.open.clear()
    async with running(backend, drain_seconds=0) as server, connect(*server.address) as (reader, writer):
        writer.write(head() + share())
        await backend.entered.wait()
        server.stop.set()
        assert await reader.read() == b""
    assert not backend.stored


async def start(backend: FakeBackend, host: str, port: int) -> None:
    async with listen(application(backend), Listen(host=host, port=port), "RELAY_LISTEN", drain_seconds=1):
        pass


async def test_shares_wait_in_the_socket_of_systemd_while_relay_restarts(backend):
    nowhere = Listen(host="192.0.2.1", port=1)
    with socket.create_server(("127.0.0.1", 0)) as kept:
        for _ in range(2):
            async with connect(*kept.getsockname()) as (reader, writer):  # nobody accepts it yet
                writer.write(head() + share())
                async with listen(
                    application(backend), nowhere, "RELAY_LISTEN", drain_seconds=60, sockets=[kept.dup()]
                ):
                    assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    assert len(backend.stored) == 2


async def test_a_port_in_use_is_reported_in_one_sentence(backend):
    async with running(backend) as server:
        host, port = server.address
        message = f"RELAY_LISTEN: cannot listen on {host} port {port}: another process listens there"
        with pytest.raises(SettingsError, match=message):
            await start(backend, host, port)


async def test_every_address_means_ipv4_and_ipv6(backend):
    async with listen(application(backend), Listen(host="::", port=0), "RELAY_LISTEN", drain_seconds=0) as (_, port):
        for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
            async with connect(host, port) as (reader, writer):
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_an_address_of_another_machine_is_reported_in_one_sentence(backend):
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1 port 8080: this machine does not have"):
        await start(backend, "192.0.2.1", 8080)


# --- plain sockets ---


def transports(client: TestClient) -> list[Any]:
    """The connections that the server still has to clients."""
    return [connection for connection in client.server.runner.server.connections if connection.transport is not None]


def in_flight(client: TestClient) -> int:
    return client.server.app[IN_FLIGHT].count


@asynccontextmanager
async def connect(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection, and close it at the end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def connect_to(client: TestClient) -> AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    return connect(client.host, client.port)


async def send_raw(client: TestClient, raw: bytes, *, until_closed: bool = False) -> bytes:
    """Send raw bytes; return the head of the response, or everything until the server closes the connection."""
    async with connect_to(client) as (reader, writer):
        writer.write(raw)
        if not until_closed:
            return await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        return await reader.read()


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; the time limit of the test ends it otherwise."""
    while not condition():  # noqa: ASYNC110  it depends on a server that has no event for it
        await asyncio.sleep(0)
