"""Decide the effects of a share: the new record, the entries, the cards, the tasks. One pure function does it.

Live work, `explain`, `render`, `test` and `backtest` all call `plan`. What a due card does next is in `send`.
"""

from collections.abc import Callable, Mapping, Sequence

from relay.bigpanda.webhook.share import Share
from relay.cards.attribution import attribute_entries
from relay.cards.desired import ShareContext, desired_cards
from relay.cards.diff import new_entries
from relay.cards.holding import name_in_held_list
from relay.cards.merge import begin_episode, merge_share
from relay.cards.milestones import advance, times_taken
from relay.cards.model import Card, CardState, IncidentState, Plan, ShareOutcome
from relay.cards.mutes import Mute
from relay.cards.staleness import stale_at
from relay.cards.tasks import callback_task
from relay.model.incident import Incident, State
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.model.struct import replace
from relay.rendering.context import template_variables
from relay.routes.evaluate import RoutingDecision, evaluate_routes
from relay.routes.match_budget import ProcessorTime, untimed
from relay.routes.rulebook import Rulebook


def plan(  # noqa: PLR0913  all that the decision depends on
    rulebook: Rulebook,
    incident_state: IncidentState | None,
    cards: Sequence[Card],
    share: Share,
    canonical_refs: Mapping[str, str],
    *,
    mutes: tuple[Mute, ...] = (),
    has_callback: Callable[[str], bool] = lambda _integration: False,
    processor_time: ProcessorTime = untimed,
) -> Plan:
    """The effects of a share; its `received` is now, or that of a share that was planned before it.

    `incident_state` is None for an incident's first share; `cards` are its current cards. `canonical_refs` maps the
    other references of a channel to the one that is used. `has_callback` says whether BigPanda waits for a callback
    about the cards of an integration. `processor_time` limits how long routes read the incident. `mutes` are those that
    are not over.
    """
    before = incident_state.record if incident_state else None
    now = max(share.received, incident_state.last_share_at if incident_state else 0.0)
    record = merge_share(before, share, newest=incident_state.last_share_at if incident_state else 0.0)
    old = read_incident(before, rulebook.tag_labels) if before else None
    new = read_incident(record, rulebook.tag_labels)
    known = incident_state or IncidentState(record=record)
    found = new_entries(before, old, new, share, known.next_seq, was_shared=known.was_shared)
    entries, record = attribute_entries(found, record, new, share.received)
    decision = decide_routes(rulebook, new, first=incident_state is None, processor_time=processor_time)
    context = ShareContext(
        rulebook=rulebook,
        old=old,
        new=new,
        decision=decision,
        canonical_refs=canonical_refs,
        entries=entries,
        next_seq=known.next_seq,
        episode=known.episode,
        as_of=share.as_of,
        now=now,
        record_changed=new != old,
        mutes=mutes,
        shadows=record.shadows,
    )
    changed, episode = desired_cards(context, cards)
    if episode > known.episode:
        record = begin_episode(record, episode, share.as_of)
    milestones = advance(known.milestones, new, share.as_of, begins_episode=episode > known.episode)
    outcome = _outcome(context, [*cards, *changed], changed)
    after = {(card.channel, card.episode): card for card in (*cards, *changed)}
    current = [card for card in after.values() if card.is_current]
    shadows = _shadows(context, current, new_episode=episode > known.episode)
    # BigPanda holds updates back until relay reports the card: one callback for each integration that shares it.
    awaited = has_callback(share.integration) and not (before and share.integration in before.integrations)
    return Plan(
        incident_state=IncidentState(
            record=replace(record, shadows=shadows) if shadows != record.shadows else record,
            state=new.state,
            version=known.version + context.record_changed,
            episode=episode,
            ended_at=float(new.ended or share.as_of) if new.state is State.RESOLVED else None,
            next_seq=known.next_seq + len(entries),
            last_share_at=now,
            stale_at=stale_at(new, current, now),
            milestones=milestones,
        ),
        outcome=outcome,
        entries=tuple(entries),
        cards=tuple(changed),
        routes=decision.routes,
        decision=_as_json(outcome, context, cards, changed),
        tasks=(callback_task(share.incident, share.integration, current, share.received),) if awaited else (),
        times_taken=times_taken(known.milestones, milestones),
        bulletins=tuple(change for card in changed for change in name_in_held_list(card, new, now)),
    )


