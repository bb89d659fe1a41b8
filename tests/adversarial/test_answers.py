"""No answer of Slack or BigPanda stops or fools relay: not by its size, its shape, its address, or its author."""

import asyncio
import gzip
import json
import time
import tracemalloc
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
import structlog.testing
from aiohttp import web
from aiohttp.test_utils import TestServer

from relay.actions.messages import _has_it
from relay.actions.ownership import Owner
from relay.bigpanda.client import BigPandaClient
from relay.bigpanda.outcomes import TaskRetryable
from relay.bigpanda.responses import assignment_of, comments_of, tag_definitions_of, users_of
from relay.delivery.channels import ChannelResolver
from relay.delivery.history import MAX_PAGES, read_channel
from relay.http import session as http_session
from relay.http.outcome import LONGEST_WAIT, HttpResponse
from relay.http.session import make_session, parse_answer
from relay.sandbox.faults import DropConnection, InjectedFault, RawResponse, SideEffect, rate_limited
from relay.sandbox.slack import methods as sandbox_methods
from relay.sandbox.slack.apps import Bot
from relay.sandbox.slack.message_content import MessageContent
from relay.slack import responses
from relay.slack.classify import classify
from relay.slack.client import SlackClient
from relay.slack.message import Marker, Message, marker_key
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, Read, Retryable
from relay.slack.pages import MAX_CHANNEL_PAGES
from relay.slack.workspace import SlackWorkspace
from relay.store.store import Store
from relay.tools.doctor.slack import SlackChecks
from tests.support.clocks import ManualClock
from tests.support.http_peer import http_peers, http_response
from tests.support.incident_lifecycle import ALERT, cards, thread_text
from tests.support.relay_in_process import fake_workspace, run_relay

POST, HISTORY = "chat.postMessage", "conversations.history"
ALL = "C0ALL00001"
MARKER = Marker(event_type="relay_card", incident="i1", key="k1")

CALLS = {
    "a post": lambda slack: slack.post("C1", Message(text="x"), marker=MARKER),
    "an edit": lambda slack: slack.edit("C1", "1.000200", Message(text="x")),
    "a read": lambda slack: slack.history("C1", "0"),
}


@pytest.fixture
async def session():
    async with make_session() as session:
        yield session


@pytest.fixture
async def peers():
    async with http_peers("/api/") as start:
        yield start


# -- Size --------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def endless(*, compressed: bool, status: int = 200, megabytes: int = 200):
    """A server whose answer is longer than relay reads; yields its address, and counts what it could send."""
    sent = []

    async def answer(request):
        response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        if compressed:
            response.headers["Content-Encoding"] = "gzip"
        await response.prepare(request)
        chunk = b'"' + b"x" * (1024**2 - 3) + b'",'
        sendable = gzip.compress(chunk, 1) if compressed else chunk
        for _ in range(megabytes):
            await response.write(sendable)
            sent.append(len(chunk))
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/api/")), sent


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_an_endless_answer_is_abandoned_at_the_limit(session, call, compressed):
    async with endless(compressed=compressed) as (url, _):
        tracemalloc.start()
        outcome = await call(SlackClient(session, "xoxb-1", base_url=url))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert outcome == Ambiguous(reason="answer_too_large")
    assert peak < 8 * http_session.MAX_ANSWER_BYTES


