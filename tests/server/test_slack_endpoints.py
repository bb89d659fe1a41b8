"""Slack's endpoints, over real connections: which requests they accept, and what they answer."""

import asyncio
import hashlib
import hmac
import io
import json
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.model.errors import StoreUnusable
from relay.server import endpoints
from relay.server.endpoints import create_app
from relay.server.lifecycle import IN_FLIGHT
from relay.server.slack_endpoints import MAX_BYTES
from relay.server.slack_signature import SignatureVerifier
from tests.support.clocks import ManualClock

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_700_000_000.0
CLICK = {"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "relay_assign", "value": "i1"}]}
EVENT = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "message", "text": "on it"}}


class FakeBackend:
    """A Backend that records payloads, returns `answer`, and raises `fails`."""

    def __init__(self):
        self.clicks, self.commands, self.events = [], [], []
        self.answer = None
        self.fails = None

    async def on_interaction(self, payload):
        return await self._record(self.clicks, payload)

    async def on_command(self, payload):
        return await self._record(self.commands, payload)

    async def on_event(self, payload):
        return await self._record(self.events, payload)

    async def _record(self, payloads, payload):
        if self.fails is not None:
            raise self.fails
        payloads.append(payload)
        return self.answer


def signed(body, *, secret=SECRET, at=NOW, **more):
    """The headers that Slack adds to a request, computed independently from its documentation."""
    timestamp = str(int(at))
    digest = hmac.new(secret.encode(), b":".join([b"v0", timestamp.encode(), body]), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}", **more}


def form(payload):
    return urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode()


@pytest.fixture
def backend():
    return FakeBackend()


@pytest.fixture
def clock():
    return ManualClock(NOW)


@asynccontextmanager
async def client_for(backend, clock, secret=SECRET):
    app = create_app(backend, keys=["k"], header="X-Relay-Key", signing_secret=secret, clock=clock)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client(backend, clock):
    async with client_for(backend, clock) as client:
        yield client


async def click(client, body=None, **how):
    body = form(CLICK) if body is None else body
    headers = {"Content-Type": "application/x-www-form-urlencoded", **signed(body, **how)}
    return await client.post("/slack/actions", data=body, headers=headers)


async def send_event(client, payload=EVENT, **how):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return await client.post(
        "/slack/events", data=body, headers={"Content-Type": "application/json", **signed(body, **how)}
    )


async def send_command(client, body, **how):
    headers = {"Content-Type": "application/x-www-form-urlencoded", **signed(body, **how)}
    return await client.post("/slack/commands", data=body, headers=headers)


# --- accepted requests ---


async def test_a_click_reaches_the_backend_and_is_answered_with_an_empty_200(client, backend):
    response = await click(client)

    assert (response.status, await response.read()) == (200, b"")
    assert backend.clicks == [CLICK]


async def test_an_event_reaches_the_backend_and_is_answered_with_an_empty_200(client, backend):
    response = await send_event(client)

    assert (response.status, await response.read()) == (200, b"")
    assert backend.events == [EVENT]


async def test_the_backend_gets_the_form_fields_of_a_command_and_its_answer_is_the_response(client, backend):
    backend.answer = {"response_type": "ephemeral", "text": "nothing is open"}
    sent = {"command": "/relay", "text": "open <#C1|noc> & more", "user_id": "U1", "channel_id": "C1"}
    response = await send_command(client, urlencode(sent).encode())

    assert backend.commands == [sent]
    assert (response.status, await response.json()) == (200, backend.answer)


async def test_a_command_that_slack_has_not_signed_is_rejected(client, backend):
    response = await send_command(client, b"command=%2Frelay&text=mine", secret="another")

    assert (response.status, backend.commands) == (401, [])


async def test_the_answer_of_the_backend_is_sent_as_json(client, backend):
    backend.answer = {"response_action": "errors", "errors": {"text": "Write something to send."}}

    response = await click(client)

    assert (response.status, response.content_type) == (200, "application/json")
    assert await response.json() == backend.answer


