"""Which routes take a share, and why: the judgement that live work makes of an incident's first share, laid open."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from relay.bigpanda.webhook.share import Share
from relay.cards.model import Card, CardContext, Channel, Plan
from relay.cards.plan import decide_routes, plan
from relay.cards.send import NothingToSend, PostRoot, begin_post
from relay.model.incident import Incident
from relay.model.reading import read_incident
from relay.routes.evaluate import ChannelFailure, RouteTrace, RoutingDecision
from relay.routes.match import ConditionResult
from relay.routes.rulebook import Rulebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A channel that gets a card. `route` governs it (empty: it is the fallback's), `routes` all lead there.

    `pings` are those whom the first post reaches, `wait` is how long (seconds) it waits before it, and `unless` the
    reason for which it will then not be posted if nothing changes.
    """

    channel: str
    route: str
    routes: tuple[str, ...]
    template: str
    pings: tuple[str, ...]
    wait: float
    unless: str = ""

    @property
    def why(self) -> str:
        """Why it goes there."""
        if not self.route:
            return "no route took it, so it is the fallback's"
        if not self.routes:
            return f"{self.route} names no channel for this incident, so it is the fallback's"
        others = ", ".join(self.routes[1:])
        return f"taken there by {self.route}" + (f", and by {others}" if others else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The incident as routes see it, what each route made of it, and where it goes."""

    incident: Incident
    plan: Plan
    decision: RoutingDecision
    destinations: tuple[Destination, ...]

    @property
    def failures(self) -> tuple[ChannelFailure, ...]:
        """Channels that could not be made from this incident."""
        return self.decision.failures


def explain(rulebook: Rulebook, share: Share) -> Explanation:
    """What a share turns into, were it the first of its incident."""
    made = plan(rulebook, None, (), share, {})
    incident = read_incident(made.incident_state.record, rulebook.tag_labels)
    decision = decide_routes(rulebook, incident, first=True)
    return Explanation(
        incident=incident,
        plan=made,
        decision=decision,
        destinations=tuple(_destination(card, made, rulebook, decision, share.received) for card in made.cards),
    )


def _destination(card: Card, made: Plan, rulebook: Rulebook, decision: RoutingDecision, now: float) -> Destination:
    """The card's first step, as delivery will take it when the card is due."""
    case = CardContext(
        incident_state=made.incident_state,
        card=card,
        cards=made.cards,
        entries=made.entries,
        channel=Channel(ref=card.channel),
    )
    step = begin_post(case, rulebook.tag_labels, card.post.at if card.post else now)
    routes = next((posting.routes for posting in decision.postings if posting.ref == card.channel), ())
    return Destination(
        channel=card.channel,
        route=card.route,
        routes=routes,
        template=card.options.template,
        pings=step.attempt.targets if isinstance(step, PostRoot) else (),
        wait=card.options.wait,
        unless=step.reason if isinstance(step, NothingToSend) else "",
    )


# --- as JSON ---


def as_json(explanation: Explanation) -> dict[str, Any]:
    """All of it, as plain JSON."""
    incident, decision = explanation.incident, explanation.decision
    return {
        "incident": incident.id,
        "title": incident.title,
        "state": str(incident.state),
        "severity": str(incident.severity),
        "outcome": str(explanation.plan.outcome),
        "routes": list(decision.routes),
        "dropped": list(decision.dropped),
        "cards": [{**_plain(each), "why": each.why} for each in explanation.destinations],
        "failures": [
            {"route": each.route, "channel": each.source, "reason": each.reason} for each in explanation.failures
        ],
        "tree": [_route(each) for each in decision.trace],
    }


def _plain(destination: Destination) -> Mapping[str, Any]:
    values = {each.name: getattr(destination, each.name) for each in fields(destination)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _route(trace: RouteTrace) -> dict[str, Any]:
    return {
        "route": trace.route,
        "line": trace.line,
        "depth": trace.depth,
        "outcome": str(trace.outcome),
        "conditions": [_condition(each) for each in trace.conditions],
    }


def _condition(judged: ConditionResult) -> dict[str, Any]:
    told: dict[str, Any] = {"key": judged.key, "held": judged.matched}
    if judged.parts:
        return {**told, "within": [_condition(each) for each in judged.parts]}
    return {**told, "expected": judged.expected, "seen": list(judged.actual)}


# --- for people ---

MOST_SEEN = 5
"""How many of a tag's values are shown; the others are counted."""
_LONGEST = 80


def condition_lines(judged: ConditionResult, depth: int = 0) -> Iterator[tuple[bool, str]]:
    """A condition in lines: whether it held, and what was looked at; what `any`, `all` and `not` hold is indented."""
    verdict = "holds" if judged.matched else "fails"
    indent = "  " * depth
    looked_at = f"{judged.key}: {judged.expected}" if judged.expected or not judged.parts else judged.key
    if judged.parts or not judged.expected and judged.key in ("any", "all", "not", "match"):  # noqa: RUF021  reads as said
        yield judged.matched, f"{indent}{judged.key} {verdict}"
        for each in judged.parts:
            yield from condition_lines(each, depth + 1)
    else:
        yield judged.matched, f"{indent}{looked_at} {verdict}: {_seen(judged)}"


def _seen(judged: ConditionResult) -> str:
    if not judged.actual:
        return "it is absent"
    shown = ", ".join(f"'{_short(value)}'" for value in judged.actual[:MOST_SEEN])
    more = len(judged.actual) - MOST_SEEN
    return f"it is {shown}" + (f" and {more} more" if more > 0 else "")


def _short(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
