"""Slack's error codes in one table: what each means for relay, and what an operator has to do.

To add a code, add a row, or add the code to the row with the same page and remedy. Slack's pages say "other errors can
be returned": a code that is not here means `UNKNOWN_CODE`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from relay.slack.methods import Method
from relay.slack.outcomes import RejectionScope as Scope


class Effect(Enum):
    """What a code means that does not reject the call for good."""

    DONE = auto()  # the effect of the call is there already
    RETRY = auto()  # the call was not done, and may work later
    AMBIGUOUS = auto()  # Slack itself does not know how far it got
    NOT_FOUND = auto()  # the message or the thread is gone


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the `codes` of one row mean.

    `effect` is a `Scope` where Slack rejects the call for good. `page` is the page that documents the codes, a method's
    name (https://docs.slack.dev/reference/methods/NAME) or a path. It is empty for codes that were seen and are not
    documented. `remedy` may name `{needed}` and `{provided}`, the scopes in Slack's answer; it is empty if relay
    needs nobody. `pauses`: no call of the method works for now. `wait` is the least wait in seconds before a retry.
    `method`: the row is for this method alone.
    """

    codes: str
    effect: Effect | Scope
    reason: str
    page: str
    remedy: str = ""
    pauses: bool = False
    wait: float | None = None
    method: Method | None = None


_ALL = "auth.test"
"""This method's page lists only the codes that all methods share."""
_FIVE_MINUTES = 300.0
"""Slack names no term for migrations and plan limits."""
_ASK_ADMINS = "Ask the workspace's administrators to"
_REPORT = "Report this to relay's authors:"
_LOOK = "Nothing to do: relay looks for the message before it posts it again."
_THREAD_GONE = "Nothing to do: the thread's card is gone, and relay posts it again."
_UNARCHIVE = "Unarchive the channel, or route to another one."
_ALLOW_POSTS = "Allow relay's bot to post in the channel's settings (posting permissions), or route to another channel."
_SLACK_CONNECT = "Ask the workspace's administrators about their Slack Connect rules, or route to an internal channel."
_UNLOCK = "Unlock the thread: an administrator has locked it."
_BLOCKS = "Correct the template of the message (`relay check` and `relay render` show it): Slack rejects its blocks."
_SHORTEN = "Shorten the template of the message: it is larger than Slack allows."
_MALFORMED = (
    "Check what is between relay and Slack (SLACK_API_URL, a proxy): Slack cannot read the call. If nothing does, "
    "report this to relay's authors."
)
_FILES = "Remove the files from the template: Slack rejects those that the message refers to."
_ARGUMENT = f"{_REPORT} Slack rejects an argument of the call."

