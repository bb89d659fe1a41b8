"""The door to BigPanda over real HTTP: each odd answer becomes a value, and no request is ever sent twice."""

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
"""Seconds; a deadline for calls that nobody will answer."""

INCIDENT = "/resources/v2.0/environments/env1/incidents/5e7f"
VERBS = {
    BigPandaCall.CALLBACK: (
        lambda door: door.callback("5e7f", APP_KEY),
        "POST",
        "/resources/v2.1/outbound/callback",
        {"event_type": "incident#new", "incident_id": "5e7f", "app_key": APP_KEY},
    ),
    BigPandaCall.INCIDENT: (lambda door: door.incident("env1", "5e7f"), "GET", f"{INCIDENT}?expand=alerts", None),
    BigPandaCall.RESOLVE: (
        lambda door: door.resolve("env1", "5e7f", "fixed by Ann"),
        "POST",
        f"{INCIDENT}/resolve",
        {"comments": "fixed by Ann"},
    ),
    BigPandaCall.COMMENT: (
        lambda door: door.comment("env1", "5e7f", "Ann: on it ✓"),
        "POST",
        f"{INCIDENT}/comments",
        {"comment": "Ann: on it ✓"},
    ),
    BigPandaCall.ASSIGN: (
        lambda door: door.assign("env1", "5e7f", "644c"),
        "PUT",
        f"{INCIDENT}/assignment",
        {"assignee": "644c"},
    ),
    BigPandaCall.UNASSIGN: (lambda door: door.unassign("env1", "5e7f"), "DELETE", f"{INCIDENT}/assignment", None),
    BigPandaCall.SNOOZE: (
        lambda door: door.snooze("env1", "5e7f", 1_700_003_600),
        "PUT",
        f"{INCIDENT}/snooze",
        {"end_time": 1_700_003_600},
    ),
    BigPandaCall.UNSNOOZE: (lambda door: door.unsnooze("env1", "5e7f"), "DELETE", f"{INCIDENT}/snooze", None),
    BigPandaCall.TAG: (
        lambda door: door.tag("env1", "5e7f", "itd_priority_1", "P1"),
        "POST",
        f"{INCIDENT}/tags/itd_priority_1",
        {"tag_value": "P1"},
    ),
    BigPandaCall.TAG_DEFINITIONS: (
        lambda door: door.tag_definitions(),
        "GET",
        "/resources/v2.0/incidents/tags/definitions",
        None,
    ),
    BigPandaCall.ACTIVITIES: (
        lambda door: door.activities("5e7f"),
        "GET",
        "/resources/v2.0/incidents/5e7f/activities?per_page=99",
        None,
    ),
    BigPandaCall.USERS: (
        lambda door: door.users("ann@example.com"),
        "GET",
        "/resources/v2.0/scim/Users?filter=userName%20eq%20%22ann%40example.com%22",
        None,
    ),
}
DONE = http_response(200, {})


@pytest.fixture
async def answering():
    """Start a peer that gives these answers."""
    async with http_peers() as start:
        yield start


@pytest.fixture
async def session():
    async with make_session() as session:
        yield session


@pytest.fixture
def door(session):
    return lambda peer, **more: BigPandaClient(session, KEY, base_url=peer.url, **more)


async def comment(bigpanda):
    return await bigpanda.comment("env1", "5e7f", "on it")


# -- What is sent ------------------------------------------------------------------------------------------------------


def test_every_call_has_its_verb():
    assert set(VERBS) == set(BigPandaCall)


@pytest.mark.parametrize(("call", "expected"), VERBS.items(), ids=VERBS)
async def test_each_verb_sends_one_request_as_it_is_documented(answering, door, call, expected):
    act, verb, target, body = expected
    peer = await answering(DONE)

    assert await act(door(peer)) == TaskDone(body={})

    (request,) = peer.requests
    assert (request.verb, request.target) == (verb, target)
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "application/json"
    assert request.headers.get("content-type") == (None if body is None else "application/json; charset=utf8")


