"""Slack's error codes as one table: what each means for relay, by what name it is told, and what an operator can do.

The codes are those of the methods' pages (https://docs.slack.dev/reference/methods), those common to all methods among
them. "Other errors can be returned", says each page, so `NOBODY_KNOWS` stands for the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from relay.slack.methods import Method
from relay.slack.outcomes import RejectionScope


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadyDone:
    """What the call wanted is so already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryCode:
    """Not done, and worth another try; `seconds` is how long at least, where the trouble is known to last.

    `remedy` is empty where waiting is all there is to do, and relay waits by itself.
    """

    reason: str
    seconds: float | None = None
    pauses: bool = False
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbiguousCode:
    """Slack itself cannot say how far it got."""

    reason: str
    remedy: str = "Nothing to do: relay looks for the message before it posts it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFoundCode:
    """The message or the thread is lost."""

    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectionCode:
    """Not done, for good. `remedy` may name `{needed}` and `{provided}`, the scopes that Slack speaks of."""

    scope: RejectionScope
    reason: str
    remedy: str


Meaning: TypeAlias = AlreadyDone | RetryCode | AmbiguousCode | NotFoundCode | RejectionCode
Rows: TypeAlias = tuple[tuple[str, str, str], ...]
"""Refusals: relay's reason, Slack's codes that come to it, and the remedy."""

_LASTING = 300.0
"""Seconds. Slack names no term for migrations and plan limits ("at this time"); once in five minutes is polite."""

# https://docs.slack.dev/apis/web-api/rate-limits; both spellings occur (chat.postMessage has `rate_limited`).
# `service_unavailable` and `update_failed` say nothing of a partial success, in contrast to `internal_error` and
# `fatal_error` below; `request_timeout` means that Slack got a truncated body and did not run it.
_WAITS = {
    RetryCode(reason="rate_limited", pauses=True): "ratelimited rate_limited",
    RetryCode(reason="slack_unavailable"): "service_unavailable",
    RetryCode(reason="request_truncated"): "request_timeout",
    RetryCode(reason="edit_failed"): "update_failed streaming_state_conflict",
    RetryCode(reason="read_failed"): "list_record_comment_fetch_failed",
    RetryCode(
        reason="plan_limit",
        seconds=_LASTING,
        pauses=True,
        remedy="Ask the workspace's administrators to raise its plan: it has reached the plan's limit of messages.",
    ): "message_limit_exceeded",
    RetryCode(
        reason="workspace_migrating",
        seconds=_LASTING,
        pauses=True,
        remedy="Wait: Slack is moving the workspace into an Enterprise organisation.",
    ): "team_added_to_org org_login_required",
    RetryCode(
        reason="channel_migrating",
        seconds=_LASTING,
        remedy="Wait: Slack is migrating the channel.",
    ): "external_channel_migrating",
}

# "It's possible some aspect of the operation succeeded before the error was raised": the words of these two alone.
# https://docs.slack.dev/reference/methods/chat.postMessage
_DOUBTS = {
    AmbiguousCode(reason="internal_error"): "internal_error",
    AmbiguousCode(reason="fatal_error"): "fatal_error",
}

# https://docs.slack.dev/reference/methods/chat.update, .../chat.postMessage, .../conversations.replies.
# `cant_update_message` is another bot's message: so it is after the app was removed and installed again.
_LOSSES = {
    NotFoundCode(
        reason="message_gone",
        remedy="Nothing to do: somebody deleted the message, and relay posts the card anew.",
    ): "message_not_found",
    NotFoundCode(
        reason="message_not_ours",
        remedy="Nothing to do: relay's app was installed again as another bot, and posts the card anew.",
    ): "cant_update_message",
    NotFoundCode(
        reason="thread_gone",
        remedy="Nothing to do: the thread's card is gone, and relay posts it anew.",
    ): "cannot_reply_to_message thread_not_found",
}