async def test_bigpandas_answers_have_the_same_limit(session):
    async with endless(compressed=True) as (url, _):
        outcome = await BigPandaClient(session, "BPU1", base_url=url).incident("env1", "i1")
    assert outcome == TaskRetryable(reason="answer_too_large")


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
STREAMS = {
    "headers": (HEAD, b"X-A: y\r\n"),
    "a header": (HEAD + b"X-A: ", b"y"),
    "a reason": (b"HTTP/1.1 200 ", b"y"),
    "other responses before it": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"),
    "an extension of a chunk": (CHUNKED + b"1;", b"y"),
    "small chunks": (CHUNKED, b"1\r\n \r\n"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: y\r\n"),
    "blanks": (HEAD + b"Content-Length: 999999999999\r\n\r\n", b" "),
    "empty blocks of gzip": (
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
        b"5\r\n\x00\x00\x00\xff\xff\r\n",
    ),
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
async def test_every_list_and_text_of_a_bigpanda_answer_is_bounded(session, stream):
    begin, again = stream

    answers = []

    async def answer(reader, writer):
        answers.append(asyncio.current_task())
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(begin)
            while not writer.is_closing():
                writer.write(again * 500)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.transport.abort()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tracemalloc.start()
        outcome = await BigPandaClient(session, "BPU1", base_url=url, timeout=0.5).incident("env1", "i1")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        await session.close()
        await asyncio.gather(*answers)

    assert isinstance(outcome, TaskRetryable)
    assert peak < 2 * http_session.MAX_ANSWER_BYTES


NUMBERS = [
    "1e308",
    "-1e308",
    "1e-308",
    "9" * 20,
    "9" * 5000,
    "-1",
    "0",
    "253402300800",
    "true",
    '"9e99"',
    '"\\u0000"',
    "[]",
    "{}",
]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda number: number[:20])
def test_a_time_from_bigpanda_can_be_displayed_or_is_ignored(number):
    body = parse_answer(f'{{"id": "i1", "assignee": {{"name": "Ann"}}, "changed_at": {number}}}'.encode())

    person, since = assignment_of(body)

    assert person.name == "Ann"
    assert "Ann" in _has_it(Owner(person=person, since=since))


@pytest.mark.parametrize(("status", "kind"), [(429, Retryable), (503, Ambiguous), (404, Retryable)])
async def test_an_error_is_classified_by_its_status_even_with_a_very_long_body(session, status, kind):
    async with endless(compressed=False, status=status, megabytes=20) as (url, _):
        outcome = await SlackClient(session, "xoxb-1", base_url=url).history("C1", "0")
    assert isinstance(outcome, kind)
    assert outcome.reason != "answer_too_large"


@pytest.mark.parametrize(
    "unit", [b"[],", b"{},", b"0,", b'{"a":[]},', b'"\\ud800",', b"\\\\", b"[" * 3], ids=lambda unit: unit.decode()
)
async def test_no_shape_of_an_answer_blocks_the_loop(session, peers, unit):
    """As many values as fit: the bug took tens of seconds where they had to be cleaned."""
    body = b'{"ok":true,"messages":[' + unit * ((http_session.MAX_ANSWER_BYTES - 100) // len(unit)) + b"0]}"
    peer = await peers(http_response(body=body))
    slack = SlackClient(session, "xoxb-1", base_url=peer.url)

    began = time.process_time()
    outcome = await slack.history("C1", "0")

    assert isinstance(outcome, Ambiguous)
    assert time.process_time() - began < 5


# -- Address -----------------------------------------------------------------------------------------------------------

REDIRECTS = [301, 302, 303, 307, 308]
LOOKS_DONE = {"ok": True, "channel": "C1", "ts": "1.000200", "messages": []}


@pytest.mark.parametrize("status", REDIRECTS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
async def test_no_redirect_is_followed_and_its_body_is_ignored(session, peers, status, call):
    elsewhere = await peers(http_response(body=LOOKS_DONE))
    peer = await peers(http_response(status, LOOKS_DONE, Location=f"{elsewhere.url}chat.postMessage"))

    outcome = await call(SlackClient(session, "xoxb-1", base_url=peer.url))

    assert isinstance(outcome, Retryable)
    assert (outcome.reason, elsewhere.requests, len(peer.requests)) == ("redirected", [], 1)
    assert "redirect" in outcome.remedy


@pytest.mark.parametrize("status", REDIRECTS)
async def test_bigpandas_calls_follow_no_redirect_either(session, peers, status):
    elsewhere = await peers(http_response(body={}))
    peer = await peers(http_response(status, {}, Location=elsewhere.url))
    bigpanda = BigPandaClient(session, "BPU1", base_url=peer.url)

    for outcome in [await bigpanda.incident("env1", "i1"), await bigpanda.comment("env1", "i1", "secret")]:
        assert isinstance(outcome, TaskRetryable)
        assert outcome.reason == "redirected"
    assert elsewhere.requests == []


@pytest.mark.parametrize(
    "body",
    [
        {"id": "i2"},
        {"id": "i1 i2"},
        {"id": 1},
        {"id": None},
        {"id": ["i1"]},
        {},
        [],
        [{"id": "i1"}],
        {"incident": {"id": "i1"}},
    ],
    ids=str,
)
async def test_bigpandas_answer_about_another_incident_is_ignored(session, peers, body):
    """The bug took what a wrong cache said for the incident: it made cards of others, and took owners away."""
    peer = await peers(http_response(body={"folders": []} | body if isinstance(body, dict) else body))

    outcome = await BigPandaClient(session, "BPU1", base_url=peer.url).incident("env1", "i1")

    assert isinstance(outcome, TaskRetryable)
    assert outcome.reason == "not_bigpanda"


@pytest.mark.parametrize("status", [300, 304, 305, 399, 400, 403, 404, 418, 500, 503])
@pytest.mark.parametrize("method", Method)
def test_ok_counts_only_with_a_status_of_success(status, method):
    assert not isinstance(classify(method, HttpResponse(status=status, body=LOOKS_DONE)), Delivered | Read)


# -- Fields ------------------------------------------------------------------------------------------------------------

STRANGE_TS = ["1.0\x00", "1.0\ud800", "\x00", "1", "1.", ".1", "1e9", "nan", "1.0\n", " 1.0", "-1.0", "1.2.3", 7]


@pytest.mark.parametrize("ts", STRANGE_TS, ids=repr)
def test_a_post_without_a_proper_ts_is_in_doubt(ts):
    body = {"ok": True, "channel": "C1", "ts": ts}
    outcome = classify(Method.POST, HttpResponse(status=200, body=body), {"channel": "C1"})
    assert outcome == Ambiguous(reason="unreadable")


@pytest.mark.parametrize(
    ("method", "arguments", "body"),
    [
        (Method.POST, {"channel": "C1"}, {"channel": "C2", "ts": "1.000200"}),
        (Method.POST, {"channel": "C1"}, {"channel": 7, "ts": "1.000200"}),
        (Method.EDIT, {"channel": "C1", "ts": "1.000200"}, {"channel": "C2"}),
        (Method.EDIT, {"channel": "C1", "ts": "1.000200"}, {"ts": "9.000200"}),
        (Method.DELETE, {"channel": "C1", "ts": "1.000200"}, {"ts": "9.000200"}),
        (Method.CHANNEL, {"channel": "C1"}, {"channel": {"id": "C2"}}),
        (Method.JOIN, {"channel": "C1"}, {"channel": {"id": "C2"}}),
        (Method.USER, {"user": "U1"}, {"user": {"id": "U2"}}),
    ],
)
def test_an_answer_about_another_channel_or_message_is_ignored(method, arguments, body):
    outcome = classify(method, HttpResponse(status=200, body={"ok": True, **body}), arguments)
    assert outcome == Ambiguous(reason="mismatch")


@pytest.mark.parametrize("method", [Method.HISTORY, Method.REPLIES])
@pytest.mark.parametrize("messages", [None, {}, "", 7])
def test_a_page_without_a_list_of_messages_does_not_count_as_empty(method, messages):
    """Without this, every card would look deleted, and be posted again."""
    body = {"ok": True, "messages": messages}
    assert classify(method, HttpResponse(status=200, body=body)) == Ambiguous(reason="unreadable")


HOSTILE = "\x00\x1b[31m\ud800\u0000ok" + "x" * 100_000


def hostile_everywhere(value):
    """The same shape with hostile text in each text."""
    if isinstance(value, dict):
        return {key: hostile_everywhere(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile_everywhere(inner) for inner in value]
    return HOSTILE if isinstance(value, str) else value


READS = {
    "auth.test": (
        SlackClient.auth_test,
        responses.identity_of,
        {"team_id": "T1", "team": "acme", "url": "https://acme.slack.com/", "bot_id": "B1"},
    ),
    "conversations.info": (
        lambda slack: slack.channel("C1"),
        responses.channel_of,
        {"channel": {"id": "C1", "name": "noc"}},
    ),
    "conversations.list": (
        SlackClient.channels,
        responses.channels_of,
        {"channels": [{"id": "C1", "name": "noc"}], "response_metadata": {"next_cursor": "x"}},
    ),
    "conversations.history": (
        lambda slack: slack.history("C1", "0"),
        responses.messages_of,
        {"messages": [{"ts": "1.0", "thread_ts": "1.0", "bot_id": "B1", "metadata": {"event_payload": {"key": "k"}}}]},
    ),
    "usergroups.list": (
        SlackClient.user_groups,
        responses.user_groups_of,
        {"usergroups": [{"id": "S1", "handle": "ops"}]},
    ),
    "usergroups.users.list": (lambda slack: slack.group_members("S1"), responses.members_of, {"users": ["U1"]}),
    "users.info": (
        lambda slack: slack.user("U1"),
        responses.user_of,
        {"user": {"id": "U1", "name": "ann", "tz": "UTC", "profile": {"display_name": "Ann", "email": "a@b.c"}}},
    ),
    "apps.connections.open": (SlackClient.open_socket, responses.socket_url_of, {"url": "wss://x/"}),
}


@pytest.mark.parametrize(("call", "read", "body"), READS.values(), ids=READS.keys())
async def test_answer_fields_contain_no_text_that_breaks_a_database_or_a_terminal(session, peers, call, read, body):
    sound, hostile = {"ok": True, **body}, {"ok": True, **hostile_everywhere(body)}
    peer = await peers(*(http_response(body=json.dumps(each)) for each in (sound, hostile)))
    slack = SlackClient(session, "xoxb-1", base_url=peer.url)

    assert read(await call(slack))
    outcome = await call(slack)
    values = repr(read(outcome) if isinstance(outcome, Read) else outcome)

    assert not any(repr(strange)[1:-1] in values for strange in "\x00\x1b\ud800")
    assert len(values) < 2_000 or read is responses.messages_of or read is responses.socket_url_of


@pytest.mark.parametrize("offset", [10**9, -(10**9), 86_400, 1e308, True, "7", None, [1]])
def test_a_users_utc_offset_is_a_valid_one(offset):
    user = responses.user_of(Read(body={"user": {"id": "U1", "tz_offset": offset}}))
    assert user is not None
    assert user.utc_offset == 0


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://evil/|click>", "https://a.slack.com/x?y", "https://a b/", "//x", "x" * 999],
)
def test_the_address_of_the_workspace_is_usable_for_links(url):
    assert responses.identity_of(Read(body={"team_id": "T1", "url": url})).url == ""


def test_lists_have_a_maximum_length():
    many = [f"U{number}" for number in range(100_000)]
    assert len(responses.members_of(Read(body={"users": many}))) == responses.MAX_MEMBERS
    entries = [{"id": f"t{number}", "name": "x" * 10_000} for number in range(10_000)]
    definitions = tag_definitions_of(entries)
    assert (len(definitions), len(definitions[0].name)) == (5_000, 255)
    assert len(users_of(entries)) == 5_000
    assert len(comments_of([{"type": "incident_commented", "params": {"comment": "x"}}] * 10_000)) == 5_000


class EndlessPages:
    """A Slack whose every page names a next one; `asked` counts the pages."""

    def __init__(self):
        self.asked = 0

    async def page(self, *_arguments, **_named):
        self.asked += 1
        metadata = {"next_cursor": f"page{self.asked}"}
        return Read(body={"channels": [], "messages": [], "response_metadata": metadata})

    channels = history = replies = page


async def test_paging_stops_even_if_the_cursor_never_ends():
    slack = EndlessPages()
    read = await read_channel(slack, "C1", "0")
    assert (slack.asked, read.complete) == (MAX_PAGES, False)

    slack = EndlessPages()
    await ChannelResolver(SimpleNamespace(slack=slack))._list()
    assert slack.asked == MAX_CHANNEL_PAGES

    slack = EndlessPages()
    await SlackChecks(slack, None, {}, ManualClock())._load_channels()
    assert slack.asked == MAX_CHANNEL_PAGES


# -- The database ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["ts", "channel"])
@pytest.mark.parametrize("value", ["1.0\x00", "\ud800", "C0DB000001"], ids=repr)
async def test_a_strange_field_in_the_answer_to_a_post_leaves_one_card(tmp_path, field, value):
    answer = {"ok": True, "channel": ALL, "ts": "1700000000.000100"} | {field: value}
    async with run_relay(tmp_path) as relay:
        fault = InjectedFault(behaviour=RawResponse(body=json.dumps(answer)), after_effect=True, method=POST, times=1)
        relay.slack.faults.add(fault)
        await relay.share(status="critical", alerts=[ALERT])
        await relay.advance(60)
        await relay.share(status="warning", alerts=[ALERT])
        await relay.advance(60)
        assert len(cards(relay, "i1")) == 1
        assert not relay.gateway.breaker.is_open


@pytest.mark.parametrize("url", ["sqlite_url", "postgresql_url"])
async def test_characters_that_no_database_can_store_are_removed(request, url):
    """The last defence, for what no reader of answers knows."""
    store = await Store.open(request.getfixturevalue(url))
    try:
        await store.marker_secret("secret")
        await store.bind_workspace(SlackWorkspace(team_id="T\x00", team="\ud800", bot_id="B\x00"))
        await store.quarantine(b"\x00", {"x": "\x00"}, "reason\x00\ud800", 1.0)
        assert await store.incident_history("i\ud800\x00") is None
        assert (await store.bound_workspace()).team_id == "T\ufffd"
    finally:
        await store.close()


async def test_a_history_that_leaves_messages_out_does_not_make_relay_post_every_card_again(tmp_path):
    async with run_relay(tmp_path) as relay:
        for number in range(3):
            await relay.share(f"i{number}", status="critical", alerts=[ALERT])
        empty = json.dumps({"ok": True, "messages": []})
        relay.slack.faults.add(InjectedFault(behaviour=RawResponse(body=empty), method=HISTORY, times=None))
        await relay.advance(1200)
        assert len(relay.slack.calls_to(HISTORY)) > 1
        assert len(relay.slack.calls_to(POST)) == 3


# -- One answer for every post -----------------------------------------------------------------------------------------


def same_answer(slack, **more):
    """What Slack answered the first post, for every later one."""
    [first] = slack.channel("all").messages
    return RawResponse(body=json.dumps({"ok": True, "channel": ALL, "ts": first.ts, **more}))


@pytest.mark.parametrize("posts", [True, False], ids=["each is posted", "nothing is posted"])
@pytest.mark.parametrize("restarted", [False, True], ids=["in mid-run", "after a restart"])
async def test_posts_that_all_get_the_same_ts_are_in_doubt_and_the_circuit_says_why(tmp_path, posts, restarted):
    clock = ManualClock()
    slack = fake_workspace(clock)

    async def lie(relay):
        behaviour = same_answer(slack)
        slack.faults.add(InjectedFault(behaviour=behaviour, after_effect=posts, method=POST, times=None))
        with structlog.testing.capture_logs() as logged:
            for number in range(2, 6):
                await relay.share(f"i{number}", status="critical", alerts=[ALERT])
            await relay.share(status="warning", alerts=[ALERT], metadata={"comment": {"comment": "on it"}})
            await relay.advance(600)
        assert "repeated_ts" in {event.get("reason") for event in logged if event["event"] == "slack_paused"}
        assert "exc_info" not in {key for event in logged for key in event if event["log_level"] == "error"}
        assert len(slack.calls_to(POST)) < 40
        slack.faults.clear()
        await relay.advance(1200)
        assert {len(cards(relay, f"i{number}")) for number in range(1, 6)} == {1}
        assert len(slack.channel("all").messages) == 5
        assert thread_text(relay, *cards(relay, "i1")).count("on it") == 1
        assert not relay.gateway.breaker.is_open

    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.settle()
        if not restarted:
            await lie(relay)
    if restarted:
        async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
            await lie(relay)


async def test_a_reply_that_gets_the_ts_of_a_card_never_deletes_that_card(tmp_path):
    """The answer says that the reply stands outside its thread, and names the card of another incident."""
    async with run_relay(tmp_path) as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.settle()
        behaviour = same_answer(relay.slack, message={"text": "x"})
        await relay.share("i2", status="critical", alerts=[ALERT])
        await relay.settle()
        relay.slack.faults.add(InjectedFault(behaviour=behaviour, method=POST, times=3))
        await relay.share("i2", status="critical", alerts=[ALERT], metadata={"comment": {"comment": "on it"}})
        await relay.advance(900)
        assert relay.slack.calls_to("chat.delete") == []
        assert len(cards(relay, "i1")) == len(cards(relay, "i2")) == 1


async def test_a_ts_in_the_far_future_hides_no_later_message_from_relay(tmp_path):
    """The search is for messages newer than the newest known one: nothing would be newer than this one."""
    async with run_relay(tmp_path) as relay:
        lie = RawResponse(body=json.dumps({"ok": True, "channel": ALL, "ts": "999999999999.000100"}))
        relay.slack.faults.add(InjectedFault(behaviour=lie, method=POST, times=1))
        await relay.share(status="critical", alerts=[ALERT])
        await relay.settle()
        relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), after_effect=True, method=POST, times=1))
        await relay.share("i2", status="critical", alerts=[ALERT])
        await relay.advance(600)
        assert len(cards(relay, "i2")) == 1
        assert not [each for each in relay.slack.calls_to(HISTORY) if float(each.arguments.get("oldest", 0)) > 9e10]


