"""Cards that an open incident gets without a share, because a route was in shadow until now."""

from collections.abc import Mapping, Sequence

from relay.cards.desired import ShareContext, desired_cards
from relay.cards.model import Card, CardState, IncidentState
from relay.cards.notices import NO_PING
from relay.cards.plan import decide_routes
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.routes.rulebook import Rulebook


def late_cards(
    rulebook: Rulebook,
    incident_state: IncidentState,
    cards: Sequence[Card],
    canonical_refs: Mapping[str, str],
    now: float,
) -> tuple[IncidentState, tuple[Card, ...]]:
    """The cards that a share that changes nothing would bring, in the channels that were in shadow; and the new state.

    Nothing else about the incident changes. `cards` are its current cards, `now` is Unix seconds.
    """
    record = incident_state.record
    incident = read_incident(record, rulebook.tag_labels)
    context = ShareContext(
        rulebook=rulebook,
        old=incident,
        new=incident,
        decision=decide_routes(rulebook, incident, first=False),
        canonical_refs=canonical_refs,
        entries=(),
        next_seq=incident_state.next_seq,
        episode=incident_state.episode,
        as_of=incident_state.as_of,
        now=now,
        record_changed=False,
        shadows=record.shadows,
    )
    before = {card.channel: card.state for card in cards}
    changed, _ = desired_cards(context, cards)
    late = tuple(
        card
        for card in changed
        if card.state is CardState.PENDING
        and NO_PING in card.notices
        and before.get(card.channel) is not CardState.PENDING
    )
    there = {card.channel for card in late}
    shadows = tuple(each for each in record.shadows if each[0] not in there)
    return replace(incident_state, record=replace(record, shadows=shadows)), late
