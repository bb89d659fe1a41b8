"""Reading channels: history, threads, lists, and changes to a channel that people make."""

import pytest

NOC = "C0000000NOC"
MARKER = {"event_type": "relay_card", "event_payload": {"key": "k1"}}


async def post(client, clock, *texts, **more):
    timestamps = []
    for text in texts:
        clock.now += 1
        timestamps.append((await client.chat_postMessage(channel=NOC, text=text, **more))["ts"])
    return timestamps


async def texts(client, **window):
    return [message["text"] for message in (await client.conversations_history(channel=NOC, **window))["messages"]]


# --- history ---


async def test_history_is_newest_first_and_contains_no_replies(client, clock):
    one, _two = await post(client, clock, "one", "two")
    await post(client, clock, "reply", thread_ts=one)
    assert await texts(client) == ["two", "one"]


async def test_a_broadcast_reply_is_in_the_history(client, clock):
    (root,) = await post(client, clock, "root")
    await post(client, clock, "reply", thread_ts=root, reply_broadcast=True)
    reply, _root = (await client.conversations_history(channel=NOC))["messages"]
    assert (reply["subtype"], reply["thread_ts"]) == ("thread_broadcast", root)


async def test_a_root_message_counts_its_replies(client, clock, noc):
    (root,) = await post(client, clock, "root")
    reply = noc.post("why?", user="U00000000AN", thread_ts=root)
    (shown,) = (await client.conversations_history(channel=NOC))["messages"]
    assert (shown["thread_ts"], shown["reply_count"], shown["latest_reply"]) == (root, 1, reply.ts)
    assert shown["reply_users"] == ["U00000000AN"]


async def test_a_time_window_excludes_its_limits_unless_it_is_inclusive(client, clock):
    one, _two, three = await post(client, clock, "one", "two", "three")
    assert await texts(client, oldest=one, latest=three) == ["two"]
    assert await texts(client, oldest=one, latest=three, inclusive=True) == ["three", "two", "one"]
    assert await texts(client, oldest=str(int(clock.now))) == []
    assert await texts(client, oldest=str(clock.now - 0.5)) == ["three"]


@pytest.mark.parametrize(
    ("window", "code"),
    [
        ({"oldest": "yesterday"}, "invalid_ts_oldest"),
        ({"latest": "now"}, "invalid_ts_latest"),
        ({"limit": 0}, "invalid_limit"),
        ({"limit": 1000}, "invalid_limit"),
        ({"limit": "many"}, "invalid_limit"),
        ({"cursor": "?"}, "invalid_cursor"),
        ({"cursor": "bm9uc2Vuc2U6MQ=="}, "invalid_cursor"),
    ],
)
async def test_an_invalid_time_window_is_rejected(client, rejection, window, code):
    assert (await rejection(client.conversations_history(channel=NOC, **window)))["error"] == code


async def test_history_is_paged_and_a_new_message_does_not_shift_the_pages(client, clock):
    await post(client, clock, "one", "two", "three")
    first = await client.conversations_history(channel=NOC, limit=2)
    assert first["has_more"]
    await post(client, clock, "four")
    cursor = first["response_metadata"]["next_cursor"]
    second = await client.conversations_history(channel=NOC, limit=2, cursor=cursor)
    assert [message["text"] for page in (first, second) for message in page["messages"]] == ["three", "two", "one"]
    assert not second["has_more"]
    assert "response_metadata" not in second.data


async def test_history_returns_a_hundred_by_default(client, noc):
    for number in range(101):
        noc.post(str(number))
    assert len(await texts(client)) == 100
    assert len(await texts(client, limit=999)) == 101


async def test_only_the_type_of_metadata_is_returned_by_default(client):
    await client.chat_postMessage(channel=NOC, text="x", metadata=MARKER)
    (bare,) = (await client.conversations_history(channel=NOC))["messages"]
    (full,) = (await client.conversations_history(channel=NOC, include_all_metadata=True))["messages"]
    assert (bare["metadata"], full["metadata"]) == ({"event_type": "relay_card"}, MARKER)


async def test_a_new_message_is_invisible_during_the_history_lag(slack, client, clock, rejection):
    slack.history_lag = 5
    (root,) = await post(client, clock, "root")
    assert await texts(client) == []
    assert (await rejection(client.conversations_replies(channel=NOC, ts=root)))["error"] == "thread_not_found"
    clock.now += 5
    await post(client, clock, "reply", thread_ts=root)
    assert await texts(client) == ["root"]
    assert len((await client.conversations_replies(channel=NOC, ts=root))["messages"]) == 1


async def test_only_members_can_read_the_history(slack, client, rejection):
    slack.grant_scope("chat:write.public")
    open_history = client.conversations_history(channel="C000000OPEN")
    assert (await rejection(open_history))["error"] == "not_in_channel"
    secret = client.conversations_history(channel="C0000SECRET")
    assert (await rejection(secret))["error"] == "channel_not_found"


async def test_an_archived_channel_can_still_be_read(client, clock, noc):
    await post(client, clock, "one")
    noc.archive()
    assert await texts(client) == ["one"]


# --- threads ---


async def test_a_thread_is_its_root_and_its_replies_oldest_first(client, clock):
    (root,) = await post(client, clock, "root")
    first, _second = await post(client, clock, "first", "second", thread_ts=root)
    for ts in (root, first):
        thread = (await client.conversations_replies(channel=NOC, ts=ts))["messages"]
        assert [message["text"] for message in thread] == ["root", "first", "second"]


async def test_a_thread_without_replies_is_only_its_root(client, clock):
    (root,) = await post(client, clock, "root")
    assert [m["ts"] for m in (await client.conversations_replies(channel=NOC, ts=root))["messages"]] == [root]


