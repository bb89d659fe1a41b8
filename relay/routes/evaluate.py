"""Evaluate routes: which routes match an incident, to which channels it goes, and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from relay.model.incident import Incident, State
from relay.model.struct import replace
from relay.routes.channel_template import Unresolved, Variables
from relay.routes.match import ConditionResult
from relay.routes.match_budget import ProcessorTime, Unread, untimed
from relay.routes.match_keys import IncidentFacts
from relay.routes.mention import Mention
from relay.routes.options import Options
from relay.routes.route import Post, Route, RouteList
from relay.routes.rulebook import Rulebook


class RouteOutcome(StrEnum):
    """What happened at a route."""

    MATCHED = "matched"
    """It matched: the incident goes to its channels."""
    DROPPED = "dropped"
    """It matched; with `post: []` it drops the incident."""
    CHILD_MATCHED = "child_matched"
    """Its match holds, and routes inside it matched instead of it."""
    NO_CHILD_MATCHED = "no_child_matched"
    """Its match holds, but it only groups its children, and none of them matched."""
    SHADOW = "shadow"
    """It matched in shadow: relay records what it would post. It does not count as a match, and the evaluation
    continues."""
    NO_MATCH = "no_match"
    """Its match does not hold."""
    UNREAD = "unread"
    """Whether its match holds is unknown: it would take too long to read the incident."""
    DISABLED = "disabled"
    """`enabled: false`."""
    NOT_REACHED = "not_reached"
    """A route before it matched and has no `continue: true`."""
    PARENT_NOT_MATCHED = "parent_not_matched"
    """It is inside a route whose match does not hold, or which is disabled."""


_CHILDREN_SKIPPED = frozenset(
    {RouteOutcome.NO_MATCH, RouteOutcome.UNREAD, RouteOutcome.DISABLED, RouteOutcome.PARENT_NOT_MATCHED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTrace:
    """One route and its outcome; `depth` is 0 at the top. Its conditions are evaluated even if it was not reached."""

    route: str
    outcome: RouteOutcome
    conditions: tuple[ConditionResult, ...]
    depth: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One channel for the incident. `route`, the first of the `routes` that lead there, sets the card's options."""

    route: str
    ref: str
    options: Options
    mention: Mention
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFailure:
    """A post item whose channel could not be made from this incident, with the reason; the fallback gets it."""

    route: str
    source: str
    reason: str
    options: Options

    @property
    def description(self) -> str:
        """The failure as cards, the log and the commands report it."""
        return f"meant for {self.source}, which names no channel ({self.reason})"


@dataclass(frozen=True, kw_only=True)
class RoutingDecision:
    """Where an incident goes.

    `routes` are the names of the matching routes, `dropped` of those among them without a channel. `unread` are those
    of which nobody knows whether they match. As long as there are any, no route drops the incident.
    `shadow` is where it would go by what is in shadow, `shadow_routes` are the routes that would match; nothing else
    here depends on them.
    """

    postings: tuple[Posting, ...]
    failures: tuple[ChannelFailure, ...]
    routes: tuple[str, ...]
    dropped: tuple[str, ...]
    unread: tuple[str, ...]
    shadow: tuple[Posting, ...] = ()
    shadow_routes: tuple[str, ...] = ()
    _evaluated: tuple[RouteList, IncidentFacts] = field(repr=False, compare=False)

    @property
    def matched(self) -> bool:
        """Whether any route matched, also one that drops the incident."""
        return bool(self.routes)

    @cached_property
    def trace(self) -> tuple[RouteTrace, ...]:
        """Every route in the order of the file, with every condition; made on demand by a second evaluation."""
        routes, evaluated = self._evaluated
        facts = IncidentFacts(evaluated.incident, evaluated.status)
        outcomes: dict[str, RouteOutcome] = {}
        _Evaluation(facts, outcomes).matching(routes)
        return tuple(_traces(routes, facts, outcomes))


def evaluate_routes(
    rulebook: Rulebook,
    incident: Incident,
    *,
    status: State | None = None,
    variables: Variables,
    processor_time: ProcessorTime = untimed,
) -> RoutingDecision:
    """Find the routes that match an incident, and their channels.

    `status` replaces the incident's state for the key `status` of `match`. `variables` is called at most once, and only
    if a channel is made from the incident. `processor_time` limits the time of comparisons.
    """
    made: Mapping[str, Any] | None = None

    def cached_variables() -> Mapping[str, Any]:  # functools.cache would cost as much as a route
        nonlocal made
        if made is None:
            made = variables()
        return made

    facts = IncidentFacts(incident, status, processor_time)
    evaluation = _Evaluation(facts)
    matching = evaluation.matching(rulebook.routes)
    if evaluation.unread:
        matching = [route for route in matching if route.posts]
    postings, failures = _resolve_channels([(route, route.live_posts) for route in matching], cached_variables)
    in_shadow = [(route, route.shadow_posts) for route in (*evaluation.shadow, *matching)]
    shadow, _ = _resolve_channels(in_shadow, cached_variables)
    return RoutingDecision(
        postings=postings,
        failures=failures,
        routes=tuple(route.name for route in matching),
        dropped=tuple(route.name for route in matching if not route.posts),
        unread=tuple(evaluation.unread),
        shadow=shadow,
        shadow_routes=tuple(route.name for route, posts in in_shadow if posts or route.is_shadow),
        _evaluated=(rulebook.routes, facts),
    )


