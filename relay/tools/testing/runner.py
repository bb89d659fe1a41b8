"""Runs operators' tests, and finds the routes that they reach."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from time import perf_counter

from relay.bigpanda.webhook.share import Share
from relay.config.configuration import Configuration
from relay.routes.route import Route
from relay.routes.rulebook import Rulebook
from relay.tools.message_text import alias_names
from relay.tools.simulate import Simulation
from relay.tools.storms import first_posts, held_by_storms
from relay.tools.testing.assertions import Observed, check_expectations, check_messages
from relay.tools.testing.model import ExpectationFailure, Expected, OperatorTest, OperatorTestResult
from relay.tools.testing.steps import StepError, build_shares, copies_of


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTestRun:
    """The results of all tests; the routes that they reach, and name and line of those that they miss.

    Disabled routes do not count. `fallback` is whether a share matched no route; None if there is no fallback channel.
    """

    results: tuple[OperatorTestResult, ...]
    reached: tuple[str, ...]
    missed: tuple[tuple[str, int], ...]
    fallback: bool | None

    @property
    def failed(self) -> tuple[OperatorTestResult, ...]:
        """The results of the tests that failed."""
        return tuple(result for result in self.results if not result.passed)


def run(
    configuration: Configuration,
    tests: Iterable[OperatorTest],
    on_result: Callable[[OperatorTestResult], None] = lambda _: None,
) -> OperatorTestRun:
    """Run every test; call `on_result` after each."""
    rulebook = configuration.rulebook
    results = []
    for test in tests:
        results.append(_run_test(configuration, test))
        on_result(results[-1])
    matched = frozenset(chain.from_iterable(result.routes for result in results))
    routes = [route for route in rulebook.routes.flatten_enabled() if not route.is_wholly_shadow]
    return OperatorTestRun(
        results=tuple(results),
        reached=tuple(route.name for route in routes if _is_reached(route, matched)),
        missed=tuple((route.name, route.line) for route in routes if not _is_reached(route, matched)),
        fallback=any(result.unrouted for result in results) if rulebook.fallback else None,
    )


def _run_test(configuration: Configuration, test: OperatorTest) -> OperatorTestResult:
    started = perf_counter()
    simulations: defaultdict[str, Simulation] = defaultdict(lambda: Simulation(configuration))
    failures = list(_failures(configuration, test, simulations))
    shares = [share for simulation in simulations.values() for share in simulation.shares]
    return OperatorTestResult(
        test=test,
        failures=tuple(dict.fromkeys(failures)),
        routes=frozenset(chain.from_iterable(share.routes for share in shares)),
        unrouted=any(share.plan is not None and not share.routes for share in shares),
        seconds=perf_counter() - started,
    )


def _failures(
    configuration: Configuration, test: OperatorTest, simulations: "defaultdict[str, Simulation]"
) -> Iterator[ExpectationFailure]:
    """Simulate each share in the simulation of its incident. Expectations are about the incident of the last share."""
    rulebook = configuration.rulebook
    names, zone = alias_names(rulebook), rulebook.zone or "UTC"
    try:
        shares = list(build_shares(test.shares, zone))
        steps = _steps(test, shares, zone)
    except StepError as error:
        yield ExpectationFailure(position=error.position, message=str(error))
        return
    last = simulations[shares[0].incident]
    for step in steps:
        for share in step.shares:
            simulations[share.incident].receive(share)
        last = simulations[step.shares[0].incident] if step.shares else last
        if step.expected is None:
            continue
        for simulation in simulations.values():
            simulation.run(until=step.at)
        storms = _held_by_storms(simulations.values(), rulebook, step.at)
        seen = Observed(last, at=step.at, first=shares[0].received, zone=zone, names=names, storms=storms)
        yield from check_expectations(seen, step.expected)
    for simulation in simulations.values():
        yield from check_messages(simulation, test.position, names)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """What happens at a moment (Unix seconds; infinity: until nothing is due any more), and what is expected then."""

    at: float
    shares: tuple[Share, ...] = ()
    expected: Expected | None = None


def _steps(test: OperatorTest, shares: Sequence[Share], zone: str) -> list[_Step]:
    """The shares and the moments of a test in order; at the same time the shares come first.

    Raises StepError if a moment is before the first share, or not after the moment before it.
    """
    steps = [
        _Step(at=share.received, shares=tuple(copies_of(share, spec.copies)), expected=spec.expected)
        for spec, share in zip(test.shares, shares, strict=True)
    ]
    first = previous = shares[0].received
    for each in test.moments:
        at = each.at.resolve(first, previous, zone)
        if at < previous:
            after = "the first share" if previous == first else "the moment before it"
            raise StepError(each.position, f"{each.at.source} is before {after}; write the moments in their order")
        steps.append(_Step(at=at, expected=each.expected))
        previous = at
    return [*sorted(steps, key=lambda step: step.at), _Step(at=inf, expected=test.expected or Expected())]


def _held_by_storms(simulations: Iterable[Simulation], rulebook: Rulebook, at: float) -> Mapping[str, int]:
    """How many new cards storms have held up to that moment, by channel."""
    posts = (post for simulation in simulations for post in first_posts(simulation, rulebook) if post.at <= at)
    counts: Counter[str] = Counter()
    for storm in held_by_storms(posts, rulebook):
        counts[storm.channel] += storm.held
    return counts


def _is_reached(route: Route, matched: frozenset[str]) -> bool:
    """Whether it matched a share; a route that only groups others is reached if one of them is."""
    if route.groups_only:
        return any(_is_reached(child, matched) for child in route.routes)
    return route.name in matched
