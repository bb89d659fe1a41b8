"""BigPanda's client over real HTTP: every odd response becomes an outcome, and no request is sent twice."""

import asyncio
import json
import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from relay.bigpanda.calls import BigPandaCall
from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.outcomes import (
    IncidentNotFound,
    RejectionCause,
    TaskAmbiguous,
    TaskDone,
    TaskRejected,
    TaskRetryable,
)
from relay.http.session import make_session
from relay.model.errors import SettingsError
from tests.support.http_peer import http_peers, http_response

KEY = "BPUsecretkey"
APP_KEY = "app-key-of-noc"
SHORT = 0.05
"""Seconds: the timeout of calls without an answer."""
ARRIVES = 1.0
"""Seconds until a timeout, in which a request surely arrives, on a busy machine too."""

INCIDENT = "/resources/v2.0/environments/env1/incidents/5e7f"
CALLS = {
    BigPandaCall.CALLBACK: (
        lambda client: client.callback("5e7f", APP_KEY),
        "POST",
        "/resources/v2.1/outbound/callback",
        {"event_type": "incident#new", "incident_id": "5e7f", "app_key": APP_KEY},
    ),
    BigPandaCall.INCIDENT: (lambda client: client.incident("env1", "5e7f"), "GET", f"{INCIDENT}?expand=alerts", None),
    BigPandaCall.RESOLVE: (
        lambda client: client.resolve("env1", "5e7f", "fixed by Ann"),
        "POST",
        f"{INCIDENT}/resolve",
        {"comments": "fixed by Ann"},
    ),
    BigPandaCall.COMMENT: (
        lambda client: client.comment("env1", "5e7f", "Ann: on it ✓"),
        "POST",
        f"{INCIDENT}/comments",
        {"comment": "Ann: on it ✓"},
    ),
    BigPandaCall.ASSIGN: (
        lambda client: client.assign("env1", "5e7f", "644c"),
        "PUT",
        f"{INCIDENT}/assignment",
        {"assignee": "644c"},
    ),
    BigPandaCall.SNOOZE: (
        lambda client: client.snooze("env1", "5e7f", 1_700_003_600),
        "PUT",
        f"{INCIDENT}/snooze",
        {"end_time": 1_700_003_600},
    ),
    BigPandaCall.UNASSIGN: (
        lambda client: client.unassign("env1", "5e7f"),
        "DELETE",
        f"{INCIDENT}/assignment",
        None,
    ),
    BigPandaCall.END_SNOOZE: (lambda client: client.end_snooze("env1", "5e7f"), "DELETE", f"{INCIDENT}/snooze", None),
    BigPandaCall.TAG_DEFINITIONS: (
        lambda client: client.tag_definitions(),
        "GET",
        "/resources/v2.0/incidents/tags/definitions",
        None,
    ),
    BigPandaCall.ACTIVITIES: (
        lambda client: client.activities("5e7f"),
        "GET",
        "/resources/v2.0/incidents/5e7f/activities?per_page=99",
        None,
    ),
    BigPandaCall.USERS: (
        lambda client: client.users("ann@example.com"),
        "GET",
        "/resources/v2.0/scim/Users?filter=userName%20eq%20%22ann%40example.com%22",
        None,
    ),
}
DONE = http_response(200, {"id": "5e7f"})


@pytest.fixture
async def answering():
    """Yield a function that starts a server with the given responses."""
    async with http_peers() as start:
        yield start


@pytest.fixture
async def session():
    async with make_session() as session:
        yield session


@pytest.fixture
def client(session):
    return lambda peer, **more: BigPandaClient(session, KEY, base_url=peer.url, **more)


async def comment(bigpanda):
    return await bigpanda.comment("env1", "5e7f", "on it")


# -- What is sent ------------------------------------------------------------------------------------------------------


def test_every_call_is_tested():
    assert set(CALLS) == set(BigPandaCall)


@pytest.mark.parametrize(("call", "expected"), CALLS.items(), ids=CALLS)
async def test_each_call_sends_one_request_as_documented(answering, client, call, expected):
    act, verb, target, body = expected
    peer = await answering(DONE)

    assert await act(client(peer)) == TaskDone(body={"id": "5e7f"})

    (request,) = peer.requests
    assert (request.verb, request.target) == (verb, target)
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "application/json"
    assert request.headers.get("content-type") == (None if body is None else "application/json; charset=utf8")


async def test_ids_are_quoted_into_the_path(answering, client):
    peer = await answering(DONE)

    await client(peer).comment("a/b", "c?d=e f#é", "x")

    assert peer.requests[0].target == "/resources/v2.0/environments/a%2Fb/incidents/c%3Fd%3De%20f%23%C3%A9/comments"


