"""Slack's own doors, over real connections: who may come in, what is handed on, and what is answered."""

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
from relay.server import create_app
from relay.server.lifecycle import IN_FLIGHT
from relay.server.slack_endpoints import MAX_BYTES
from relay.server.slack_signature import SignatureVerifier
from tests.support.clocks import ManualClock

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_700_000_000.0
CLICK = {"type": "block_actions", "user": {"id": "U1"}, "actions": [{"action_id": "relay_assign", "value": "i1"}]}
EVENT = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "message", "text": "on it"}}


class Desk:
    """Who listens in these tests: it keeps what it is told, answers what it should, and fails when told to."""

    def __init__(self):
        self.clicks, self.events = [], []
        self.answer = None
        self.fails = None

    async def clicked(self, payload):
        return await self._take(self.clicks, payload)

    async def heard(self, payload):
        return await self._take(self.events, payload)

    async def _take(self, kept, payload):
        if self.fails is not None:
            raise self.fails
        kept.append(payload)
        return self.answer


def signed(body, *, secret=SECRET, at=NOW, **more):
    """The headers that Slack puts above a body, written anew from its documentation."""
    said = str(int(at))
    digest = hmac.new(secret.encode(), b":".join([b"v0", said.encode(), body]), hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": said, "X-Slack-Signature": f"v0={digest}", **more}


def form(payload):
    return urlencode({"payload": payload if isinstance(payload, str) else json.dumps(payload)}).encode()


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def clock():
    return ManualClock(NOW)


@asynccontextmanager
async def visiting(desk, clock, secret=SECRET):
    app = create_app(desk, keys=["k"], header="X-Relay-Key", signing_secret=secret, clock=clock)
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.fixture
async def client(desk, clock):
    async with visiting(desk, clock) as client:
        yield client


async def click(client, body=None, **how):
    body = form(CLICK) if body is None else body
    headers = {"Content-Type": "application/x-www-form-urlencoded", **signed(body, **how)}
    return await client.post("/slack/actions", data=body, headers=headers)


async def tell(client, payload=EVENT, **how):
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return await client.post(
        "/slack/events", data=body, headers={"Content-Type": "application/json", **signed(body, **how)}
    )


# --- what is handed on, and what is answered ---


async def test_a_click_is_handed_on_and_answered_with_nothing(client, desk):
    response = await click(client)

    assert (response.status, await response.read()) == (200, b"")
    assert desk.clicks == [CLICK]


async def test_an_event_is_handed_on_and_answered_with_nothing(client, desk):
    response = await tell(client)

    assert (response.status, await response.read()) == (200, b"")
    assert desk.events == [EVENT]


async def test_what_the_desk_says_is_answered_as_json(client, desk):
    desk.answer = {"response_action": "errors", "errors": {"text": "Write something to send."}}

    response = await click(client)

    assert (response.status, response.content_type) == (200, "application/json")
    assert await response.json() == desk.answer


async def test_a_payload_of_many_bytes_in_many_scripts_comes_through(client, desk):
    payload = {"type": "block_actions", "text": "日本語 ü & = + % 🔴" * 2_000}

    assert (await click(client, form(payload))).status == 200
    assert desk.clicks == [payload]


async def test_a_repeat_is_handed_on_as_it_comes_for_the_desk_to_know_it(client, desk):
    await tell(client)
    response = await tell(client, **{"X-Slack-Retry-Num": "1", "X-Slack-Retry-Reason": "http_timeout"})

    assert response.status == 200
    assert desk.events == [EVENT, EVENT]


async def test_slack_gets_its_challenge_back_and_nobody_is_told(client, desk):
    response = await tell(client, {"type": "url_verification", "challenge": "3eZbrw1a", "token": "old"})

    assert await response.json() == {"challenge": "3eZbrw1a"}
    assert desk.events == []


# --- who may come in ---


async def test_the_documented_example_of_a_signature_fits():
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


def test_nobody_can_sign_with_an_empty_secret():
    with pytest.raises(ValueError, match="empty"):
        SignatureVerifier("")


@pytest.mark.parametrize("secret", [None, ""])
async def test_without_a_signing_secret_there_are_no_such_doors(desk, clock, secret):
    async with visiting(desk, clock, secret) as client:
        assert [(await click(client)).status, (await tell(client)).status] == [404, 404]
    assert desk.clicks == desk.events == []


@pytest.mark.parametrize("age", [-299, 0, 299, 300])
async def test_a_request_of_the_last_five_minutes_comes_in(client, desk, age):
    assert (await click(client, at=NOW - age)).status == 200
    assert len(desk.clicks) == 1


@pytest.mark.parametrize("age", [-3600, -301, 301, 86_400])
async def test_a_request_of_another_time_does_not_though_its_signature_fits(client, desk, age):
    response = await click(client, at=NOW - age)

    assert (response.status, (await response.json())["reason"]) == (401, "unsigned")
    assert desk.clicks == []


async def test_a_copy_of_a_request_is_let_in_for_five_minutes_and_no_longer(client, desk, clock):
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
    "endless": lambda body: signed(body) | {"X-Slack-Request-Timestamp": "9" * 5_000},
}


