"""Posting, editing and deleting: what Slack keeps, drops, rejects and silently changes."""

import pytest

from relay.sandbox.slack.apps import Bot

NOC = "C0000000NOC"
HELLO = {"type": "section", "text": {"type": "mrkdwn", "text": "Hello"}}
BAR = {"color": "#cc0000", "blocks": [HELLO]}
MARKER = {"event_type": "relay_card", "event_payload": {"key": "k1"}}


# --- posting ---


async def test_a_message_names_the_app_that_posted_it(client):
    message = (await client.chat_postMessage(channel=NOC, text="Hello"))["message"]
    assert (message["type"], message["text"], message["bot_id"]) == ("message", "Hello", "B0RELAYBOT")
    assert (message["app_id"], message["user"]) == ("A0RELAYAPP", "U0RELAYBOT")
    assert message["bot_profile"]["name"] == "relay"


async def test_each_message_of_a_channel_has_its_own_ts_although_the_clock_stops_or_goes_back(client, clock):
    timestamps = []
    for step in (0, 0, -60, 5):
        clock.now += step
        timestamps.append((await client.chat_postMessage(channel=NOC, text="Hello"))["ts"])
    assert timestamps == sorted(set(timestamps))


async def test_two_channels_may_use_the_same_ts(slack, client):
    slack.channel("open").invite()
    here, there = [await client.chat_postMessage(channel=name, text="Hello") for name in ("noc", "open")]
    assert here["ts"] == there["ts"]


@pytest.mark.parametrize("ref", ["noc", "#noc", NOC])
async def test_a_post_names_the_channel_by_name_or_id_and_the_answer_has_the_id(client, noc, ref):
    assert (await client.chat_postMessage(channel=ref, text="Hello"))["channel"] == NOC
    assert len(noc.messages) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.chat_update(channel="noc", ts="1.000000", text="x"),
        lambda c: c.chat_delete(channel="#noc", ts="1.000000"),
        lambda c: c.conversations_history(channel="noc"),
        lambda c: c.conversations_info(channel="#noc"),
        lambda c: c.conversations_join(channel="noc"),
    ],
)
async def test_every_other_method_needs_the_id(client, rejection, call):
    assert (await rejection(call(client)))["error"] == "channel_not_found"


async def test_a_public_channel_accepts_posts_from_members_or_with_a_scope_for_it(slack, client, rejection):
    assert (await rejection(client.chat_postMessage(channel="open", text="x")))["error"] == "not_in_channel"
    slack.grant_scope("chat:write.public")
    assert (await client.chat_postMessage(channel="open", text="x"))["ok"]


async def test_a_private_channel_is_not_found_by_apps_that_are_not_members(slack, client, rejection):
    slack.grant_scope("chat:write.public")
    assert (await rejection(client.chat_postMessage(channel="secret", text="x")))["error"] == "channel_not_found"
    slack.channel("secret").invite()
    assert (await client.chat_postMessage(channel="secret", text="x"))["ok"]


async def test_an_archived_channel_accepts_no_posts(client, noc, rejection):
    noc.archive()
    assert (await rejection(client.chat_postMessage(channel=NOC, text="x")))["error"] == "is_archived"
    noc.unarchive()
    assert (await client.chat_postMessage(channel=NOC, text="x"))["ok"]


@pytest.mark.parametrize("nothing", [{"text": ""}, {"text": " \n"}, {"text": "", "blocks": [], "attachments": []}])
async def test_an_empty_message_is_rejected(client, noc, rejection, nothing):
    call = client.api_call("chat.postMessage", json={"channel": NOC, **nothing})
    assert (await rejection(call))["error"] == "no_text"
    assert noc.messages == []


async def test_text_that_is_too_long_is_cut_when_it_is_posted(client, noc):
    await client.chat_postMessage(channel=NOC, text="x" * 40_001)
    assert len(noc.messages[0].text) == 40_000


async def test_blocks_without_text_get_the_notification_text_of_slack(client, noc):
    await client.api_call("chat.postMessage", json={"channel": NOC, "blocks": [HELLO]})
    assert noc.messages[0].text == "This content can't be displayed."