def decide_routes(
    rulebook: Rulebook, incident: Incident, *, first: bool, processor_time: ProcessorTime = untimed
) -> RoutingDecision:
    """Which routes match. An incident that arrives already resolved is matched by its severity."""
    status = incident.severity if first and incident.state is State.RESOLVED else None
    return evaluate_routes(
        rulebook,
        incident,
        status=status,
        variables=lambda: template_variables(incident),
        processor_time=processor_time,
    )


def _outcome(context: ShareContext, cards: Sequence[Card], changed: Sequence[Card]) -> ShareOutcome:
    nowhere = ShareOutcome.DROPPED if context.decision.dropped else ShareOutcome.NO_ROUTE
    if context.old is None and changed:
        return ShareOutcome.FIRST
    if context.old is None:
        has_place = context.decision.matched or context.rulebook.fallback is not None
        ended = nowhere is ShareOutcome.NO_ROUTE and has_place and not context.new.active
        return ShareOutcome.ENDED_LONG_AGO if ended else nowhere
    if not any(card.is_current for card in cards):
        return nowhere
    return ShareOutcome.UPDATE if context.record_changed or context.entries or changed else ShareOutcome.NOTHING_NEW


def _as_json(
    outcome: ShareOutcome, context: ShareContext, cards: Sequence[Card], changed: Sequence[Card]
) -> dict[str, JSON]:
    """The decision as plain JSON. Logs, `relay incident` and `relay render` read it."""
    known = {(card.channel, card.episode) for card in cards}

    def card_as_json(card: Card) -> dict[str, JSON]:
        new, reason = (card.channel, card.episode) not in known, "changed"
        if card.state is CardState.SUPERSEDED:
            reason = "reopened_late"
        elif new:
            reason = "matched" if card.route else "no_route"
        state = str(card.state)
        return {"channel": card.channel, "route": card.route, "state": state, "new": new, "reason": reason}

    some = {"unread": list(context.decision.unread), "shadow": _shadow_as_json(context)}
    return {name: value for name, value in some.items() if value} | {
        "outcome": str(outcome),
        "state": str(context.new.state),
        "entries": [str(entry.kind) for entry in context.entries],
        "routes": list(context.decision.routes),
        "dropped": list(context.decision.dropped),
        "unnamed": [{"route": each.route, "detail": each.description} for each in context.decision.failures],
        "cards": [card_as_json(card) for card in changed],
    }


def _shadows(context: ShareContext, current: Sequence[Card], *, new_episode: bool) -> tuple[tuple[str, str], ...]:
    """The cards that routes in shadow would have made by now, in channels without a card; none once it is resolved."""
    if not context.new.active:
        return ()
    known = () if new_episode else context.shadows
    present = {card.channel for card in current if card.state is not CardState.CANCELLED}
    return tuple(each for each in dict.fromkeys((*known, *context.in_shadow)) if each[0] not in present)


def _shadow_as_json(context: ShareContext) -> dict[str, JSON]:
    """What is in shadow and matches: the routes, and the channels with those whom a first post would ping now."""
    if not context.decision.shadow_routes:
        return {}
    postings = [
        {
            "channel": context.canonical(posting.ref),
            "routes": list(posting.routes),
            "pings": list(posting.mention.targets(context.new.state)),
            "new": (context.canonical(posting.ref), posting.route) not in context.shadows,
        }
        for posting in context.decision.shadow
    ]
    return {"routes": list(context.decision.shadow_routes), "cards": postings}
