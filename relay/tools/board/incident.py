"""One incident: its cards as Slack shows them, and its story in order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from relay.actions.mute_modal import mute_choices
from relay.cards.model import Card, CardState, CardUpdate
from relay.cards.steps import Edit
from relay.delivery.render_process import TemplateAbandoned
from relay.model.errors import RelayError
from relay.model.incident import Incident
from relay.model.reading import read_episode
from relay.routes.mute_match import literal_match
from relay.slack.message import Message
from relay.tools.board.source import BoardSource
from relay.tools.explain import explained_shares
from relay.tools.incident import CARD_STATES, HistoryEvent, events, held_until, next_reminder
from relay.tools.message_text import channel_label, message_text
from relay.tools.shadow import on_terminal, read_shadow

MAX_TAGS = 20
"""Values of tags that the page offers to mute."""

_EDIT = Edit(ts="", shown_hash="", in_doubt_until=None, update=CardUpdate())


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnCard:
    """A card: where it is, its state in words, its address, and the message (None: nothing of it can be drawn).

    `text` is the message for a browser without JavaScript.
    """

    channel: str
    state: str
    route: str
    link: str = ""
    message: Mapping[str, Any] | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentView:
    """The page. `shares` are the newest shares with the tree of routes; `omitted` counts older events by kind.

    `shadow` is what routes in shadow would have posted, as lines. `mutes` is what a click may mute: words, and what the
    form for mutes then holds.
    """

    incident: Incident
    cards: tuple[DrawnCard, ...]
    events: tuple[HistoryEvent, ...]
    shares: tuple[Mapping[str, Any], ...] = ()
    omitted: Mapping[str, int] = field(default_factory=dict)
    shadow: tuple[str, ...] = ()
    mutes: tuple[tuple[str, Mapping[str, str]], ...] = ()


async def read_incident_view(source: BoardSource, incident: str) -> IncidentView | None:
    """Read the page; None if there is no such incident. Raises StoreError: the database failed."""
    history = await source.store.incident_history(incident)
    if history is None:
        return None
    rulebook, names = source.live().rulebook, await source.names()
    shares = await source.store.newest_shares(incident)
    shadow = await read_shadow(source.store, source.live(), history)
    explained = explained_shares(rulebook, shares)["shares"] if shares else []
    shown = read_episode(history.state.record, history.state.episode, rulebook.tag_labels)
    return IncidentView(
        incident=shown,
        cards=tuple([await _drawn(card, source, names) for card in history.cards]),
        events=tuple(events(history, source.link, names, rulebook.tag_labels)),
        shares=tuple(reversed(explained)),
        omitted=history.omitted,
        shadow=tuple(on_terminal(shadow, names)) if shadow else (),
        mutes=tuple(_mutes(shown, history.cards)) if shown.active else (),
    )


def _mutes(incident: Incident, cards: Sequence[Card]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The incident itself, then each value of its tags on each route that has a card of it."""
    yield "this incident", {"incident": incident.id}
    current = [card for card in cards if card.state is not CardState.SUPERSEDED and card.route]
    shown = next((card.options.show_tags for card in current), ())
    tags = [choice for choice in mute_choices(incident, shown) if choice.tag][:MAX_TAGS]
    for route in dict.fromkeys(card.route for card in current):
        for choice in tags:
            match = literal_match(choice.tag, choice.value)
            yield f"{choice.name}: {choice.value} on {route}", {"match": match, "route": route}


async def _drawn(card: Card, source: BoardSource, names: Mapping[str, str]) -> DrawnCard:
    reason = f" ({card.reason.replace('_', ' ')})" if card.reason else ""
    reason += f", held: {held_until(card.held)}" if card.held and card.state is CardState.PENDING else ""
    reason += f", reminders: {reminder}" if (reminder := next_reminder(card)) else ""
    drawn = DrawnCard(
        channel=channel_label(card.channel, names),
        state=CARD_STATES[card.state] + reason,
        route=card.route or "the fallback",
        link=source.link(card.slack_channel, card.ts) if card.slack_channel and card.ts else "",
    )
    message = await _message(card, source) if card.state is not CardState.SUPERSEDED else None
    if message is None:
        return drawn
    payload = {"text": message.text, "blocks": message.blocks, "attachments": message.attachments}
    return DrawnCard(
        channel=drawn.channel,
        state=drawn.state,
        route=drawn.route,
        link=drawn.link,
        message=payload | {"ts": card.ts or f"{source.clock.now():.6f}", "author": "relay", "bot": True},
        text=message_text(message, names),
    )


async def _message(card: Card, source: BoardSource) -> Message | None:
    """The card as it should be now. If a template fails, only the picture is missing."""
    configuration = source.live()
    try:
        context = await source.store.card_context(card.id)
        if not context.incident_state.was_shared:
            return None
        try:
            rendered = await source.renderer.render(configuration, context, _EDIT, source.link, source.clock.now())
        except TemplateAbandoned:
            plain = configuration.without_templates
            rendered = await source.renderer.render(plain, context, _EDIT, source.link, source.clock.now())
    except RelayError:
        return None
    return rendered.message
