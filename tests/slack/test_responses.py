"""The values in Slack's read responses: unexpected shapes are left out, and nothing raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.slack.message import Marker
from relay.slack.outcomes import Read
from relay.slack.responses import (
    ChannelInfo,
    FoundMessage,
    Identity,
    SlackUser,
    channel_of,
    channels_of,
    cursor_of,
    identity_of,
    members_of,
    messages_of,
    socket_url_of,
    user_groups_of,
    user_of,
)

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["messages", "errors"]), inner),
    max_leaves=10,
)


def test_a_message_has_the_key_of_relays_marker():
    message = {
        "ts": "1.2",
        "thread_ts": "1.2",
        "reply_count": 3,
        "metadata": {"event_type": "relay_card", "event_payload": {"incident": "abc", "key": "k1"}},
    }
    found = Marker(event_type="relay_card", incident="abc", key="k1", instance="")

    assert messages_of(Read(body={"messages": [message, {"text": "no ts"}, "junk"]})) == (
        FoundMessage(ts="1.2", thread_ts="1.2", marker=found, replies=3),
    )


def test_a_deleted_root_message_is_marked_as_deleted():
    (message,) = messages_of(Read(body={"messages": [{"ts": "1.2", "subtype": "tombstone"}]}))

    assert message.deleted


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ({"response_metadata": {"next_cursor": "dGVhbQ=="}}, "dGVhbQ=="),
        ({"response_metadata": {"next_cursor": ""}}, None),
        ({"response_metadata": {"next_cursor": None}}, None),
        ({"response_metadata": None}, None),
        ({}, None),
    ],
)
def test_the_last_page_has_no_cursor(body, cursor):
    assert cursor_of(Read(body=body)) == cursor


def test_a_channel_has_its_name_and_flags():
    channel = {
        "id": "C1",
        "name": "noc",
        "is_private": True,
        "is_member": True,
        "is_archived": False,
        "is_ext_shared": True,
    }
    noc = ChannelInfo(id="C1", name="noc", private=True, member=True, external=True)

    assert channels_of(Read(body={"channels": [channel, {"name": "no id"}]})) == (noc,)
    assert channel_of(Read(body={"channel": channel})) == noc
    assert channel_of(Read(body={"channel": "C1"})) is None


def test_an_identity_has_the_workspace_and_the_scopes():
    body = {"team_id": "T1", "team": "Acme", "url": "https://acme.slack.com/"}

    assert identity_of(Read(body=body, scopes=("chat:write",))) == Identity(**body, scopes=("chat:write",))


def test_a_user_group_has_its_handle():
    groups = {"usergroups": [{"id": "S1", "handle": "oncall", "name": "On call"}, {"handle": "no id"}]}

    assert user_groups_of(Read(body=groups)) == {"S1": "oncall"}


USER = {
    "id": "U1",
    "name": "ann.lee",
    "real_name": "Ann Lee",
    "tz": "Europe/Berlin",
    "tz_offset": 7200,
    "profile": {"display_name": "ann", "real_name": "Ann Lee", "email": "ann@example.com"},
}


def test_a_user_has_a_name_an_e_mail_address_and_a_time_zone():
    assert user_of(Read(body={"user": USER})) == SlackUser(
        id="U1", name="ann", email="ann@example.com", time_zone="Europe/Berlin", utc_offset=7200
    )


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"profile": {"display_name": "", "real_name": "Ann Lee"}}, "Ann Lee"),
        ({"profile": {"display_name": "  "}}, "Ann Lee"),
        ({"profile": None, "real_name": None}, "ann.lee"),
        ({"profile": None, "real_name": None, "name": 7}, ""),
    ],
)
def test_the_display_name_goes_before_the_real_name_and_the_user_name(changed, name):
    assert user_of(Read(body={"user": USER | changed})).name == name


@pytest.mark.parametrize("offset", ["7200", True, None, 1.5])
def test_an_offset_that_is_not_a_whole_number_counts_as_zero(offset):
    assert user_of(Read(body={"user": USER | {"tz_offset": offset}})).utc_offset == 0


def test_a_user_needs_an_object_with_an_id():
    assert user_of(Read(body={"user": {"id": "U2"}})) == SlackUser(id="U2")
    assert user_of(Read(body={"user": "U1"})) is None


@pytest.mark.parametrize(
    ("url", "address"),
    [("wss://a.example/x", "wss://a.example/x"), ("ws://127.0.0.1:1/", "ws://127.0.0.1:1/"), ("http://x", ""), (7, "")],
)
def test_a_socket_url_is_a_websocket_address(url, address):
    assert socket_url_of(Read(body={"url": url})) == address


def test_the_members_of_a_group_are_user_ids():
    assert members_of(Read(body={"users": ["U1", 7, "", "W2"]})) == ("U1", "W2")
    assert members_of(Read(body={"users": None})) == ()


@given(
    body=st.dictionaries(
        st.sampled_from(["channel", "channels", "messages", "usergroups", "metadata", "user", "users", "profile"]),
        json,
    )
)
def test_an_unexpected_shape_never_raises(body):
    read = Read(body=body)

    for read_value in (
        identity_of,
        channel_of,
        channels_of,
        messages_of,
        user_groups_of,
        cursor_of,
        user_of,
        members_of,
    ):
        read_value(read)