async def test_a_large_payload_in_several_scripts_is_read_unchanged(client, backend):
    payload = {"type": "block_actions", "text": "日本語 ü & = + % 🔴" * 2_000}

    assert (await click(client, form(payload))).status == 200
    assert backend.clicks == [payload]


async def test_a_repeated_event_reaches_the_backend_again(client, backend):
    await send_event(client)
    response = await send_event(client, **{"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})

    assert response.status == 200
    assert backend.events == [EVENT, EVENT]


async def test_the_url_verification_is_answered_without_the_backend(client, backend):
    response = await send_event(client, {"type": "url_verification", "challenge": "3eZbrw1a", "token": "old"})

    assert await response.json() == {"challenge": "3eZbrw1a"}
    assert backend.events == []


# --- signatures ---


async def test_the_documented_example_of_a_signature_is_valid():
    """https://docs.slack.dev/authentication/verifying-requests-from-slack: its secret, its body, its signature."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
        b"foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2F"
        b"hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
        b"47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    headers = {
        "X-Slack-Request-Timestamp": "1531420618",
        "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    signature = SignatureVerifier(SECRET)

    assert signature.matches(headers, body)
    assert signature.is_recent(headers, 1531420618.0)
    assert not signature.matches(headers, body + b" ")


def test_an_empty_secret_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        SignatureVerifier("")


@pytest.mark.parametrize("secret", [None, ""])
async def test_without_a_signing_secret_the_endpoints_do_not_exist(backend, clock, secret):
    async with client_for(backend, clock, secret) as client:
        assert [(await click(client)).status, (await send_event(client)).status] == [404, 404]
    assert backend.clicks == backend.events == []


@pytest.mark.parametrize("age", [-299, 0, 299, 300])
async def test_a_request_of_the_last_five_minutes_is_accepted(client, backend, age):
    assert (await click(client, at=NOW - age)).status == 200
    assert len(backend.clicks) == 1


@pytest.mark.parametrize("age", [-3600, -301, 301, 86_400])
async def test_a_request_of_another_time_is_rejected_even_with_a_valid_signature(client, backend, age):
    response = await click(client, at=NOW - age)

    assert (response.status, (await response.json())["reason"]) == (401, "invalid_signature")
    assert backend.clicks == []


async def test_a_copy_of_a_request_is_accepted_for_five_minutes_only(client, backend, clock):
    body = form(CLICK)
    headers = signed(body)
    statuses = []
    for _ in range(3):
        statuses.append((await client.post("/slack/actions", data=body, headers=headers)).status)
        clock.advance(200)

    assert statuses == [200, 200, 401]


FORGED = {
    "another secret": lambda body: signed(body, secret="guessed"),
    "another body": lambda body: signed(body + b"x"),
    "another time": lambda body: signed(body) | {"X-Slack-Request-Timestamp": str(int(NOW) + 1)},
    "no signature": lambda body: {"X-Slack-Request-Timestamp": str(int(NOW))},
    "no timestamp": lambda body: {"X-Slack-Signature": signed(body)["X-Slack-Signature"]},
    "nothing": lambda _body: {},
    "without v0": lambda body: signed(body) | {"X-Slack-Signature": signed(body)["X-Slack-Signature"][3:]},
    "in capitals": lambda body: signed(body) | {"X-Slack-Signature": signed(body)["X-Slack-Signature"].upper()},
    "cut": lambda body: signed(body) | {"X-Slack-Signature": signed(body)["X-Slack-Signature"][:-1]},
    "empty": lambda body: signed(body) | {"X-Slack-Signature": ""},
    "a float": lambda body: signed(body) | {"X-Slack-Request-Timestamp": "1700000000.5"},
    "a word": lambda body: signed(body) | {"X-Slack-Request-Timestamp": "now"},
    "other digits": lambda body: signed(body) | {"X-Slack-Request-Timestamp": "\u0661\u0667" + "0" * 8},
    "an underscore": lambda body: signed(body) | {"X-Slack-Request-Timestamp": "1_700_000_000"},
    "too long": lambda body: signed(body) | {"X-Slack-Request-Timestamp": "9" * 5_000},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("path", ["/slack/actions", "/slack/events"])
async def test_a_forged_request_is_rejected_and_does_not_reach_the_backend(client, backend, path, headers):
    body = form(CLICK)

    response = await client.post(path, data=body, headers=headers(body))

    assert (response.status, response.content_type) == (401, "application/problem+json")
    assert SECRET not in await response.text()
    assert backend.clicks == backend.events == []


async def raw(client, head, body=b""):
    """Send raw bytes; return the status of the response."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(head + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


junk = st.binary(max_size=40).map(lambda value: bytes(byte for byte in value if byte not in b"\r\n\0"))


@settings(max_examples=60)
@given(signature=junk, timestamp=junk | st.just(str(int(NOW)).encode()), body=st.binary(max_size=60))
async def test_random_signature_headers_are_rejected_and_never_a_500(signature, timestamp, body):
    async with client_for(FakeBackend(), ManualClock(NOW)) as client:
        head = b"POST /slack/actions HTTP/1.1\r\nHost: relay\r\nX-Slack-Signature: " + signature
        head += b"\r\nX-Slack-Request-Timestamp: " + timestamp + b"\r\n"

        assert await raw(client, head, body) in {400, 401}


async def test_the_body_of_an_old_request_is_not_read(client):
    """The body never arrives, and there is a response nevertheless."""
    stale = signed(b"", at=NOW - 3600)
    head = "".join(f"{name}: {value}\r\n" for name, value in stale.items())
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"POST /slack/events HTTP/1.1\r\nHost: relay\r\n{head}Content-Length: 1000\r\n\r\n".encode())

    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


# --- invalid payloads ---


@pytest.mark.parametrize(
    "body", [b"", b"payload=", b"payload=%7B", b"payload=7", b"other=1", b"\xff\xfe", form("[]"), b"&" * 500]
)
async def test_a_signed_body_without_a_payload_is_400(client, backend, body):
    response = await click(client, body)

    assert (response.status, (await response.json())["reason"]) == (400, "not_json")
    assert backend.clicks == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b"payload=%7B%7D"])
