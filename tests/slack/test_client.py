"""Slack's client over real HTTP: every odd response becomes an outcome, and no request is sent twice."""

import asyncio
import logging
import time

import aiohttp
import pytest

from relay.http import session as session_module
from relay.http.session import check_before_send, make_session
from relay.model.errors import LeaseLost, SettingsError
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.slack.client import SlackClient
from relay.slack.message import Marker, Message
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable
from relay.slack.responses import identity_of, messages_of
from tests.support.http_peer import http_peers, http_response

TOKEN = "xoxb-1-2-secret"
API = "/api/"
CARD = Message(text="critical: db-1 down", blocks=({"type": "divider"},), attachments=({"color": "danger"},))
MARKER = Marker(event_type="relay_card", incident="5e7f", key="k1")
SHORT = 0.05
"""Seconds: the timeout of calls without an outcome."""
ARRIVES = 1.0
"""Seconds until a timeout, in which a request surely arrives, on a busy machine too."""


POSTED = http_response(body={"ok": True, "channel": "C1", "ts": "1.000200", "message": {"text": "x"}})


@pytest.fixture
async def answering():
    """Yield a function that starts a server with the given responses."""
    async with http_peers(API) as start:
        yield start


@pytest.fixture
async def session():
    async with make_session() as session:
        yield session


@pytest.fixture
def client(session):
    return lambda peer, **more: SlackClient(session, TOKEN, base_url=peer.url, **more)


async def post(slack, **more):
    return await slack.post("C1", CARD, marker=MARKER, **more)


# -- Odd responses -----------------------------------------------------------------------------------------------------

LIMITED = {"ok": False, "error": "ratelimited"}

ODD = {
    "done": (POSTED, Delivered, "ok"),
    "ok false": (http_response(body={"ok": False, "error": "not_in_channel"}), Rejected, "not_in_channel"),
    "an unknown code": (http_response(body={"ok": False, "error": "sunspots"}), Rejected, "unknown_code"),
    "429 with Retry-After": (http_response(429, LIMITED, Retry_After=7), Retryable, "rate_limited"),
    "429 without": (http_response(429, LIMITED), Retryable, "rate_limited"),
    "429 html": (http_response(429, "<html>", "text/html"), Retryable, "rate_limited"),
    "429 text/plain": (http_response(429, "slow down", "text/plain"), Retryable, "rate_limited"),
    "429 broken json": (http_response(429, '{"ok": fal'), Retryable, "rate_limited"),
    "429 by code": (http_response(body=LIMITED), Retryable, "rate_limited"),
    "500 json": (http_response(500, {"ok": False, "error": "internal_error"}), Ambiguous, "server_error"),
    "internal_error": (http_response(body={"ok": False, "error": "internal_error"}), Ambiguous, "internal_error"),
    "503 html": (http_response(503, "<html>Slack is down</html>", "text/html"), Ambiguous, "server_error"),
    "502 text/plain": (http_response(502, "bad gateway", "text/plain"), Ambiguous, "server_error"),
    "500 broken json": (http_response(500, "{"), Ambiguous, "server_error"),
    "504 empty": (http_response(504), Ambiguous, "server_error"),
    "403 html": (http_response(403, "<html>proxy</html>", "text/html"), Retryable, "not_slack"),
    "404 text/plain": (http_response(404, "404: Not Found", "text/plain"), Retryable, "not_slack"),
    "413 html": (http_response(413, "<html>", "text/html"), Rejected, "message_too_large"),
    "401 json": (http_response(401, {"ok": False, "error": "invalid_auth"}), Rejected, "token_invalid"),
    "200 text/plain": (http_response(body="ok", kind="text/plain"), Ambiguous, "unreadable"),
    "200 html": (http_response(body="<html>login</html>", kind="text/html"), Ambiguous, "unreadable"),
    "broken json": (http_response(body='{"ok": tr'), Ambiguous, "unreadable"),
    "not utf-8": (http_response(body=b'{"ok": "\xff\xfe"}'), Ambiguous, "unreadable"),
    "empty": (http_response(body=""), Ambiguous, "unreadable"),
    "empty object": (http_response(body={}), Ambiguous, "unreadable"),
    "a list": (http_response(body=[1]), Ambiguous, "unreadable"),
    "a string": (http_response(body='"ok"'), Ambiguous, "unreadable"),
    "gzip": (http_response(body=b"\x1f\x8b", kind="application/gzip"), Ambiguous, "unreadable"),
    "ok without ts": (http_response(body={"ok": True}), Ambiguous, "unreadable"),
    "201": (http_response(201, {"ok": True, "channel": "C1", "ts": "1.000200"}), Delivered, "ok"),
    "a body that never ends": (http_response(body={"ok": True})[:-5], Ambiguous, "timed_out"),
    "no http at all": (b"SSH-2.0-OpenSSH_9.2\r\nConnection: close\r\n\r\n", Ambiguous, "connection_cut"),
    "cut after reading": (b"", Ambiguous, "connection_cut"),
    "cut in the headers": (b"HTTP/1.1 200 OK\r\nConnection: close", Ambiguous, "connection_cut"),
    "hang": (None, Ambiguous, "timed_out"),
}