async def test_a_history_that_shows_another_card_in_place_of_the_lost_one_is_ignored(tmp_path):
    async with run_relay(tmp_path) as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.settle()
        [first] = relay.slack.channel("all").messages
        relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, times=1))
        await relay.share("i2", status="critical", alerts=[ALERT])
        await relay.settle()
        post = relay.slack.calls_to(POST)[-1]
        lie = {"ts": first.ts, "bot_id": relay.slack.bot.bot_id, "metadata": post.arguments["metadata"]}
        body = json.dumps({"ok": True, "messages": [lie]})
        fault = relay.slack.faults.add(InjectedFault(behaviour=RawResponse(body=body), method=HISTORY, times=None))
        with structlog.testing.capture_logs() as logged:
            await relay.advance(120)
        assert fault.applied
        assert "repeated_ts" in {event.get("reason") for event in logged if event["event"] == "search_failed"}
        assert relay.slack.calls_to("chat.delete") == []
        relay.slack.faults.clear()
        await relay.advance(600)
        assert len(cards(relay, "i1")) == len(cards(relay, "i2")) == 1


# -- Author ------------------------------------------------------------------------------------------------------------

OTHER_BOT = Bot(user_id="U0OTHER", bot_id="B0OTHER", app_id="A0OTHER", name="other")


