"""Decide how a change of a bulletin affects its card, and how a change of a card affects the lines of bulletins."""

from collections.abc import Iterable, Sequence

from relay.cards.bulletins import Bulletin, Changed, EndedLines, LineEnd, incident_line
from relay.cards.model import Card, CardState, Due, IncidentState
from relay.cards.replies import LINES_WAIT
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.ratelimit.budgets import Urgency

BULLETIN_SPACING, LATER_SPACING, LATER_AFTER = 5.0, 30.0, 60.0
"""Seconds between two edits of a bulletin, and those when it is older than the last number: others need the edits."""


def bulletin_card(bulletin: Bulletin) -> Card:
    """The card of a bulletin that was opened just now: its message is due at once."""
    now = bulletin.opened_at
    return Card(
        bulletin=bulletin.id,
        channel=bulletin.channel,
        episode=bulletin.episode,
        options=bulletin.options,
        route=f"({bulletin.row.name})",
        mention=bulletin.mention,
        first_matched_at=now,
        pending_since=now,
        post=Due.on(Urgency.ROOT, now, urgent=bool(bulletin.mention)),
    )


def after_bulletin_change(card: Card, after: Changed, now: float) -> Card:
    """The card of a bulletin that has changed: its message is edited, and what is new goes to the thread."""
    if card.state is not CardState.POSTED or card.is_pointer:
        return card
    edited = replace(card, edit=bulletin_edit(card, now))
    if any(line.is_ping and line.ts is None for line in after.lines):
        due = Due.on(Urgency.WORSENED, now, urgent=True).sooner(card.post)
        return replace(edited, post=due, pending_since=card.pending_since or now)
    if any(line.is_batch and line.ts is None for line in after.lines):
        due = Due.on(Urgency.REPLY, now).sooner(card.post)
        return replace(edited, post=due, pending_since=card.pending_since or now)
    if not after.bulletin.row.in_thread or card.post is not None or not any(line.ts is None for line in after.lines):
        return edited
    return replace(edited, post=Due.on(Urgency.REPLY, now + LINES_WAIT), pending_since=card.pending_since or now)


def bulletin_edit(card: Card, now: float) -> Due:
    """When the message of a bulletin is to be edited, since it has changed: after all edits of cards."""
    spacing = BULLETIN_SPACING if now - card.first_matched_at < LATER_AFTER else LATER_SPACING
    due = Due.on(Urgency.BULLETIN_EDIT, max(now, (card.edited_at or 0.0) + spacing))
    return due.sooner(card.edit)


def lines_of_posted_cards(before: Sequence[Card], after: Sequence[Card]) -> list[EndedLines]:
    """The lines that end since these cards of an incident are posted, also those of cards that are not needed then."""
    known = {card.id: card for card in before}
    posted = [card for card in after if card.ts is not None and card.id in known and known[card.id].ts is None]
    needless = [
        card
        for card in after
        if card.state is CardState.CANCELLED and card.id in known and known[card.id].state is CardState.PENDING
    ]
    ended = [_line_of(card, card) for card in posted]
    return ended + [_line_of(card, posted[0]) for card in needless if posted]


def _line_of(card: Card, posted: Card) -> EndedLines:
    """The line of a card in its channel ends, since its incident has a card, perhaps in another channel."""
    return EndedLines(
        incident=card.incident,
        episode=card.episode,
        end=LineEnd.POSTED,
        at=posted.edited_at or float(posted.ts or 0),
        channel=card.channel,
        data={"card": [posted.slack_channel, posted.ts]},
    )


def lines_of_resolved(state: IncidentState, now: float) -> EndedLines:
    """The lines that end since this incident is resolved."""
    return EndedLines(incident=state.record.incident, episode=state.episode, end=LineEnd.RESOLVED, at=now)


def lines_with_news(state: IncidentState, cards: Iterable[Card], now: float) -> list[EndedLines]:
    """The open lines of an incident that has changed while something holds one of its cards.

    A storm card may name it though a mute holds the card by now, and nothing else brings that line up to date.
    """
    if state.ended_at is not None or not any(card.held is not None for card in cards):
        return []
    line = incident_line(read_incident(state.record), state.episode, now)
    data = {name: line.data[name] for name in ("title", "url", "owner")}
    return [EndedLines(incident=line.incident, episode=line.episode, end=None, at=now, data=data, state=line.state)]


def is_unmatched(card: Card) -> bool:
    """Whether it is not posted because no route matches any more."""
    return card.state is CardState.CANCELLED and not card.matched


def lines_of_unmatched(card: Card, now: float) -> EndedLines:
    """The lines that end since this card is not posted any more."""
    return EndedLines(incident=card.incident, episode=card.episode, end=LineEnd.UNMATCHED, at=now, channel=card.channel)
