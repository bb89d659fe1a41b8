"""The door to BigPanda over real HTTP: each odd answer becomes a value, and no request is ever sent twice."""

import asyncio
import json
import logging
from urllib.parse import parse_qs, urlsplit

import pytest

from relay.bigpanda import Call, Done, Kind, Later, Missing, Refused, Unsure
from relay.bigpanda.client import BigPanda
from relay.http.client import make_session
from relay.model.errors import SettingsError
from tests.support.http_peer import http, starting

KEY = "BPUsecretkey"
APP_KEY = "app-key-of-noc"
SHORT = 0.05
"""Seconds; a deadline for calls that nobody will answer."""

INCIDENT = "/resources/v2.0/environments/env1/incidents/5e7f"
VERBS = {
    Call.CALLBACK: (
        lambda door: door.callback("5e7f", APP_KEY),
        "POST",
        "/resources/v2.1/outbound/callback",
        {"event_type": "incident#new", "incident_id": "5e7f", "app_key": APP_KEY},
    ),
    Call.INCIDENT: (lambda door: door.incident("env1", "5e7f"), "GET", f"{INCIDENT}?expand=alerts", None),
    Call.RESOLVE: (
        lambda door: door.resolve("env1", "5e7f", "fixed by Ann"),
        "POST",
        f"{INCIDENT}/resolve",
        {"comments": "fixed by Ann"},
    ),
    Call.COMMENT: (
        lambda door: door.comment("env1", "5e7f", "Ann: on it ✓"),
        "POST",
        f"{INCIDENT}/comments",
        {"comment": "Ann: on it ✓"},
    ),
    Call.ASSIGN: (
        lambda door: door.assign("env1", "5e7f", "644c"),
        "PUT",
        f"{INCIDENT}/assignment",
        {"assignee": "644c"},
    ),
    Call.UNASSIGN: (lambda door: door.unassign("env1", "5e7f"), "DELETE", f"{INCIDENT}/assignment", None),
    Call.SNOOZE: (
        lambda door: door.snooze("env1", "5e7f", 1_700_003_600),
        "PUT",
        f"{INCIDENT}/snooze",
        {"end_time": 1_700_003_600},
    ),
    Call.UNSNOOZE: (lambda door: door.unsnooze("env1", "5e7f"), "DELETE", f"{INCIDENT}/snooze", None),
    Call.TAG: (
        lambda door: door.tag("env1", "5e7f", "itd_priority_1", "P1"),
        "POST",
        f"{INCIDENT}/tags/itd_priority_1",
        {"tag_value": "P1"},
    ),
    Call.DEFINITIONS: (lambda door: door.definitions(), "GET", "/resources/v2.0/incidents/tags/definitions", None),
    Call.ACTIVITIES: (
        lambda door: door.activities("5e7f"),
        "GET",
        "/resources/v2.0/incidents/5e7f/activities?per_page=99",
        None,
    ),
    Call.USERS: (
        lambda door: door.users("ann@example.com"),
        "GET",
        "/resources/v2.0/scim/Users?filter=userName%20eq%20%22ann%40example.com%22",
        None,
    ),
}
DONE = http(200, {})


@pytest.fixture
async def answering():
    """Start a peer that gives these answers."""
    async with starting() as start:
        yield start


@pytest.fixture
async def session():
    async with make_session() as session:
        yield session


@pytest.fixture
def door(session):
    return lambda peer, **more: BigPanda(session, KEY, base_url=peer.url, **more)


async def comment(bigpanda):
    return await bigpanda.comment("env1", "5e7f", "on it")


# -- What is sent ------------------------------------------------------------------------------------------------------


def test_every_call_has_its_verb():
    assert set(VERBS) == set(Call)


@pytest.mark.parametrize(("call", "expected"), VERBS.items(), ids=VERBS)
async def test_each_verb_sends_one_request_as_it_is_documented(answering, door, call, expected):
    act, verb, target, body = expected
    peer = await answering(DONE)

    assert await act(door(peer)) == Done(body={})

    (request,) = peer.seen
    assert (request.verb, request.target) == (verb, target)
    assert (json.loads(request.body) if request.body else None) == body
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "application/json"
    assert request.headers.get("content-type") == (None if body is None else "application/json; charset=utf8")


async def test_a_snooze_may_say_why_and_what_ends_it(answering, door):
    peer = await answering(DONE)

    await door(peer).snooze("env1", "5e7f", 1_700_003_600, "until tomorrow", cancel_on_updates=True)

    assert peer.seen[0].json == {
        "end_time": 1_700_003_600,
        "comment": "until tomorrow",
        "cancel_on_incident_updates": True,
    }