# fmt: off
TABLE: Final = (
    # -- Done already --------------------------------------------------------------------------------------------------

    Meaning("already_in_channel", Effect.DONE, "ok", "conversations.join"),
    Meaning("already_reacted no_reaction", Effect.DONE, "ok", "reactions.add"),
    Meaning("message_not_found", Effect.DONE, "ok", "chat.delete", method=Method.DELETE),

    # -- Not done, may work later --------------------------------------------------------------------------------------

    Meaning("ratelimited rate_limited", Effect.RETRY, "rate_limited", "apis/web-api/rate-limits", pauses=True),
    # Slack got half of the body, and did not act on it
    Meaning("request_timeout", Effect.RETRY, "request_truncated", _ALL),
    Meaning("service_unavailable", Effect.RETRY, "slack_unavailable", _ALL),
    Meaning("update_failed streaming_state_conflict", Effect.RETRY, "edit_failed", "chat.update"),
    Meaning("list_record_comment_fetch_failed", Effect.RETRY, "read_failed", "conversations.replies"),
    Meaning("message_limit_exceeded", Effect.RETRY, "plan_limit", "chat.postMessage",
            f"{_ASK_ADMINS} raise its plan: it has reached the plan's limit of messages.",
            pauses=True, wait=_FIVE_MINUTES),
    Meaning("team_added_to_org org_login_required", Effect.RETRY, "workspace_migrating", _ALL,
            "Wait: Slack is moving the workspace into an Enterprise organisation.", pauses=True, wait=_FIVE_MINUTES),
    Meaning("external_channel_migrating", Effect.RETRY, "channel_migrating", "chat.update",
            "Wait: Slack is migrating the channel.", wait=_FIVE_MINUTES),

    # -- In doubt: "it's possible some aspect of the operation succeeded before the error was raised" ------------------

    Meaning("internal_error", Effect.AMBIGUOUS, "internal_error", _ALL, _LOOK),
    Meaning("fatal_error", Effect.AMBIGUOUS, "fatal_error", _ALL, _LOOK),
    # Slack is down: a post may have got through before
    Meaning("service_unavailable", Effect.AMBIGUOUS, "slack_unavailable", "chat.postMessage", _LOOK,
            method=Method.POST),

    # -- Not found -----------------------------------------------------------------------------------------------------

    Meaning("message_not_found", Effect.NOT_FOUND, "message_gone", "chat.update",
            "Nothing to do: somebody deleted the message, and relay posts the card again."),
    Meaning("cant_update_message", Effect.NOT_FOUND, "message_not_ours", "chat.update",
            "Delete the old message: relay's app was installed again as another bot, so it cannot edit it and "
            "posts the card again."),
    Meaning("cannot_reply_to_message", Effect.NOT_FOUND, "thread_gone", "chat.postMessage", _THREAD_GONE),
    Meaning("thread_not_found", Effect.NOT_FOUND, "thread_gone", "conversations.replies", _THREAD_GONE),

    # -- The token is rejected -----------------------------------------------------------------------------------------

    Meaning("invalid_auth not_authed", Scope.CREDENTIALS, "token_invalid", _ALL,
            "Check SLACK_BOT_TOKEN: it must be the whole bot token (xoxb-...) of relay's Slack app, and Slack must "
            "allow relay's network address."),
    Meaning("token_revoked account_inactive", Scope.CREDENTIALS, "token_revoked", _ALL,
            "Install relay's Slack app in the workspace again and put its new bot token into SLACK_BOT_TOKEN: the app "
            "was removed, or its token was revoked."),
    Meaning("token_expired", Scope.CREDENTIALS, "token_expired", _ALL,
            "Switch token rotation off in the Slack app's settings, install the app again, and put the new bot token "
            "into SLACK_BOT_TOKEN: a rotating token expires after 12 hours."),
    Meaning("not_allowed_token_type", Scope.CREDENTIALS, "token_kind", _ALL,
            "Put a bot token (xoxb-...) into SLACK_BOT_TOKEN: the token there is of another type."),
    Meaning("accesslimited", Scope.CREDENTIALS, "network_not_allowed", _ALL,
            f"{_ASK_ADMINS} allow relay's network address for apps."),
    Meaning("team_access_not_granted enterprise_is_restricted two_factor_setup_required forbidden_team",
            Scope.CREDENTIALS, "workspace_access", _ALL,
            f"{_ASK_ADMINS} let relay's Slack app work in this workspace."),

    # -- The app is rejected -------------------------------------------------------------------------------------------

    Meaning("missing_scope", Scope.APP, "missing_scope", _ALL,
            "Add the scope {needed} to relay's Slack app and install it again (`relay manifest` prints all scopes that "
            "relay needs). The token has {provided}."),
    Meaning("no_permission access_denied app_access_restricted send_on_behalf_not_allowed", Scope.APP, "no_permission",
            _ALL,
            f"{_ASK_ADMINS} permit this to relay's Slack app, and invite it to the channel: /invite @relay."),
    Meaning("metadata_must_be_sent_from_app", Scope.APP, "metadata_not_allowed", "chat.postMessage",
            "Put the bot token of a Slack app into SLACK_BOT_TOKEN: only an app may send the metadata by which relay "
            "finds its messages."),
    Meaning("deprecated_endpoint method_deprecated", Scope.APP, "method_retired", _ALL,
            "Upgrade relay: Slack has retired the method."),
    Meaning("plan_upgrade_required", Scope.APP, "plan_without_user_groups", "usergroups.list",
            "Mention users or the channel instead of user groups: the workspace's plan has none."),

    # -- The channel rejects -------------------------------------------------------------------------------------------

    Meaning("channel_not_found", Scope.CHANNEL, "channel_not_found", "chat.postMessage",
            "Check the channel's id in routes.yaml. If the channel is private, invite relay to it: /invite @relay."),
    Meaning("not_in_channel", Scope.CHANNEL, "not_in_channel", "chat.postMessage",
            "Invite relay to the channel: /invite @relay."),
    Meaning("is_archived", Scope.CHANNEL, "channel_archived", "chat.postMessage", _UNARCHIVE),
    Meaning("is_inactive", Scope.CHANNEL, "channel_archived", "chat.update", _UNARCHIVE),
    Meaning("restricted_action restricted_action_read_only_channel", Scope.CHANNEL, "posting_restricted",
            "chat.postMessage", _ALLOW_POSTS),
    Meaning("posting_to_channel_denied", Scope.CHANNEL, "posting_restricted", "chat.update", _ALLOW_POSTS),
    Meaning("restricted_action_thread_only_channel", Scope.CHANNEL, "threads_only", "chat.postMessage",
            "Allow top-level messages in the channel's settings, or route to another channel: this one accepts replies "
            "only."),
    Meaning("ekm_access_denied", Scope.CHANNEL, "posting_suspended", _ALL,
            f"{_ASK_ADMINS} allow posting again: they have suspended it in the channel (Enterprise Key Management)."),
    Meaning("team_not_found invalid_team", Scope.CHANNEL, "workspace_not_found", "chat.postMessage",
            "Write the channel's id (C...) in routes.yaml instead of its name: the token is for a whole organisation."),
    Meaning("messages_tab_disabled", Scope.CHANNEL, "messages_tab_disabled", "chat.postMessage",
            "Route to a channel, or enable the messages tab of relay's Slack app (App Home)."),
    Meaning(
            "slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked "
            "slack_connect_lists_sharing_blocked",
            Scope.CHANNEL, "slack_connect_blocked", "chat.postMessage", _SLACK_CONNECT),
    Meaning(
            "slack_connect_clip_sharing_blocked slack_connect_file_upload_sharing_blocked "
            "slack_connect_blocked_file_type",
            Scope.CHANNEL, "slack_connect_blocked", "chat.update", _SLACK_CONNECT),
    Meaning("channel_is_limited_access", Scope.CHANNEL, "channel_limited", "conversations.history",
            "Give relay's bot access to the channel's record, or route to an ordinary channel."),
    Meaning("method_not_supported_for_channel_type", Scope.CHANNEL, "channel_kind", "conversations.join",
            "Route to an ordinary public or private channel: this type of conversation does not support the method."),
    Meaning("too_many_members", Scope.CHANNEL, "channel_full", "conversations.join",
            "Remove members from the channel: it has as many as Slack allows."),

    # -- The thread rejects --------------------------------------------------------------------------------------------

    Meaning("restricted_action_thread_locked", Scope.THREAD, "thread_locked", "chat.postMessage", _UNLOCK),
    Meaning("thread_locked", Scope.THREAD, "thread_locked", "reactions.add", _UNLOCK),
    Meaning("restricted_action_non_threadable_channel", Scope.THREAD, "threads_forbidden", "chat.postMessage",
            "Allow threads in the channel's settings, or leave the route's `thread` list empty."),

    # -- The message is rejected ---------------------------------------------------------------------------------------

    Meaning("invalid_blocks invalid_blocks_format too_many_contact_cards", Scope.PAYLOAD, "blocks_invalid",
            "chat.postMessage", _BLOCKS),
    Meaning("invalid_message invalid_view", Scope.PAYLOAD, "blocks_invalid", "blocks.validate", _BLOCKS),
    Meaning("invalid_attachments block_mismatch", Scope.PAYLOAD, "blocks_invalid", "chat.update", _BLOCKS),
    Meaning("msg_blocks_too_long msg_too_long too_many_attachments attachment_payload_limit_exceeded", Scope.PAYLOAD,
            "message_too_large", "chat.postMessage", _SHORTEN),
    Meaning("msg_too_large", Scope.PAYLOAD, "message_too_large", "", _SHORTEN),
    Meaning("no_text", Scope.PAYLOAD, "message_empty", "chat.postMessage",
            "Give the template a summary: the message has no text."),
    Meaning("invalid_metadata_format invalid_metadata_schema metadata_too_large", Scope.PAYLOAD, "metadata_invalid",
            "chat.postMessage",
            f"{_REPORT} Slack rejects the metadata by which relay finds its messages."),
    Meaning(
            "invalid_arguments invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type "
            "missing_post_type",
            Scope.PAYLOAD, "request_malformed", _ALL, _MALFORMED),
    Meaning("invalid_json json_not_object", Scope.PAYLOAD, "request_malformed", "", _MALFORMED),
    Meaning("markdown_text_conflict as_user_not_supported", Scope.PAYLOAD, "request_malformed", "chat.postMessage",
            _MALFORMED),
    Meaning("cant_broadcast_message no_dual_broadcast_content_update", Scope.PAYLOAD, "request_malformed",
            "chat.update", _MALFORMED),
    Meaning("missing_file_data", Scope.PAYLOAD, "files_rejected", "chat.postMessage", _FILES),
    Meaning(
            "blocked_file_type file_deleted file_not_found max_file_sharing_exceeded unable_to_share_files "
            "file_is_deleted file_share_limit_reached file_comment_not_found",
            Scope.PAYLOAD, "files_rejected", "chat.update", _FILES),

    # -- The workspace rejects edits -----------------------------------------------------------------------------------

    Meaning("edit_window_closed", Scope.EDIT_WINDOW, "edit_window_closed", "chat.update",
            "Allow message editing at any time in the workspace's settings (Permissions, Message Editing), so that "
            "relay can keep its cards up to date."),

    # -- This one call is rejected -------------------------------------------------------------------------------------

    Meaning("invalid_cursor", Scope.CALL, "cursor_expired", "conversations.history",
            "Nothing to do: relay starts again at the first page."),
    Meaning("invalid_ts_latest invalid_ts_oldest invalid_metadata_filter_keys", Scope.CALL, "argument_invalid",
            "conversations.history", _ARGUMENT),
    Meaning("invalid_limit invalid_types missing_argument", Scope.CALL, "argument_invalid", "conversations.list",
            _ARGUMENT),
    Meaning("bad_timestamp no_item_specified", Scope.CALL, "argument_invalid", "reactions.add", _ARGUMENT),
    Meaning("invalid_trigger_id", Scope.CALL, "argument_invalid", "views.open", _ARGUMENT),
    Meaning("insecure_request missing_args", Scope.CALL, "argument_invalid", "apps.connections.open", _ARGUMENT),
    Meaning("cant_delete_message", Scope.CALL, "cannot_delete", "chat.delete",
            "Delete the message by hand: relay's bot may not delete it."),
    Meaning("users_not_found", Scope.CALL, "user_not_found", "users.lookupByEmail",
            "Check the user's e-mail address: no active Slack user has it."),
    Meaning("user_not_found user_not_visible", Scope.CALL, "person_not_found", "users.info",
            "Nothing to do: relay's Slack app cannot see this user, who may belong to another organisation."),
    Meaning("user_not_in_channel", Scope.CALL, "person_not_in_channel", "chat.postEphemeral",
            "Nothing to do: only a private note is missing, because the user is not in the channel."),
    Meaning("user_disabled cannot_dm_bot invalid_user_combination", Scope.CALL,
            "person_unreachable", "conversations.open",
            "Nothing to do: only a private note is missing, because relay's Slack app cannot write to this user."),
    Meaning("no_such_subteam", Scope.CALL, "group_not_found", "usergroups.users.list",
            "Check the user group's id in routes.yaml: the workspace has no such group."),
    Meaning("expired_trigger_id", Scope.CALL, "trigger_expired", "views.open",
            "Press the button again: relay must open the modal within three seconds, and did not."),
    Meaning("exchanged_trigger_id", Scope.CALL, "trigger_used", "views.open",
            "Nothing to do: one click opens one modal, and it is open."),
    Meaning("view_too_large duplicate_external_id", Scope.CALL, "view_rejected", "views.open",
            f"{_REPORT} Slack rejects one of relay's modals."),
    Meaning("invalid_name too_many_emoji too_many_reactions not_reactable no_access", Scope.CALL, "reaction_rejected",
            "reactions.add",
            "Nothing to do: only a reaction is missing."),
    Meaning(
            "duplicate_channel_not_found duplicate_message_not_found draft_already_deleted draft_already_sent "
            "draft_has_conflict draft_not_found",
            Scope.CALL, "original_not_found", "chat.postMessage",
            f"{_REPORT} Slack names a draft or an original message that relay did not name."),
)

UNKNOWN_CODE: Final = Meaning("", Scope.UNKNOWN_CODE, "unknown_code", "reference/methods",
    "Look the code up on the page of the method (https://docs.slack.dev/reference/methods) and report it to relay's "
    "authors: relay does not know it.")
# fmt: on

_MEANINGS: Final = {(row.method, code): row for row in TABLE for code in row.codes.split()}


def meaning_of(method: Method, code: str) -> Meaning:
    """Return what a code means as an answer to a method."""
    return _MEANINGS.get((method, code)) or _MEANINGS.get((None, code), UNKNOWN_CODE)


REMEDIES: Final[Mapping[str, str]] = {row.reason: row.remedy for row in TABLE if isinstance(row.effect, Scope)}
"""Reason of a rejection -> what an operator has to do."""

CHANNEL_REASONS: Final = frozenset(row.reason for row in TABLE if row.effect in {Scope.CHANNEL, Scope.APP})
"""The reasons for which every message to a channel is rejected, until somebody acts."""
