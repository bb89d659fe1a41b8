"""The messages about what one person pressed or wrote in Slack, ephemeral or direct; only that person sees them."""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from relay.actions.modals import owner_label
from relay.actions.ownership import Owner
from relay.cards.model import TaskKind
from relay.model.buttons import BUTTONS
from relay.rendering.blocks.inline import date_atom
from relay.rendering.blocks.rich_text import Atom, link_atom, mrkdwn
from relay.rendering.engine.filters import DATE_FORMATS
from relay.slack.gateway import SlackGateway
from relay.slack.outcomes import Delivered, Read
from relay.slack.responses import channel_of

log = structlog.get_logger("relay.interactions")

UNKNOWN_CARD: Final = "Nothing was done: relay no longer knows this message. Use the incident's newest card."
MODAL_NOT_OPENED: Final = "Slack did not open the modal in time. Press the button again."

_LONGEST_TITLE: Final = 200

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


SHOWN_AT_ONCE: Final = frozenset(
    {
        "not_offered",
        "not_allowed",
        "already_resolved",
        "already_assigned",
        "in_progress",
        "not_assigned",
        "not_snoozed",
        "taken",
    }
)
"""Reasons that a person reads while they still look at the card: they need no direct message."""


async def send_direct(slack: SlackGateway, user: str, text: str) -> None:
    """Send a direct message to one person; one that Slack does not accept is only logged."""
    answer = await slack.open_direct(user)
    channel = channel_of(answer) if isinstance(answer, Read) else None
    if channel is not None:
        answer = await slack.post_direct(channel.id, text)
    if not isinstance(answer, Delivered):
        detail = "the person did not get relay's direct message about what failed"
        log.warning("direct_message_failed", user=user, reason=answer.reason, detail=detail)


async def send_ephemeral(slack: SlackGateway, channel: str, user: str, text: str, thread_ts: str | None = None) -> None:
    """Send a message to one person; one that Slack does not accept is only logged."""
    answer = await slack.post_ephemeral(channel, user, text, thread_ts=thread_ts)
    if not isinstance(answer, Read | Delivered):
        detail = "the person did not get relay's message about what they did"
        log.warning("ephemeral_failed", channel=channel, user=user, reason=answer.reason, detail=detail)


def started(action: str, until: int | None) -> str:
    """The action has begun, and takes longer than usual; a snooze says until when (Unix seconds)."""
    text = BUTTONS[action].started
    return text.replace("…", f" until {_date(until)}…", 1) if action == TaskKind.SNOOZE and until else text


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


def question(kind: str, owner: Owner) -> str:
    """Ask whether to take the incident from the person who has it."""
    return f"{_has_it(owner)}. {owner_label(kind)}?"


def taken(kind: str, owner: Owner) -> str:
    """Somebody else has the incident, and it is too late to ask: a modal opens only right after a click."""
    return f"{_not_done(kind)}: {_has_it(owner)}. Press *{owner_label(kind)}* on the card if you want to go on."


def about(title: str, address: str, text: str) -> str:
    """Add to a message which incident it is about; `address` is the card's, if it is known."""
    return f"{mrkdwn([link_atom(address, title) if address else Atom(title)], _LONGEST_TITLE)}\n{text}"


def in_doubt(kind: str) -> str:
    """BigPanda may or may not have the comment."""
    what = "reply" if kind == TaskKind.REPLY else "comment"
    return f"BigPanda did not confirm your {what}, and relay does not send it twice. Please check in BigPanda."


def _has_it(owner: Owner) -> str:
    name = mrkdwn([Atom(owner.person.display_name, "*", "*")], _LONGEST_TITLE)
    return f"{name} has it" if owner.since is None else f"{name} has had it since {_date(owner.since)}"


def _date(at: int) -> str:
    return mrkdwn([date_atom(at, DATE_FORMATS[""])], _LONGEST_TITLE)


def _not_done(kind: str) -> str:
    return "Reply not sent to BigPanda" if kind == TaskKind.REPLY else BUTTONS[kind].not_done


def _readable(reason: str) -> str:
    return reason.replace("_", " ")
