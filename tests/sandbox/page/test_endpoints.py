"""Who may read the page and which files and events it sends; without a browser."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from relay.sandbox.page.page import POLICY, Page
from relay.sandbox.page.relay_client import RelayClient
from relay.sandbox.slack.message_content import MessageContent
from relay.sandbox.slack.server import FakeSlack, serve_slack

KEYS = {"webhook_key": "secret-of-the-webhook", "admin_key": "secret-of-the-admin"}


@pytest.fixture
async def address() -> AsyncIterator[str]:
    slack = FakeSlack()
    slack.add_channel("C0NOC00001", "noc")
    slack.add_user("U0ANN00001", "ann")
    page = Page(slack, RelayClient(url="http://127.0.0.1:9", **KEYS, sample="{}"))
    async with serve_slack(slack, add_routes=page.add_routes) as base:
        yield base.removesuffix("api/")


@pytest.fixture
async def web() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("path", ["", "page/draw.js", "page/page.css", "sample"])
async def test_every_answer_carries_the_strict_policy(address, web, path):
    async with web.get(address + path) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["Server"] == "relay-sandbox"
        assert "unsafe" not in POLICY


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
@pytest.mark.parametrize("path", ["", "events", "incidents/i1"])
async def test_a_request_from_another_web_site_is_403(address, web, path, header):
    async with web.get(address + path, headers=header) as answer:
        assert answer.status == 403


async def test_another_web_site_cannot_send_a_share(address, web):
    async with web.post(address + "shares", data=b"{}", headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert answer.status == 403


ACTIONS = {
    "click": {"user": "U0ANN00001", "channel": "C0NOC00001", "ts": "1.000000", "action": "relay_assign"},
    "submit": {"user": "U0ANN00001", "view": "V1", "values": {}},
    "dismiss": {"user": "U0ANN00001", "view": "V1"},
    "reply": {"user": "U0ANN00001", "channel": "C0NOC00001", "thread": "1.000000", "text": "hello"},
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_another_web_site_cannot_act_in_the_workspace(address, web, action):
    url = f"{address}actions/{action}"
    async with web.post(url, json=ACTIONS[action], headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert answer.status == 403
    async with web.post(url, json=ACTIONS[action], headers={"Host": "evil.example"}) as answer:
        assert answer.status == 403
    async with web.post(url, data={"user": "U0ANN00001"}) as answer:
        assert answer.status == 415


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("changed", [{}, {"user": "U0NOBODY01"}, {"user": 7}, {"user": None}])
async def test_an_impossible_action_is_400_with_a_reason(address, web, action, changed):
    async with web.post(f"{address}actions/{action}", json=ACTIONS[action] | changed) as answer:
        assert answer.status == 400
        assert (await answer.json())["detail"]


@pytest.mark.parametrize("body", ["", "{", "[]", "7", "{}", '{"user": "U0ANN00001", "channel": "C0", "ts": "1"}'])
@pytest.mark.parametrize("action", ACTIONS)
async def test_a_malformed_action_is_400(address, web, action, body):
    async with web.post(
        f"{address}actions/{action}", data=body, headers={"Content-Type": "application/json"}
    ) as answer:
        assert answer.status == 400


async def test_an_unknown_action_is_404(address, web):
    async with web.post(f"{address}actions/revoke", json={}) as answer:
        assert answer.status == 404


@pytest.mark.parametrize("path", ["page/page.py", "page/..%2F..%2Fserver.py", "page/nothing.js"])
async def test_only_the_pages_own_files_are_served(address, web, path):
    async with web.get(address + path) as answer:
        assert answer.status == 404


async def test_a_relay_that_does_not_answer_is_reported_as_a_problem(address, web):
    async with web.get(address + "incidents/i1") as answer:
        assert answer.status == 502
        assert (await answer.json())["title"] == "relay does not answer"


async def test_the_keys_never_reach_the_browser(address, web):
    for path in ("", "page/page.js", "sample", "incidents/i1"):
        async with web.get(address + path) as answer:
            text = await answer.text() + str(answer.headers)
            assert not [key for key in KEYS.values() if key in text]


async def test_without_a_relay_the_page_answers_with_the_reason(web):
    slack = FakeSlack()
    async with (
        serve_slack(slack, add_routes=Page(slack).add_routes) as base,
        web.get(base.removesuffix("api/") + "incidents/i1") as answer,
    ):
        assert answer.status == 404
        assert "relay demo" in (await answer.json())["detail"]


async def test_the_event_stream_sends_only_changes(web):
    slack = FakeSlack(clock=lambda: 1_700_000_000.0)
    channel = slack.add_channel("C0NOC00001", "noc", member=True)
    async with (
        serve_slack(slack, add_routes=Page(slack).add_routes) as base,
        web.get(base.removesuffix("api/") + "events") as answer,
    ):
        assert (await next_event(answer))[0] == "frame"
        assert await next_event(answer) == ("views", [])  # always, so that the page knows what was open before it
        one = channel.add_message(MessageContent(text="one"), slack.bot)
        assert [message["text"] for message in (await next_event(answer))[1]] == ["one"]
        channel.add_message(MessageContent(text="two"), slack.bot, one.ts)
        [message] = (await next_event(answer))[1]
        assert (message["text"], message["thread"]) == ("two", one.ts)
        channel.delete(message["ts"])
        assert await next_event(answer) == ("gone", [["C0NOC00001", message["ts"]]])


async def test_a_replay_starts_once_when_it_is_offered(web):
    slack = FakeSlack()
    page = Page(slack)
    async with serve_slack(slack, add_routes=page.add_routes) as base:
        url = base.removesuffix("api/") + "replay"
        assert (await web.post(url, json={})).status == 409
        waiting = asyncio.create_task(page.wait_for_replay())
        await asyncio.sleep(0)
        assert (await web.post(url, data=b"x")).status == 415
        assert (await web.post(url, json={}, headers={"Sec-Fetch-Site": "cross-site"})).status == 403
        assert not waiting.done()
        assert (await web.post(url, json={})).status == 200
        await waiting
        assert (await web.post(url, json={})).status == 409


async def test_open_event_streams_end_when_the_server_stops(web):
    slack = FakeSlack()
    async with serve_slack(slack, add_routes=Page(slack).add_routes) as base:
        answer = await web.get(base.removesuffix("api/") + "events")
    async with asyncio.timeout(30):
        assert b"frame" in await answer.read()


async def next_event(answer: aiohttp.ClientResponse) -> tuple[str, Any]:
    """Read the name and the data of the next event of a stream."""
    name = (await answer.content.readline()).decode().removeprefix("event: ").strip()
    data = (await answer.content.readline()).decode().removeprefix("data: ")
    await answer.content.readline()
    return name, json.loads(data)
