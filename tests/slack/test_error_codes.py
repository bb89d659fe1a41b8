"""Every error code on Slack's pages has one row with its effect, a reason and a remedy."""

import pytest

from relay.slack.error_codes import TABLE, UNKNOWN_CODE, Effect, meaning_of
from relay.slack.methods import Method
from relay.slack.outcomes import RejectionScope

# What Slack's pages list, sorted by hand, independently of the table under test.
REJECTED = {
    RejectionScope.CREDENTIALS: (
        "invalid_auth not_authed account_inactive token_revoked token_expired two_factor_setup_required "
        "not_allowed_token_type team_access_not_granted enterprise_is_restricted accesslimited forbidden_team"
    ),
    RejectionScope.APP: (
        "missing_scope no_permission access_denied metadata_must_be_sent_from_app deprecated_endpoint "
        "method_deprecated plan_upgrade_required app_access_restricted send_on_behalf_not_allowed"
    ),
    RejectionScope.CHANNEL: (
        "channel_not_found not_in_channel is_archived is_inactive restricted_action "
        "restricted_action_read_only_channel restricted_action_thread_only_channel ekm_access_denied team_not_found "
        "messages_tab_disabled slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked "
        "slack_connect_lists_sharing_blocked channel_is_limited_access posting_to_channel_denied "
        "method_not_supported_for_channel_type too_many_members invalid_team slack_connect_clip_sharing_blocked "
        "slack_connect_file_upload_sharing_blocked slack_connect_blocked_file_type"
    ),
    RejectionScope.THREAD: "restricted_action_non_threadable_channel restricted_action_thread_locked thread_locked",
    RejectionScope.PAYLOAD: (
        "invalid_message invalid_view "
        "invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long msg_too_large too_many_attachments "
        "attachment_payload_limit_exceeded invalid_attachments no_text markdown_text_conflict invalid_metadata_format "
        "invalid_metadata_schema metadata_too_large too_many_contact_cards block_mismatch invalid_arguments "
        "invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type missing_post_type "
        "invalid_json json_not_object as_user_not_supported missing_file_data blocked_file_type cant_broadcast_message "
        "max_file_sharing_exceeded no_dual_broadcast_content_update unable_to_share_files file_deleted file_is_deleted "
        "file_not_found file_share_limit_reached file_comment_not_found"
    ),
    RejectionScope.EDIT_WINDOW: "edit_window_closed",
    RejectionScope.CALL: (
        "cant_delete_message invalid_cursor invalid_metadata_filter_keys invalid_ts_latest invalid_ts_oldest "
        "invalid_limit invalid_types missing_argument users_not_found invalid_name too_many_emoji too_many_reactions "
        "not_reactable bad_timestamp no_item_specified no_access duplicate_channel_not_found "
        "duplicate_message_not_found draft_already_deleted draft_already_sent draft_has_conflict draft_not_found "
        "user_not_found user_not_visible user_not_in_channel no_such_subteam expired_trigger_id exchanged_trigger_id "
        "invalid_trigger_id view_too_large duplicate_external_id insecure_request missing_args user_disabled "
        "cannot_dm_bot invalid_user_combination"
    ),
}
BY_EFFECT = {
    **REJECTED,
    Effect.RETRY: (
        "ratelimited rate_limited message_limit_exceeded team_added_to_org org_login_required "
        "external_channel_migrating update_failed streaming_state_conflict request_timeout "
        "list_record_comment_fetch_failed service_unavailable"
    ),
    Effect.NOT_FOUND: "message_not_found cant_update_message cannot_reply_to_message thread_not_found",
    Effect.AMBIGUOUS: "internal_error fatal_error",
    Effect.DONE: "already_reacted no_reaction already_in_channel",
}


@pytest.mark.parametrize(
    ("effect", "code"), [(effect, code) for effect, codes in BY_EFFECT.items() for code in codes.split()]
)
def test_each_code_has_the_effect_that_its_page_describes(effect, code):
    assert meaning_of(Method.REPLIES, code).effect is effect


def test_every_code_of_the_table_has_its_effect_above():
    """But for the rows of one method."""
    known = {code for codes in BY_EFFECT.values() for code in codes.split()}
    codes = [code for row in TABLE if row.method is None for code in row.codes.split()]
    assert [code for code in codes if code not in known] == [], "add these to REJECTED or BY_EFFECT"


def test_a_code_is_in_one_row_only():
    keys = [(row.method, code) for row in TABLE for code in row.codes.split()]

    assert len(keys) == len(set(keys))


def test_the_row_for_one_method_takes_precedence_over_the_row_for_all():
    assert meaning_of(Method.DELETE, "message_not_found").effect is Effect.DONE
    assert meaning_of(Method.POST, "service_unavailable").effect is Effect.AMBIGUOUS
    assert meaning_of(Method.EDIT, "service_unavailable").effect is Effect.RETRY


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
def test_every_code_on_a_method_s_page_has_a_row(method):
    assert [code for code in (COMMON + LISTED[method]).split() if meaning_of(method, code) is UNKNOWN_CODE] == []


@pytest.mark.parametrize("row", [*TABLE, UNKNOWN_CODE], ids=lambda row: row.reason)
def test_every_row_says_what_to_do_unless_relay_needs_nobody(row):
    needs_nobody = row.effect is Effect.DONE or (row.effect is Effect.RETRY and row.wait is None)

    assert row.remedy.endswith(".") or (needs_nobody and not row.remedy)
    assert row.reason.replace("_", "").isalpha()
    assert row.reason == row.reason.lower()
    assert not row.page.startswith(("/", "https:"))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.codes)
def test_the_page_of_a_row_lists_its_codes(row):
    """As far as the pages stand above."""
    if row.page in LISTED:
        extra = {"invalid_team", "app_access_restricted", "send_on_behalf_not_allowed"}  # seen, and listed nowhere
        elsewhere = {"file_is_deleted", "file_share_limit_reached", "file_comment_not_found", "forbidden_team"}
        listed = {*COMMON.split(), *LISTED[row.page].split(), *extra, *elsewhere}
        assert [code for code in row.codes.split() if code not in listed] == [], f"add them to LISTED, at {row.page}"


def test_each_reason_has_one_remedy():
    remedies = {}
    for row in TABLE:
        if isinstance(row.effect, RejectionScope):
            assert remedies.setdefault(row.reason, row.remedy) == row.remedy


def test_a_code_without_a_row_rejects_the_call():
    assert meaning_of(Method.POST, "sunspots") is UNKNOWN_CODE
    assert UNKNOWN_CODE.effect is RejectionScope.UNKNOWN_CODE
