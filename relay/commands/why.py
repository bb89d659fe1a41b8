"""`why`: why a message is there: which routes match and by what, what was posted, what is held and until when.

The words are those of `relay incident` and `relay explain`. Only channels that the person may see are named.
"""

import asyncio
from collections.abc import Iterator, Sequence

from relay.cards.bulletins import KINDS
from relay.cards.draw import notice_lines
from relay.cards.model import Card, CardState
from relay.cards.plan import decide_routes
from relay.commands.question import SlackQuestion, channels_of_routes, visible_routes
from relay.commands.texts import Line, PingTargets, incident_name, link_to, mrkdwn_list, typed, written
from relay.model.board_links import incident_path
from relay.model.incident import Incident
from relay.model.reading import read_episode
from relay.rendering.engine.filters import code, oneline, slack_time
from relay.routes.evaluate import RoutingDecision
from relay.store.types import IncidentHistory
from relay.tools.explain import matched_routes
from relay.tools.incident import CARD_STATES, held_since, held_until
from relay.tools.permalink import RootMessage, is_link, root_message

NOT_A_LINK = "This is not the link to a message. In the message's menu, choose *Copy link*."
NOT_FROM_RELAY = "relay knows no incident here that you can see: the message is not a card of relay, or a very old one."

_WHY = {row.name: row.why for row in KINDS.values()}
"""What relay's messages about several incidents are, by the subject of their cards."""

_MAX_CONDITIONS = 12
_LONGEST_CONDITION = 160


async def answer_why(question: SlackQuestion, target: str) -> str:
    """Answer for the address of a message, or for the id of an incident, in mrkdwn."""
    if is_link(target):
        message = root_message(target)
        return NOT_A_LINK if message is None else await why_message(question, message)
    return await _why_incident(question, target) or (
        written(f"relay knows no incident {typed(target)} that you can see. Give its id in BigPanda, or a card's link.")
    )


async def why_message(question: SlackQuestion, message: RootMessage) -> str:
    """Answer for a message, in mrkdwn; the reply in a thread is about the thread's root."""
    incident = await question.store.incident_at(message.channel, message.ts)
    if incident is not None:
        return await _why_incident(question, incident) or NOT_FROM_RELAY
    card = await question.store.card_at(message.channel, message.ts)
    if card is not None and question.viewer.visible([card]):
        return _WHY[card.subject]
    return NOT_FROM_RELAY


async def _why_incident(question: SlackQuestion, incident: str) -> str | None:
    history = await question.store.incident_history(incident)
    if history is None:
        return None
    cards = [card for card in question.viewer.visible(history.cards) if card.is_current and not card.is_pointer]
    if not cards:
        return None
    return await asyncio.to_thread(_explained, question, history, cards)


def _explained(question: SlackQuestion, history: IncidentHistory, cards: Sequence[Card]) -> str:
    rulebook = question.live.rulebook
    incident = read_episode(history.state.record, history.state.episode, rulebook.tag_labels)
    decision = decide_routes(rulebook, incident, first=False)
    head = [f"{incident_name(incident)}: {incident.state}"]
    board = question.live.board
    history_link = [link_to(f"{board}{incident_path(incident.id)}", "Full history, for operators")] if board else []
    hidden = frozenset(name for name, _ in channels_of_routes(question)) - visible_routes(question)
    return mrkdwn_list(head, [*_routes(incident, decision, cards, hidden), *_cards(question, cards), *history_link])


def _routes(
    incident: Incident, decision: RoutingDecision, cards: Sequence[Card], hidden: frozenset[str]
) -> Iterator[str]:
    """Which routes match now and by what; and by which routes cards are here that match no more.

    Routes that are `hidden` lead only to channels that the person does not see.
    """
    matched = matched_routes(decision)
    for name, conditions in matched.items():
        if name in hidden:
            continue
        yield f"Route {code(name)} matches" + (":" if conditions else " every incident.")
        yield from (f"• {oneline(each, _LONGEST_CONDITION)}" for each in conditions[:_MAX_CONDITIONS])
        if len(conditions) > _MAX_CONDITIONS:
            yield f"• and {len(conditions) - _MAX_CONDITIONS} more conditions"
    if not matched:
        yield "No route matches it now" + (", so it goes to the fallback channel." if incident.active else ".")
    before = dict.fromkeys(card.route for card in cards if card.route and card.route not in matched)
    for name in before:
        yield f"Route {code(name)} has posted it, and does not match any more."


def _cards(question: SlackQuestion, cards: Sequence[Card]) -> Iterator[Line]:
    for card in cards:
        address = question.link(card.slack_channel or "", card.ts or "")
        name = link_to(address, question.viewer.channels[card.channel].slack_name or card.channel)
        by = f" by route {code(card.route)}" if card.route else ", since no route matched or its channel failed"
        yield f"Card in {name}: {_state(card)}{by}"
        if card.ts and card.pinged:
            yield "• its first post pinged ", PingTargets(card.pinged)
        if card.held is not None:
            yield f"• held: {held_until(card.held, _moment)}"
        for held in card.held_pings:
            yield "• ping held: ", PingTargets((held.target,)), f" {held_since(held, _moment)}"
        yield from (f"• {line}" for line in notice_lines(card))


def _state(card: Card) -> str:
    posted = f" {slack_time(card.ts)}" if card.state is CardState.POSTED and card.ts else ""
    reason = f" ({oneline(card.reason.replace('_', ' '))})" if card.reason else ""
    return f"{CARD_STATES[card.state]}{posted}{reason}"


def _moment(at: float) -> str:
    return slack_time(int(at))
