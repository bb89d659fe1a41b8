"""`relay explain`: which routes match a share, and why. It uses the same decision as live work on a first share."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.text import Text
from rich.tree import Tree

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.cards.attention import Surroundings, attend
from relay.cards.holds import HeldPings, Hold
from relay.cards.model import Card, CardContext, Channel, IncidentState, Plan
from relay.cards.plan import decide_routes, plan
from relay.cards.send import begin_post
from relay.cards.steps import NothingToSend, PostRoot
from relay.cards.storms import group_of
from relay.model.incident import Incident
from relay.model.json_types import JSON
from relay.model.reading import read_incident
from relay.routes.evaluate import RouteOutcome, RouteTrace, RoutingDecision
from relay.routes.key_types import DURATION
from relay.routes.match import ConditionResult
from relay.routes.remind import NO_REMIND, REMIND, Remind
from relay.routes.rulebook import Rulebook
from relay.routes.storm import NO_STORM, Storm
from relay.store.types import ShareBody
from relay.tools.message_text import ChannelNames, channel_label, format_local, people_label

MAX_VALUES = 5
"""How many of a tag's values are shown; the others are counted."""

_COMBINATIONS = {"any": "any of these", "all": "all of these", "not": "not all of these", "match": "all of these"}
"""How the conditions read that consist of others."""

