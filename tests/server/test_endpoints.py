"""The HTTP doors, over real connections."""

import asyncio
import gzip
import hmac
import io
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay.model.errors import NoIncident, NotJson, SettingsError, StoreUnusable
from relay.server import Readiness, ShareReceipt, create_app, listen, serve
from relay.server.api_keys import ApiKeys
from relay.server.body import unpack
from relay.server.lifecycle import IN_FLIGHT, InFlightRequests
from relay.server.problem import Problem

KEY = "the-key-of-today"
SHOWN = {"X-Relay-Key": KEY}
LIMIT = 20_000


class House:
    """What stands behind the doors in these tests: it keeps in a list, and fails when told to."""

    def __init__(self) -> None:
        self.kept: list[tuple[bytes, Mapping[str, str]]] = []
        self.fails: BaseException | None = None
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.readiness = Readiness(ok=True, detail={"slack": "unreachable", "letters": 3})

    async def accept(self, body: bytes, headers: Mapping[str, str]) -> ShareReceipt:
        self.entered.set()
        await self.open.wait()
        if self.fails is not None:
            raise self.fails
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise NotJson("The body is not JSON.") from error
        if not isinstance(told, dict) or not isinstance(told.get("incident"), dict) or "id" not in told["incident"]:
            raise NoIncident("Nothing in the body names an incident.")
        self.kept.append((body, headers))
        return ShareReceipt(share=len(self.kept), incident=str(told["incident"]["id"]), routes=("payments", "noc"))

    async def ready(self) -> Readiness:
        if self.fails is not None:
            raise self.fails
        return self.readiness

    async def incident(self, incident: str) -> dict[str, Any] | None:
        return {"id": incident, "shares": []} if incident == "i/1" else None

    async def clicked(self, payload: Mapping[str, Any]) -> None:
        raise AssertionError(payload)

    heard = clicked

    async def metrics(self) -> tuple[bytes, str]:
        return b"relay_shares_total 1\n", "text/plain; version=0.0.4; charset=utf-8"


def share(incident: str = "i1", **more: Any) -> bytes:
    return json.dumps({"incident": {"id": incident, **more}}).encode()


POSTING = f"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Relay-Key: {KEY}\r\n"


def head(length: int | None = None) -> bytes:
    """Give what stands before a body of so many bytes; the usual share's, where nothing is said."""
    return f"{POSTING}Content-Length: {len(share()) if length is None else length}\r\n\r\n".encode()


def application(house: House, **options: Any) -> web.Application:
    chosen = {"keys": ["the-key-of-yesterday", KEY], "header": "X-Relay-Key", "max_bytes": LIMIT, **options}
    return create_app(house, **chosen)


@asynccontextmanager
async def visiting(house: House, **options: Any) -> AsyncIterator[TestClient]:
    async with TestClient(TestServer(application(house, **options))) as client:
        yield client


@pytest.fixture
async def house() -> House:
    return House()


@pytest.fixture
async def client(house: House) -> AsyncIterator[TestClient]:
    async with visiting(house) as client:
        yield client


async def problem(response: Any, status: int, reason: str) -> dict[str, Any]:
    """Assert that an answer is RFC 9457's, with this status and reason, and give what it says."""
    assert (response.status, response.content_type) == (status, "application/problem+json"), await response.text()
    told = await response.json()
    assert set(told) == {"type", "title", "status", "detail", "reason"}
    assert (told["type"], told["status"], told["reason"]) == ("about:blank", status, reason)
    assert told["detail"].endswith(".")
    assert KEY not in str(told)
    if status == 503:
        assert int(response.headers["Retry-After"]) > 0
    return told


# --- a share that is taken ---


async def test_a_share_is_answered_202_with_its_number_incident_and_routes(client, house):
    response = await client.post("/shares", data=share("i1"), headers=SHOWN)
    assert (response.status, response.content_type) == (202, "application/json")
    assert await response.json() == {"share": 1, "incident": "i1", "routes": ["payments", "noc"]}
    assert house.kept[0][0] == share("i1")