# Common to all methods, e.g. https://docs.slack.dev/reference/methods/auth.test.
_CREDENTIALS: Rows = (
    (
        "token_invalid",
        "invalid_auth not_authed",
        (
            "Check SLACK_BOT_TOKEN: it must be the whole bot token (xoxb-...) of relay's Slack app, and Slack must "
            "allow relay's network address."
        ),
    ),
    (
        "token_revoked",
        "token_revoked account_inactive",
        (
            "Install relay's Slack app in the workspace again and put its new bot token into SLACK_BOT_TOKEN: the app "
            "was removed, or the token revoked."
        ),
    ),
    (
        "token_expired",
        "token_expired",
        (
            "Switch token rotation off in the Slack app's settings, install it again, and put the new bot token into "
            "SLACK_BOT_TOKEN: a rotating token expires after 12 hours."
        ),
    ),
    (
        "token_kind",
        "not_allowed_token_type",
        "Put a bot token (xoxb-...) into SLACK_BOT_TOKEN: this one is of another kind.",
    ),
    (
        "network_refused",
        "accesslimited",
        "Ask the workspace's administrators to allow relay's network address for apps.",
    ),
    (
        "workspace_access",
        "team_access_not_granted enterprise_is_restricted two_factor_setup_required forbidden_team",
        "Ask the workspace's administrators to let relay's Slack app work in this workspace.",
    ),
)

# Common to all methods, but for metadata (chat.postMessage, chat.update) and plans (usergroups.list).
_APP: Rows = (
    (
        "missing_scope",
        "missing_scope",
        (
            "Add the scope {needed} to relay's Slack app and install it again (`relay manifest` prints all that relay "
            "uses); the token has {provided}."
        ),
    ),
    (
        "no_permission",
        "no_permission access_denied app_access_restricted send_on_behalf_not_allowed",
        (
            "Ask the workspace's administrators to permit this to relay's Slack app, and invite it to the channel: "
            "/invite @relay."
        ),
    ),
    (
        "metadata_not_allowed",
        "metadata_must_be_sent_from_app",
        (
            "Put the bot token of a Slack app into SLACK_BOT_TOKEN: only an app may send the metadata by which relay "
            "finds its messages again."
        ),
    ),
    (
        "method_retired",
        "deprecated_endpoint method_deprecated",
        "Upgrade relay: Slack has retired the method.",
    ),
    (
        "plan_without_user_groups",
        "plan_upgrade_required",
        "Mention users or the channel instead: the workspace's plan has no user groups.",
    ),
)

# https://docs.slack.dev/reference/methods/chat.postMessage, .../chat.update, .../conversations.join,
# .../conversations.history.
_CHANNEL: Rows = (
    (
        "channel_not_found",
        "channel_not_found",
        "Check the channel's id in routes.yaml; if it is a private channel, invite relay to it: /invite @relay.",
    ),
    (
        "not_in_channel",
        "not_in_channel",
        "Invite relay to the channel: /invite @relay.",
    ),
    (
        "channel_archived",
        "is_archived is_inactive",
        "Unarchive the channel, or send its routes to another one.",
    ),
    (
        "posting_restricted",
        "restricted_action restricted_action_read_only_channel posting_to_channel_denied",
        (
            "Allow relay's bot to post in the channel's settings (posting permissions), or send its routes to another "
            "one."
        ),
    ),
    (
        "threads_only",
        "restricted_action_thread_only_channel",
        (
            "Allow top-level messages in the channel's settings, or send its routes to another one: it takes replies "
            "only."
        ),
    ),
    (
        "posting_suspended",
        "ekm_access_denied",
        "Ask the workspace's administrators: they have suspended posting to the channel (key management).",
    ),
    (
        "workspace_not_found",
        "team_not_found invalid_team",
        "Write the channel's id (C...) in routes.yaml instead of its name: the token is an organisation's.",
    ),
    (
        "messages_tab_disabled",
        "messages_tab_disabled",
        "Send the route to a channel, or enable the messages tab of relay's Slack app (App Home).",
    ),
    (
        "slack_connect_blocked",
        (
            "slack_connect_canvas_sharing_blocked slack_connect_file_link_sharing_blocked "
            "slack_connect_lists_sharing_blocked slack_connect_clip_sharing_blocked "
            "slack_connect_file_upload_sharing_blocked slack_connect_blocked_file_type"
        ),
        (
            "Ask the workspace's administrators about their Slack Connect rules, or send the routes to an internal "
            "channel."
        ),
    ),
    (
        "channel_limited",
        "channel_is_limited_access",
        "Give relay's bot access to the channel's record, or send its routes to an ordinary channel.",
    ),
    (
        "channel_kind",
        "method_not_supported_for_channel_type",
        "Send the routes to an ordinary public or private channel: this kind of conversation does not do it.",
    ),
    (
        "channel_full",
        "too_many_members",
        "Make room in the channel: it has as many members as Slack allows.",
    ),
)