async def test_the_answer_changes_the_message_and_the_stored_message_is_as_sent(client, noc):
    answer = await client.chat_postMessage(channel=NOC, text="🔴 down", blocks=[HELLO], attachments=[BAR])
    message = answer["message"]
    assert message["text"] == ":red_circle: down"
    assert message["blocks"] == [{"block_id": "b0", **HELLO}]
    assert message["attachments"][0]["id"] == 1
    (stored,) = noc.messages
    assert (stored.text, stored.blocks, stored.attachments) == ("🔴 down", (HELLO,), (BAR,))


async def test_markdown_text_cannot_be_combined_with_text(client, noc, rejection):
    both = client.chat_postMessage(channel=NOC, text="x", markdown_text="# y")
    assert (await rejection(both))["error"] == "markdown_text_conflict"
    long = client.api_call("chat.postMessage", json={"channel": NOC, "markdown_text": "y" * 12_001})
    assert (await rejection(long))["error"] == "msg_too_long"
    await client.api_call("chat.postMessage", json={"channel": NOC, "markdown_text": "# y"})
    assert [message.text for message in noc.messages] == ["# y"]


async def test_an_ephemeral_message_is_not_in_the_history(client, noc, rejection):
    noc.invite("U00000000AN")
    await client.chat_postEphemeral(channel=NOC, user="U00000000AN", text="only you")
    assert ([note.text for note in noc.ephemeral], noc.messages) == (["only you"], [])
    assert (await client.conversations_history(channel=NOC))["messages"] == []
    not_a_member = client.chat_postEphemeral(channel=NOC, user="U0STRANGER", text="x")
    assert (await rejection(not_a_member))["error"] == "user_not_in_channel"


async def test_an_ephemeral_message_is_visible_to_its_recipient(slack, client, noc):
    slack.add_user("U00000000BE", "bea", channels=["noc"])
    noc.invite("U00000000AN")
    await client.chat_postEphemeral(channel=NOC, user="U00000000AN", text="only you")
    assert [note.text for note in slack.ephemeral_messages("U00000000AN")] == ["only you"]
    assert slack.ephemeral_messages("U00000000BE") == []


async def test_an_ephemeral_message_in_a_thread_without_replies_is_accepted_and_not_visible(slack, client, noc):
    noc.invite("U00000000AN")
    root = noc.post("root")
    assert (await client.chat_postEphemeral(channel=NOC, user="U00000000AN", text="1", thread_ts=root.ts))["ok"]
    noc.post("reply", thread_ts=root.ts)
    await client.chat_postEphemeral(channel=NOC, user="U00000000AN", text="2", thread_ts=root.ts)
    assert [note.text for note in slack.ephemeral_messages("U00000000AN")] == ["2"]


# --- threads ---


async def test_a_reply_is_in_its_thread_and_not_in_the_channel(client, noc):
    root = await client.chat_postMessage(channel=NOC, text="root")
    reply = await client.chat_postMessage(channel=NOC, text="reply", thread_ts=root["ts"])
    assert reply["message"]["thread_ts"] == root["ts"]
    assert [message.text for message in noc.messages] == ["root"]
    assert [message.text for message in noc.thread(root["ts"])] == ["reply"]


async def test_a_reply_to_a_reply_goes_to_the_parent(client, noc):
    root = await client.chat_postMessage(channel=NOC, text="root")
    first = await client.chat_postMessage(channel=NOC, text="first", thread_ts=root["ts"])
    second = await client.chat_postMessage(channel=NOC, text="second", thread_ts=first["ts"])
    assert second["message"]["thread_ts"] == root["ts"]
    assert len(noc.thread(root["ts"])) == 2


async def test_a_reply_to_an_unknown_message_is_posted_in_the_channel_and_reported_as_ok(client, noc):
    stray = await client.chat_postMessage(channel=NOC, text="stray", thread_ts="1600000000.000000")
    assert stray["ok"]
    assert "thread_ts" not in stray["message"]
    assert [message.text for message in noc.messages] == ["stray"]


@pytest.mark.parametrize("replies", [0, 1])
async def test_a_reply_to_a_deleted_message_is_posted_in_the_channel(client, noc, replies):
    root = await client.chat_postMessage(channel=NOC, text="root")
    for _ in range(replies):
        await client.chat_postMessage(channel=NOC, text="reply", thread_ts=root["ts"])
    noc.delete(root["ts"])
    stray = await client.chat_postMessage(channel=NOC, text="stray", thread_ts=root["ts"], reply_broadcast=True)
    assert "thread_ts" not in stray["message"]
    assert stray["message"].get("subtype") is None
    assert [message.text for message in noc.messages] == ["stray"]