@pytest.mark.parametrize("odd", ["", ".", "..", "\ud800"])
async def test_an_id_that_would_change_the_path_is_not_sent(answering, client, odd):
    peer = await answering(DONE)
    bigpanda = client(peer)

    outcomes = [
        await bigpanda.resolve("env1", odd, "x"),
        await bigpanda.resolve(odd, "5e7f", "x"),
        await bigpanda.activities(odd),
    ]

    assert {(outcome.cause, outcome.reason) for outcome in outcomes} == {(RejectionCause.PAYLOAD, "unsendable")}
    assert peer.connections == 0


async def test_a_text_that_is_not_valid_json_is_not_sent(answering, client):
    peer = await answering(DONE)

    assert isinstance(await client(peer).comment("env1", "5e7f", "half a pair: \ud83d"), TaskRejected)
    assert peer.connections == 0


async def test_an_e_mail_address_cannot_break_out_of_the_filter(answering, client):
    peer = await answering(DONE)

    await client(peer).users('a" or active eq true or userName eq "\ud800')

    (given,) = parse_qs(urlsplit(peer.requests[0].target).query)["filter"]
    assert given == 'userName eq "a\\" or active eq true or userName eq \\"\\ud800"'


@pytest.mark.parametrize("base", ["", "/", "/bigpanda", "/bigpanda/"])
async def test_the_base_url_may_have_a_path(answering, session, base):
    peer = await answering(DONE)

    await BigPandaClient(session, KEY, base_url=f"http://127.0.0.1:{peer.port}{base}").tag_definitions()

    assert peer.requests[0].path == f"{base.rstrip('/')}/resources/v2.0/incidents/tags/definitions"


@pytest.mark.parametrize("url", ["api.bigpanda.io", "ftp://api.bigpanda.io", "", "http://", "http://[oops/"])
async def test_an_invalid_base_url_is_an_error_of_the_settings(session, url):
    with pytest.raises(SettingsError, match="BIGPANDA_API_URL"):
        BigPandaClient(session, KEY, base_url=url)


@pytest.mark.parametrize("key", ["", "BPU1\n", "BPU1\r\nX-Evil: 1", "schlüssel"])
async def test_an_invalid_key_is_an_error_of_the_settings_that_does_not_show_it(session, key):
    with pytest.raises(SettingsError, match="BIGPANDA_API_KEY") as caught:
        BigPandaClient(session, key)

    assert key not in str(caught.value) or not key


# -- Odd responses -----------------------------------------------------------------------------------------------------

