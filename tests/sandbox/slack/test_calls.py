"""How a call is made: how its arguments are sent, which scopes it needs, and how it is logged."""

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from relay.sandbox.slack.apps import DEFAULT_SCOPES

NOC = "C0000000NOC"


async def test_every_method_needs_a_token(base_url, rejection):
    assert (await rejection(AsyncWebClient(base_url=base_url).auth_test()))["error"] == "not_authed"


async def test_a_wrong_token_is_rejected(base_url, rejection):
    assert (await rejection(AsyncWebClient("xoxb-other", base_url=base_url).auth_test()))["error"] == "invalid_auth"


async def test_a_revoked_token_is_rejected_with_its_code_until_it_is_restored(slack, client, rejection):
    slack.revoke(code="account_inactive")
    assert (await rejection(client.auth_test()))["error"] == "account_inactive"
    slack.restore()
    assert (await client.auth_test())["ok"]


async def test_auth_test_returns_the_app_and_its_scopes(client):
    answer = await client.auth_test()
    assert (answer["bot_id"], answer["user_id"], answer["team_id"]) == ("B0RELAYBOT", "U0RELAYBOT", "T0SANDBOX")
    assert set(answer.headers["X-OAuth-Scopes"].split(",")) == DEFAULT_SCOPES


async def test_a_missing_scope_is_named_together_with_the_granted_scopes(slack, client, rejection):
    slack.scopes = {"channels:read", "users:read"}
    answer = await rejection(client.chat_postMessage(channel=NOC, text="x"))
    assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
    assert answer["provided"] == "channels:read,users:read"


@pytest.mark.parametrize(
    ("scope", "call"),
    [
        ("channels:history", lambda c: c.conversations_history(channel=NOC)),
        ("channels:history", lambda c: c.conversations_replies(channel=NOC, ts="1.000000")),
        ("channels:read", lambda c: c.conversations_info(channel=NOC)),
        ("channels:read", lambda c: c.conversations_list()),
        ("groups:read", lambda c: c.conversations_list(types="public_channel,private_channel")),
        ("channels:join", lambda c: c.conversations_join(channel=NOC)),
        ("chat:write", lambda c: c.chat_update(channel=NOC, ts="1.000000", text="x")),
        ("chat:write", lambda c: c.chat_delete(channel=NOC, ts="1.000000")),
        ("users:read", lambda c: c.users_info(user="U00000000AN")),
        ("usergroups:read", lambda c: c.usergroups_list()),
        ("usergroups:read", lambda c: c.usergroups_users_list(usergroup="S0000000DBA")),
        ("chat:write", lambda c: c.chat_postEphemeral(channel=NOC, user="U00000000AN", text="x")),
        ("chat:write.customize", lambda c: c.chat_postMessage(channel=NOC, text="x", username="somebody")),
    ],
)
async def test_each_method_needs_its_scope(slack, client, rejection, scope, call):
    slack.remove_scope(scope)
    answer = await rejection(call(client))
    assert (answer["error"], answer["needed"]) == ("missing_scope", scope)


async def test_a_private_channel_is_read_with_the_scopes_of_private_channels(slack, client, rejection):
    slack.channel("secret").invite()
    slack.remove_scope("groups:history")
    answer = await rejection(client.conversations_history(channel="C0000SECRET"))
    assert answer["needed"] == "groups:history"


async def test_an_unknown_method_is_an_error(client, rejection):
    answer = await rejection(client.api_call("chat.shout"))
    assert (answer["error"], answer["req_method"]) == ("unknown_method", "chat.shout")


@pytest.mark.parametrize(
    "how",
    [
        {"json": {"channel": NOC, "text": "Hello"}},
        {"data": {"channel": NOC, "text": "Hello"}},
        {"params": {"channel": NOC, "text": "Hello"}},
    ],
    ids=["json", "form", "query"],
)
async def test_arguments_are_sent_as_json_as_a_form_or_in_the_query(slack, base_url, noc, how):
    headers = {"Authorization": f"Bearer {slack.token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{base_url}chat.postMessage", headers=headers, **how) as r,
    ):
        assert (await r.json())["ok"]
    assert [message.text for message in noc.messages] == ["Hello"]


async def test_a_form_contains_blocks_as_a_string_of_json(slack, base_url, noc):
    data = {"token": slack.token, "channel": NOC, "blocks": '[{"type": "divider"}]'}
    async with aiohttp.ClientSession() as session, session.post(f"{base_url}chat.postMessage", data=data) as answer:
        assert (await answer.json())["ok"]
    assert noc.messages[0].blocks == ({"type": "divider"},)


