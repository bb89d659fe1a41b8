"""The messages about what one person pressed or wrote in Slack, ephemeral or direct; only that person sees them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import structlog

from relay.actions.modals import owner_label
from relay.actions.ownership import Owner
from relay.cards.batches import BatchProgress, Choice
from relay.cards.model import TaskKind
from relay.cards.task_reasons import WHY, why
from relay.model.buttons import BUTTONS
from relay.model.counting import counted
from relay.model.json_types import JSON
from relay.rendering.blocks.inline import date_atom
from relay.rendering.blocks.rich_text import Atom, link_atom, mrkdwn
from relay.rendering.engine.filters import DATE_FORMATS, emoji
from relay.slack.gateway import SlackGateway
from relay.slack.interactions import Click
from relay.slack.outcomes import Delivered, Read
from relay.slack.responses import channel_of

log = structlog.get_logger("relay.interactions")

UNKNOWN_CARD: Final = "Nothing was done: relay no longer knows this message. Use the incident's newest card."
MODAL_NOT_OPENED: Final = "Slack did not open the modal in time. Press the button again."

_LONGEST_TITLE: Final = 200

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
        detail = "The person did not get relay's direct message about what failed."
        log.warning("direct_message_failed", user=user, reason=answer.reason, detail=detail)


async def send_ephemeral(slack: SlackGateway, channel: str, user: str, text: str, thread_ts: str | None = None) -> None:
    """Send a message to one person; one that Slack does not accept is only logged."""
    answer = await slack.post_ephemeral(channel, user, text, thread_ts=thread_ts)
    if not isinstance(answer, Read | Delivered):
        detail = "The person did not get relay's message about what they did."
        log.warning("ephemeral_failed", channel=channel, user=user, reason=answer.reason, detail=detail)


async def open_modal(slack: SlackGateway, click: Click, view: Mapping[str, JSON]) -> None:
    """Open a button's modal within three seconds of the click; if Slack does not, the person is asked to try again."""
    answer = await slack.open_view(click.trigger_id, view)
    if not isinstance(answer, Read):
        detail = "Slack did not open the form of a button; the person was asked to press it again."
        fields = {"incident": click.incident} if click.incident else {}
        log.warning("modal_not_opened", **fields, action=click.action, reason=answer.reason, detail=detail)
        await send_ephemeral(slack, click.channel, click.user, MODAL_NOT_OPENED)


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
    return f"{_not_done(kind)}: {why(reason)}."


def given_up(kind: str, reason: str) -> str:
    """Relay tried the task until its timeout, or cannot try it again."""
    if reason in WHY:
        return rejected(kind, reason)
    return f"{_not_done(kind)}: {why(reason, given_up=True)}. Try again, or do it in BigPanda."


def question(kind: str, owner: Owner) -> str:
    """Ask whether to take the incident from the person who has it."""
    return f"{_has_it(owner)}. {owner_label(kind)}?"


def owned_by_other(kind: str, owner: Owner) -> str:
    """Somebody else has the incident, and it is too late to ask: a modal opens only right after a click."""
    return f"{_not_done(kind)}: {_has_it(owner)}. Press *{owner_label(kind)}* on the card if you want to continue."


def with_title(title: str, address: str, text: str) -> str:
    """Add to a message which incident it is about; `address` is the card's, if it is known."""
    return f"{mrkdwn([link_atom(address, title) if address else Atom(title)], _LONGEST_TITLE)}\n{text}"


def in_doubt(kind: str) -> str:
    """BigPanda may or may not have the comment."""
    what = "reply" if kind == TaskKind.REPLY else "comment"
    return f"BigPanda did not confirm your {what}, and relay does not send it twice. Please check in BigPanda."


def nothing_to_take(choice: Choice) -> str:
    """No incident is left that this person could take."""
    left_out = list(left_out_lines(choice))
    return "\n".join(("Nothing was done: you can take none of the listed incidents any more.", *left_out))


def take_question(choice: Choice) -> str:
    """Ask whether to take these incidents, and say what is left out."""
    number = len(choice.lines)
    states = ", ".join(f"{emoji(state)} {count} {state}" for state, count in choice.states.items())
    return "\n".join(
        (
            f"*{counted(number, 'incident')}* that nobody has: {states}.",
            f"relay assigns {'it' if number == 1 else 'them'} to you in BigPanda. The thread shows the progress.",
            *left_out_lines(choice),
        )
    )


def left_out_lines(choice: Choice) -> Iterator[str]:
    """What a press leaves out, one line for each cause."""
    if choice.beyond:
        yield f"• {choice.beyond} more do not fit: press again afterwards."
    if choice.owned:
        yield f"• {choice.owned} left out: somebody has them."
    if choice.in_progress:
        yield f"• {choice.in_progress} left out: somebody is taking them."
    for groups, number in choice.denied.items():
        members = " or ".join(f"<!subteam^{group}>" for group in groups)
        why_not = f"only {members} may take them" if groups else "their route does not offer that"
        yield f"• {number} left out: {why_not}."


def batch_over(progress: BatchProgress) -> str:
    """All tasks of a batch are finished."""
    parts = [
        f"{progress.done} of {counted(progress.total, 'incident')} assigned to you",
        f"{progress.resolved} already resolved" if progress.resolved else "",
        f"{progress.taken} taken by somebody else" if progress.taken else "",
        f"{progress.failed} failed, see the thread of the storm card" if progress.failed else "",
    ]
    return " · ".join(filter(None, parts))


def _has_it(owner: Owner) -> str:
    name = mrkdwn([Atom(owner.person.display_name, "*", "*")], _LONGEST_TITLE)
    return f"{name} has it" if owner.since is None else f"{name} has had it since {_date(owner.since)}"


def _date(at: int) -> str:
    return mrkdwn([date_atom(at, DATE_FORMATS[""])], _LONGEST_TITLE)


def _not_done(kind: str) -> str:
    return "Reply not sent to BigPanda" if kind == TaskKind.REPLY else BUTTONS[kind].not_done