# https://docs.slack.dev/reference/methods/chat.postMessage; `thread_locked` is its name for reactions.
_THREAD: Rows = (
    (
        "thread_locked",
        "restricted_action_thread_locked thread_locked",
        "Unlock the thread: an administrator has locked it.",
    ),
    (
        "threads_forbidden",
        "restricted_action_non_threadable_channel",
        "Allow threads in the channel's settings, or leave the route's `thread` list empty.",
    ),
)

# https://docs.slack.dev/reference/methods/chat.postMessage and .../chat.update; `msg_too_large`, `invalid_json` and
# `json_not_object` are undocumented.
_PAYLOAD: Rows = (
    (
        "blocks_invalid",
        "invalid_blocks invalid_blocks_format invalid_attachments block_mismatch too_many_contact_cards",
        (
            "Correct the template that made the message (`relay check` and `relay render` show it): Slack does not "
            "take its blocks."
        ),
    ),
    (
        "message_too_large",
        "msg_blocks_too_long msg_too_long msg_too_large too_many_attachments attachment_payload_limit_exceeded",
        "Shorten the template that made the message: it is larger than Slack takes.",
    ),
    (
        "message_empty",
        "no_text",
        "Give the template a summary: the message has no text.",
    ),
    (
        "metadata_invalid",
        "invalid_metadata_format invalid_metadata_schema metadata_too_large",
        ("Report this to relay's authors: Slack does not take the metadata by which relay finds its messages again."),
    ),
    (
        "request_malformed",
        (
            "invalid_arguments invalid_arg_name invalid_array_arg invalid_charset invalid_form_data invalid_post_type "
            "missing_post_type invalid_json json_not_object markdown_text_conflict as_user_not_supported "
            "cant_broadcast_message no_dual_broadcast_content_update"
        ),
        (
            "Check whatever stands between relay and Slack (SLACK_API_URL, a proxy); if nothing does, report this to "
            "relay's authors: Slack cannot read the call."
        ),
    ),
    (
        "files_refused",
        (
            "missing_file_data blocked_file_type file_deleted file_is_deleted file_not_found file_share_limit_reached "
            "file_comment_not_found max_file_sharing_exceeded unable_to_share_files"
        ),
        "Leave files out of the template: Slack does not take those that the message refers to.",
    ),
)

# https://docs.slack.dev/reference/methods/chat.update
_EDIT_WINDOW: Rows = (
    (
        "edit_window_closed",
        "edit_window_closed",
        (
            "Allow message editing at any time in the workspace's settings (Permissions, Message Editing), so that "
            "cards can follow their incidents."
        ),
    ),
)