@pytest.mark.parametrize(
    ("body", "content_type", "code"),
    [
        (b"{", "application/json", "invalid_json"),
        (b"[]", "application/json", "json_not_object"),
        (b"x", "text/plain", "invalid_post_type"),
    ],
)
async def test_an_unreadable_body_is_rejected(slack, base_url, body, content_type, code):
    headers = {"Authorization": f"Bearer {slack.token}", "Content-Type": content_type}
    async with aiohttp.ClientSession(headers=headers) as session:
        answer = await session.post(f"{base_url}chat.postMessage", data=body)
        assert (await answer.json())["error"] == code


async def test_a_missing_argument_or_one_of_the_wrong_type_is_named(client, rejection):
    for arguments, finding in (
        ({"channel": NOC}, "[ERROR] missing required field: ts"),
        ({"channel": NOC, "ts": 5}, "[ERROR] must provide a string: ts"),
    ):
        answer = await rejection(client.api_call("chat.update", json=arguments))
        assert answer["error"] == "invalid_arguments"
        assert answer["response_metadata"]["messages"] == [finding]


async def test_every_call_is_logged_with_its_time_its_arguments_and_its_answer(slack, client, clock, rejection):
    posted = await client.chat_postMessage(channel="#noc", text="Hello")
    clock.now += 7
    await rejection(client.chat_update(channel=NOC, ts="1.000000", text="Bye"))
    post, update = slack.calls
    assert (post.method, post.at, post.arguments["text"]) == ("chat.postMessage", clock.now - 7, "Hello")
    assert (post.channel, post.ok, post.took_effect, post.answer) == (NOC, True, True, posted.data)
    assert (update.at, update.ok, update.took_effect, update.error) == (clock.now, False, False, "message_not_found")
    assert slack.calls_to("chat.update") == [update]


async def test_the_email_address_of_a_user_is_shown_only_with_its_scope(slack, client, rejection):
    assert (await client.users_info(user="U00000000AN"))["user"]["profile"]["email"] == "Ann@example.com"
    slack.remove_scope("users:read.email")
    assert "email" not in (await client.users_info(user="U00000000AN"))["user"]["profile"]
    assert (await rejection(client.users_info(user="U0")))["error"] == "user_not_found"


async def test_user_groups_are_listed_with_their_members_on_request(slack, client):
    slack.add_usergroup("S00000000EX", "former").disabled = True
    (group,) = (await client.usergroups_list(include_users=True))["usergroups"]
    assert (group["id"], group["handle"], group["users"]) == ("S0000000DBA", "db-oncall", ["U00000000AN"])
    both = (await client.usergroups_list(include_disabled=True))["usergroups"]
    assert [group["handle"] for group in both] == ["db-oncall", "former"]
    assert "users" not in both[0]


async def test_the_members_of_a_group_are_returned_unless_it_is_disabled(slack, client, rejection):
    assert (await client.usergroups_users_list(usergroup="S0000000DBA"))["users"] == ["U00000000AN"]
    slack.usergroups["S0000000DBA"].disabled = True
    assert (await rejection(client.usergroups_users_list(usergroup="S0000000DBA")))["error"] == "no_such_subteam"
    assert (await rejection(client.usergroups_users_list(usergroup="S0")))["error"] == "no_such_subteam"


async def test_a_user_has_a_time_zone_and_its_offset(slack, client, clock):
    slack.add_user("U00000000BE", "bea", timezone="Europe/Berlin")
    winter = (await client.users_info(user="U00000000BE"))["user"]
    clock.now = 1_719_800_000.0
    summer = (await client.users_info(user="U00000000BE"))["user"]
    assert (winter["tz"], winter["tz_offset"], summer["tz_offset"]) == ("Europe/Berlin", 3600, 7200)


@pytest.mark.parametrize("arguments", [{"channel": {"id": NOC}}, {"channel": NOC, "thread_ts": 5}, {"text": "x"}])
async def test_arguments_of_the_wrong_type_are_rejected_with_a_message(client, rejection, arguments):
    answer = await rejection(client.api_call("chat.postMessage", json={"text": "x", **arguments}))
    assert answer["error"] == "invalid_arguments"


@pytest.mark.parametrize(
    ("part", "code"),
    [
        ({"blocks": "{"}, "invalid_blocks_format"),
        ({"blocks": {"type": "divider"}}, "invalid_blocks_format"),
        ({"attachments": "x"}, "invalid_attachments"),
        ({"attachments": '{"text": "x"}'}, "invalid_attachments"),
        ({"metadata": "[]"}, "invalid_metadata_format"),
    ],
)
async def test_a_list_or_an_object_of_the_wrong_type_is_rejected(client, rejection, part, code):
    answer = await rejection(client.api_call("chat.postMessage", json={"channel": NOC, "text": "x", **part}))
    assert answer["error"] == code


async def test_a_null_argument_counts_as_missing(client):
    posted = await client.api_call("chat.postMessage", json={"channel": NOC, "text": "x", "thread_ts": None})
    assert posted["ok"]
