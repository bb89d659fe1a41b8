"""What people do in Slack becomes values, and nothing that Slack (or anybody) sends raises."""

import copy
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.buttons import BUTTONS
from relay.slack.interactions import (
    Challenge,
    Click,
    ModalOrigin,
    Submission,
    ThreadReply,
    mentioned_users,
    parse_event,
    parse_interaction,
    to_plain_text,
)

PRESSED = {
    "type": "block_actions",
    "user": {"id": "U1", "username": "ann.lee", "name": "ann", "team_id": "T1"},
    "api_app_id": "A1",
    "container": {"type": "message", "message_ts": "100.000100", "channel_id": "C1", "is_ephemeral": False},
    "channel": {"id": "C1", "name": "noc"},
    "trigger_id": "1.2.abc",
    "actions": [
        {
            "type": "button",
            "action_id": "relay_assign",
            "block_id": "b1",
            "value": "5e7f",
            "action_ts": "101.000200",
            "text": {"type": "plain_text", "text": "Assign to me"},
        }
    ],
}
CLICK = Click(
    action="assign",
    incident="5e7f",
    user="U1",
    user_name="ann",
    channel="C1",
    message_ts="100.000100",
    action_ts="101.000200",
    trigger_id="1.2.abc",
)
ORIGIN = ModalOrigin(action="comment", incident="5e7f", channel="C1", message_ts="100.000100")
SENT = {
    "type": "view_submission",
    "user": {"id": "U1", "name": "ann"},
    "view": {
        "id": "V1",
        "type": "modal",
        "callback_id": "relay_comment",
        "private_metadata": ORIGIN.to_json(),
        "state": {"values": {"text": {"text": {"type": "plain_text_input", "value": "looking"}}}},
    },
}
WRITTEN = {
    "type": "event_callback",
    "api_app_id": "A1",
    "event_id": "Ev1",
    "event": {
        "type": "message",
        "channel": "C1",
        "channel_type": "channel",
        "user": "U1",
        "text": "on it",
        "ts": "102.000100",
        "thread_ts": "100.000100",
    },
}
SPOKEN = ThreadReply(channel="C1", thread_ts="100.000100", ts="102.000100", user="U1", text="on it", event_id="Ev1")


def but(payload, *path, **changed):
    """The payload with something changed at that path; None takes a key away."""
    made = copy.deepcopy(payload)
    at = made
    for step in path:
        at = at[step]
    for name, value in changed.items():
        at[name] = value
        if value is None:
            del at[name]
    return made


# -- Clicks ------------------------------------------------------------------------------------------------------------


def test_a_press_of_one_of_relays_buttons_is_a_click():
    assert parse_interaction(PRESSED) == CLICK


@pytest.mark.parametrize("action", sorted(BUTTONS))
def test_the_action_is_told_by_the_buttons_id(action):
    assert parse_interaction(but(PRESSED, "actions", 0, action_id=f"relay_{action}")).action == action


@pytest.mark.parametrize("action_id", ["open_0", "assign", "relay_", "relay_dance", "relay_relay_assign", "", None])
def test_a_link_button_is_a_click_with_nothing_to_do(action_id):
    assert parse_interaction(but(PRESSED, "actions", 0, action_id=action_id)) == Click(action="")


def test_where_the_container_says_nothing_the_message_and_the_channel_do():
    payload = but(PRESSED, container=None, message={"ts": "100.000100"})

    assert parse_interaction(payload) == CLICK


@pytest.mark.parametrize(
    ("path", "key"),
    [
        (("actions", 0), "value"),
        (("actions", 0), "action_ts"),
        (("user",), "id"),
        (("container",), "message_ts"),
    ],
)
def test_a_click_that_does_not_say_who_pressed_what_is_none(path, key):
    assert parse_interaction(but(PRESSED, *path, **{key: None})) is None


def test_without_a_trigger_a_click_is_a_click_all_the_same():
    assert parse_interaction(but(PRESSED, trigger_id=None)).trigger_id == ""


# -- Modals ------------------------------------------------------------------------------------------------------------


def test_a_modal_that_was_sent_tells_what_it_is_about_and_what_was_filled_in():
    assert parse_interaction(SENT) == Submission(
        action="comment",
        incident="5e7f",
        user="U1",
        user_name="ann",
        channel="C1",
        message_ts="100.000100",
        view_id="V1",
        values={"text": "looking"},
    )


def test_a_choice_is_told_by_its_value():
    origin = ModalOrigin(action="snooze", incident="5e7f", channel="C1", message_ts="100.000100")
    chosen = {"until": {"until": {"type": "radio_buttons", "selected_option": {"value": "4h"}}}}
    payload = but(SENT, "view", callback_id="relay_snooze", private_metadata=origin.to_json(), state={"values": chosen})

    assert parse_interaction(payload).values == {"until": "4h"}


@pytest.mark.parametrize("value", [None, 7, ["x"], ""])
def test_what_was_left_empty_is_not_among_the_values(value):
    payload = but(SENT, "view", state={"values": {"text": {"text": {"type": "plain_text_input", "value": value}}}})

    assert parse_interaction(payload).values == {}


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "{",
        "[]",
        "7",
        '{"action":"comment"}',
        None,
        '{"action":"dance","incident":"i","channel":"C","message_ts":"1"}',
    ],
)
def test_a_modal_that_is_not_relays_is_none(metadata):
    assert parse_interaction(but(SENT, "view", private_metadata=metadata)) is None


def test_a_modal_whose_two_names_differ_is_none():
    assert parse_interaction(but(SENT, "view", callback_id="relay_resolve")) is None