async def test_a_reply_to_a_reply_whose_root_is_deleted_is_posted_in_the_channel(client, noc):
    root = await client.chat_postMessage(channel=NOC, text="root")
    reply = await client.chat_postMessage(channel=NOC, text="reply", thread_ts=root["ts"])
    noc.delete(root["ts"])
    stray = await client.chat_postMessage(channel=NOC, text="stray", thread_ts=reply["ts"])
    assert "thread_ts" not in stray["message"]


# --- editing ---


async def post(client, **more):
    whole = {"text": "one", "blocks": [HELLO], "attachments": [BAR], "metadata": MARKER, **more}
    return (await client.chat_postMessage(channel=NOC, **whole))["ts"]


async def test_an_edit_keeps_the_ts_and_returns_the_new_text(client, noc):
    ts = await post(client)
    answer = await client.chat_update(channel=NOC, ts=ts, text="two", blocks=[HELLO])
    assert (answer["ts"], answer["text"], answer["message"]["text"]) == (ts, "two", "two")
    (message,) = noc.messages
    assert [version.text for version in message.versions] == ["one", "two"]


async def test_an_edit_with_text_alone_removes_the_blocks_and_keeps_the_rest(client, noc):
    await client.chat_update(channel=NOC, ts=await post(client), text="two")
    (message,) = noc.messages
    assert (message.text, message.blocks, message.attachments, message.metadata) == ("two", (), (BAR,), MARKER)


async def test_an_edit_with_attachments_alone_keeps_text_and_blocks(client, noc):
    other = {"color": "#00cc00", "blocks": [HELLO]}
    ts = await post(client)
    await client.api_call("chat.update", json={"channel": NOC, "ts": ts, "attachments": [other]})
    (message,) = noc.messages
    assert (message.text, message.blocks, message.attachments) == ("one", (HELLO,), (other,))


async def test_an_edit_with_empty_parts_removes_them(client, noc):
    await client.chat_update(channel=NOC, ts=await post(client), text="two", blocks=[], attachments=[], metadata={})
    (message,) = noc.messages
    assert (message.text, message.blocks, message.attachments, message.metadata) == ("two", (), (), None)


async def test_only_an_edit_without_blocks_is_marked_as_edited(client):
    ts = await post(client)
    assert "edited" not in (await client.chat_update(channel=NOC, ts=ts, text="two", blocks=[HELLO]))["message"]
    assert "edited" in (await client.chat_update(channel=NOC, ts=ts, text="three"))["message"]


async def test_an_edit_accepts_a_tenth_of_the_text_of_a_post(client, rejection):
    ts = await post(client)
    await client.chat_update(channel=NOC, ts=ts, text="x" * 4_000)
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="x" * 4_001)))["error"] == "msg_too_long"


async def test_a_rejected_edit_changes_nothing(client, noc, rejection):
    ts = await post(client)
    bad = client.chat_update(channel=NOC, ts=ts, text="two", blocks=[{"type": "nonsense"}])
    assert (await rejection(bad))["error"] == "invalid_blocks"
    assert (noc.messages[0].text, noc.messages[0].blocks) == ("one", (HELLO,))


@pytest.mark.parametrize("nothing", [{}, {"metadata": MARKER}, {"text": "", "attachments": []}])
async def test_an_edit_must_leave_visible_content(client, rejection, nothing):
    call = client.api_call("chat.update", json={"channel": NOC, "ts": await post(client), **nothing})
    assert (await rejection(call))["error"] == "no_text"


async def test_an_app_can_edit_and_delete_only_its_own_messages(slack, client, noc, rejection):
    ann = noc.post("mine", user="U00000000AN")
    assert (await rejection(client.chat_update(channel=NOC, ts=ann.ts, text="x")))["error"] == "cant_update_message"
    assert (await rejection(client.chat_delete(channel=NOC, ts=ann.ts)))["error"] == "cant_delete_message"


async def test_an_app_reinstalled_as_another_bot_cannot_edit_its_old_messages(slack, client, noc, rejection):
    ts = await post(client)
    slack.install("xoxb-again", bot=Bot(user_id="U0OTHERBOT", bot_id="B0OTHERBOT"))
    noc.invite("U0OTHERBOT")
    client.token = "xoxb-again"
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="x")))["error"] == "cant_update_message"