@pytest.mark.parametrize(("raw", "kind", "reason"), ODD.values(), ids=ODD.keys())
async def test_every_odd_response_becomes_an_outcome_and_the_request_is_sent_once(answering, client, raw, kind, reason):
    peer = await answering(raw)
    hangs = raw is None or reason == "timed_out"

    outcome = await post(client(peer, timeout=ARRIVES if hangs else 100.0))

    assert (type(outcome), outcome.reason) == (kind, reason)
    assert [request.method for request in peer.requests] == ["chat.postMessage"]


async def test_a_body_that_breaks_off_is_ambiguous(answering, client):
    peer = await answering(http_response(body={"ok": True}, Connection="close")[:-5])

    assert isinstance(await post(client(peer)), Ambiguous)
    assert len(peer.requests) == 1


async def test_a_connection_that_is_cut_before_the_request_was_read_is_ambiguous(answering, client):
    peer = await answering(unresponsive=True)

    outcome = await post(client(peer))

    assert (type(outcome), outcome.reason) == (Ambiguous, "connection_cut")
    assert (peer.connections, peer.requests) == (1, [])


async def test_a_post_on_a_stale_connection_is_ambiguous_and_not_sent_again(answering, client):
    peer = await answering(POSTED, b"", POSTED)
    slack = client(peer)

    assert isinstance(await post(slack), Delivered)
    assert isinstance(await post(slack), Ambiguous)
    assert len(peer.requests) == 2
    assert peer.connections == 1


async def test_a_read_on_a_stale_connection_is_not_sent_again(answering, client):
    peer = await answering(http_response(body={"ok": True}), b"", http_response(body={"ok": True}))
    slack = client(peer)

    assert isinstance(await slack.user_groups(), Read)
    assert await slack.user_groups() == Ambiguous(reason="connection_cut")
    assert len(peer.requests) == 2


# -- Surely not sent ---------------------------------------------------------------------------------------------------


async def test_without_a_connection_a_call_was_surely_not_sent(session, unused_tcp_port):
    slack = SlackClient(session, TOKEN, base_url=f"http://127.0.0.1:{unused_tcp_port}/api/")

    assert await post(slack) == Retryable(reason="not_connected")


@pytest.mark.usefixtures("no_proxies")
async def test_with_a_name_that_does_not_resolve_a_call_was_surely_not_sent(session):
    slack = SlackClient(session, TOKEN, base_url="http://slack.invalid/api/")

    assert await post(slack) == Retryable(reason="name_not_resolved")


async def test_with_a_cut_tls_handshake_a_call_was_surely_not_sent(answering, session):
    peer = await answering(unresponsive=True)
    slack = SlackClient(session, TOKEN, base_url=peer.url.replace("http:", "https:"))

    assert await post(slack) == Retryable(reason="not_connected")


async def test_with_a_peer_without_tls_a_call_was_surely_not_sent(session):
    async def babble(reader, writer):
        writer.write(b"220 mail.example.com ESMTP\r\n" * 3)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        outcome = await post(SlackClient(session, TOKEN, base_url=f"https://127.0.0.1:{port}/api/"))

    assert outcome == Retryable(reason="tls_failed")


async def test_a_call_that_times_out_while_connecting_was_surely_not_sent(answering, session):
    """The server waits for a whole request and never outcomes the handshake."""
    peer = await answering(None)
    slack = SlackClient(session, TOKEN, base_url=peer.url.replace("http:", "https:"), timeout=SHORT)

    assert await post(slack) == Retryable(reason="connect_timed_out")
    assert peer.requests == []