async def test_another_apps_copy_of_a_lost_message_does_not_count_as_the_card(tmp_path):
    async with run_relay(tmp_path) as relay:

        def copy_and_lose(call):
            content = MessageContent(text="a copy", metadata=call.arguments["metadata"])
            relay.slack.channel("all").add_message(content, OTHER_BOT)
            relay.slack.faults.add(InjectedFault(behaviour=RawResponse(status=500), method=POST, times=1))

        relay.slack.faults.add(InjectedFault(behaviour=SideEffect(copy_and_lose), method=POST, times=1))
        relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, times=1, nth=1))
        await relay.share(status="critical", alerts=[ALERT])
        await relay.advance(200)

        roots = [message for message in relay.slack.channel("all").messages if message.thread_ts is None]
        assert [message.author for message in roots].count(OTHER_BOT) == 1
        assert [message.author for message in roots].count(relay.slack.bot) == 1
        (card,) = (card for card in (await relay.store.incident_history("i1")).cards)
        assert card.ts == next(message.ts for message in roots if message.author == relay.slack.bot)


def test_the_key_of_a_message_cannot_be_computed_without_the_secret():
    keys = {marker_key(secret, key) for secret in ("a", "b") for key in ("k1", "k2")}
    assert len(keys) == 4
    assert all(len(key) == 32 for key in keys)