_MAX_CHARACTERS = 80
_MATCHED = {RouteOutcome.MATCHED, RouteOutcome.DROPPED, RouteOutcome.CHILD_MATCHED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A channel that gets a card.

    `route` governs the card (empty: it goes to the fallback), `routes` are all that lead to the channel. `pings` are
    the targets of the first post, `wait` the seconds before it. `held` is what holds the card after that, `held_pings`
    are those whom its first post does not ping, and why. `unless` is the reason why it will not be posted if nothing
    changes before. `storm` is the limit of new cards in its channel. `storm_tag` is the tag by which its storm card
    would group the incident, and `storm_group` is the value of that tag.
    """

    channel: str
    route: str
    routes: tuple[str, ...]
    template: str
    pings: tuple[str, ...]
    wait: float
    held: Hold | None = None
    held_pings: HeldPings = ()
    unless: str = ""
    storm: Storm | None = None
    storm_tag: str = ""
    storm_group: str = ""
    remind: Remind = NO_REMIND

    @property
    def why(self) -> str:
        """The reason why the card goes there."""
        if not self.route:
            return "no route matches, so it goes to the fallback channel"
        if not self.routes:
            return f"{self.route} names no channel for this incident, so it goes to the fallback channel"
        others = ", ".join(self.routes[1:])
        return f"matched by {self.route}" + (f", and by {others}" if others else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The incident as routes see it, the decision about it, and where its cards go; `zone` is that of the file."""

    incident: Incident
    plan: Plan
    decision: RoutingDecision
    destinations: tuple[Destination, ...]
    zone: str = "UTC"


def explain(rulebook: Rulebook, share: Share) -> Explanation:
    """Explain what relay would do with a share that is the first of its incident."""
    planned = plan(rulebook, None, (), share, {})
    incident = read_incident(planned.incident_state.record, rulebook.tag_labels)
    decision = decide_routes(rulebook, incident, first=True)
    return Explanation(
        incident=incident,
        plan=planned,
        decision=decision,
        destinations=tuple(_destination(rulebook, card, planned, decision, share.received) for card in planned.cards),
        zone=rulebook.zone or "UTC",
    )


def explained_shares(rulebook: Rulebook, shares: Sequence[ShareBody]) -> dict[str, Any]:
    """Convert an incident's stored shares for `GET /incidents/{id}/shares`, the oldest first.

    Each has its `body` as it was sent, and the `tree` of routes of `as_json` for the incident as the shares up to it
    describe it. The routes are those of the rulebook, even if others were active when the share arrived.
    """
    documents: list[dict[str, JSON]] = []
    state: IncidentState | None = None
    for stored in shares:
        share = parse_share(stored.body, stored.headers, stored.received)
        first = state is None
        state = plan(rulebook, state, (), share, {}).incident_state
        decision = decide_routes(rulebook, read_incident(state.record, rulebook.tag_labels), first=first)
        body = stored.body.decode(errors="replace")
        documents.append({"id": stored.id, "received": stored.received, "body": body, "tree": _tree(decision)})
    return {"shares": documents}


def _destination(rulebook: Rulebook, card: Card, planned: Plan, decision: RoutingDecision, now: float) -> Destination:
    """The card's first step, as delivery takes it when the card is due."""
    context = CardContext(
        topic=planned.incident_state,
        card=card,
        cards=planned.cards,
        entries=planned.entries,
        channel=Channel(ref=card.channel),
    )
    surroundings, incident = Surroundings(rulebook=rulebook), planned.incident_state.incident
    step = begin_post(context, card.post.at if card.post else now, surroundings)
    after = next(iter(step.update.cards), card)
    storm = rulebook.storm_in(card.channel) if attend(card, incident, surroundings, now).counts else NO_STORM
    tags = (storm.by,) if storm.by else card.options.show_tags
    tag = next((name for name in tags if group_of(incident, name, ())), storm.by) if storm else ""
    return Destination(
        channel=card.channel,
        route=card.route,
        routes=next((posting.routes for posting in decision.postings if posting.ref == card.channel), ()),
        template=card.options.template,
        pings=step.attempt.targets if isinstance(step, PostRoot) else (),
        wait=card.options.wait,
        held=after.held,
        held_pings=after.held_pings,
        unless=step.reason if isinstance(step, NothingToSend) and after.held is None else "",
        storm=storm or None,
        storm_tag=tag,
        storm_group=group_of(incident, tag, ()) if tag else "",
        remind=card.options.remind if incident.state.rank >= card.options.remind.state.rank else NO_REMIND,
    )


# --- as JSON ---


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Convert the explanation to plain JSON."""
    incident, decision = explanation.incident, explanation.decision
    return {
        "incident": incident.id,
        "title": incident.title,
        "state": incident.state,
        "severity": incident.severity,
        "outcome": explanation.plan.outcome,
        "routes": decision.routes,
        "dropped": decision.dropped,
        "shadow": [
            {"routes": each.routes, "channel": each.ref, "pings": each.mention.targets(incident.state)}
            for each in decision.shadow
        ],
        "cards": [
            {**asdict(each), "remind": REMIND.as_json(each.remind) if each.remind else None, "why": each.why}
            for each in explanation.destinations
        ],
        "failures": [
            {"route": each.route, "channel": each.source, "reason": each.reason} for each in decision.failures
        ],
        "tree": _tree(decision),
    }


def _tree(decision: RoutingDecision) -> list[dict[str, Any]]:
    return [
        {
            "route": each.route,
            "line": each.line,
            "depth": each.depth,
            "outcome": each.outcome,
            "conditions": [_condition(condition) for condition in each.conditions],
        }
        for each in decision.trace
    ]


def _condition(condition: ConditionResult) -> Mapping[str, Any]:
    document: dict[str, Any] = {"key": condition.key, "matched": condition.matched}
    if condition.unread:
        document["unread"] = True
    if condition.parts:
        return {**document, "parts": [_condition(part) for part in condition.parts]}
    return {**document, "expected": condition.expected, "actual": list(condition.actual)}


# --- as text ---


def matched_routes(decision: RoutingDecision) -> dict[str, list[str]]:
    """The routes that match, each with its conditions in plain words, one in a line."""
    return {
        each.route: [line.plain for condition in each.conditions for line in _condition_lines(condition)]
        for each in decision.trace
        if each.outcome in _MATCHED
    }


def on_terminal(explanation: Explanation, names: ChannelNames) -> Iterator[Text | Tree]:
    """The incident, the tree of routes with every condition, and where the cards go."""
    incident = explanation.incident
    yield Text(f"{incident.title} (incident {incident.id})", style="bold")
    yield Text(f"state {incident.state}, severity {incident.severity}; outcome: {explanation.plan.outcome}")
    yield Text()
    yield from _trees(explanation.decision.trace)
    yield Text()
    for failure in explanation.decision.failures:
        yield Text(f"{failure.description}: route {failure.route}", style="yellow")
    for name in explanation.decision.dropped:
        yield Text(f"dropped by {name}, which has post: []")
    for posting in explanation.decision.shadow:
        pings = people_label(posting.mention.targets(explanation.incident.state), names)
        channel = channel_label(posting.ref, names)
        yield Text(f"in shadow: route {posting.route} would post to {channel}; pings {pings}", style="yellow")
    for destination in explanation.destinations:
        channel = channel_label(destination.channel, names)
        yield Text.assemble("→ ", (channel, "bold"), f": {_first_post(destination, names, explanation.zone)}")
    if not explanation.destinations:
        yield Text("nothing is posted")


def _trees(trace: tuple[RouteTrace, ...]) -> Iterator[Tree]:
    """One tree for each route at the top; its branches are its conditions, and then its children."""
    parents: list[Tree] = []
    tops: list[Tree] = []
    for each in trace:
        del parents[each.depth :]
        outcome = (each.outcome.replace("_", " "), "green" if each.outcome in _MATCHED else "dim")
        title = Text.assemble((each.route, "bold"), f" (line {each.line}): ", outcome)
        branch = parents[-1].add(title) if parents else Tree(title)
        if not parents:
            tops.append(branch)
        parents.append(branch)
        for condition in each.conditions:
            for line in _condition_lines(condition):
                branch.add(line)
    yield from tops


def _condition_lines(condition: ConditionResult, depth: int = 0) -> Iterator[Text]:
    """A condition as lines. The parts of `any`, `all` and `not` are indented."""
    result, style = ("matches", "green") if condition.matched else ("does not match", "dim")
    if condition.unread:
        result, style = "is unknown, because comparing it would take too long", "yellow"
    indent = "  " * depth
    if condition.key == "match" and len(condition.parts) == 1:
        yield from _condition_lines(condition.parts[0], depth)
    elif condition.parts or (not condition.expected and condition.key in _COMBINATIONS):
        yield Text(f"{indent}{_COMBINATIONS[condition.key]}: {result}", style)
        for part in condition.parts:
            yield from _condition_lines(part, depth + 1)
    else:
        yield Text(f"{indent}{condition.key}: {condition.expected} {result}: {_actual(condition)}", style)


def _actual(condition: ConditionResult) -> str:
    if not condition.actual:
        return "it is absent"
    lines = (" ".join(value.split()) for value in condition.actual[:MAX_VALUES])
    shortened = (line if len(line) <= _MAX_CHARACTERS else f"{line[: _MAX_CHARACTERS - 1]}…" for line in lines)
    more = len(condition.actual) - MAX_VALUES
    return "it is " + ", ".join(f"'{line}'" for line in shortened) + (f" and {more} more" if more > 0 else "")


def _series(remind: Remind, names: ChannelNames) -> str:
    """When people are reminded, if nobody takes the incident."""
    moments = [remind.after + number * remind.every for number in range(remind.times)]
    shown = ", ".join(f"{moment / 60:g}" for moment in moments)
    text = f"while nobody has it, reminders {shown} minutes after the ping, if BigPanda says so, too"
    if remind.then is None:
        return text
    last = moments[-1] + (remind.every or remind.after)
    pings = people_label(remind.then.mention.all_targets, names)
    return (
        f"{text}; then {channel_label(remind.then.channel.ref, names)} after {last / 60:g} minutes, which pings {pings}"
    )


def _first_post(destination: Destination, names: ChannelNames, zone: str) -> str:
    pings = people_label(destination.pings, names)
    parts = [destination.why, f"template {destination.template}", f"pings {pings}"]
    if destination.held is not None:
        parts = [*parts[:-1], f"held {_until(destination.held, zone)}, and then posted if it is still open"]
    for hold in dict.fromkeys(each.hold for each in destination.held_pings):
        people = people_label([each.target for each in destination.held_pings if each.hold == hold], names)
        parts.append(f"does not ping {people} {_until(hold, zone)}: a message names it then if it is still open")
    if destination.wait:
        parts.append(f"waits {destination.wait:g} s, and is posted only if it is still open and still matches")
    if destination.unless:
        parts.append(f"would not be posted in its current state: {destination.unless}")
    if destination.remind:
        parts.append(_series(destination.remind, names))
    if destination.storm is not None:
        parts.append(_storm_limit(destination, destination.storm, channel_label(destination.channel, names)))
    return "; ".join(parts)


def _storm_limit(destination: Destination, storm: Storm, channel: str) -> str:
    """What makes a storm in the channel, and how its card would group the incident."""
    tag, group = destination.storm_tag, " ".join(destination.storm_group.split())
    by = f", by {tag}" + (f" ({group})" if group else "") if tag else ""
    return f"counts towards the storm limit of {channel}: {storm.over} in {DURATION.as_yaml(storm.within)}{by}"


def _until(hold: Hold, zone: str) -> str:
    """Until when it holds, and what it is."""
    until = "for now" if hold.until is None else f"until {format_local(hold.until, zone)}"
    return f"{until} ({hold.reason.replace('_', ' ')})"
