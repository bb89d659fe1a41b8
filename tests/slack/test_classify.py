"""Slack's answers: every code has its place, and no shape of an answer is trusted."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.http.outcome import Failure, HttpResponse
from relay.slack.classify import classify
from relay.slack.error_codes import (
    BY_METHOD,
    CODES,
    UNKNOWN_CODE,
    AlreadyDone,
    RejectionCode,
    RetryCode,
    _rows,
    meaning_of,
)
from relay.slack.methods import Method
from relay.slack.outcomes import Ambiguous, Delivered, NotFound, Read, Rejected, RejectionScope, Retryable
from relay.slack.responses import (
    ChannelInfo,
    FoundMessage,
    Identity,
    SlackUser,
    UserGroup,
    channel_of,
    channels_of,
    cursor_of,
    identity_of,
    members_of,
    messages_of,
    permalink_of,
    socket_url_of,
    user_groups_of,
    user_of,
)

# What Slack's pages list, sorted by hand and apart from the table under test.
REFUSED = {
    RejectionScope.CREDENTIALS: (
        "invalid_auth not_authed account_inactive token_revoked token_expired two_factor_setup_required "
        "not_allowed_token_type team_access_not_granted enterprise_is_restricted accesslimited forbidden_team"
    ),
    RejectionScope.APP: (
        "missing_scope no_permission access_denied metadata_must_be_sent_from_app deprecated_endpoint "
        "method_deprecated plan_upgrade_required"
    ),
    RejectionScope.CHANNEL: (
        "channel_not_found not_in_channel is_archived is_inactive restricted_action "
        "restricted_action_read_only_channel restricted_action_thread_only_channel ekm_access_denied team_not_found "
        "messages_tab_disabled slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked "
        "slack_connect_lists_sharing_blocked channel_is_limited_access posting_to_channel_denied "
        "method_not_supported_for_channel_type too_many_members"
    ),
    RejectionScope.THREAD: "restricted_action_non_threadable_channel restricted_action_thread_locked thread_locked",
    RejectionScope.PAYLOAD: (
        "invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long msg_too_large too_many_attachments "
        "attachment_payload_limit_exceeded invalid_attachments no_text markdown_text_conflict invalid_metadata_format "
        "invalid_metadata_schema metadata_too_large too_many_contact_cards block_mismatch invalid_arguments "
        "invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type "
        "invalid_json json_not_object as_user_not_supported missing_file_data blocked_file_type cant_broadcast_message "
        "max_file_sharing_exceeded no_dual_broadcast_content_update unable_to_share_files file_deleted file_is_deleted "
        "file_not_found file_share_limit_reached"
    ),
    RejectionScope.EDIT_WINDOW: "edit_window_closed",
    RejectionScope.CALL: (
        "cant_delete_message invalid_cursor invalid_metadata_filter_keys invalid_ts_latest invalid_ts_oldest "
        "invalid_limit invalid_types missing_argument users_not_found invalid_name too_many_emoji too_many_reactions "
        "not_reactable bad_timestamp no_item_specified no_access duplicate_channel_not_found "
        "duplicate_message_not_found draft_already_deleted draft_already_sent draft_has_conflict draft_not_found "
        "user_not_found user_not_visible user_not_in_channel no_such_subteam expired_trigger_id exchanged_trigger_id "
        "invalid_trigger_id view_too_large duplicate_external_id insecure_request missing_args"
    ),
}
DEFERRED = (
    "ratelimited rate_limited message_limit_exceeded team_added_to_org org_login_required external_channel_migrating "
    "update_failed streaming_state_conflict request_timeout list_record_comment_fetch_failed"
)
GONE = "message_not_found cant_update_message cannot_reply_to_message thread_not_found"
UNKNOWN = "internal_error fatal_error"
FINE = "already_reacted no_reaction already_in_channel"


def said(code, status=200, **more):
    return HttpResponse(status=status, body={"ok": False, "error": code, **more})


@pytest.mark.parametrize(("kind", "code"), [(kind, code) for kind, codes in REFUSED.items() for code in codes.split()])
def test_a_code_that_no_repetition_changes_is_refused_with_its_kind_and_a_remedy(kind, code):
    answer = classify(Method.POST, said(code))

    assert isinstance(answer, Rejected)
    assert (answer.code, answer.scope) == (code, kind)
    assert answer.remedy.endswith(".")
    assert "{" not in answer.remedy


@pytest.mark.parametrize("code", DEFERRED.split())
def test_a_code_that_passes_is_deferred(code):
    answer = classify(Method.POST, said(code))

    assert isinstance(answer, Retryable)
    assert answer.code == code


@pytest.mark.parametrize("code", GONE.split())
def test_a_code_that_tells_of_a_lost_message_or_thread_is_gone(code):
    assert isinstance(classify(Method.EDIT, said(code)), NotFound)


@pytest.mark.parametrize("code", UNKNOWN.split())
@pytest.mark.parametrize("method", [Method.POST, Method.EDIT, Method.DELETE, Method.HISTORY])
def test_where_slack_cannot_say_how_far_it_got_nobody_can(code, method):
    assert classify(method, said(code)) == Ambiguous(reason=code, code=code)


@pytest.mark.parametrize("code", FINE.split())
def test_a_code_that_says_it_is_so_already_is_a_success(code):
    assert isinstance(classify(Method.JOIN, said(code)), Read)


def test_a_message_that_is_gone_already_counts_as_deleted():
    answer = classify(Method.DELETE, said("message_not_found"), {"channel": "C1", "ts": "1.2"})

    assert answer == Delivered(channel="C1", ts="1.2")


def test_every_code_of_the_table_stands_in_one_row_only():
    codes = [code for _, row in _rows() for code in row.split()]

    assert sorted(codes) == sorted(CODES)
    assert len(codes) == len(set(codes))


COMMON = """
access_denied accesslimited account_inactive deprecated_endpoint ekm_access_denied enterprise_is_restricted fatal_error
internal_error invalid_arg_name invalid_arguments invalid_array_arg invalid_auth invalid_charset invalid_form_data
invalid_post_type method_deprecated missing_post_type missing_scope no_permission not_allowed_token_type not_authed
org_login_required ratelimited request_timeout service_unavailable team_access_not_granted team_added_to_org
token_expired token_revoked two_factor_setup_required
"""
LISTED = {
    Method.POST: """
        as_user_not_supported attachment_payload_limit_exceeded cannot_reply_to_message channel_not_found
        draft_already_deleted draft_already_sent draft_has_conflict draft_not_found duplicate_channel_not_found
        duplicate_message_not_found invalid_blocks invalid_blocks_format invalid_metadata_format invalid_metadata_schema
        is_archived markdown_text_conflict message_limit_exceeded messages_tab_disabled metadata_must_be_sent_from_app
        metadata_too_large missing_file_data msg_blocks_too_long msg_too_long no_text not_in_channel rate_limited
        restricted_action restricted_action_non_threadable_channel restricted_action_read_only_channel
        restricted_action_thread_locked restricted_action_thread_only_channel slack_connect_canvas_sharing_blocked
        slack_connect_file_link_sharing_blocked slack_connect_lists_sharing_blocked team_not_found too_many_attachments
        too_many_contact_cards
    """,
    Method.EDIT: """
        as_user_not_supported block_mismatch blocked_file_type cant_broadcast_message cant_update_message
        channel_not_found edit_window_closed external_channel_migrating file_deleted file_not_found invalid_attachments
        invalid_blocks invalid_blocks_format invalid_metadata_format invalid_metadata_schema is_inactive
        markdown_text_conflict max_file_sharing_exceeded message_limit_exceeded message_not_found
        metadata_must_be_sent_from_app metadata_too_large msg_too_long no_dual_broadcast_content_update no_text
        posting_to_channel_denied slack_connect_clip_sharing_blocked slack_connect_file_upload_sharing_blocked
        slack_connect_blocked_file_type streaming_state_conflict team_not_found too_many_attachments
        unable_to_share_files update_failed
    """,
    Method.DELETE: "cant_delete_message channel_not_found message_not_found",
    Method.PERMALINK: "channel_not_found message_not_found",
    Method.HISTORY: """
        channel_is_limited_access channel_not_found invalid_cursor invalid_metadata_filter_keys invalid_ts_latest
        invalid_ts_oldest not_in_channel
    """,
    Method.REPLIES: """
        channel_is_limited_access channel_not_found invalid_cursor invalid_metadata_filter_keys invalid_ts_latest
        invalid_ts_oldest list_record_comment_fetch_failed method_not_supported_for_channel_type not_in_channel
        thread_not_found
    """,
    Method.CHANNELS: """
        invalid_cursor invalid_limit invalid_types method_not_supported_for_channel_type missing_argument
    """,
    Method.CHANNEL: "channel_is_limited_access channel_not_found",
    Method.JOIN: """
        already_in_channel channel_is_limited_access channel_not_found is_archived
        method_not_supported_for_channel_type too_many_members
    """,
    Method.USER_GROUPS: "plan_upgrade_required",
    Method.AUTH_TEST: "",
}
"""What each method's page lists (https://docs.slack.dev/reference/methods), May 2026; and those common to all."""