async def test_threads_are_paged(client, clock):
    (root,) = await post(client, clock, "root")
    await post(client, clock, "first", "second", thread_ts=root, metadata=MARKER)
    first = await client.conversations_replies(channel=NOC, ts=root, limit=2, include_all_metadata=True)
    cursor = first["response_metadata"]["next_cursor"]
    second = await client.conversations_replies(channel=NOC, ts=root, limit=2, cursor=cursor)
    assert [m["text"] for page in (first, second) for m in page["messages"]] == ["root", "first", "second"]
    assert first["messages"][1]["metadata"] == MARKER
    assert second["messages"][0]["metadata"] == {"event_type": "relay_card"}


async def test_a_deleted_root_with_replies_stays_as_a_tombstone(client, clock, noc):
    (root,) = await post(client, clock, "root")
    (reply,) = await post(client, clock, "reply", thread_ts=root)
    noc.delete(root)
    (tombstone,) = (await client.conversations_history(channel=NOC))["messages"]
    assert (tombstone["subtype"], tombstone["text"]) == ("tombstone", "This message was deleted.")
    assert (tombstone["ts"], tombstone["reply_count"]) == (root, 1)
    assert "bot_id" not in tombstone
    thread = (await client.conversations_replies(channel=NOC, ts=root))["messages"]
    assert [message["ts"] for message in thread] == [root, reply]


async def test_a_deleted_root_without_replies_is_not_found(client, clock, noc, rejection):
    (root,) = await post(client, clock, "root")
    (reply,) = await post(client, clock, "reply", thread_ts=root)
    noc.delete(reply)
    noc.delete(root)
    assert await texts(client) == []
    assert (await rejection(client.conversations_replies(channel=NOC, ts=root)))["error"] == "thread_not_found"


# --- lists ---


async def test_the_list_is_paged_before_archived_channels_are_removed(slack, client):
    slack.channel("noc").archive()
    slack.add_channel("C000000LAST", "last")
    pages, cursor = [], None
    while cursor != "":
        page = await client.conversations_list(limit=1, exclude_archived=True, cursor=cursor)
        pages.append([channel["name"] for channel in page["channels"]])
        cursor = page["response_metadata"]["next_cursor"]
    assert pages == [[], ["open"], ["last"]]


async def test_private_channels_are_listed_only_to_members_and_on_request(slack, client, rejection):
    async def names(**more):
        return [channel["name"] for channel in (await client.conversations_list(**more))["channels"]]

    both = "public_channel,private_channel"
    assert await names(types=both) == ["noc", "open"]
    slack.channel("secret").invite()
    assert await names() == ["noc", "open"]
    assert await names(types=both) == ["noc", "open", "secret"]
    assert (await rejection(client.conversations_list(types="rooms")))["error"] == "invalid_types"


async def test_a_channel_says_its_former_name_and_whether_it_is_shared_or_archived(slack, client, noc, rejection):
    noc.share()
    noc.rename("operations")
    info = (await client.conversations_info(channel=NOC))["channel"]
    assert (info["name"], info["previous_names"]) == ("operations", ["noc"])
    assert (info["is_ext_shared"], info["is_member"], info["is_archived"], info["is_private"]) == (
        True,
        True,
        False,
        False,
    )
    assert (await rejection(client.conversations_info(channel="C0000SECRET")))["error"] == "channel_not_found"


async def test_joining_a_public_channel_twice_is_only_a_warning(client):
    first = await client.conversations_join(channel="C000000OPEN")
    assert first["channel"]["is_member"]
    assert "warning" not in first.data
    assert (await client.conversations_join(channel="C000000OPEN"))["warning"] == "already_in_channel"


async def test_private_and_archived_channels_cannot_be_joined(slack, client, rejection):
    assert (await rejection(client.conversations_join(channel="C0000SECRET")))["error"] == "channel_not_found"
    slack.channel("secret").invite()
    wrong_type = "method_not_supported_for_channel_type"
    assert (await rejection(client.conversations_join(channel="C0000SECRET")))["error"] == wrong_type
    slack.channel("open").archive()
    assert (await rejection(client.conversations_join(channel="C000000OPEN")))["error"] == "is_archived"


# --- changes that people make ---


async def test_a_renamed_channel_keeps_its_id_and_loses_its_old_name(client, noc, rejection):
    noc.rename("operations")
    assert (await client.chat_postMessage(channel=NOC, text="x"))["ok"]
    assert (await client.chat_postMessage(channel="operations", text="x"))["ok"]
    assert (await rejection(client.chat_postMessage(channel="noc", text="x")))["error"] == "channel_not_found"


async def test_an_app_that_was_removed_is_no_longer_a_member(client, noc, rejection):
    noc.kick()
    assert (await rejection(client.chat_postMessage(channel=NOC, text="x")))["error"] == "not_in_channel"
    noc.invite()
    assert (await client.chat_postMessage(channel=NOC, text="x"))["ok"]


async def test_messages_of_people_and_of_the_app_are_in_one_thread(client, noc):
    root = noc.post("is it down?", user="U00000000AN")
    await client.chat_postMessage(channel=NOC, text="yes", thread_ts=root.ts)
    (shown,) = (await client.conversations_history(channel=NOC))["messages"]
    assert (shown["user"], shown["reply_users"]) == ("U00000000AN", ["U0RELAYBOT"])
    assert "bot_id" not in shown


def test_a_test_that_names_an_unknown_message_or_channel_gets_a_key_error(noc, slack):
    with pytest.raises(KeyError, match=r"no message 1\.000000 in #noc"):
        noc.delete("1.000000")
    with pytest.raises(KeyError, match="no channel nowhere: there are noc, open, secret"):
        slack.channel("nowhere")