@pytest.mark.parametrize(
    "kind", ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense", None]
)
async def test_any_content_type_is_taken_whose_body_is_json(client, kind):
    headers = SHOWN | ({"Content-Type": kind} if kind else {})
    skipped = [] if kind else ["Content-Type"]
    response = await client.post("/shares", data=share(), headers=headers, skip_auto_headers=skipped)
    assert response.status == 202


async def test_a_share_sent_in_chunks_is_taken(client, house):
    async def pieces() -> AsyncIterator[bytes]:
        for byte in share():
            yield bytes([byte])

    response = await client.post("/shares", data=pieces(), headers=SHOWN)
    assert response.status == 202
    assert house.kept[0][0] == share()


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body, wbits=-15)),
        ("identity", bytes),
    ],
)
async def test_a_packed_share_is_unpacked(client, house, coding, pack):
    response = await client.post("/shares", data=pack(share()), headers=SHOWN | {"Content-Encoding": coding})
    assert response.status == 202
    assert house.kept[0][0] == share()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "nonsense"])
async def test_a_share_that_is_not_packed_as_its_header_says_is_taken_as_it_stands(client, house, coding):
    response = await client.post("/shares", data=share(), headers=SHOWN | {"Content-Encoding": coding})
    assert response.status == 202
    assert house.kept[0][0] == share()


async def test_the_headers_are_handed_on_without_those_that_carry_a_key(client, house):
    headers = SHOWN | {"Authorization": "Bearer x", "Cookie": "a=b", "X-Relay-Integration": "emea", "X-Team": "noc"}
    await client.post("/shares", data=share(), headers=headers)
    handed = house.kept[0][1]
    assert handed["X-Relay-Integration"] == "emea"
    assert handed["X-Team"] == "noc"
    assert not {name.lower() for name in handed} & {"x-relay-key", "authorization", "cookie"}


async def test_a_header_that_came_twice_is_joined_and_bytes_that_are_no_utf8_are_readable(client, house):
    raw = (
        b"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Relay-Key: " + KEY.encode() + b"\r\nX-Team: caf\xe9\r\n"
        b"x-team: \xc3\xa9t\xc3\xa9\r\nContent-Length: " + str(len(share())).encode() + b"\r\n\r\n" + share()
    )
    assert (await converse(client, raw)).startswith(b"HTTP/1.1 202")
    (handed,) = [value for name, value in house.kept[0][1].items() if name.lower() == "x-team"]
    assert handed == "café, été"


# --- keys ---


@pytest.mark.parametrize("key", [KEY, "the-key-of-yesterday"])
async def test_each_of_several_keys_opens_in_the_header_or_as_a_bearer_token(client, key):
    for headers in ({"x-relay-key": key}, {"Authorization": f"Bearer {key}"}, {"Authorization": f"bearer  {key}"}):
        response = await client.post("/shares", data=share(), headers=headers)
        assert response.status == 202


async def test_the_header_can_be_another(house):
    async with visiting(house, header="X-Secret") as client:
        assert (await client.post("/shares", data=share(), headers={"X-Secret": KEY})).status == 202
        assert (await client.post("/shares", data=share(), headers=SHOWN)).status == 401


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
async def test_a_wrong_or_missing_key_is_answered_401(client, house, headers):
    response = await client.post("/shares", data=share(), headers=headers)
    told = await problem(response, 401, "unauthorized")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert not house.kept
    assert "wrong" not in told["detail"]


async def test_a_wrong_key_is_answered_before_any_of_the_body_is_there(client):
    raw = b"POST /shares HTTP/1.1\r\nHost: relay\r\nX-Relay-Key: no\r\nContent-Length: 1000\r\n\r\n"
    assert (await converse(client, raw)).startswith(b"HTTP/1.1 401")


async def test_without_any_key_nothing_opens(house):
    async with visiting(house, keys=[]) as client:
        for headers in ({}, {"X-Relay-Key": ""}, SHOWN):
            await problem(await client.post("/shares", data=share(), headers=headers), 401, "unauthorized")