@pytest.mark.parametrize("method", LISTED)
def test_every_code_that_a_method_s_page_lists_has_its_class_a_reason_and_a_remedy(method):
    for code in (COMMON + LISTED[method]).split():
        meaning = meaning_of(method, code)
        assert meaning is not UNKNOWN_CODE, code
        if not isinstance(meaning, AlreadyDone):
            assert meaning.reason, code
        if not isinstance(meaning, (AlreadyDone, RetryCode)):
            assert meaning.remedy.endswith("."), code
        if isinstance(meaning, RetryCode) and meaning.seconds is not None:
            assert meaning.remedy.endswith("."), code


def test_every_code_sorted_by_hand_stands_in_the_table():
    by_hand = " ".join([*REFUSED.values(), DEFERRED, GONE, UNKNOWN, FINE]).split()

    assert set(by_hand) <= set(CODES)


def test_reasons_are_snake_case_and_each_has_one_remedy():
    remedies = {}
    for meaning in [*CODES.values(), *BY_METHOD.values(), UNKNOWN_CODE]:
        if isinstance(meaning, (RejectionCode, RetryCode)):
            assert meaning.reason.replace("_", "").isalpha()
            assert meaning.reason == meaning.reason.lower()
            assert remedies.setdefault(meaning.reason, meaning.remedy) == meaning.remedy