async def test_a_call_that_times_out_while_waiting_for_a_free_connection_was_surely_not_sent(answering, monkeypatch):
    monkeypatch.setattr(session_module, "MAX_CONNECTIONS", 1)
    peer = await answering(None)
    async with make_session() as session:
        slow = asyncio.create_task(post(SlackClient(session, TOKEN, base_url=peer.url)))
        await peer.arrived.wait()

        assert await post(SlackClient(session, TOKEN, base_url=peer.url, timeout=SHORT)) == Retryable(
            reason="connect_timed_out"
        )
        assert len(peer.requests) == 1
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


async def test_a_closed_session_sends_nothing(answering, session, client):
    peer = await answering(POSTED)
    await session.close()

    assert await post(client(peer)) == Retryable(reason="not_connected")
    assert peer.connections == 0


async def test_a_message_that_is_not_valid_json_is_rejected_and_not_sent(answering, client):
    peer = await answering(POSTED)

    outcome = await client(peer).edit("C1", "1.2", Message(text="x", blocks=({"type": object()},)))

    assert isinstance(outcome, Rejected)
    assert outcome.scope is RejectionScope.PAYLOAD
    assert peer.requests == []


async def test_with_another_session_a_timeout_is_ambiguous(answering):
    """Without the trace, nobody knows whether there was a connection before the timeout."""
    peer = await answering(None)
    async with aiohttp.ClientSession() as session:
        slack = SlackClient(session, TOKEN, base_url=peer.url.replace("http:", "https:"), timeout=SHORT)

        assert await post(slack) == Ambiguous(reason="timed_out")


# -- Cancelling, observing ---------------------------------------------------------------------------------------------


async def test_only_a_cancellation_is_raised(answering, client):
    peer = await answering(None)
    call = asyncio.create_task(post(client(peer)))
    await peer.arrived.wait()

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_call_is_checked_again_after_connecting_and_before_its_first_byte(answering, session, client):
    peer = await answering(POSTED, POSTED)
    connect, allowed = session.connector.connect, True

    async def slow(*arguments, **named):
        nonlocal allowed
        allowed = False  # the lease ends while relay connects
        return await connect(*arguments, **named)

    def check():
        if not allowed:
            raise LeaseLost("too late")

    session.connector.connect = slow
    with check_before_send(check):
        with pytest.raises(LeaseLost, match="too late"):
            await post(client(peer))
        with check_before_send(None):
            assert isinstance(await post(client(peer)), Delivered)
        session.connector.connect = connect
        with pytest.raises(LeaseLost):  # on a reused connection too
            await post(client(peer))
    assert isinstance(await post(client(peer)), Delivered)
    assert len(peer.requests) == 2


async def test_the_timeout_of_a_call_overrides_that_of_the_session(answering, client):
    peer = await answering(None)
    began = time.monotonic()

    outcome = await post(client(peer, timeout=ARRIVES))

    assert outcome == Ambiguous(reason="timed_out")
    assert ARRIVES <= time.monotonic() - began < 20.0  # the session's is 30 s


async def test_neither_token_nor_payload_is_logged_even_at_debug(answering, client, caplog):
    caplog.set_level(logging.DEBUG)
    peer = await answering(POSTED, http_response(body={"ok": False, "error": "fatal_error"}))
    slack = client(peer)

    await post(slack)
    await post(slack)

    assert TOKEN not in caplog.text
    assert CARD.text not in caplog.text


# -- What is sent ------------------------------------------------------------------------------------------------------


async def test_a_card_is_posted_as_json_with_its_marker(answering, client):
    peer = await answering(POSTED)

    outcome = await post(client(peer))

    assert outcome == Delivered(channel="C1", ts="1.000200")
    (request,) = peer.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["content-type"].startswith("application/json")
    assert request.json == {
        "channel": "C1",
        **CARD.payload(),
        "metadata": {
            "event_type": "relay_card",
            "event_payload": {"incident": "5e7f", "key": "k1", "kind": "card", "instance": "relay"},
        },
    }


async def test_a_reply_has_its_thread_and_whether_the_channel_shows_it(answering, client):
    in_thread = {"ok": True, "channel": "C1", "ts": "2.2", "message": {"thread_ts": "1.1"}}
    peer = await answering(http_response(body=in_thread), POSTED)
    slack = client(peer)

    assert await post(slack, thread_ts="1.1", broadcast=True) == Delivered(channel="C1", ts="2.2")
    assert await post(slack, thread_ts="1.1") == Delivered(channel="C1", ts="1.000200", stray=True)
    assert [(each.json["thread_ts"], each.json["reply_broadcast"]) for each in peer.requests] == [
        ("1.1", True),
        ("1.1", False),
    ]


