"""What a card and a reply look like: the record, the card and the configuration become a message.

The card is a function of the record and of what relay knows of the card, and of nothing else: it says nothing that
turns false by waiting.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.cards.failures import EXTERNAL
from relay.cards.model import IN_DOUBT, Card, CardContext, CardState, Entry
from relay.cards.notices import ANEW, FROM, GONE, REPEAT, STALE, THREAD, THREAD_ONLY, UNNAMED, is_over
from relay.cards.replies import Reply
from relay.cards.send import Edit, PostReply, ShownRoot, SlackStep, shown_root
from relay.config.configuration import Configuration
from relay.model.entry_kinds import EntryKind
from relay.model.incident import Incident
from relay.model.json_types import JSON
from relay.model.reading import read_episode
from relay.rendering.card import render_card, render_pointer
from relay.rendering.context import template_variables, without_marks
from relay.rendering.engine.filters import color, emoji, slack_time
from relay.rendering.reply import render_reply
from relay.rendering.request import Button, RenderedMessage, RenderRequest
from relay.slack.error_codes import CHANNEL_REASONS
from relay.slack.interactions import ACTION_PREFIX

LATE_AFTER = 60.0
"""Seconds after which a thing that is told says when it happened."""

PermalinkBuilder = Callable[[str, str], str]
"""The address of a message for people, by channel id and ts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnStep:
    """What a step sends: the case as the step leaves it, the message, and what Slack shows once it has taken it.

    `called` is False for an edit to what Slack shows already.
    """

    context: CardContext
    rendered: RenderedMessage
    shown: ShownRoot
    called: bool = True


def draw_step(
    configuration: Configuration, case: CardContext, step: SlackStep, link: PermalinkBuilder, now: float
) -> DrawnStep:
    """The message of a step that is begun."""
    if step.update.cards:
        case = replace(case, card=step.update.cards[0])
    if isinstance(step, PostReply):
        rendered = draw_reply(configuration, case, step.reply, link, now)
    else:
        rendered = draw_card(configuration, case, link)
    fingerprint = rendered.message.fingerprint
    return DrawnStep(
        context=case,
        rendered=rendered,
        shown=shown_root(case, fingerprint, configuration.rulebook.tag_labels),
        called=not (isinstance(step, Edit) and fingerprint == step.shown_hash),
    )


def draw_card(configuration: Configuration, case: CardContext, link: PermalinkBuilder) -> RenderedMessage:
    """The card of the case as it should be shown now."""
    incident = read_episode(case.incident_state.record, case.card.episode, configuration.rulebook.tag_labels)
    if case.card.is_pointer and (other := _followed_elsewhere(case)) is not None:
        channel, ts = other.slack_channel or "", other.ts or ""
        return render_pointer(
            RenderRequest(variables=_variables(incident, case.card, link)), channel, link(channel, ts)
        )
    return render_card(
        configuration.library,
        case.card.options.template,
        RenderRequest(
            variables=_variables(incident, case.card, link),
            mentions=case.card.pinged if incident.active else (),
            notices=tuple(notice_lines(case.card)),
            buttons=buttons(incident, case.card) if configuration.buttons_enabled else (),
            **stale_style(case.card),
        ),
    )


def draw_reply(
    configuration: Configuration, case: CardContext, reply: Reply, link: PermalinkBuilder, now: float
) -> RenderedMessage:
    """One reply of the card's thread."""
    incident = read_episode(case.incident_state.record, case.card.episode, configuration.rulebook.tag_labels)
    return render_reply(
        configuration.library,
        case.card.options.template,
        RenderRequest(variables=_variables(incident, case.card, link), mentions=reply.targets),
        [entry_variables(entry, now, incident.started) for entry in reply.entries],
    )


def permalink(workspace: str, channel: str, ts: str) -> str:
    """The address of a message for people, given the workspace's (auth.test's `url`); empty where that is not known."""
    if not (workspace and channel and ts):
        return ""
    return f"{workspace.rstrip('/')}/archives/{channel}/p{ts.replace('.', '')}"