async def test_activities_may_be_asked_for_by_their_types(answering, door):
    peer = await answering(DONE)

    await door(peer).activities("5e7f", ["incident_commented", "incident_snoozed"])

    assert peer.seen[0].query == {"per_page": "99", "types": "incident_commented,incident_snoozed"}


async def test_ids_are_quoted_into_the_path(answering, door):
    peer = await answering(DONE)

    await door(peer).tag("a/b", "c?d=e", "affected services#é", "x")

    assert peer.seen[0].target == (
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

    assert {(ruling.kind, ruling.reason) for ruling in rulings} == {(Kind.PAYLOAD, "unsendable")}
    assert peer.connections == 0


async def test_a_text_that_no_json_can_hold_is_not_sent(answering, door):
    peer = await answering(DONE)

    assert isinstance(await door(peer).comment("env1", "5e7f", "half a pair: \ud83d"), Refused)
    assert peer.connections == 0


async def test_an_address_cannot_break_out_of_the_filter(answering, door):
    peer = await answering(DONE)

    await door(peer).users('a" or active eq true or userName eq "\ud800')

    (given,) = parse_qs(urlsplit(peer.seen[0].target).query)["filter"]
    assert given == 'userName eq "a\\" or active eq true or userName eq \\"\\ud800"'


@pytest.mark.parametrize("base", ["", "/", "/bigpanda", "/bigpanda/"])
async def test_an_address_may_have_a_path_of_its_own(answering, session, base):
    peer = await answering(DONE)

    await BigPanda(session, KEY, base_url=f"http://127.0.0.1:{peer.port}{base}").definitions()

    assert peer.seen[0].path == f"{base.rstrip('/')}/resources/v2.0/incidents/tags/definitions"


@pytest.mark.parametrize("url", ["api.bigpanda.io", "ftp://api.bigpanda.io", "", "http://", "http://[oops/"])
async def test_an_address_that_is_none_is_a_fault_of_the_settings(session, url):
    with pytest.raises(SettingsError, match="BIGPANDA_API_URL"):
        BigPanda(session, KEY, base_url=url)


@pytest.mark.parametrize("key", ["", "BPU1\n", "BPU1\r\nX-Evil: 1", "schlüssel"])
async def test_a_key_that_no_header_can_hold_is_a_fault_of_the_settings_that_does_not_tell_it(session, key):
    with pytest.raises(SettingsError, match="BIGPANDA_API_KEY") as caught:
        BigPanda(session, key)

    assert key not in str(caught.value) or not key


# -- Odd answers -------------------------------------------------------------------------------------------------------

ODD = {
    "204": (http(204), Done, "ok"),
    "202 json": (http(202, {"status": 202, "data": {}}), Done, "ok"),
    "200 empty": (http(200), Done, "ok"),
    "200 null": (http(200, "null"), Done, "ok"),
    "200 html": (http(200, "<html>sign in</html>", "text/html"), Unsure, "unreadable"),
    "200 broken json": (http(200, '{"stat'), Unsure, "unreadable"),
    "200 not utf-8": (http(200, b"\xff\xfe\xfa"), Unsure, "unreadable"),
    "200 gzip that is none": (http(200, b"nonsense", Content_Encoding="gzip"), Unsure, "connection_cut"),
    "400 json": (http(400, {"status": 400, "errors": ["comment is required"]}), Refused, "bad_request"),
    "401 html": (http(401, "<html>401 Authorization Required</html>", "text/html"), Refused, "key_invalid"),
    "403 json": (http(403, {"statusCode": 403, "error": "Forbidden", "message": "no"}), Refused, "forbidden"),
    "404 text": (http(404, "Not Found", "text/plain"), Missing, "not_found"),
    "409": (http(409, {"errors": ["conflict"]}), Refused, "conflict"),
    "410": (http(410), Missing, "gone"),
    "429": (http(429, {"status": 429}), Later, "rate_limited"),
    "500 json": (http(500, {"status": 500, "errors": ["x"]}), Unsure, "server_error"),
    "501": (http(501), Refused, "unsupported"),
    "502 html": (http(502, "<html>", "text/html"), Unsure, "server_error"),
    "503 broken json": (http(503, "{"), Unsure, "server_error"),
    "a redirection": (http(307, Location="http://127.0.0.1:1/"), Later, "not_bigpanda"),
    "a body that never ends": (http(200, {"status": 200})[:-5], Unsure, "timed_out"),
    "202 and a body that never ends": (http(202, {"status": 202})[:-5], Done, "ok"),
    "429 and a body that is cut": (http(429, {"a": 1}, Connection="close")[:-5], Later, "rate_limited"),
    "400 and gzip that is none": (http(400, b"nonsense", Content_Encoding="gzip"), Refused, "bad_request"),
    "500 and a body that is cut": (http(500, {"a": 1}, Connection="close")[:-5], Unsure, "server_error"),
    "no http at all": (b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n", Unsure, "connection_cut"),
    "cut after reading": (b"", Unsure, "connection_cut"),
    "hang": (None, Unsure, "timed_out"),
}


@pytest.mark.parametrize("name", ODD)
async def test_every_odd_answer_becomes_a_value_and_the_request_is_sent_once(answering, door, name):
    raw, kind, reason = ODD[name]
    peer = await answering(raw)

    ruling = await comment(door(peer, deadline=SHORT if raw is None or "never ends" in name else 10.0))

    assert (type(ruling), ruling.reason) == (kind, reason)
    assert len(peer.seen) == 1


async def test_what_is_read_is_read_as_shares_are(answering, door):
    """A byte that is no UTF-8, or half of a surrogate pair, costs a character and not the incident."""
    peer = await answering(http(200, b'{"id": "5e7f", "status": "Critical", "a": "\\ud800", "b": "\xff"}'))

    ruling = await door(peer).incident("env1", "5e7f")

    assert ruling == Done(body={"id": "5e7f", "status": "Critical", "a": "\ufffd", "b": "\ufffd"})


async def test_an_answer_without_end_is_not_taken_in(answering, door, monkeypatch):
    monkeypatch.setattr("relay.bigpanda.client._LARGEST_ANSWER", 1000)
    peer = await answering(http(200, {"alerts": "x" * 2000}))

    assert await door(peer).incident("env1", "5e7f") == Later(reason="unreadable")


@pytest.mark.parametrize("call", Call)
async def test_no_call_is_sent_again_on_a_connection_that_broke_new_or_old(answering, door, call):
    act, *_ = VERBS[call]
    peer = await answering(DONE, b"", b"", DONE)
    bigpanda = door(peer)

    lost = (Later if call.is_read else Unsure)(reason="connection_cut")
    assert [await act(bigpanda) for _ in range(4)] == [Done(body={}), lost, lost, Done(body={})]
    assert (len(peer.seen), peer.connections) == (4, 3)


async def test_a_refused_connection_was_surely_not_sent(session, unused_tcp_port):
    bigpanda = BigPanda(session, KEY, base_url=f"http://127.0.0.1:{unused_tcp_port}")

    assert await comment(bigpanda) == Later(reason="not_connected")


async def test_a_deadline_that_ends_the_connecting_was_surely_not_sent(answering, session):
    peer = await answering(None)
    bigpanda = BigPanda(session, KEY, base_url=peer.url.replace("http:", "https:"), deadline=SHORT)

    assert await comment(bigpanda) == Later(reason="connect_timed_out")
    assert peer.seen == []


async def test_a_closed_session_sends_nothing(answering, session, door):
    peer = await answering(DONE)
    await session.close()

    assert await comment(door(peer)) == Later(reason="not_connected")
    assert peer.connections == 0


# -- Secrets, cancelling, watching -------------------------------------------------------------------------------------


async def test_keys_that_bigpanda_repeats_are_not_told_on(answering, door):
    said = f"no app {APP_KEY} for {KEY}"
    peer = await answering(http(400, {"errors": [said]}), http(404, {"message": said}))
    bigpanda = door(peer)

    rulings = [await bigpanda.callback("5e7f", APP_KEY) for _ in range(2)]

    assert [ruling.detail for ruling in rulings] == ["no app [secret] for [secret]"] * 2


async def test_neither_key_nor_text_reach_the_log_even_at_debug(answering, door, caplog):
    caplog.set_level(logging.DEBUG)
    peer = await answering(http(204), http(500))
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
    peer = await answering(http(204), http(503))
    told = []
    bigpanda = door(peer, on_call=lambda *call: told.append(call))

    rulings = [await comment(bigpanda), await bigpanda.unsnooze("env1", "5e7f"), await bigpanda.activities("")]

    assert [(call, ruling) for call, ruling, _ in told] == list(
        zip([Call.COMMENT, Call.UNSNOOZE, Call.ACTIVITIES], rulings, strict=True)
    )
    assert all(0 <= seconds < 10 for _, _, seconds in told)


async def test_the_environments_proxy_is_used(answering, session, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    proxy = await answering(http(407, Connection="close"))
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")

    ruling = await comment(BigPanda(session, KEY, base_url="http://bigpanda.example"))

    assert (type(ruling), ruling.reason) == (Later, "proxy_refused")
    assert len(proxy.seen) == 1