def test_a_code_that_nobody_knows_is_refused_by_a_kind_of_its_own():
    answer = classify(Method.POST, said("sunspots"))

    assert isinstance(answer, Rejected)
    assert (answer.scope, answer.code, answer.reason) == (RejectionScope.UNKNOWN_CODE, "sunspots", "unknown_code")


def test_a_missing_scope_is_named_in_the_remedy():
    answer = classify(Method.HISTORY, said("missing_scope", needed="channels:history", provided="chat:write"))

    assert isinstance(answer, Rejected)
    assert answer.missing_scopes == "channels:history"
    assert "channels:history" in answer.remedy
    assert "chat:write" in answer.remedy


def test_a_missing_scope_that_slack_does_not_name_still_makes_a_sentence():
    answer = classify(Method.HISTORY, said("missing_scope", needed=None))

    assert isinstance(answer, Rejected)
    assert "None" not in answer.remedy


def test_what_slack_says_about_the_blocks_is_the_detail():
    line = "[ERROR] must be less than 3001 characters [json-pointer:/blocks/0/text/text]"
    answer = classify(Method.POST, said("invalid_blocks", response_metadata={"messages": [line, 7, "x" * 999]}))

    assert isinstance(answer, Rejected)
    assert answer.detail.startswith(line + "; xxx")
    assert len(answer.detail) < 500


def test_errors_are_the_detail_where_there_are_no_messages():
    answer = classify(Method.POST, said("invalid_blocks", errors=["unsupported block"]))

    assert isinstance(answer, Rejected)
    assert answer.detail == "unsupported block"


