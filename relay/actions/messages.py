"""The ephemeral messages about what one person pressed or wrote in Slack; only that person sees them."""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from relay.cards.model import TaskKind
from relay.model.buttons import BUTTONS
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Delivered, Read

log = structlog.get_logger("relay.interactions")

UNKNOWN_CARD: Final = "Nothing was done: relay no longer knows this message. Use the incident's newest card."
MODAL_NOT_OPENED: Final = "Slack did not open the modal in time. Press the button again."

_TELL_OPERATOR: Final = "Tell relay's operator"
_NOT_IN_BIGPANDA: Final = "BigPanda no longer has this incident: it was merged into another, or deleted"

_WHY: Final[Mapping[str, str]] = {
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
    "not_found": _NOT_IN_BIGPANDA,
    "gone": _NOT_IN_BIGPANDA,
    "key_invalid": f"BigPanda rejects relay's API key. {_TELL_OPERATOR}",
    "forbidden": f"BigPanda does not allow relay's user to do this. {_TELL_OPERATOR}",
    "missing_scope": f"relay's Slack app lacks a scope that this needs. {_TELL_OPERATOR}",
    "group_not_found": "Slack does not have a user group that routes.yaml lists under `actors:`. " + _TELL_OPERATOR,
    "empty": "it has no text that BigPanda could show",
}
"""Reason of a task -> the sentence that explains it."""


async def send_ephemeral(slack: SlackGateway, channel: str, user: str, text: str, thread_ts: str | None = None) -> None:
    """Send a message to one person; one that Slack does not accept is only logged."""
    answer = await slack.post_ephemeral(channel, user, text, thread_ts=thread_ts)
    if not isinstance(answer, Read | Delivered):
        detail = "the person did not get relay's message about what they did"
        log.warning("ephemeral_failed", channel=channel, user=user, reason=answer.reason, detail=detail)


def denied(kind: str, reason: str, groups: Sequence[str]) -> str:
    """The person may not act: only the members of these user groups may, or the card does not offer it."""
    if not groups:
        return rejected(kind, reason)
    members = " or ".join(f"<!subteam^{group}>" for group in groups)
    return f"{_not_done(kind)}: on this card only {members} may do that."


def rejected(kind: str, reason: str) -> str:
    """The task was not done, and relay does not try again."""
    return f"{_not_done(kind)}: {_WHY.get(reason, f'BigPanda rejected it ({_readable(reason)})')}."


def given_up(kind: str, reason: str) -> str:
    """Relay tried the task until its timeout, or cannot try it again."""
    if reason in _WHY:
        return rejected(kind, reason)
    return f"{_not_done(kind)}: BigPanda did not answer in time ({_readable(reason)}). Try again, or do it in BigPanda."


def in_doubt(kind: str) -> str:
    """BigPanda may or may not have the comment."""
    what = "reply" if kind == TaskKind.REPLY else "comment"
    return f"BigPanda did not confirm your {what}, and relay does not send it twice. Please check in BigPanda."


def _not_done(kind: str) -> str:
    return "Reply not sent to BigPanda" if kind == TaskKind.REPLY else BUTTONS[kind].not_done


def _readable(reason: str) -> str:
    return reason.replace("_", " ")