# Reads, deletions, drafts, reactions: what is asked for is not to be had, and nothing else is wrong.
# https://docs.slack.dev/reference/methods/conversations.list, .../chat.delete, .../reactions.add,
# .../users.lookupByEmail, .../chat.postMessage (`duplicate_*` and `draft_*`), .../users.info, .../chat.postEphemeral,
# .../usergroups.users.list, .../views.open, .../apps.connections.open.
_CALL: Rows = (
    (
        "cursor_expired",
        "invalid_cursor",
        "Nothing to do: relay starts again at the first page.",
    ),
    (
        "argument_invalid",
        (
            "invalid_limit invalid_types invalid_ts_latest invalid_ts_oldest invalid_metadata_filter_keys "
            "missing_argument bad_timestamp no_item_specified invalid_trigger_id "
            "insecure_request missing_args"
        ),
        "Report this to relay's authors: Slack does not take an argument of the call.",
    ),
    (
        "cannot_delete",
        "cant_delete_message",
        "Delete the message by hand: it is not one that relay's bot may delete.",
    ),
    (
        "user_not_found",
        "users_not_found",
        "Check the user's e-mail address: no active Slack user has it.",
    ),
    (
        "person_not_found",
        "user_not_found user_not_visible",
        "Nothing to do: relay's Slack app cannot see the person, who may belong to another organisation.",
    ),
    (
        "person_not_in_channel",
        "user_not_in_channel",
        "Nothing to do: only a private note is missing, since the person is not in the channel.",
    ),
    (
        "group_not_found",
        "no_such_subteam",
        "Check the user group's id in routes.yaml: the workspace has no group with it.",
    ),
    (
        "trigger_expired",
        "expired_trigger_id",
        "Press the button again: what opens a modal is good for three seconds, and they had passed.",
    ),
    (
        "trigger_used",
        "exchanged_trigger_id",
        "Nothing to do: what opens a modal is good for one only, and it is open.",
    ),
    (
        "view_refused",
        "view_too_large duplicate_external_id",
        "Report this to relay's authors: Slack does not take one of relay's modals.",
    ),
    (
        "reaction_refused",
        "invalid_name too_many_emoji too_many_reactions not_reactable no_access",
        "Nothing to do: only a reaction is missing.",
    ),
    (
        "original_not_found",
        (
            "duplicate_channel_not_found duplicate_message_not_found draft_already_deleted draft_already_sent "
            "draft_has_conflict draft_not_found"
        ),
        "Report this to relay's authors: Slack speaks of a draft or an original that relay never named.",
    ),
)

_FINE = "already_reacted no_reaction already_in_channel"

_REFUSALS = {
    RejectionScope.CREDENTIALS: _CREDENTIALS,
    RejectionScope.APP: _APP,
    RejectionScope.CHANNEL: _CHANNEL,
    RejectionScope.THREAD: _THREAD,
    RejectionScope.PAYLOAD: _PAYLOAD,
    RejectionScope.EDIT_WINDOW: _EDIT_WINDOW,
    RejectionScope.CALL: _CALL,
}


def _rows() -> Iterator[tuple[Meaning, str]]:
    yield AlreadyDone(), _FINE
    yield from _WAITS.items()
    yield from _DOUBTS.items()
    yield from _LOSSES.items()
    for kind, rows in _REFUSALS.items():
        for reason, codes, remedy in rows:
            yield RejectionCode(scope=kind, reason=reason, remedy=remedy), codes


CODES: Mapping[str, Meaning] = {code: meaning for meaning, codes in _rows() for code in codes.split()}
"""Slack's code -> what it means, wherever the method makes no difference."""

BY_METHOD: Mapping[tuple[Method, str], Meaning] = {
    (Method.DELETE, "message_not_found"): AlreadyDone(),  # somebody was quicker
    (Method.POST, "service_unavailable"): AmbiguousCode(
        reason="slack_unavailable"
    ),  # an outage: what got through is open
}
"""(method, code) -> what it means there."""

UNKNOWN_CODE = RejectionCode(
    scope=RejectionScope.UNKNOWN_CODE,
    reason="unknown_code",
    remedy="Look the code up on the page of the method (https://docs.slack.dev/reference/methods) and report it to "
    "relay's authors: relay does not know it.",
)


def meaning_of(method: Method, code: str) -> Meaning:
    """What a code means as an answer to a method."""
    return BY_METHOD.get((method, code)) or CODES.get(code, UNKNOWN_CODE)


REMEDIES: Mapping[str, str] = {
    meaning.reason: meaning.remedy for meaning in CODES.values() if isinstance(meaning, RejectionCode)
}
"""Reason -> what an operator can do, for whoever has only the reason."""

CHANNEL_REASONS: frozenset[str] = frozenset(
    meaning.reason
    for meaning in CODES.values()
    if isinstance(meaning, RejectionCode) and meaning.scope in {RejectionScope.CHANNEL, RejectionScope.APP}
)
"""The reasons for which a channel takes nothing (it will not, or relay may not), and which pass when it does again."""