@pytest.mark.parametrize("headers", FORGED.values(), ids=FORGED.keys())
@pytest.mark.parametrize("door", ["/slack/actions", "/slack/events"])
async def test_a_forged_request_is_refused_and_nobody_is_told(client, desk, door, headers):
    body = form(CLICK)

    response = await client.post(door, data=body, headers=headers(body))

    assert (response.status, response.content_type) == (401, "application/problem+json")
    assert SECRET not in await response.text()
    assert desk.clicks == desk.events == []


async def raw(client, head, body=b""):
    """Send bytes as they are; the status that comes back."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(head + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


junk = st.binary(max_size=40).map(lambda value: bytes(byte for byte in value if byte not in b"\r\n\0"))


@settings(max_examples=60)
@given(signature=junk, timestamp=junk | st.just(str(int(NOW)).encode()), body=st.binary(max_size=60))
async def test_whatever_stands_in_the_headers_is_refused_and_never_a_500(signature, timestamp, body):
    async with visiting(Desk(), ManualClock(NOW)) as client:
        head = b"POST /slack/actions HTTP/1.1\r\nHost: relay\r\nX-Slack-Signature: " + signature
        head += b"\r\nX-Slack-Request-Timestamp: " + timestamp + b"\r\n"

        assert await raw(client, head, body) in {400, 401}


async def test_of_a_stale_request_no_byte_of_the_body_is_read(client):
    """The body never comes, and yet there is an answer."""
    stale = signed(b"", at=NOW - 3600)
    head = "".join(f"{name}: {value}\r\n" for name, value in stale.items())
    reader, writer = await asyncio.open_connection(client.host, client.port)
    writer.write(f"POST /slack/events HTTP/1.1\r\nHost: relay\r\n{head}Content-Length: 1000\r\n\r\n".encode())

    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


# --- what is no payload ---


@pytest.mark.parametrize(
    "body", [b"", b"payload=", b"payload=%7B", b"payload=7", b"other=1", b"\xff\xfe", form("[]"), b"&" * 500]
)
async def test_a_signed_body_that_holds_no_payload_is_400(client, desk, body):
    response = await click(client, body)

    assert (response.status, (await response.json())["reason"]) == (400, "not_json")
    assert desk.clicks == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b"payload=%7B%7D"])
async def test_a_signed_event_that_is_no_object_is_400(client, body):
    assert (await tell(client, body)).status == 400


async def test_a_body_beyond_a_megabyte_is_413(client, desk):
    body = b"x" * (MAX_BYTES + 1)

    response = await client.post("/slack/actions", data=io.BytesIO(body), headers=signed(body))

    assert response.status == 413
    assert desk.clicks == []


@settings(max_examples=60)
@given(body=st.binary(max_size=200) | st.text(max_size=60).map(form))
async def test_whatever_is_signed_is_taken_or_refused_and_never_a_500(body):
    async with visiting(Desk(), ManualClock(NOW)) as client:
        assert (await click(client, body)).status in {200, 400}
        assert (await tell(client, body)).status in {200, 400}


# --- when it cannot be kept ---


@pytest.mark.parametrize("error", [StoreUnusable("The disk is full."), RuntimeError("boom"), TimeoutError()])
async def test_what_could_not_be_kept_is_503_so_that_slack_sends_it_again(client, desk, error):
    desk.fails = error

    assert [(await click(client)).status, (await tell(client)).status] == [503, 503]


async def test_while_relay_stops_slack_is_asked_to_come_again(client, desk):
    client.app[IN_FLIGHT].closing = True

    response = await click(client)

    assert (response.status, (await response.json())["reason"]) == (503, "stopping")
    assert desk.clicks == []