# -- Waiting -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"Retry-After": "30"}, {"ok": False, "error": "ratelimited"}, 30.0),
        ({"retry-after": "0.5"}, None, 0.5),
        ({"RETRY-AFTER": "0"}, "<html>", 0.0),
        ({}, {"ok": False, "error": "rate_limited", "retry_after": 7}, 7.0),
        ({}, {"ok": False}, None),
        ({"Retry-After": "soon"}, {"retry_after": 3}, 3.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}, None),
        ({"Retry-After": "-5"}, {}, None),
        ({"Retry-After": "nan"}, {}, None),
        ({"Retry-After": "inf"}, {"retry_after": 10**400}, None),
        ({"Retry-After": "99999999"}, {}, 3600.0),
    ],
)
def test_http_429_pauses_the_method_for_as_long_as_slack_says(headers, body, seconds):
    answer = classify(Method.POST, HttpResponse(status=429, headers=headers, body=body))

    assert isinstance(answer, Retryable)
    assert (answer.reason, answer.pauses, answer.retry_after) == ("rate_limited", True, seconds)


@pytest.mark.parametrize("code", ["ratelimited", "rate_limited"])
def test_a_rate_limit_told_by_code_alone_pauses_the_method_too(code):
    answer = classify(
        Method.EDIT, HttpResponse(status=200, headers={"Retry-After": "3"}, body={"ok": False, "error": code})
    )

    assert answer == Retryable(reason="rate_limited", code=code, retry_after=3.0, pauses=True)


def test_a_migrating_workspace_is_left_alone_for_minutes():
    answer = classify(Method.POST, said("team_added_to_org"))

    assert isinstance(answer, Retryable)
    assert answer.pauses
    assert answer.retry_after is not None
    assert answer.retry_after >= 60


def test_a_migrating_channel_does_not_stop_the_others():
    answer = classify(Method.EDIT, said("external_channel_migrating"))

    assert isinstance(answer, Retryable)
    assert not answer.pauses


# -- Doubt -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", list(Failure))
def test_without_an_answer_only_what_never_left_is_sure(failure):
    sure = ["name_not_resolved", "not_connected", "connect_timed_out", "tls_failed", "proxy_refused"]
    expected = {"unsendable": Rejected, **dict.fromkeys(sure, Retryable)}.get(failure, Ambiguous)

    answer = classify(Method.POST, failure)

    assert type(answer) is expected
    assert answer.reason == failure


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize("body", [None, {}, "<html>", {"ok": False, "error": "service_unavailable"}, {"ok": True}])
def test_a_server_error_is_doubt_whatever_its_body_says(status, body):
    answer = classify(Method.POST, HttpResponse(status=status, body=body))

    assert isinstance(answer, Ambiguous)
    assert answer.reason == "server_error"


def test_service_unavailable_leaves_a_post_in_doubt_and_anything_else_for_later():
    assert isinstance(classify(Method.POST, said("service_unavailable")), Ambiguous)
    assert isinstance(classify(Method.EDIT, said("service_unavailable")), Retryable)


@pytest.mark.parametrize(
    "body", [None, {}, [], "ok", b"\x1f\x8b", 7, {"ok": "true"}, {"ok": False}, {"ok": False, "error": 5}]
)
def test_an_answer_that_nobody_can_read_is_doubt(body):
    assert classify(Method.POST, HttpResponse(status=200, body=body)) == Ambiguous(reason="unreadable", code="http_200")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 408])
def test_a_refusal_by_somebody_on_the_way_was_not_done_and_may_pass(status):
    answer = classify(Method.POST, HttpResponse(status=status, body="<html>"))

    assert isinstance(answer, Retryable)
    assert answer.reason == "not_slack"
    assert str(status) in answer.remedy


def test_a_message_too_large_for_what_stands_between_is_a_fault_of_the_message():
    answer = classify(Method.POST, HttpResponse(status=413))

    assert isinstance(answer, Rejected)
    assert answer.scope is RejectionScope.PAYLOAD


def test_slacks_own_code_counts_under_any_4xx():
    answer = classify(Method.POST, said("invalid_auth", status=401))

    assert isinstance(answer, Rejected)
    assert answer.scope is RejectionScope.CREDENTIALS