async def test_a_snooze_may_say_why_and_what_ends_it(answering, door):
    peer = await answering(DONE)

    await door(peer).snooze("env1", "5e7f", 1_700_003_600, "until tomorrow", cancel_on_updates=True)

    assert peer.requests[0].json == {
        "end_time": 1_700_003_600,
        "comment": "until tomorrow",
        "cancel_on_incident_updates": True,
    }


async def test_activities_may_be_asked_for_by_their_types(answering, door):
    peer = await answering(DONE)

    await door(peer).activities("5e7f", ["incident_commented", "incident_snoozed"])

    assert peer.requests[0].query == {"per_page": "99", "types": "incident_commented,incident_snoozed"}


async def test_ids_are_quoted_into_the_path(answering, door):
    peer = await answering(DONE)

    await door(peer).tag("a/b", "c?d=e", "affected services#é", "x")

    assert peer.requests[0].target == (
        "/resources/v2.0/environments/a%2Fb/incidents/c%3Fd%3De/tags/affected%20services%23%C3%A9"
    )


@pytest.mark.parametrize("odd", ["", ".", "..", "\ud800"])
async def test_an_id_that_would_lead_elsewhere_is_not_sent(answering, door, odd):
    peer = await answering(DONE)
    bigpanda = door(peer)

    rulings = [
        await bigpanda.resolve("env1", odd, "x"),
        await bigpanda.resolve(odd, "5e7f", "x"),
        await bigpanda.tag("env1", "5e7f", odd, "x"),
        await bigpanda.activities(odd),
    ]

    assert {(ruling.cause, ruling.reason) for ruling in rulings} == {(RejectionCause.PAYLOAD, "unsendable")}
    assert peer.connections == 0


async def test_a_text_that_no_json_can_hold_is_not_sent(answering, door):
    peer = await answering(DONE)

    assert isinstance(await door(peer).comment("env1", "5e7f", "half a pair: \ud83d"), TaskRejected)
    assert peer.connections == 0


async def test_an_address_cannot_break_out_of_the_filter(answering, door):
    peer = await answering(DONE)

    await door(peer).users('a" or active eq true or userName eq "\ud800')

    (given,) = parse_qs(urlsplit(peer.requests[0].target).query)["filter"]
    assert given == 'userName eq "a\\" or active eq true or userName eq \\"\\ud800"'


@pytest.mark.parametrize("base", ["", "/", "/bigpanda", "/bigpanda/"])
async def test_an_address_may_have_a_path_of_its_own(answering, session, base):
    peer = await answering(DONE)

    await BigPandaClient(session, KEY, base_url=f"http://127.0.0.1:{peer.port}{base}").tag_definitions()

    assert peer.requests[0].path == f"{base.rstrip('/')}/resources/v2.0/incidents/tags/definitions"


@pytest.mark.parametrize("url", ["api.bigpanda.io", "ftp://api.bigpanda.io", "", "http://", "http://[oops/"])
async def test_an_address_that_is_none_is_a_fault_of_the_settings(session, url):
    with pytest.raises(SettingsError, match="BIGPANDA_API_URL"):
        BigPandaClient(session, KEY, base_url=url)


@pytest.mark.parametrize("key", ["", "BPU1\n", "BPU1\r\nX-Evil: 1", "schlüssel"])
async def test_a_key_that_no_header_can_hold_is_a_fault_of_the_settings_that_does_not_tell_it(session, key):
    with pytest.raises(SettingsError, match="BIGPANDA_API_KEY") as caught:
        BigPandaClient(session, key)

    assert key not in str(caught.value) or not key


# -- Odd answers -------------------------------------------------------------------------------------------------------

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
    "a redirection": (http_response(307, Location="http://127.0.0.1:1/"), TaskRetryable, "not_bigpanda"),
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
async def test_every_odd_answer_becomes_a_value_and_the_request_is_sent_once(answering, door, name):
    raw, kind, reason = ODD[name]
    peer = await answering(raw)

    ruling = await comment(door(peer, timeout=SHORT if raw is None or "never ends" in name else 10.0))

    assert (type(ruling), ruling.reason) == (kind, reason)
    assert len(peer.requests) == 1