ODD = {
    "204": (http_response(204), TaskDone, "ok"),
    "202 json": (http_response(202, {"status": 202, "data": {}}), TaskDone, "ok"),
    "200 empty": (http_response(200), TaskDone, "ok"),
    "200 null": (http_response(200, "null"), TaskDone, "ok"),
    "200 html": (http_response(200, "<html>sign in</html>", "text/html"), TaskAmbiguous, "unreadable"),
    "200 broken json": (http_response(200, '{"stat'), TaskAmbiguous, "unreadable"),
    "200 not utf-8": (http_response(200, b"\xff\xfe\xfa"), TaskAmbiguous, "unreadable"),
    "200 gzip that is none": (
        http_response(200, b"nonsense", Content_Encoding="gzip"),
        TaskAmbiguous,
        "connection_cut",
    ),
    "400 json": (http_response(400, {"status": 400, "errors": ["comment is required"]}), TaskRejected, "bad_request"),
    "401 html": (
        http_response(401, "<html>401 Authorization Required</html>", "text/html"),
        TaskRejected,
        "key_invalid",
    ),
    "403 json": (
        http_response(403, {"statusCode": 403, "error": "Forbidden", "message": "no"}),
        TaskRejected,
        "forbidden",
    ),
    "404 text": (http_response(404, "Not Found", "text/plain"), IncidentNotFound, "not_found"),
    "409": (http_response(409, {"errors": ["conflict"]}), TaskRejected, "conflict"),
    "410": (http_response(410), IncidentNotFound, "gone"),
    "429": (http_response(429, {"status": 429}), TaskRetryable, "rate_limited"),
    "500 json": (http_response(500, {"status": 500, "errors": ["x"]}), TaskAmbiguous, "server_error"),
    "501": (http_response(501), TaskRejected, "unsupported"),
    "502 html": (http_response(502, "<html>", "text/html"), TaskAmbiguous, "server_error"),
    "503 broken json": (http_response(503, "{"), TaskAmbiguous, "server_error"),
    "a redirection": (http_response(307, Location="http://127.0.0.1:1/"), TaskRetryable, "redirected"),
    "a body that never ends": (http_response(200, {"status": 200})[:-5], TaskAmbiguous, "timed_out"),
    "202 and a body that never ends": (http_response(202, {"status": 202})[:-5], TaskDone, "ok"),
    "429 and a body that is cut": (
        http_response(429, {"a": 1}, Connection="close")[:-5],
        TaskRetryable,
        "rate_limited",
    ),
    "400 and gzip that is none": (
        http_response(400, b"nonsense", Content_Encoding="gzip"),
        TaskRejected,
        "bad_request",
    ),
    "500 and a body that is cut": (
        http_response(500, {"a": 1}, Connection="close")[:-5],
        TaskAmbiguous,
        "server_error",
    ),
    "no http at all": (b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n", TaskAmbiguous, "connection_cut"),
    "cut after reading": (b"", TaskAmbiguous, "connection_cut"),
    "hang": (None, TaskAmbiguous, "timed_out"),
}


@pytest.mark.parametrize("name", ODD)
async def test_every_odd_response_becomes_an_outcome_and_the_request_is_sent_once(answering, client, name):
    raw, kind, reason = ODD[name]
    peer = await answering(raw)

    outcome = await comment(client(peer, timeout=ARRIVES if raw is None or "never ends" in name else 100.0))

    assert (type(outcome), outcome.reason) == (kind, reason)
    assert len(peer.requests) == 1


async def test_a_response_is_parsed_as_leniently_as_a_share(answering, client):
    """A byte that is not UTF-8, or half of a surrogate pair, costs one character and not the incident."""
    peer = await answering(http_response(200, b'{"id": "5e7f", "status": "Critical", "a": "\\ud800", "b": "\xff"}'))

    outcome = await client(peer).incident("env1", "5e7f")

    assert outcome == TaskDone(body={"id": "5e7f", "status": "Critical", "a": "\ufffd", "b": "\ufffd"})


async def test_an_endless_response_is_given_up(answering, client, monkeypatch):
    monkeypatch.setattr("relay.http.session.MAX_ANSWER_BYTES", 1000)
    peer = await answering(http_response(200, {"alerts": "x" * 2000}))

    assert await client(peer).incident("env1", "5e7f") == TaskRetryable(reason="answer_too_large")


@pytest.mark.parametrize("call", BigPandaCall)
async def test_no_call_is_repeated_on_a_broken_connection_new_or_old(answering, client, call):
    act, *_ = CALLS[call]
    peer = await answering(DONE, b"", b"", DONE)
    bigpanda = client(peer)

    lost = (TaskRetryable if call.is_read else TaskAmbiguous)(reason="connection_cut")
    assert [await act(bigpanda) for _ in range(4)] == [
        TaskDone(body={"id": "5e7f"}),
        lost,
        lost,
        TaskDone(body={"id": "5e7f"}),
    ]
    assert (len(peer.requests), peer.connections) == (4, 3)


async def test_without_a_connection_a_call_was_surely_not_sent(session, unused_tcp_port):
    bigpanda = BigPandaClient(session, KEY, base_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert await comment(bigpanda) == TaskRetryable(reason="not_connected")


async def test_a_call_that_times_out_while_connecting_was_surely_not_sent(answering, session):
    peer = await answering(None)
    bigpanda = BigPandaClient(session, KEY, base_url=peer.url.replace("http:", "https:"), timeout=SHORT)

    assert await comment(bigpanda) == TaskRetryable(reason="connect_timed_out")
    assert peer.requests == []


async def test_a_closed_session_sends_nothing(answering, session, client):
    peer = await answering(DONE)
    await session.close()

    assert await comment(client(peer)) == TaskRetryable(reason="not_connected")
    assert peer.connections == 0


# -- Secrets, cancelling, watching -------------------------------------------------------------------------------------


async def test_keys_in_bigpandas_answer_are_redacted(answering, client):
    message = f"no app {APP_KEY} for {KEY}"
    peer = await answering(http_response(400, {"errors": [message]}), http_response(404, {"message": message}))
    bigpanda = client(peer)

    outcomes = [await bigpanda.callback("5e7f", APP_KEY) for _ in range(2)]

    assert [outcome.detail for outcome in outcomes] == ["no app [secret] for [secret]"] * 2


async def test_neither_key_nor_text_is_logged_even_at_debug(answering, client, caplog):
    caplog.set_level(logging.DEBUG)
    peer = await answering(http_response(204), http_response(500))
    bigpanda = client(peer)

    await comment(bigpanda)
    await bigpanda.callback("5e7f", APP_KEY)

    assert not any(secret in caplog.text for secret in (KEY, APP_KEY, "on it"))


async def test_only_a_cancellation_is_raised(answering, client):
    peer = await answering(None)
    call = asyncio.create_task(comment(client(peer)))
    await peer.arrived.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_the_proxy_of_the_environment_is_used(answering, session, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    proxy = await answering(http_response(407, Connection="close"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")

    outcome = await comment(BigPandaClient(session, KEY, base_url="http://bigpanda.example"))

    assert (type(outcome), outcome.reason) == (TaskRetryable, "proxy_rejected")
    assert len(proxy.requests) == 1
