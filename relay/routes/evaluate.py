"""Which routes take an incident, to which channels, and why: one walk over the tree answers all of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Protocol

from relay.model.incident import Incident, State
from relay.routes.channel_template import Unresolved, Variables
from relay.routes.match import ConditionResult
from relay.routes.options import Mention, Options
from relay.routes.route import Post, Route, RouteList
from relay.routes.subjects import IncidentFacts


class Rules(Protocol):
    """What holds the routes: a rulebook."""

    @property
    def routes(self) -> RouteList:
        """The top of the tree."""


class RouteOutcome(StrEnum):
    """What became of a route."""

    MATCHED = "took"
    """It took the incident, to its own channels."""
    DROPPED = "dropped"
    """It took the incident; it has `post: []`."""
    CHILD_MATCHED = "children_took"
    """It holds, and routes inside it took the incident instead of it."""
    NO_CHILD_MATCHED = "passed_by"
    """It holds, but only groups its children, and none of them took the incident."""
    NO_MATCH = "no_match"
    """Its match does not hold."""
    DISABLED = "disabled"
    """`enabled: false`."""
    NOT_REACHED = "not_reached"
    """A sibling before it took the incident and does not continue."""
    PARENT_NOT_MATCHED = "not_entered"
    """It stands inside a route that does not hold or is disabled."""


_NO_WAY_IN = frozenset({RouteOutcome.NO_MATCH, RouteOutcome.DISABLED, RouteOutcome.PARENT_NOT_MATCHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTrace:
    """One route and what became of it; `depth` is 0 at the top. Conditions are judged whether it was reached or not."""

    route: str
    outcome: RouteOutcome
    conditions: tuple[ConditionResult, ...]
    depth: int
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One channel that the incident goes to. `route`, the first of the `routes` that lead there, governs the card."""

    route: str
    ref: str
    options: Options
    mention: Mention
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFailure:
    """A post whose channel could not be made from this incident, and why: it is the fallback's."""

    route: str
    source: str
    reason: str
    options: Options
    mention: Mention

    @property
    def description(self) -> str:
        """Where it was meant to go, and why it does not, as cards, the log and the commands say it."""
        return f"meant for {self.source}, which names no channel ({self.reason})"


@dataclass(frozen=True, kw_only=True)
class RoutingDecision:
    """Where an incident goes.

    `routes` are the names of those that took it, `dropped` of those among them that have no channel.
    """

    postings: tuple[Posting, ...]
    failures: tuple[ChannelFailure, ...]
    routes: tuple[str, ...]
    dropped: tuple[str, ...]
    _walked: tuple[RouteList, IncidentFacts] = field(repr=False, compare=False)

    @property
    def matched(self) -> bool:
        """Whether any route took it, be it to drop it."""
        return bool(self.routes)

    @cached_property
    def trace(self) -> tuple[RouteTrace, ...]:
        """Why: every route in the file's order, with every condition. Made when asked for, by walking once more."""
        routes, facts = self._walked
        outcomes: dict[str, RouteOutcome] = {}
        _take(routes, facts, outcomes)
        return tuple(_traced(routes, facts, outcomes, inside=None, depth=0))


def evaluate_routes(
    rulebook: Rules, incident: Incident, *, status: State | None = None, variables: Variables
) -> RoutingDecision:
    """Which routes take an incident.

    `status` is what `status` in `match` sees in place of the incident's state. `variables` is called once at most, and
    only where a channel is made from the incident.
    """
    once = _Once(variables)
    facts = IncidentFacts(incident, status)
    taken = _take(rulebook.routes, facts, None)
    postings: dict[str, Posting] = {}
    failures = []
    for route, post in _posts(taken):
        found = post.channel.resolve(once)
        if isinstance(found, Unresolved):
            failures.append(_failure(route, post, found))
        else:
            postings[found] = _joined(postings.get(found), route, post, found)
    return RoutingDecision(
        postings=tuple(postings.values()),
        failures=tuple(failures),
        routes=tuple(route.name for route in taken),
        dropped=tuple(route.name for route in taken if not route.posts),
        _walked=(rulebook.routes, facts),
    )


class _Once:
    """Variables, made once at most, and only if anybody asks; `functools.cache` costs as much as a route."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Variables) -> None:
        self._make = make
        self._made: Mapping[str, Any] | None = None

    def __call__(self) -> Mapping[str, Any]:
        if self._made is None:
            self._made = self._make()
        return self._made


def _take(routes: RouteList, facts: IncidentFacts, outcomes: dict[str, RouteOutcome] | None) -> list[Route]:
    """The routes among siblings, or inside them, that take the incident.

    With `outcomes` every sibling that is reached is asked, and answers there; without, those that surely fail are not.
    """
    taken: list[Route] = []
    asked: Sequence[Route] = routes.candidates(facts) if outcomes is None else routes
    for route in asked:
        outcome, found = _visit(route, facts, outcomes)
        if outcomes is not None:
            outcomes[route.name] = outcome
        taken += found
        if found and not route.continue_:
            break
    return taken


def _visit(
    route: Route, facts: IncidentFacts, outcomes: dict[str, RouteOutcome] | None
) -> tuple[RouteOutcome, list[Route]]:
    if not route.enabled:
        return RouteOutcome.DISABLED, []
    if not route.match.holds(facts):
        return RouteOutcome.NO_MATCH, []
    if inside := _take(route.routes, facts, outcomes):
        return RouteOutcome.CHILD_MATCHED, inside
    if route.groups_only:
        return RouteOutcome.NO_CHILD_MATCHED, []
    return RouteOutcome.MATCHED if route.posts else RouteOutcome.DROPPED, [route]


def _traced(
    routes: RouteList,
    facts: IncidentFacts,
    outcomes: dict[str, RouteOutcome],
    *,
    inside: RouteOutcome | None,
    depth: int,
) -> list[RouteTrace]:
    unasked = RouteOutcome.PARENT_NOT_MATCHED if inside in _NO_WAY_IN else RouteOutcome.NOT_REACHED
    traced = []
    for route in routes:
        outcome = outcomes.get(route.name, unasked)
        conditions = route.match.judged(facts)
        traced.append(
            RouteTrace(route=route.name, outcome=outcome, conditions=conditions, depth=depth, line=route.line)
        )
        traced += _traced(route.routes, facts, outcomes, inside=outcome, depth=depth + 1)
    return traced


def _posts(routes: Sequence[Route]) -> Iterator[tuple[Route, Post]]:
    return ((route, post) for route in routes for post in route.posts)


def _joined(before: Posting | None, route: Route, post: Post, ref: str) -> Posting:
    """A posting, or one more reason for the same: the first route's options, everybody's mentions."""
    if before is None:
        return Posting(route=route.name, ref=ref, options=post.options, mention=post.mention, routes=(route.name,))
    names = tuple(dict.fromkeys((*before.routes, route.name)))
    return replace(before, mention=before.mention.merged_with(post.mention), routes=names)


def _failure(route: Route, post: Post, found: Unresolved) -> ChannelFailure:
    return ChannelFailure(
        route=route.name,
        source=post.channel.source,
        reason=found.reason,
        options=post.options,
        mention=post.mention,
    )