async def test_an_edit_names_everything_that_slack_would_otherwise_keep_or_reset(answering, client):
    peer = await answering(http_response(body={"ok": True, "channel": "C1", "ts": "1.2"}))

    outcome = await client(peer).edit("C1", "1.2", Message(text="resolved"))

    assert outcome == Delivered(channel="C1", ts="1.2")
    assert peer.requests[0].json == {
        "channel": "C1",
        "ts": "1.2",
        "parse": "none",
        "text": "resolved",
        "blocks": [],
        "attachments": [],
    }


async def test_a_message_without_text_causes_no_warning(answering, client):
    peer = await answering(POSTED)

    assert isinstance(await client(peer).post("C1", Message(text=""), marker=MARKER), Delivered)


async def test_a_modal_is_opened_with_the_trigger_of_the_click(answering, client):
    peer = await answering(http_response(body={"ok": True, "view": {"id": "V1"}}))
    view = {"type": "modal", "blocks": []}

    outcome = await client(peer).open_view("1.2.abc", view)

    assert outcome == Read(body={"ok": True, "view": {"id": "V1"}})
    assert [(each.method, each.json) for each in peer.requests] == [
        ("views.open", {"trigger_id": "1.2.abc", "view": view})
    ]


async def test_a_modal_that_comes_too_late_is_rejected_with_a_remedy(answering, client):
    peer = await answering(http_response(body={"ok": False, "error": "expired_trigger_id"}))

    outcome = await client(peer).open_view("1.2.abc", {"type": "modal"})

    assert isinstance(outcome, Rejected)
    assert outcome.remedy.startswith("Press the button again")


async def test_an_ephemeral_message_is_for_one_user_in_a_channel_or_a_thread(answering, client):
    peer = await answering(http_response(body={"ok": True, "message_ts": "3.3"}))
    slack = client(peer)

    outcome = await slack.post_ephemeral("C1", "U1", "a &amp; b")
    await slack.post_ephemeral("C1", "U1", "here", thread_ts="1.2")

    assert outcome == Delivered(channel="C1", ts="3.3")
    assert [(each.method, each.json) for each in peer.requests] == [
        ("chat.postEphemeral", {"channel": "C1", "user": "U1", "text": "a &amp; b", "parse": "none"}),
        ("chat.postEphemeral", {"channel": "C1", "user": "U1", "text": "here", "parse": "none", "thread_ts": "1.2"}),
    ]


FLAG = {"include_all_metadata": "1", "inclusive": "1"}

CALLS = [
    (lambda s: s.delete("C1", "1.2"), "POST", "chat.delete", {"channel": "C1", "ts": "1.2"}),
    (
        lambda s: s.history("C1", "1.0", "2.0", "abc"),
        "GET",
        "conversations.history",
        {"channel": "C1", "oldest": "1.0", "latest": "2.0", "cursor": "abc", "limit": "200", **FLAG},
    ),
    (
        lambda s: s.history("C1", "1.0"),
        "GET",
        "conversations.history",
        {"channel": "C1", "oldest": "1.0", "limit": "200", **FLAG},
    ),
    (
        lambda s: s.replies("C1", "1.2", oldest="1.3"),
        "GET",
        "conversations.replies",
        {"channel": "C1", "ts": "1.2", "oldest": "1.3", "limit": "200", **FLAG},
    ),
    (
        lambda s: s.channels("abc="),
        "GET",
        "conversations.list",
        {"types": "public_channel,private_channel", "exclude_archived": "0", "limit": "999", "cursor": "abc="},
    ),
    (lambda s: s.channel("C1"), "GET", "conversations.info", {"channel": "C1"}),
    (lambda s: s.join("C1"), "POST", "conversations.join", {"channel": "C1"}),
    (lambda s: s.auth_test(), "POST", "auth.test", {}),
    (lambda s: s.user_groups(), "GET", "usergroups.list", {}),
    (lambda s: s.user_groups(with_users=True), "GET", "usergroups.list", {"include_users": "true"}),
    (lambda s: s.group_members("S1"), "GET", "usergroups.users.list", {"usergroup": "S1"}),
    (lambda s: s.open_socket(), "POST", "apps.connections.open", {}),
    (lambda s: s.user("U1"), "GET", "users.info", {"user": "U1"}),
]


