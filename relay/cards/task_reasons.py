"""Why a task failed, in words for the person who pressed the button."""

from collections.abc import Mapping
from typing import Final

_TELL_OPERATOR: Final = "Tell relay's operator"
_NOT_IN_BIGPANDA: Final = "BigPanda no longer has this incident: it was merged into another, or deleted"

WHY: Final[Mapping[str, str]] = {
    "not_offered": "this card no longer offers that",
    "no_environment": "BigPanda did not send the incident's environment, which actions need. Ask relay's operator to "
    "have BigPanda's support switch on addMetadata for the webhook",
    "unknown_user": "BigPanda has no user with your e-mail address. Ask relay's operator to add you under `users:` in "
    "routes.yaml",
    "no_email": "relay cannot read your e-mail address in Slack. Ask relay's operator to give its Slack app the scope "
    "users:read.email",
    "unknown_person": "relay cannot look you up in Slack",
    "already_resolved": "the incident is already resolved",
    "already_assigned": "the incident is already assigned to you",
    "in_progress": "the same action is already in progress",
    "not_assigned": "nobody has the incident",
    "not_snoozed": "the incident is not snoozed",
    "moment_passed": "the chosen time has passed",
    "not_found": _NOT_IN_BIGPANDA,
    "gone": _NOT_IN_BIGPANDA,
    "key_invalid": f"BigPanda rejects relay's API key. {_TELL_OPERATOR}",
    "forbidden": f"BigPanda does not allow relay's user to do this. {_TELL_OPERATOR}",
    "missing_scope": f"relay's Slack app lacks a scope that this needs. {_TELL_OPERATOR}",
    "group_not_found": "Slack does not have a user group that routes.yaml lists under `actors:`. " + _TELL_OPERATOR,
    "empty": "it has no text that BigPanda could show",
}
"""Reason of a task -> the sentence that explains it."""


def why(reason: str, *, given_up: bool = False) -> str:
    """Return the part of a sentence that explains the reason of a task; of one that was `given_up` after some tries."""
    what = "did not answer in time" if given_up else "rejected it"
    return WHY.get(reason, f"BigPanda {what} ({reason.replace('_', ' ')})")