async def test_every_method_reports_a_deleted_message_as_not_found(client, noc, rejection):
    ts = await post(client)
    assert (await client.chat_delete(channel=NOC, ts=ts))["ts"] == ts
    assert noc.messages == []
    for call in (
        client.chat_delete(channel=NOC, ts=ts),
        client.chat_update(channel=NOC, ts=ts, text="x"),
    ):
        assert (await rejection(call))["error"] == "message_not_found"


async def test_a_message_posted_under_another_name_cannot_be_deleted(slack, client, rejection):
    slack.grant_scope("chat:write.customize")
    ts = await post(client, username="somebody")
    assert (await rejection(client.chat_delete(channel=NOC, ts=ts)))["error"] == "cant_delete_message"


async def test_the_edit_window_closes(slack, client, clock, rejection):
    slack.edit_window = 60
    ts = await post(client)
    clock.now += 59
    await client.chat_update(channel=NOC, ts=ts, text="two")
    clock.now += 1
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="three")))["error"] == "edit_window_closed"


async def test_an_edit_window_of_zero_forbids_all_edits(slack, client, rejection):
    slack.edit_window = 0
    call = client.chat_update(channel=NOC, ts=await post(client), text="two")
    assert (await rejection(call))["error"] == "edit_window_closed"


async def test_messages_of_an_archived_channel_cannot_be_edited_or_deleted(client, noc, rejection):
    ts = await post(client)
    noc.archive()
    assert (await rejection(client.chat_update(channel=NOC, ts=ts, text="two")))["error"] == "is_inactive"
    assert (await rejection(client.chat_delete(channel=NOC, ts=ts)))["error"] == "cant_delete_message"


async def test_a_later_broadcast_of_a_reply_cannot_change_its_text(client, noc, rejection):
    root = await post(client)
    reply = (await client.chat_postMessage(channel=NOC, text="reply", thread_ts=root))["ts"]
    both = client.chat_update(channel=NOC, ts=reply, text="changed", reply_broadcast=True)
    assert (await rejection(both))["error"] == "no_dual_broadcast_content_update"
    alone = client.api_call("chat.update", json={"channel": NOC, "ts": reply, "reply_broadcast": True})
    assert (await alone)["message"]["subtype"] == "thread_broadcast"
    (message,) = noc.thread(root)
    assert (message.broadcast, message.text) == (True, "reply")
    no_reply = client.api_call("chat.update", json={"channel": NOC, "ts": root, "reply_broadcast": True})
    assert (await rejection(no_reply))["error"] == "cant_broadcast_message"


async def test_a_broadcast_reply_can_be_edited(client, noc):
    root = await post(client)
    reply = await client.chat_postMessage(channel=NOC, text="reply", thread_ts=root, reply_broadcast=True)
    await client.chat_update(channel=NOC, ts=reply["ts"], text="changed", reply_broadcast=True)
    assert noc.thread(root)[0].text == "changed"


# --- metadata ---


@pytest.mark.parametrize(
    "metadata",
    [
        "not json",
        {"event_type": "relay_card"},
        {"event_payload": {}},
        {"event_type": "", "event_payload": {}},
        {"event_type": 5, "event_payload": {}},
        {"event_type": "x", "event_payload": []},
        {"event_type": "x", "event_payload": {"key": None}},
        {"event_type": "x", "event_payload": {"key": ["a string"]}},
        {"event_type": "x", "event_payload": {"key": {"deep": {"deeper": 1}}}},
        {"event_type": "x", "event_payload": {}, "more": 1},
    ],
)
async def test_invalid_metadata_is_rejected(client, rejection, metadata):
    call = client.api_call("chat.postMessage", json={"channel": NOC, "text": "x", "metadata": metadata})
    assert (await rejection(call))["error"] == "invalid_metadata_format"


async def test_metadata_may_contain_flat_values_and_objects_of_flat_values(client, noc):
    payload = {"a": "x", "b": 1, "c": 2.5, "d": True, "e": {"f": 1}, "g": [{"h": 1}]}
    metadata = {"event_type": "relay_card", "event_payload": payload}
    await client.chat_postMessage(channel=NOC, text="x", metadata=metadata)
    assert noc.messages[0].metadata == metadata


async def test_metadata_that_is_too_large_is_rejected(client, rejection):
    metadata = {"event_type": "relay_card", "event_payload": {"key": "x" * 8_000}}
    call = client.chat_postMessage(channel=NOC, text="x", metadata=metadata)
    assert (await rejection(call))["error"] == "metadata_too_large"