# -- Successes ---------------------------------------------------------------------------------------------------------


def posted(**more):
    return HttpResponse(status=200, body={"ok": True, "channel": "C1", "ts": "1.000200", **more})


def test_a_post_is_delivered_with_its_ts():
    assert classify(Method.POST, posted(), {"channel": "C1"}) == Delivered(channel="C1", ts="1.000200")


def test_a_post_without_a_ts_stands_nobody_knows_where():
    assert isinstance(classify(Method.POST, HttpResponse(status=200, body={"ok": True, "channel": "C1"})), Ambiguous)


def test_an_edit_without_a_ts_in_its_answer_is_of_the_message_that_was_asked_for():
    answer = classify(Method.EDIT, HttpResponse(status=200, body={"ok": True}), {"channel": "C1", "ts": "1.2"})

    assert answer == Delivered(channel="C1", ts="1.2")


@pytest.mark.parametrize(
    ("asked", "told", "stray"),
    [
        ({"thread_ts": "1.1"}, {"message": {"thread_ts": "1.1"}}, False),
        ({"thread_ts": "1.1"}, {"message": {"text": "hello"}}, True),
        ({"thread_ts": "1.1"}, {"message": {"thread_ts": "9.9"}}, True),
        ({"thread_ts": "1.1"}, {}, False),
        ({}, {"message": {"text": "a card"}}, False),
    ],
    ids=["in its thread", "in the channel", "in another thread", "not echoed", "a root"],
)
def test_a_reply_outside_its_thread_is_a_stray(asked, told, stray):
    answer = classify(Method.POST, posted(**told), asked)

    assert isinstance(answer, Delivered)
    assert answer.stray is stray


def test_a_private_note_is_delivered_with_a_ts_of_its_own():
    told = HttpResponse(status=200, body={"ok": True, "message_ts": "1.000300"})

    assert classify(Method.EPHEMERAL, told, {"channel": "C1", "user": "U1"}) == Delivered(channel="C1", ts="1.000300")


def test_a_read_carries_its_body_and_the_tokens_scopes():
    body = {"ok": True, "messages": []}

    answer = classify(
        Method.HISTORY, HttpResponse(status=200, headers={"x-oauth-scopes": "chat:write, channels:read,"}, body=body)
    )

    assert answer == Read(body=body, scopes=("chat:write", "channels:read"))


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["messages", "errors"]), inner),
    max_leaves=10,
)
names = st.sampled_from(
    ["ok", "error", "ts", "channel", "message", "needed", "provided", "retry_after", "response_metadata", "errors"]
)


@given(
    method=st.sampled_from(Method),
    status=st.integers(100, 599),
    headers=st.dictionaries(st.sampled_from(["Retry-After", "X-OAuth-Scopes"]), st.text()),
    body=json
    | st.dictionaries(names, json | st.sampled_from([True, "missing_scope", "invalid_blocks", "ratelimited"])),
    asked=st.dictionaries(st.sampled_from(["channel", "ts", "thread_ts"]), st.text()),
)
def test_whatever_comes_back_is_judged_and_never_raises(method, status, headers, body, asked):
    answer = classify(method, HttpResponse(status=status, headers=headers, body=body), asked)

    assert answer.reason.replace("_", "").isalpha()
    if isinstance(answer, Retryable) and answer.retry_after is not None:
        assert math.isfinite(answer.retry_after)
        assert answer.retry_after >= 0
    if isinstance(answer, (Delivered, Read)):
        assert status < 500
    if isinstance(answer, Delivered) and method is Method.POST:
        assert answer.ts


# -- What a read tells -------------------------------------------------------------------------------------------------


def test_a_message_is_known_by_its_marker():
    told = {
        "ts": "1.2",
        "thread_ts": "1.2",
        "bot_id": "B1",
        "reply_count": 3,
        "metadata": {"event_type": "relay_card", "event_payload": {"incident": "abc", "key": "k1"}},
    }

    assert messages_of(Read(body={"messages": [told, {"text": "no ts"}, "junk"]})) == (
        FoundMessage(
            ts="1.2", thread_ts="1.2", bot_id="B1", event_type="relay_card", incident="abc", key="k1", replies=3
        ),
    )


