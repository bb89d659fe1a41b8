"""What people do in Slack becomes values, and no payload raises."""

import copy
import string

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.model.buttons import BUTTONS, STORM_BUTTONS
from relay.slack import limits
from relay.slack.interactions import (
    CONFIRM_ACTION,
    BatchOrigin,
    Challenge,
    Click,
    Command,
    ModalOrigin,
    Shortcut,
    Submission,
    ThreadReply,
    confirm_value,
    mentioned_users,
    parse_command,
    parse_event,
    parse_interaction,
    to_plain_text,
)

BLOCK_ACTIONS = {
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
VIEW_SUBMISSION = {
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
EVENT_CALLBACK = {
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
REPLY = ThreadReply(channel="C1", thread_ts="100.000100", ts="102.000100", user="U1", text="on it")


def edited(payload, *path, **changed):
    """Return the payload with keys changed at that path; None removes a key."""
    changed_copy = copy.deepcopy(payload)
    at = changed_copy
    for step in path:
        at = at[step]
    for name, value in changed.items():
        at[name] = value
        if value is None:
            del at[name]
    return changed_copy


# -- Clicks ------------------------------------------------------------------------------------------------------------


def test_a_click_on_a_button_of_relay_is_a_click():
    assert parse_interaction(BLOCK_ACTIONS) == CLICK


@pytest.mark.parametrize("action", sorted(BUTTONS))
def test_the_action_comes_from_the_buttons_id(action):
    assert parse_interaction(edited(BLOCK_ACTIONS, "actions", 0, action_id=f"relay_{action}")).action == action


@pytest.mark.parametrize("action_id", ["open_0", "assign", "relay_", "relay_dance", "relay_relay_assign", "", None])
def test_a_link_button_is_a_click_without_an_action(action_id):
    assert parse_interaction(edited(BLOCK_ACTIONS, "actions", 0, action_id=action_id)) == Click(action="")


def test_without_a_container_the_message_and_the_channel_count():
    payload = edited(BLOCK_ACTIONS, container=None, message={"ts": "100.000100"})

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
def test_an_incomplete_click_is_ignored(path, key):
    assert parse_interaction(edited(BLOCK_ACTIONS, *path, **{key: None})) is None


def test_a_click_needs_no_trigger():
    assert parse_interaction(edited(BLOCK_ACTIONS, trigger_id=None)).trigger_id == ""


# -- Modals ------------------------------------------------------------------------------------------------------------


def test_a_submission_has_its_origin_and_its_values():
    assert parse_interaction(VIEW_SUBMISSION) == Submission(
        action="comment",
        incident="5e7f",
        user="U1",
        user_name="ann",
        channel="C1",
        message_ts="100.000100",
        view_id="V1",
        values={"text": "looking"},
    )


def test_a_chosen_option_is_its_value():
    origin = ModalOrigin(action="snooze", incident="5e7f", channel="C1", message_ts="100.000100")
    chosen = {"until": {"until": {"type": "radio_buttons", "selected_option": {"value": "4h"}}}}
    payload = edited(
        VIEW_SUBMISSION, "view", callback_id="relay_snooze", private_metadata=origin.to_json(), state={"values": chosen}
    )

    assert parse_interaction(payload).values == {"until": "4h"}


@pytest.mark.parametrize("value", [None, 7, ["x"], ""])
def test_an_empty_input_is_left_out(value):
    payload = edited(
        VIEW_SUBMISSION, "view", state={"values": {"text": {"text": {"type": "plain_text_input", "value": value}}}}
    )

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
def test_a_modal_of_another_app_is_ignored(metadata):
    assert parse_interaction(edited(VIEW_SUBMISSION, "view", private_metadata=metadata)) is None


def test_a_modal_with_two_different_actions_is_ignored():
    assert parse_interaction(edited(VIEW_SUBMISSION, "view", callback_id="relay_resolve")) is None


def test_a_closed_modal_and_a_shortcut_are_ignored():
    assert [
        parse_interaction(edited(VIEW_SUBMISSION, type=kind)) for kind in ("view_closed", "shortcut", "message_action")
    ] == [None] * 3


@given(action=st.sampled_from(sorted(BUTTONS)), incident=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_a_modals_origin_survives_the_round_trip_through_slack(action, incident):
    origin = ModalOrigin(action=action, incident=incident, channel="C1", message_ts="1.2")

    assert ModalOrigin.from_json(origin.to_json()) == origin


# -- Commands and shortcuts --------------------------------------------------------------------------------------------

COMMAND = {
    "command": "/relay",
    "text": "open <#C0NOC00001|noc>",
    "user_id": "U0ANN00001",
    "user_name": "ann",
    "channel_id": "C0DB000001",
    "trigger_id": "13345224609.738474920.8088930838d88f008e0",
}
SHORTCUT = {
    "type": "message_action",
    "callback_id": "relay_why",
    "user": {"id": "U0ANN00001", "name": "ann"},
    "channel": {"id": "C0DB000001", "name": "privategroup"},
    "message_ts": "1700000001.000100",
    "message": {"type": "message", "ts": "1700000001.000100", "thread_ts": "1700000000.000100", "text": "hi"},
}


def test_a_command_has_its_user_channel_and_text_without_control_characters():
    command = parse_command(COMMAND | {"text": "open\x1b[31m \u0000noc"})

    assert command == Command(
        name="/relay",
        text="open noc",
        user="U0ANN00001",
        channel="C0DB000001",
        trigger_id="13345224609.738474920.8088930838d88f008e0",
    )


@pytest.mark.parametrize("missing", ["command", "user_id", "channel_id", "trigger_id"])
def test_a_command_without_a_required_part_is_ignored(missing):
    assert parse_command({name: value for name, value in COMMAND.items() if name != missing}) is None


def test_a_shortcut_is_about_the_message_and_knows_its_thread():
    expected = Shortcut(
        user="U0ANN00001", channel="C0DB000001", message_ts="1700000001.000100", thread_ts="1700000000.000100"
    )

    assert parse_interaction(SHORTCUT) == expected
    assert parse_interaction(SHORTCUT | {"callback_id": "other_app"}) is None


@given(text=st.text(max_size=200))
def test_a_confirmed_command_has_the_text_of_the_button(text):
    command = parse_command(COMMAND)
    action = {"type": "button", "action_id": CONFIRM_ACTION, "value": confirm_value(command, f"mute {text}")}
    payload = {
        "type": "block_actions",
        "user": {"id": "U0BEN00001", "name": "ben"},
        "container": {"channel_id": "C0DB000001", "is_ephemeral": True},
        "actions": [action],
    }
    confirmed = parse_interaction(payload)

    assert isinstance(confirmed, Command)
    assert (confirmed.name, confirmed.user, confirmed.trigger_id) == ("/relay", "U0BEN00001", command.trigger_id)
    assert confirmed.text.startswith("mute")


# -- Replies -----------------------------------------------------------------------------------------------------------


def test_a_persons_reply_in_a_thread_is_parsed():
    assert parse_event(EVENT_CALLBACK) == REPLY


@pytest.mark.parametrize("subtype", ["thread_broadcast", "file_share"])
def test_a_broadcast_reply_and_one_with_a_file_are_parsed(subtype):
    assert parse_event(edited(EVENT_CALLBACK, "event", subtype=subtype)) == REPLY


def test_a_file_is_shown_by_its_name():
    files = [{"name": "a<b>.png"}, {"id": "F2"}, "junk"]

    assert parse_event(edited(EVENT_CALLBACK, "event", files=files)).text == "on it\n(file: a&lt;b&gt;.png)"
    assert parse_event(edited(EVENT_CALLBACK, "event", files=files, text="")).text == "(file: a&lt;b&gt;.png)"


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
def test_edits_deletions_bots_roots_and_empty_texts_are_ignored(changed):
    assert parse_event(edited(EVENT_CALLBACK, "event", **changed)) is None


def test_a_url_verification_returns_the_challenge_text():
    assert parse_event({"type": "url_verification", "challenge": "abc", "token": "x"}) == Challenge(text="abc")
    assert parse_event({"type": "url_verification"}) is None


# -- Junk --------------------------------------------------------------------------------------------------------------

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def corrupted(draw):
    """Draw a valid payload with an arbitrary value in one place."""
    payload = copy.deepcopy(draw(st.sampled_from([BLOCK_ACTIONS, VIEW_SUBMISSION, EVENT_CALLBACK])))
    at = payload
    while True:
        key = draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        if not at[key] or not isinstance(at[key], (dict, list)) or draw(st.booleans()):
            at[key] = draw(json)
            return payload
        at = at[key]


@given(payload=json | corrupted())
def test_no_payload_raises(payload):
    parse_interaction(payload)
    parse_command(payload)
    parse_event(payload)


# -- Slack's markup ----------------------------------------------------------------------------------------------------

MARKUP = [
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


@pytest.mark.parametrize(("markup", "plain"), MARKUP)
def test_markup_becomes_the_text_that_a_reader_sees(markup, plain):
    assert to_plain_text(markup, {"U1": "Ann Lee"}) == plain


def test_markup_in_a_name_stays_text():
    assert to_plain_text("<@U1>", {"U1": "<!here> &amp; co"}) == "@<!here> &amp; co"


def test_each_mentioned_user_is_listed_once():
    assert mentioned_users("<@U1> <@W2|w> <@U1> <#C1> <@> @U3") == ("U1", "W2")


@given(text=st.text())
def test_escaped_text_becomes_what_was_typed(text):
    sent = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

    assert to_plain_text(sent, {}) == text


@given(text=st.text(alphabet=string.printable + "<>|@#!^&"))
def test_no_markup_raises_an_error(text):
    to_plain_text(text, {})
    mentioned_users(text)


@given(st.sets(st.integers(1, 10**7), min_size=1, max_size=200), st.sampled_from(list(STORM_BUTTONS)))
def test_the_modal_of_a_storm_card_carries_up_to_200_lines_within_slacks_limit(numbers, action):
    origin = BatchOrigin(
        action=action,
        channel="C0123456789",
        message_ts="1700000000.000100",
        lines=tuple(sorted(numbers)),
        name="D" * 80,
    )
    text = origin.to_json()
    assert len(text) <= limits.PRIVATE_METADATA
    assert BatchOrigin.from_json(text) == origin


@given(st.text("0123456789-,", max_size=40))
def test_no_text_makes_a_storm_modal_contain_too_many_lines(text):
    values = {"action": "take", "channel": "C1", "message_ts": "1.2", "lines": text}
    origin = BatchOrigin.from_json(orjson.dumps(values).decode())
    assert origin is None or 0 < len(origin.lines) <= 2_000