@pytest.mark.parametrize(("call", "expected"), [(call, expected) for call, *expected in CALLS])
async def test_every_other_call_sends_a_query(answering, client, call, expected):
    peer = await answering(http_response(body={"ok": True, "messages": []}))

    outcome = await call(client(peer))

    assert isinstance(outcome, (Read, Delivered))
    (request,) = peer.requests
    assert [request.verb, request.method, request.query] == expected
    assert request.body == b""
    assert request.headers["authorization"] == f"Bearer {TOKEN}"


async def test_auth_test_has_the_workspace_and_the_scopes(answering, client):
    body = {
        "ok": True,
        "url": "https://acme.slack.com/",
        "team": "Acme",
        "team_id": "T1",
        "user_id": "U1",
        "bot_id": "B1",
    }
    peer = await answering(http_response(body=body, X_OAuth_Scopes="chat:write,channels:read"))

    outcome = await client(peer).auth_test()

    assert isinstance(outcome, Read)
    identity = identity_of(outcome)
    assert (identity.team, identity.team_id, identity.scopes) == ("Acme", "T1", ("chat:write", "channels:read"))


async def test_deleting_a_deleted_message_is_done_and_editing_it_finds_nothing(answering, client):
    peer = await answering(http_response(body={"ok": False, "error": "message_not_found"}))
    slack = client(peer)

    assert await slack.delete("C1", "1.2") == Delivered(channel="C1", ts="1.2")
    assert await slack.edit("C1", "1.2", CARD) == NotFound(code="message_not_found", reason="message_gone")


async def test_a_card_is_posted_edited_found_and_deleted_in_the_fake_slack():
    fake_slack = FakeSlack()
    fake_slack.add_channel("C0123456789", "noc", member=True)
    async with serve_slack(fake_slack) as base_url, make_session() as session:
        slack = SlackClient(session, fake_slack.token, base_url=base_url)
        card = await slack.post("C0123456789", Message(text="db-1 is down"), marker=MARKER)
        assert isinstance(card, Delivered)
        entry = Marker(event_type="relay_entry", incident="5e7f", key="k2")
        reply = await slack.post("C0123456789", Message(text="Ann has it"), marker=entry, thread_ts=card.ts)
        edited = await slack.edit("C0123456789", card.ts, Message(text="db-1 is back"))
        history = await slack.history("C0123456789", card.ts)
        thread = await slack.replies("C0123456789", card.ts)
        deleted = [await slack.delete("C0123456789", card.ts) for _ in range(2)]
        stray = await slack.post("C0123456789", Message(text="too late"), marker=entry, thread_ts="1.000100")

    assert isinstance(reply, Delivered)
    assert not reply.stray
    assert edited == card
    assert isinstance(history, Read)
    [listed] = messages_of(history)
    assert (listed.ts, listed.marker and listed.marker.key, listed.replies) == (card.ts, "k1", 1)
    assert isinstance(thread, Read)
    assert [found.marker and found.marker.key for found in messages_of(thread)] == ["k1", "k2"]
    assert all(isinstance(outcome, Delivered) for outcome in deleted)
    assert isinstance(stray, Delivered)
    assert stray.stray


# -- Proxies -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


async def test_a_proxy_is_used_for_slack_and_not_for_this_machine(no_proxies, answering, session, client):
    proxy, fake_slack = await answering(POSTED), await answering(POSTED)
    no_proxies.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")

    await post(SlackClient(session, TOKEN, base_url="http://slack.example/api/"))
    await post(client(fake_slack))

    assert (len(proxy.requests), len(fake_slack.requests)) == (1, 1)


async def test_a_call_that_the_proxy_rejects_was_surely_not_sent(no_proxies, answering, session):
    proxy = await answering(http_response(407, Connection="close"))
    no_proxies.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")

    assert await post(SlackClient(session, TOKEN)) == Retryable(reason="proxy_rejected")


async def test_a_call_through_a_missing_proxy_was_surely_not_sent(no_proxies, unused_tcp_port, session):
    no_proxies.setenv("HTTPS_PROXY", f"http://127.0.0.1:{unused_tcp_port}")

    assert await post(SlackClient(session, TOKEN)) == Retryable(reason="proxy_rejected")


@pytest.mark.parametrize("url", ["slack.com/api/", "ftp://slack.com/", "", "http://", "http://[oops/"])
async def test_an_invalid_base_url_is_an_error_of_the_settings(session, url):
    with pytest.raises(SettingsError, match="SLACK_API_URL"):
        SlackClient(session, TOKEN, base_url=url)
