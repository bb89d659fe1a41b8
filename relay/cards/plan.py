"""From a share to a plan."""

from collections.abc import Callable, Mapping, Sequence

from relay.bigpanda.webhook.share import Share
from relay.cards.attribution import attribute_entries
from relay.cards.desired import ShareContext, desired_cards
from relay.cards.diff import new_entries
from relay.cards.merge import begin_episode, merge_share
from relay.cards.model import Card, CardState, IncidentState, Plan, ShareOutcome, Task
from relay.cards.staleness import stale_at
from relay.cards.tasks import callback_task
from relay.model.incident import Incident, State
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.model.record import Record
from relay.rendering.context import template_variables
from relay.routes.evaluate import RoutingDecision, evaluate_routes
from relay.routes.rulebook import Rulebook


def _nobody(_integration: str) -> bool:
    """Without keys for it there is no callback service."""
    return False


def plan(  # noqa: PLR0913  all that the judgement depends on
    rulebook: Rulebook,
    incident_state: IncidentState | None,
    cards: Sequence[Card],
    share: Share,
    canonical_refs: Mapping[str, str],
    *,
    has_callback: Callable[[str], bool] = _nobody,
) -> Plan:
    """What a share turns into.

    `story` is None for an incident's first share; `cards` are its followed cards; `same` tells the canonical spelling
    of channel references that have several. The share's `received` is the present. `calls_back` says whether BigPanda
    waits to hear of the cards of an integration.
    """
    before = incident_state.record if incident_state else None
    record = merge_share(before, share)
    old = read_incident(before, rulebook.tag_labels) if before else None
    new = read_incident(record, rulebook.tag_labels)
    known = incident_state or IncidentState(record=record)
    entries, record = attribute_entries(
        new_entries(before, old, new, share, known.next_seq), record, new, share.received
    )
    decision = decide_routes(rulebook, new, first=incident_state is None)
    moment = ShareContext(
        rulebook=rulebook,
        old=old,
        new=new,
        decision=decision,
        canonical_refs=canonical_refs,
        entries=entries,
        next_seq=known.next_seq,
        episode=known.episode,
        news=share.as_of,
        now=share.received,
        record_changed=new != old,
    )
    changed, episode = desired_cards(moment, cards)
    if episode > known.episode:
        record = begin_episode(record, episode, share.as_of)
    outcome = _outcome(moment, [*cards, *changed], changed)
    after = _after(cards, changed)
    return Plan(
        incident_state=IncidentState(
            record=record,
            version=known.version + moment.record_changed,
            episode=episode,
            ended_at=float(new.ended or share.as_of) if new.state is State.RESOLVED else None,
            next_seq=known.next_seq + len(entries),
            last_share_at=share.received,
            stale_at=stale_at(new, after, share.received),
        ),
        outcome=outcome,
        entries=tuple(entries),
        cards=tuple(changed),
        routes=decision.routes,
        decided=_decided(outcome, moment, cards, changed),
        tasks=_errands(before, share, after) if has_callback(share.integration) else (),
    )


def decide_routes(rulebook: Rulebook, incident: Incident, *, first: bool) -> RoutingDecision:
    """The routes' judgement; an incident that arrives already resolved is judged by its severity."""
    status = incident.severity if first and incident.state is State.RESOLVED else None
    return evaluate_routes(rulebook, incident, status=status, variables=lambda: template_variables(incident))


def _after(cards: Sequence[Card], changed: Sequence[Card]) -> list[Card]:
    """The incident's followed cards, as the share leaves them."""
    new = {(card.channel, card.episode): card for card in (*cards, *changed)}
    return [card for card in new.values() if card.is_current]


def _errands(before: Record | None, share: Share, cards: Sequence[Card]) -> tuple[Task, ...]:
    """BigPanda holds updates back until it hears of the card: once for each integration that shares the incident."""
    if before is not None and share.integration in before.integrations:
        return ()
    return (callback_task(share.incident, share.integration, cards, share.received),)


def _outcome(moment: ShareContext, cards: Sequence[Card], changed: Sequence[Card]) -> ShareOutcome:
    if moment.old is None and not changed:
        if moment.decision.dropped:
            return ShareOutcome.DROPPED
        somewhere = moment.decision.matched or moment.rulebook.fallback is not None
        return ShareOutcome.ENDED_LONG_AGO if somewhere and not moment.new.active else ShareOutcome.NO_ROUTE
    if moment.old is None:
        return ShareOutcome.FIRST
    if not any(card.state is not CardState.SUPERSEDED for card in cards):
        return ShareOutcome.DROPPED if moment.decision.dropped else ShareOutcome.NO_ROUTE
    return ShareOutcome.UPDATE if moment.record_changed or moment.entries or changed else ShareOutcome.NOTHING_NEW


def _decided(
    outcome: ShareOutcome, moment: ShareContext, cards: Sequence[Card], changed: Sequence[Card]
) -> dict[str, JSON]:
    known = {(card.channel, card.episode) for card in cards}
    return {
        "outcome": str(outcome),
        "state": str(moment.new.state),
        "told": [str(entry.kind) for entry in moment.entries],
        "routes": list(moment.decision.routes),
        "dropped": list(moment.decision.dropped),
        "unnamed": [{"route": failure.route, "told": failure.description} for failure in moment.decision.failures],
        "cards": [
            {
                "channel": card.channel,
                "route": card.route,
                "state": str(card.state),
                "new": (card.channel, card.episode) not in known,
                "reason": _reason(card, new=(card.channel, card.episode) not in known),
            }
            for card in changed
        ],
    }


def _reason(card: Card, *, new: bool) -> str:
    if card.state is CardState.SUPERSEDED:
        return "reopened_late"
    if new:
        return "taken" if card.route else "no_route"
    return "changed"