@pytest.mark.parametrize("offered", [["first"], ["second"], ["third"], ["none"], ["first", "third"], []])
def test_every_key_is_compared_with_every_value_whichever_fits(monkeypatch, offered):
    compared = []

    def counting(known: bytes, given: bytes) -> bool:
        compared.append((known, given))
        return known == given

    keys = ApiKeys(["first", "second", "third"])
    monkeypatch.setattr(hmac, "compare_digest", counting)
    assert keys.accepts(offered) is (offered not in (["none"], []))
    assert len(compared) == 3 * len(offered)
    assert all(len(known) == len(given) == 32 for known, given in compared)


@given(st.lists(st.text(min_size=1), max_size=4), st.lists(st.text(), max_size=3))
def test_a_value_opens_exactly_when_it_is_one_of_the_keys(keys, offered):
    utf8 = [text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape") for text in (*keys, *offered)]
    known, shown = utf8[: len(keys)], utf8[len(keys) :]
    assert ApiKeys(known).accepts(shown) is any(value in known for value in shown)


# --- bodies that are not taken ---


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\x00", b"incident=1", share()[:-1]])
async def test_what_is_not_json_is_answered_400(client, body):
    told = await problem(await client.post("/shares", data=body, headers=SHOWN), 400, "not_json")
    assert told["title"] == "Bad Request"
    assert told["detail"] == "The body is not JSON."


async def test_json_that_names_no_incident_is_answered_400(client):
    await problem(await client.post("/shares", data=b"{}", headers=SHOWN), 400, "no_incident")


async def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_answered_413(client):
    for size, status in ((LIMIT, 202), (LIMIT + 1, 413)):
        body = share() + b" " * (size - len(share()))
        response = await client.post("/shares", data=body, headers=SHOWN)
        assert response.status == status
    await problem(response, 413, "too_large")


async def test_ten_megabytes_are_taken_where_nothing_else_is_said(house):
    app = create_app(house, keys=[KEY], header="X-Relay-Key")
    async with TestClient(TestServer(app)) as client:
        body = share() + b" " * (10 * 1000 * 1000 - len(share()))
        assert (await client.post("/shares", data=io.BytesIO(body), headers=SHOWN)).status == 202
        assert (await converse(client, head(11 * 1000 * 1000))).startswith(b"HTTP/1.1 413")


async def test_a_length_above_the_limit_is_refused_without_reading(client):
    assert (await converse(client, head(LIMIT + 1))).startswith(b"HTTP/1.1 413")


async def test_reading_stops_as_soon_as_chunks_without_a_length_exceed_the_limit(client, house):
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    chunked = f"{POSTING}Transfer-Encoding: chunked\r\n\r\n".encode()
    answer = await converse(client, chunked + chunk * (LIMIT // 0x1000 + 1))  # its last chunk never comes
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"Connection: close" in answer
    assert not house.entered.is_set()


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_small_body_that_unpacks_to_a_large_one_is_answered_413(client, coding, pack):
    bomb = pack(share() + b" " * 5_000_000)
    assert len(bomb) < LIMIT
    response = await client.post("/shares", data=bomb, headers=SHOWN | {"Content-Encoding": coding})
    await problem(response, 413, "too_large")


@given(st.binary(max_size=400))
def test_unpacking_undoes_packing_and_never_fails_otherwise(body):
    assert unpack(gzip.compress(body), 400) == unpack(zlib.compress(body), 400) == body
    unpack(body, 10_000_000)
    if body:
        with pytest.raises(Problem) as caught:
            unpack(gzip.compress(body), len(body) - 1)
        assert caught.value.status == 413


def test_what_would_unpack_to_far_too_much_is_never_unpacked_whole():
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(1_000_000)) for _ in range(50)) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(Problem):
            unpack(bomb, 100_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_packed_body_that_is_cut_or_has_something_behind_it_does_not_unpack():
    packed = gzip.compress(share())
    assert unpack(packed[:-1], LIMIT) is None
    assert unpack(packed + b"more", LIMIT) is None


async def test_a_body_that_stalls_is_answered_503_and_its_connection_given_up(house):
    async with visiting(house, patience=0) as client, talking_to(client) as (reader, writer):
        writer.write(head(9))
        answer = await reader.readuntil(b"\r\n\r\n")
        writer.write(b" " * 9)  # or else the server lingers to hear it
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"Connection: close" in answer
    assert b"Retry-After" in answer


async def test_a_client_that_leaves_in_the_middle_is_nobody_s_failure(client, house):
    with structlog.testing.capture_logs() as logged:
        async with talking_to(client) as (_reader, writer):
            writer.write(head(99) + b"{")
            await until(lambda: inside(client) == 1)
        await until(lambda: inside(client) == 0)
    assert [(event["event"], event["reason"]) for event in logged] == [("refused", "cut_off")]
    assert not house.entered.is_set()


async def test_a_share_whose_sender_hangs_up_while_it_is_being_kept_is_kept(client, house):
    house.open.clear()
    async with talking_to(client) as (_reader, writer):
        writer.write(head() + share())
        await house.entered.wait()
    await until(lambda: not transports(client))
    house.open.set()
    await until(lambda: inside(client) == 0)
    assert len(house.kept) == 1


async def test_a_body_is_invited_once_its_key_and_its_length_are_known_to_be_good(client):
    expecting = head()[:-2] + b"Expect: 100-continue\r\n\r\n"
    refused = await converse(client, expecting.replace(KEY.encode(), b"no"))
    assert refused.startswith(b"HTTP/1.1 401")
    async with talking_to(client) as (reader, writer):
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
async def test_whatever_is_unforeseen_is_answered_503_and_told_to_the_log_alone(client, house, error):
    house.fails = error
    with structlog.testing.capture_logs() as logged:
        told = await problem(await client.post("/shares", data=share(), headers=SHOWN), 503, "unforeseen")
        await problem(await client.get("/readyz"), 503, "unforeseen")
    assert told["title"] == "Service Unavailable"
    assert "disk" not in told["detail"]
    assert [event["event"] for event in logged] == ["request_failed"] * 2


async def test_a_share_that_the_database_did_not_keep_is_503_without_the_databases_words_or_a_second_traceback(
    client, house
):
    house.fails = StoreUnusable("The disk of db7 is full.")
    with structlog.testing.capture_logs() as logged:
        response = await client.post("/shares", data=share(), headers=SHOWN)
        told = await problem(response, 503, "not_kept")
    assert int(response.headers["Retry-After"]) > 0
    assert "db7" not in told["detail"]
    assert [event["event"] for event in logged] == ["refused"]
    assert "exc_info" not in logged[0]


async def test_an_error_in_another_middleware_is_answered_503_too(house):
    @web.middleware
    async def broken(_request, _handler):
        raise ZeroDivisionError

    app = application(house)
    app.middlewares.append(broken)
    async with TestClient(TestServer(app)) as client:
        await problem(await client.post("/shares", data=share(), headers=SHOWN), 503, "unforeseen")
        await problem(await client.get("/healthz"), 503, "unforeseen")


async def test_an_answer_that_cannot_be_written_as_json_is_503(client, house):
    house.readiness = Readiness(ok=True, detail={"what": object()})
    await problem(await client.get("/readyz"), 503, "unforeseen")


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
async def test_whatever_is_posted_is_answered_as_promised_and_never_500(body, key, coding, kind):
    headers = {"X-Relay-Key": key}
    headers |= {"Content-Encoding": coding} if coding is not None else {}
    headers |= {"Content-Type": kind} if kind is not None else {}
    house = House()
    async with visiting(house) as client:
        response = await client.post("/shares", data=body, headers=headers)
        assert response.status in {202, 400, 401, 413, 503}
        if response.status == 202:
            assert len(house.kept) == 1
        else:
            told = await response.json(content_type="application/problem+json")
            assert told["status"] == response.status


SECRET = "s3cret-in-a-header"
NO_REQUESTS = {
    "a long header": f"GET /healthz HTTP/1.1\r\nX-Relay-Key: {SECRET}{'x' * 9000}\r\n\r\n",
    "a long address": f"GET /{SECRET}{'x' * 9000} HTTP/1.1\r\nHost: relay\r\n\r\n",
    "many headers": f"GET / HTTP/1.1\r\nX-Relay-Key: {SECRET}\r\n" + "X-A: b\r\n" * 300 + "\r\n",
    "a length that is none": f"POST /shares HTTP/1.1\r\nX-Relay-Key: {SECRET}\r\nContent-Length: abc\r\n\r\n",
    "two lengths": f"POST /shares HTTP/1.1\r\nX: {SECRET}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a header without a colon": f"GET / HTTP/1.1\r\nX-Relay-Key {SECRET}\r\n\r\n",
    "another protocol": f"{SECRET}\r\n\r\n",
    "a version that is none": f"GET /{SECRET} HTTP/9\r\n\r\n",
    "the beginning of TLS": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET,
    "once more and again": f"{SECRET}\r\n\r\n" * 100,
}
BAD_CHUNKS = (
    f"POST /shares HTTP/1.1\r\nHost: relay\r\nX-A: {SECRET}\r\nTransfer-Encoding: chunked\r\n{{key}}\r\nzz{SECRET}\r\n"
)


async def told_by_socket(server: "Server", raw: str) -> tuple[bytes, dict[str, Any], str]:
    """Send bytes to the server: the first line of its answer, what its body says, and all of it."""
    async with talking(*server.address) as (reader, writer):
        writer.write(raw.encode("latin-1"))
        answer = await reader.read()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    return head.partition(b"\r\n")[0], orjson.loads(body), answer.decode("latin-1")


@pytest.mark.parametrize("raw", NO_REQUESTS.values(), ids=NO_REQUESTS)
async def test_what_is_no_request_is_a_problem_that_echoes_nothing_and_one_line_of_the_log(house, caplog, raw):
    told: list[tuple[int, str]] = []
    observed = lambda status, reason: told.append((status, reason))  # noqa: E731
    async with running(house, on_problem=observed) as server:
        with structlog.testing.capture_logs() as logged:
            line, problem, answer = await told_by_socket(server, raw)
    assert line.endswith(b" 400 Bad Request")
    assert (problem["status"], problem["reason"]) == (400, "no_request")
    assert told == [(400, "no_request")]
    [event] = logged
    assert event == {
        "event": "refused",
        "status": 400,
        "reason": "no_request",
        "client": "127.0.0.1",
        "log_level": "warning",
    }
    assert not caplog.records
    assert SECRET not in answer


@pytest.mark.parametrize("key", ["", f"X-Relay-Key: {KEY}\r\n"])
async def test_chunks_that_are_none_are_a_problem_and_no_traceback_whether_or_not_the_key_opens(house, caplog, key):
    head, end, chunks = BAD_CHUNKS.format(key=key).partition("\r\n\r\n")
    async with running(house) as server:
        with structlog.testing.capture_logs() as logged:
            _, problem, answer = await told_by_socket(server, head + end + chunks)
            async with talking(*server.address) as (reader, writer):
                writer.write((head + end).encode())
                await until(lambda: server.gate._inside == 1 or len(logged) > 1)
                writer.write(chunks.encode())
                later = await reader.read()
    assert problem["status"] == 400
    assert later.startswith(b"HTTP/1.1 400" if key else b"HTTP/1.1 401")
    assert [event["log_level"] for event in logged] == ["warning", "warning"]
    assert not caplog.records
    assert SECRET not in answer + later.decode() + str(logged)


async def test_what_aiohttp_refuses_by_itself_is_a_problem_that_echoes_nothing(house):
    raw = f"GET /PATH HTTP/1.1\r\nHost: relay\r\nConnection: close\r\nExpect: {SECRET}\r\n\r\n"
    async with running(house) as server:
        for path in ("healthz", "nowhere"):
            _, problem, answer = await told_by_socket(server, raw.replace("PATH", path))
            assert problem["status"] == 417
            assert SECRET not in answer


@settings(max_examples=80)
@given(head=st.binary(max_size=60), path=st.binary(max_size=40))
async def test_whatever_is_thrown_at_the_socket_never_gets_a_500(head, path):
    async with visiting(House(), admin_key="admin") as client:
        for raw in (head + b"\r\n\r\n", b"GET /incidents/" + path + b" HTTP/1.1\r\nHost: relay\r\n\r\n"):
            answer = await converse(client, raw, until_closed=True)
            assert not answer.startswith((b"HTTP/1.1 500", b"HTTP/1.0 500"))


# --- the other doors ---


async def test_healthz_is_200_while_the_process_lives(client, house):
    house.fails = RuntimeError("all is lost")
    assert (await client.get("/healthz")).status == 200


async def test_readyz_tells_the_rest_without_turning_red(client):
    response = await client.get("/readyz")
    assert response.status == 200
    assert await response.json() == {"ready": True, "slack": "unreachable", "letters": 3}


async def test_readyz_is_503_when_no_share_could_be_kept(client, house):
    house.readiness = Readiness(ok=False, detail={"store": "read-only"})
    response = await client.get("/readyz")
    assert response.status == 503
    assert await response.json() == {"ready": False, "store": "read-only"}


async def test_metrics_come_in_the_type_they_say(client):
    response = await client.get("/metrics")
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert await response.text() == "relay_shares_total 1\n"


async def test_without_an_admin_key_incidents_are_not_there(client):
    for headers in ({}, {"Authorization": f"Bearer {KEY}"}, {"Authorization": "Bearer "}):
        await problem(await client.get("/incidents/i1", headers=headers), 404, "not_found")


async def test_incidents_open_with_the_admin_key_as_a_bearer_token_alone(house):
    async with visiting(house, admin_key="admin") as client:
        response = await client.get("/incidents/i%2F1", headers={"Authorization": "Bearer admin"})
        assert await response.json() == {"id": "i/1", "shares": []}
        unknown = await client.get("/incidents/i2", headers={"Authorization": "Bearer admin"})
        await problem(unknown, 404, "unknown_incident")
        for headers in ({}, SHOWN, {"X-Relay-Key": "admin"}, {"Authorization": f"Bearer {KEY}"}):
            await problem(await client.get("/incidents/i%2F1", headers=headers), 401, "unauthorized")
        await problem(await client.post("/shares", headers={"X-Relay-Key": "admin"}), 401, "unauthorized")


async def test_an_address_or_a_method_that_is_not_there_is_a_problem_too(client):
    await problem(await client.get("/"), 404, "not_found")
    await problem(await client.post("/slack/actions"), 404, "not_found")
    response = await client.get("/shares")
    told = await problem(response, 405, "method")
    assert response.headers["Allow"] == "POST"
    assert told["detail"] == "This address takes POST, not GET."


async def test_nothing_is_logged_for_what_goes_well_and_no_key_for_what_does_not(client, caplog):
    caplog.set_level(0)
    with structlog.testing.capture_logs() as logged:
        await client.post("/shares", data=share(), headers=SHOWN)
        assert (logged, [record for record in caplog.records if record.name.startswith("aiohttp")]) == ([], [])
        await client.post("/shares", data=share(), headers={"X-Relay-Key": "almost-the-key"})
    assert [(event["event"], event["status"], event["log_level"]) for event in logged] == [("refused", 401, "warning")]
    assert "almost" not in str(logged)


# --- coming and going ---


@dataclass
class Server:
    """A server under test: where it is, what stops it, and its gate."""

    address: tuple[str, int]
    stop: asyncio.Event
    gate: InFlightRequests

    async def stopped_listening(self) -> None:
        """Stop the server, and wait until nobody new is let in."""
        self.stop.set()
        await until(lambda: self.gate.draining)


@asynccontextmanager
async def running(house: House, drain_seconds: float = 60, **options: Any) -> AsyncIterator[Server]:
    """Serve on a free port; on the way out the server is stopped and its end awaited."""
    stop = asyncio.Event()
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    app = application(house, **options)

    async def live() -> None:
        async with listen(app, "127.0.0.1", 0, drain_seconds=drain_seconds) as bound:
            address.set_result(bound)
            await stop.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(live(), name="server")
        try:
            yield Server(await address, stop, app[IN_FLIGHT])
        finally:
            stop.set()


async def test_a_share_that_is_being_kept_when_the_server_stops_is_answered_202(house):
    house.open.clear()
    async with running(house) as server, talking(*server.address) as (reader, writer):
        writer.write(head() + share())
        await house.entered.wait()
        await server.stopped_listening()
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*server.address)
        house.open.set()
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")


async def test_a_body_that_is_still_on_its_way_when_the_server_stops_is_read_to_its_end(house):
    async with running(house) as server, talking(*server.address) as (reader, writer):
        writer.write(head() + share()[:5])
        await until(lambda: server.gate._inside == 1)
        await server.stopped_listening()
        writer.write(share()[5:])
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")


async def test_a_new_share_on_an_open_connection_is_answered_503_while_the_server_stops(house):
    house.open.clear()
    async with (
        running(house) as server,
        talking(*server.address) as inner,
        talking(*server.address) as (reader, writer),
    ):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
        await reader.readuntil(b"}")
        inner[1].write(head() + share())
        await house.entered.wait()
        await server.stopped_listening()
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: relay\r\n\r\n")
        assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 503")
        writer.write(b"POST /shares HTTP/1.1\r\nHost: relay\r\nContent-Length: 2\r\n\r\n{}")
        answer = await reader.read()  # to its end: the connection is closed
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"Connection: close" in answer
        assert b"Retry-After" in answer
        assert b'"reason":"stopping"' in answer
        house.open.set()
        assert (await inner[0].readline()).startswith(b"HTTP/1.1 202")


async def test_a_request_that_never_ends_does_not_keep_the_server_from_stopping(house, monkeypatch):
    monkeypatch.setattr("relay.server.lifecycle._LAST_WORDS", 0.01)
    house.open.clear()
    async with running(house, drain_seconds=0) as server, talking(*server.address) as (reader, writer):
        writer.write(head() + share())
        await house.entered.wait()
        server.stop.set()
        assert await reader.read() == b""
    assert not house.kept


async def test_a_port_that_is_taken_is_told_in_a_sentence(house):
    async with running(house) as server:
        host, port = server.address
        told = f"RELAY_LISTEN: cannot listen on {host} port {port}: something else listens there already"
        with pytest.raises(SettingsError, match=told):
            await serve(application(house), host, port, asyncio.Event(), 1)


async def test_an_address_that_is_not_this_machine_s_is_told_in_a_sentence(house):
    with pytest.raises(SettingsError, match=r"cannot listen on 192\.0\.2\.1 port 8080: this machine does not have"):
        await serve(application(house), "192.0.2.1", 8080, asyncio.Event(), 1)


async def test_serving_ends_when_it_is_told_to(house):
    stop = asyncio.Event()
    stop.set()
    await serve(application(house), "127.0.0.1", 0, stop, 1)


# --- plain sockets ---


def transports(client: TestClient) -> list[Any]:
    """List the connections that the server still has to clients."""
    return [connection for connection in client.server.runner.server.connections if connection.transport is not None]


def inside(client: TestClient) -> int:
    return client.server.app[IN_FLIGHT]._inside


@asynccontextmanager
async def talking(host: str, port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection, and close it in the end."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def talking_to(client: TestClient) -> AbstractAsyncContextManager[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    return talking(client.host, client.port)


async def converse(client: TestClient, raw: bytes, *, until_closed: bool = False) -> bytes:
    """Send bytes as they are; give the answer's head, or all that comes until the server has nothing more to say."""
    async with talking_to(client) as (reader, writer):
        writer.write(raw)
        if not until_closed:
            return await reader.readuntil(b"\r\n\r\n")
        writer.write_eof()
        return await reader.read()


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop go round until something holds; the test's own time limit ends it otherwise."""
    while not holds():  # noqa: ASYNC110  what is waited for happens in a server that has no event to tell it by
        await asyncio.sleep(0)