async def test_the_marker_of_a_message_cannot_be_computed_from_the_incident(tmp_path):
    """Two databases with the same incident use different keys, and neither is the one that the attempt has."""
    seen = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        async with run_relay(folder) as relay:
            await relay.share(status="critical", alerts=[ALERT])
            await relay.settle()
            (post, *_) = relay.slack.calls_to(POST)
            seen.append(post.arguments["metadata"]["event_payload"]["key"])
            history = await relay.store.incident_history("i1")
            seen += [attempt.key for attempts in history.attempts.values() for attempt in attempts]
    first, key, second, same_key, *_ = seen
    assert (key, len({first, second, key})) == (same_key, 3)


# -- Another workspace -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("what", "value"), [("TEAM", "T0OTHER"), ("bot", OTHER_BOT)])
@pytest.mark.parametrize("restarted", [False, True], ids=["in mid-run", "after a restart"])
async def test_the_token_of_another_workspace_or_bot_opens_the_circuit_until_it_is_accepted(
    tmp_path, monkeypatch, what, value, restarted
):
    clock = ManualClock()
    slack = fake_workspace(clock)

    def change():
        if what == "TEAM":
            monkeypatch.setattr(sandbox_methods, "TEAM", value)
        else:
            slack.grants[slack.token].bot = value

    async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
        await relay.share(status="critical", alerts=[ALERT])
        await relay.settle()
        if not restarted:
            await check_change(relay, change)
    if restarted:
        change()
        async with run_relay(tmp_path, slack=slack, clock=clock) as relay:
            await check_change(relay, lambda: None)