def test_a_modal_that_was_closed_and_a_shortcut_are_none():
    assert [parse_interaction(but(SENT, type=kind)) for kind in ("view_closed", "shortcut", "message_action")] == [
        None
    ] * 3


@given(action=st.sampled_from(sorted(BUTTONS)), incident=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_where_a_modal_came_from_survives_the_way_through_slack(action, incident):
    origin = ModalOrigin(action=action, incident=incident, channel="C1", message_ts="1.2")

    assert ModalOrigin.from_json(origin.to_json()) == origin


# -- Replies -----------------------------------------------------------------------------------------------------------


def test_a_persons_reply_in_a_thread_is_heard():
    assert parse_event(WRITTEN) == SPOKEN


@pytest.mark.parametrize("subtype", ["thread_broadcast", "file_share"])
def test_a_reply_that_is_broadcast_or_brings_a_file_is_heard(subtype):
    assert parse_event(but(WRITTEN, "event", subtype=subtype)) == SPOKEN


def test_files_are_told_by_their_names():
    files = [{"name": "a<b>.png"}, {"id": "F2"}, "junk"]

    assert parse_event(but(WRITTEN, "event", files=files)).text == "on it\n(file: a&lt;b&gt;.png)"
    assert parse_event(but(WRITTEN, "event", files=files, text="")).text == "(file: a&lt;b&gt;.png)"


@pytest.mark.parametrize(
    "changed",
    [
        {"subtype": "message_changed"},
        {"subtype": "message_deleted"},
        {"subtype": "bot_message"},
        {"subtype": "channel_join"},
        {"subtype": 7},
        {"bot_id": "B1"},
        {"bot_profile": {"id": "B1"}},
        {"app_id": "A1"},
        {"thread_ts": None},
        {"thread_ts": "102.000100"},
        {"user": None},
        {"text": "  "},
        {"text": None},
        {"type": "app_mention"},
    ],
    ids=str,
)
def test_edits_deletions_bots_roots_and_silence_are_not_heard(changed):
    assert parse_event(but(WRITTEN, "event", **changed)) is None


def test_slack_is_told_what_it_wants_back_when_it_asks_whether_this_is_the_address():
    assert parse_event({"type": "url_verification", "challenge": "abc", "token": "x"}) == Challenge(text="abc")
    assert parse_event({"type": "url_verification"}) is None


# -- Junk --------------------------------------------------------------------------------------------------------------

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoilt(draw):
    """A good payload, one place of which holds anything."""
    payload = copy.deepcopy(draw(st.sampled_from([PRESSED, SENT, WRITTEN])))
    at = payload
    while True:
        key = draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        if not at[key] or not isinstance(at[key], (dict, list)) or draw(st.booleans()):
            at[key] = draw(json)
            return payload
        at = at[key]


@given(payload=json | spoilt())
def test_whatever_is_sent_nothing_raises(payload):
    parse_interaction(payload)
    parse_event(payload)


# -- What people write -------------------------------------------------------------------------------------------------

WORDS = [
    ("on it", "on it"),
    ("a &lt;b&gt; &amp; c", "a <b> & c"),
    ("&amp;lt;", "&lt;"),
    ("&nbsp;", "&nbsp;"),
    ("ask <@U1>", "ask @Ann Lee"),
    ("ask <@U1|ann>", "ask @Ann Lee"),
    ("ask <@U2|bob>", "ask @bob"),
    ("ask <@W3>", "ask @W3"),
    ("in <#C1|noc> and <#C2>", "in #noc and #C2"),
    ("<!here> and <!channel>", "@here and @channel"),
    ("<!here|here>", "@here"),
    ("<!subteam^S1|@ops>", "@ops"),
    ("<!subteam^S1>", "@S1"),
    ("<!date^1392734382^{date}|18 February>", "18 February"),
    ("<https://a.example/x?a=1&amp;b=2>", "https://a.example/x?a=1&b=2"),
    ("<https://a.example/x|the graph>", "the graph (https://a.example/x)"),
    ("<http://a.example|a.example>", "a.example"),
    ("<https://a.example|https://a.example>", "https://a.example"),
    ("<mailto:ann@a.example|ann@a.example>", "ann@a.example"),
    ("<tel:112>", "112"),
    ("<https://a.example|R&amp;D &lt;3>", "R&D <3 (https://a.example)"),
    ("*bold* _it_ `x` :tada:", "*bold* _it_ `x` :tada:"),
    ("1 < 2 and <", "1 < 2 and <"),
    ("<>", ""),
    ("two\nlines", "two\nlines"),
]


@pytest.mark.parametrize(("written", "read"), WORDS)
def test_a_persons_words_read_in_bigpanda_as_they_read_in_slack(written, read):
    assert to_plain_text(written, {"U1": "Ann Lee"}) == read


def test_a_name_with_markup_in_it_is_text():
    assert to_plain_text("<@U1>", {"U1": "<!here> &amp; co"}) == "@<!here> &amp; co"


def test_those_who_are_mentioned_are_told_once_each():
    assert mentioned_users("<@U1> <@W2|w> <@U1> <#C1> <@> @U3") == ("U1", "W2")


@given(text=st.text())
def test_what_was_typed_reads_as_it_was_typed(text):
    sent = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert to_plain_text(sent, {}) == text


@given(text=st.text(alphabet=string.printable + "<>|@#!^&"))
def test_whatever_is_written_can_be_read(text):
    to_plain_text(text, {})
    mentioned_users(text)
