"""Socket Mode, as the official client and a bare websocket see it."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack.message_content import MessageContent

ANN = "U00000000AN"
BUTTON = {
    "type": "actions",
    "elements": [
        {"type": "button", "text": {"type": "plain_text", "text": "x"}, "action_id": "relay_assign", "value": "i1"}
    ],
}


@pytest.fixture
def app_client(slack, base_url):
    return AsyncWebClient(slack.app_token, base_url=base_url, retry_handlers=[])


@pytest.fixture
async def web():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def connect(slack, app_client, web):
    slack.interactivity = slack.socket_mode
    slack.socket_mode.timeout = 1.0  # seconds; a busy machine acknowledges in that time, too

    @asynccontextmanager
    async def connect():
        url = (await app_client.apps_connections_open(app_token=slack.app_token))["url"]
        async with web.ws_connect(url) as stream:
            assert (await stream.receive_json())["type"] == "hello"
            yield stream

    return connect


@pytest.fixture
def card(slack, noc):
    return noc.add_message(MessageContent(text="db-1 is down", blocks=(BUTTON,)), slack.bot)


async def test_only_the_apps_own_token_gets_an_address_and_each_address_works_once(
    slack, app_client, client, web, rejection
):
    bots = client.api_call("apps.connections.open")
    assert (await rejection(bots))["error"] == "not_allowed_token_type"
    slack.grants[slack.app_token].scopes = frozenset()
    assert (await rejection(app_client.api_call("apps.connections.open")))["needed"] == "connections:write"
    slack.grants[slack.app_token].scopes = frozenset({"connections:write"})
    url = (await app_client.api_call("apps.connections.open"))["url"]
    async with web.ws_connect(url) as stream:
        hello = await stream.receive_json()
    assert (hello["type"], hello["num_connections"], hello["connection_info"]) == ("hello", 1, {"app_id": "A0RELAYAPP"})
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await web.ws_connect(url)


async def test_a_click_is_sent_as_an_envelope_and_its_acknowledgement_may_contain_an_answer(slack, connect, card):
    async with connect() as stream:
        clicking = asyncio.create_task(slack.click(ANN, "noc", card.ts, "relay_assign"))
        envelope = await stream.receive_json()
        assert (envelope["type"], envelope["accepts_response_payload"]) == ("interactive", True)
        assert envelope["payload"]["actions"][0]["action_id"] == "relay_assign"
        await stream.send_json({"envelope_id": envelope["envelope_id"], "payload": {"response_action": "clear"}})
        delivery = await clicking
    assert (delivery.acknowledged, delivery.answer) == (True, {"response_action": "clear"})


async def test_an_envelope_without_an_acknowledgement_is_sent_to_another_socket(slack, connect, card):
    async with connect() as one, connect() as other:
        posting = asyncio.create_task(slack.post_as(ANN, "noc", "on it", thread_ts=card.ts))
        receiving = [asyncio.create_task(stream.receive_json()) for stream in (one, other)]
        (first,), (second,) = await asyncio.wait(receiving, return_when=asyncio.FIRST_COMPLETED)
        again = await second
        await (other if second is receiving[1] else one).send_json({"envelope_id": again["envelope_id"]})
        delivery = await posting
    assert delivery.acknowledged
    assert (first.result()["retry_attempt"], again["retry_attempt"], again["retry_reason"]) == (0, 1, "timeout")
    assert first.result()["payload"] == again["payload"]


async def test_a_lost_acknowledgement_does_not_count(slack, connect, card):
    slack.socket_mode.timeout = 0.05
    async with connect() as stream:
        slack.socket_mode.open[0].ignores_acknowledgements = True
        clicking = asyncio.create_task(slack.click(ANN, "noc", card.ts, "relay_assign"))
        await _answer(stream)
        assert not (await clicking).acknowledged


async def _answer(stream):
    envelope = await stream.receive_json()
    await stream.send_json({"envelope_id": envelope["envelope_id"]})
    return envelope


async def test_without_a_socket_there_is_no_acknowledgement(slack, connect, card):
    slack.socket_mode.timeout = 0.05
    delivery = await slack.click(ANN, "noc", card.ts, "relay_assign")
    assert (delivery.acknowledged, delivery.reason) == (False, "the app has no socket open")


async def test_a_click_waits_a_moment_for_a_socket_that_is_being_opened(slack, connect, card):
    slack.socket_mode.timeout = 20.0
    clicking = asyncio.create_task(slack.click(ANN, "noc", card.ts, "relay_assign"))
    await asyncio.sleep(0)
    async with connect() as stream:
        await _answer(stream)
        assert (await clicking).acknowledged


async def test_slack_asks_for_a_new_connection_and_ends_the_old_one(slack, connect):
    async with connect() as stream:
        await slack.socket_mode.refresh("warning")
        assert (await stream.receive_json())["reason"] == "warning"
        assert len(slack.socket_mode.open) == 1
        await slack.socket_mode.refresh()
        disconnect = await stream.receive_json()
        assert (disconnect["type"], disconnect["reason"]) == ("disconnect", "refresh_requested")
        assert (await stream.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_a_connection_can_be_cut(slack, connect):
    async with connect() as stream:
        slack.socket_mode.cut()
        assert (await stream.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


async def test_an_eleventh_socket_is_rejected(slack, connect, app_client, web):
    async with connect(), connect(), connect(), connect(), connect(), connect(), connect(), connect(), connect():
        async with connect():
            url = (await app_client.api_call("apps.connections.open"))["url"]
            async with web.ws_connect(url) as stream:
                assert json.loads((await stream.receive()).data)["reason"] == "too_many_websockets"
        assert len(slack.socket_mode.open) >= 9


async def test_the_official_client_works_unchanged(slack, base_url, card):
    slack.interactivity = slack.socket_mode
    seen = []

    async def listen(client, request):
        seen.append(request.payload)
        await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    bot = AsyncWebClient(slack.token, base_url=base_url)
    client = SocketModeClient(app_token=slack.app_token, web_client=bot)
    client.socket_mode_request_listeners.append(listen)
    await client.connect()
    try:
        assert (await slack.click(ANN, "noc", card.ts, "relay_assign")).acknowledged
    finally:
        await client.close()
    assert [payload["type"] for payload in seen] == ["block_actions"]