async def check_change(relay, change):
    with structlog.testing.capture_logs() as logged:
        change()
        await relay.advance(301)
    breaker = relay.gateway.breaker
    assert breaker.is_open
    assert breaker.status in {"another_workspace", "another_bot"}
    assert "relay workspace --accept" in breaker.remedy
    paused = [event for event in logged if event["event"] == "slack_paused"]
    assert breaker.status in {event["reason"] for event in paused} or not paused
    posts = len(relay.slack.calls_to(POST))
    await relay.share("i2", status="critical", alerts=[ALERT])
    await relay.advance(120)
    assert len(relay.slack.calls_to(POST)) == posts

    await relay.store.release_workspace()
    await relay.advance(60)
    assert not breaker.is_open
    assert len(relay.slack.calls_to(POST)) > posts


# -- Rate limits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [10**9, 10**30])
async def test_a_retry_after_of_years_pauses_calls_for_minutes_and_is_reported(tmp_path, seconds):
    async with run_relay(tmp_path) as relay:
        relay.slack.faults.add(InjectedFault(behaviour=rate_limited(seconds), method=POST, times=1))
        with structlog.testing.capture_logs() as logged:
            await relay.share(status="critical", alerts=[ALERT])
            await relay.settle()
        (event,) = [event for event in logged if event["event"] == "slack_rate_limited"]
        assert event["retry_after_seconds"] == LONGEST_WAIT
        assert relay.gateway.throttle.pauses() == {POST: pytest.approx(LONGEST_WAIT, abs=2)}
        await relay.advance(LONGEST_WAIT + 5)
        assert relay.gateway.throttle.pauses() == {}
        assert len(cards(relay, "i1")) == 1