def test_the_place_of_a_deleted_root_is_told_from_a_message():
    (seen,) = messages_of(Read(body={"messages": [{"ts": "1.2", "subtype": "tombstone"}]}))

    assert seen.deleted


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
def test_pages_go_on_until_there_is_no_cursor(body, cursor):
    assert cursor_of(Read(body=body)) == cursor


def test_channels_tell_whether_relay_may_use_them():
    told = {
        "id": "C1",
        "name": "noc",
        "is_private": True,
        "is_member": True,
        "is_archived": False,
        "is_ext_shared": True,
    }
    noc = ChannelInfo(id="C1", name="noc", private=True, member=True, external=True)

    assert channels_of(Read(body={"channels": [told, {"name": "no id"}]})) == (noc,)
    assert channel_of(Read(body={"channel": told})) == noc
    assert channel_of(Read(body={"channel": "C1"})) is None


def test_an_identity_tells_the_bot_the_workspace_and_the_scopes():
    body = {"bot_id": "B1", "user_id": "U1", "team_id": "T1", "team": "Acme", "url": "https://acme.slack.com/"}

    assert identity_of(Read(body=body, scopes=("chat:write",))) == Identity(**body, scopes=("chat:write",))


def test_user_groups_and_permalinks_are_read():
    groups = {"usergroups": [{"id": "S1", "handle": "oncall", "name": "On call"}]}

    assert user_groups_of(Read(body=groups)) == (UserGroup(id="S1", handle="oncall", name="On call"),)
    assert permalink_of(Read(body={"permalink": "https://acme.slack.com/x"})) == "https://acme.slack.com/x"


PERSON = {
    "id": "U1",
    "name": "ann.lee",
    "real_name": "Ann Lee",
    "tz": "Europe/Berlin",
    "tz_offset": 7200,
    "is_bot": False,
    "profile": {"display_name": "ann", "real_name": "Ann Lee", "email": "ann@example.com"},
}


def test_a_person_tells_their_name_their_address_and_their_time_of_day():
    assert user_of(Read(body={"user": PERSON})) == SlackUser(
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
def test_a_person_is_called_as_people_see_them_else_by_their_real_name(changed, name):
    assert user_of(Read(body={"user": PERSON | changed})).name == name


@pytest.mark.parametrize("offset", ["7200", True, None, 1.5])
def test_an_offset_that_is_no_number_of_seconds_is_none_at_all(offset):
    assert user_of(Read(body={"user": PERSON | {"tz_offset": offset}})).utc_offset == 0


def test_a_bot_is_told_from_a_person_and_nobody_from_both():
    assert user_of(Read(body={"user": {"id": "U2", "is_bot": True}})) == SlackUser(id="U2", is_bot=True)
    assert user_of(Read(body={"user": "U1"})) is None


@pytest.mark.parametrize(
    ("url", "address"),
    [("wss://a.example/x", "wss://a.example/x"), ("ws://127.0.0.1:1/", "ws://127.0.0.1:1/"), ("http://x", ""), (7, "")],
)
def test_a_socket_is_told_by_its_address(url, address):
    assert socket_url_of(Read(body={"url": url})) == address


def test_the_members_of_a_group_are_ids():
    assert members_of(Read(body={"users": ["U1", 7, "", "W2"]})) == ("U1", "W2")
    assert members_of(Read(body={"users": None})) == ()


@given(
    body=st.dictionaries(
        st.sampled_from(
            ["channel", "channels", "messages", "usergroups", "permalink", "metadata", "user", "users", "profile"]
        ),
        json,
    )
)
def test_reads_leave_out_what_is_not_of_the_documented_shape(body):
    read = Read(body=body)

    for what in (
        identity_of,
        channel_of,
        channels_of,
        messages_of,
        user_groups_of,
        permalink_of,
        cursor_of,
        user_of,
        members_of,
    ):
        what(read)