async def test_a_signed_event_that_is_not_an_object_is_400(client, body):
    assert (await send_event(client, body)).status == 400


async def test_a_body_above_one_megabyte_is_413(clock, backend, monkeypatch):
    monkeypatch.setitem(endpoints._PROTOCOL, "lingering_time", 0.1)
    body = b"x" * (MAX_BYTES + 1)

    async with client_for(backend, clock) as client:
        response = await client.post("/slack/actions", data=io.BytesIO(body), headers=signed(body))

    assert response.status == 413
    assert backend.clicks == []


@settings(max_examples=60)
@given(body=st.binary(max_size=200) | st.text(max_size=60).map(form))
async def test_any_signed_body_is_accepted_or_rejected_and_never_a_500(body):
    async with client_for(FakeBackend(), ManualClock(NOW)) as client:
        assert (await click(client, body)).status in {200, 400}
        assert (await send_event(client, body)).status in {200, 400}


# --- when the payload cannot be stored ---


@pytest.mark.parametrize("error", [StoreUnusable("The disk is full."), RuntimeError("boom"), TimeoutError()])
async def test_a_payload_that_could_not_be_stored_is_503_so_that_slack_sends_it_again(client, backend, error):
    backend.fails = error

    assert [(await click(client)).status, (await send_event(client)).status] == [503, 503]


async def test_while_relay_stops_a_click_is_still_stored_and_ends_its_connection(client, backend):
    client.app[IN_FLIGHT].draining = True

    response = await click(client)

    assert (response.status, response.headers["Connection"]) == (200, "close")
    assert len(backend.clicks) == 1