def _followed_elsewhere(case: CardContext) -> Card | None:
    others = (card for card in case.cards if card.id != case.card.id and card.route and not card.is_pointer)
    return next((card for card in others if card.state is CardState.POSTED and card.ts), None)


_NOTICES = {
    REPEAT: "may be a duplicate: Slack did not confirm the first post",
    ANEW: "posted again: the previous message was deleted",
    THREAD_ONLY: "this workspace allows no more edits: changes appear in the thread",
}


def notice_lines(card: Card, moment: Callable[[int], str] = slack_time) -> Iterator[str]:
    """Relay's own small lines about a card, in words; `moment` writes Unix seconds."""
    for notice in card.notices:
        word, *said = notice.split("|", 3)
        if notice in _NOTICES:
            yield _NOTICES[notice]
        elif word in {FROM, THREAD}:
            _, name, why = said
            yield without_marks(f"meant for {_refusing(word, name, why)} ({why.replace('_', ' ')})")
        elif word == UNNAMED:
            yield without_marks(notice.partition("|")[2])
        elif word == STALE:
            yield f"no update from BigPanda since {moment(int(said[0]))}"
        elif word == GONE:
            yield f"no longer in BigPanda ({moment(int(said[0]))}): merged into another incident or deleted"


def _refusing(word: str, name: str, why: str) -> str:
    """The channel, and what of it is to blame: not the whole of it for one message."""
    if word == THREAD:
        return f"the thread in {name}, which rejected it"
    if why.startswith(IN_DOUBT):
        return f"{name}, where it may already be"
    return (
        f"{name}, which accepts no messages"
        if why in CHANNEL_REASONS | {EXTERNAL}
        else f"{name}, which rejected this message"
    )


def stale_style(card: Card) -> dict[str, str]:
    """What is grey whatever the template says, where what the card shows may long be otherwise: bar and headline."""
    grey = any(notice.partition("|")[0] in {STALE, GONE} for notice in card.notices)
    return {"color": color("unknown"), "emoji": emoji("unknown")} if grey else {}


_TEXTS = {"assign": "Assign to me", "comment": "Comment", "snooze": "Snooze", "resolve": "Resolve"}
BUTTONS: Mapping[str, Button] = {
    action: Button(action_id=ACTION_PREFIX + action, text=text) for action, text in _TEXTS.items()
}
"""Relay's own buttons, by the words of `actions` in routes.yaml."""


def buttons(incident: Incident, card: Card) -> tuple[Button, ...]:
    """The buttons that the route gives the card, as long as there is anything to do."""
    if not incident.active or is_over(card):
        return ()
    return tuple(replace(BUTTONS[action], value=incident.id) for action in card.options.actions)


def _variables(incident: Incident, card: Card, link: PermalinkBuilder) -> dict[str, Any]:
    before = card.previous
    return template_variables(
        incident,
        route=card.route,
        show_tags=card.options.show_tags,
        runbook_tags=card.options.runbook_tags,
        previous={"at": int(before.at), "link": link(before.channel, before.ts)} if before else None,
    )


def entry_variables(entry: Entry, now: float, started: int | None = None) -> Mapping[str, JSON]:
    """The entry as its template gets it, told at that moment; an end tells how long it had lasted since `started`."""
    return {
        "actor": None,
        "old": None,
        "new": None,
        "text": None,
        "items": [],
        **entry.data,
        **_lasted(entry, started),
        "kind": str(entry.kind),
        "at": int(entry.at),
        "late": now - entry.at > LATE_AFTER,
    }


def _lasted(entry: Entry, started: int | None) -> Mapping[str, JSON]:
    """One incident may be in different episodes in different channels: each measures from its own start."""
    if entry.kind is not EntryKind.RESOLVED or started is None:
        return {}
    return {"lasted": entry.at - started if started <= entry.at else None}