async def test_what_is_read_is_read_as_shares_are(answering, door):
    """A byte that is no UTF-8, or half of a surrogate pair, costs a character and not the incident."""
    peer = await answering(http_response(200, b'{"id": "5e7f", "status": "Critical", "a": "\\ud800", "b": "\xff"}'))

    ruling = await door(peer).incident("env1", "5e7f")

    assert ruling == TaskDone(body={"id": "5e7f", "status": "Critical", "a": "\ufffd", "b": "\ufffd"})


async def test_an_answer_without_end_is_not_taken_in(answering, door, monkeypatch):
    monkeypatch.setattr("relay.bigpanda.client._LARGEST_ANSWER", 1000)
    peer = await answering(http_response(200, {"alerts": "x" * 2000}))

    assert await door(peer).incident("env1", "5e7f") == TaskRetryable(reason="unreadable")


@pytest.mark.parametrize("call", BigPandaCall)
async def test_no_call_is_sent_again_on_a_connection_that_broke_new_or_old(answering, door, call):
    act, *_ = VERBS[call]
    peer = await answering(DONE, b"", b"", DONE)
    bigpanda = door(peer)

    lost = (TaskRetryable if call.is_read else TaskAmbiguous)(reason="connection_cut")
    assert [await act(bigpanda) for _ in range(4)] == [TaskDone(body={}), lost, lost, TaskDone(body={})]
    assert (len(peer.requests), peer.connections) == (4, 3)


async def test_a_refused_connection_was_surely_not_sent(session, unused_tcp_port):
    bigpanda = BigPandaClient(session, KEY, base_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert await comment(bigpanda) == TaskRetryable(reason="not_connected")


async def test_a_deadline_that_ends_the_connecting_was_surely_not_sent(answering, session):
    peer = await answering(None)
    bigpanda = BigPandaClient(session, KEY, base_url=peer.url.replace("http:", "https:"), timeout=SHORT)

    assert await comment(bigpanda) == TaskRetryable(reason="connect_timed_out")
    assert peer.requests == []


async def test_a_closed_session_sends_nothing(answering, session, door):
    peer = await answering(DONE)
    await session.close()

    assert await comment(door(peer)) == TaskRetryable(reason="not_connected")
    assert peer.connections == 0


# -- Secrets, cancelling, watching -------------------------------------------------------------------------------------


async def test_keys_that_bigpanda_repeats_are_not_told_on(answering, door):
    said = f"no app {APP_KEY} for {KEY}"
    peer = await answering(http_response(400, {"errors": [said]}), http_response(404, {"message": said}))
    bigpanda = door(peer)

    rulings = [await bigpanda.callback("5e7f", APP_KEY) for _ in range(2)]

    assert [ruling.detail for ruling in rulings] == ["no app [secret] for [secret]"] * 2


async def test_neither_key_nor_text_reach_the_log_even_at_debug(answering, door, caplog):
    caplog.set_level(logging.DEBUG)
    peer = await answering(http_response(204), http_response(500))
    bigpanda = door(peer)

    await comment(bigpanda)
    await bigpanda.callback("5e7f", APP_KEY)

    assert not any(secret in caplog.text for secret in (KEY, APP_KEY, "on it"))


async def test_cancelling_is_the_only_thing_that_is_raised(answering, door):
    peer = await answering(None)
    call = asyncio.create_task(comment(door(peer)))
    await peer.arrived.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_an_observer_is_told_of_every_call(answering, door):
    peer = await answering(http_response(204), http_response(503))
    told = []
    bigpanda = door(peer, observer=lambda *call: told.append(call))

    rulings = [await comment(bigpanda), await bigpanda.unsnooze("env1", "5e7f"), await bigpanda.activities("")]

    assert [(call, ruling) for call, ruling, _ in told] == list(
        zip([BigPandaCall.COMMENT, BigPandaCall.UNSNOOZE, BigPandaCall.ACTIVITIES], rulings, strict=True)
    )
    assert all(0 <= seconds < 10 for _, _, seconds in told)


async def test_the_environments_proxy_is_used(answering, session, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    proxy = await answering(http_response(407, Connection="close"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")

    ruling = await comment(BigPandaClient(session, KEY, base_url="http://bigpanda.example"))

    assert (type(ruling), ruling.reason) == (TaskRetryable, "proxy_rejected")
    assert len(proxy.requests) == 1