def _resolve_channels(
    matching: Sequence[tuple[Route, tuple[Post, ...]]], variables: Variables
) -> tuple[tuple[Posting, ...], tuple[ChannelFailure, ...]]:
    """The channels of these posts, each once, and those that cannot be made from the incident."""
    postings: dict[str, Posting] = {}
    failures: list[ChannelFailure] = []
    for route, posts in matching:
        for post in posts:
            ref = post.channel.resolve(variables)
            if isinstance(ref, Unresolved):
                failures.append(
                    ChannelFailure(
                        route=route.name,
                        source=post.channel.source,
                        reason=ref.reason,
                        options=post.options,
                    )
                )
            else:
                postings[ref] = _merged(postings.get(ref), route, post, ref)
    return tuple(postings.values()), tuple(failures)


class _Evaluation:
    """One pass over the routes; `unread` names those that could not be compared, `shadow` are those in shadow.

    With `outcomes`, every sibling that is reached is evaluated and recorded; without, only those that may match.
    """

    def __init__(self, facts: IncidentFacts, outcomes: dict[str, RouteOutcome] | None = None) -> None:
        self._facts = facts
        self._outcomes = outcomes
        self.unread: list[str] = []
        self.shadow: list[Route] = []

    def matching(self, routes: RouteList) -> list[Route]:
        """The matching routes among siblings, or inside them."""
        matching: list[Route] = []
        candidates: Sequence[Route] = routes.candidates(self._facts) if self._outcomes is None else routes
        for route in candidates:
            outcome, matched = self._evaluate(route)
            if self._outcomes is not None:
                self._outcomes[route.name] = outcome
            matching += matched
            if matched and not route.continue_:
                break
        return matching

    def _evaluate(self, route: Route) -> tuple[RouteOutcome, list[Route]]:
        if not route.enabled:
            return RouteOutcome.DISABLED, []
        try:
            if not route.match.matches(self._facts):
                return RouteOutcome.NO_MATCH, []
        except Unread:
            if not route.is_wholly_shadow:
                self.unread.append(route.name)
            return RouteOutcome.UNREAD, []
        in_shadow = len(self.shadow)
        if children := self.matching(route.routes):
            return RouteOutcome.CHILD_MATCHED, children
        is_replaced = route.is_shadow and len(self.shadow) > in_shadow  # by a route inside it, which is in shadow too
        if route.groups_only or is_replaced:
            return RouteOutcome.NO_CHILD_MATCHED, []
        return self._matched(route)

    def _matched(self, route: Route) -> tuple[RouteOutcome, list[Route]]:
        """The outcome of a route that matches itself."""
        if route.is_shadow:
            self.shadow.append(route)
            return RouteOutcome.SHADOW, []
        return RouteOutcome.MATCHED if route.posts else RouteOutcome.DROPPED, [route]


def _traces(
    routes: RouteList,
    facts: IncidentFacts,
    outcomes: dict[str, RouteOutcome],
    skipped: RouteOutcome = RouteOutcome.NOT_REACHED,
    depth: int = 0,
) -> Iterator[RouteTrace]:
    for route in routes:
        outcome = outcomes.get(route.name, skipped)
        conditions = route.match.explain(facts).parts
        yield RouteTrace(route=route.name, outcome=outcome, conditions=conditions, depth=depth, line=route.line)
        inside = RouteOutcome.PARENT_NOT_MATCHED if outcome in _CHILDREN_SKIPPED else RouteOutcome.NOT_REACHED
        yield from _traces(route.routes, facts, outcomes, inside, depth + 1)


def _merged(before: Posting | None, route: Route, post: Post, ref: str) -> Posting:
    """One posting for each channel: with the options of the first route, and the mentions of all."""
    if before is None:
        return Posting(route=route.name, ref=ref, options=post.options, mention=post.mention, routes=(route.name,))
    names = tuple(dict.fromkeys((*before.routes, route.name)))
    return replace(before, mention=before.mention.merged_with(post.mention), routes=names)
