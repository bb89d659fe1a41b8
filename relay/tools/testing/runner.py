"""Runs operators' tests, and finds the routes that they reach."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

from relay.config.configuration import Configuration
from relay.routes.route import Route
from relay.tools.message_text import ChannelNames, alias_names
from relay.tools.simulate import Simulation
from relay.tools.testing.assertions import check_expectations, check_messages
from relay.tools.testing.model import ExpectationFailure, OperatorTest, OperatorTestResult
from relay.tools.testing.steps import StepError, build_shares


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
    failures = list(_failures(test, simulations, alias_names(configuration.rulebook)))
    shares = [share for simulation in simulations.values() for share in simulation.shares]
    return OperatorTestResult(
        test=test,
        failures=tuple(dict.fromkeys(failures)),
        routes=frozenset(chain.from_iterable(share.routes for share in shares)),
        unrouted=any(share.plan is not None and not share.routes for share in shares),
        seconds=perf_counter() - started,
    )


def _failures(
    test: OperatorTest, simulations: "defaultdict[str, Simulation]", names: ChannelNames
) -> Iterable[ExpectationFailure]:
    """Simulate each share in the simulation of its incident. Expectations are about the incident of the last share."""
    last: Simulation | None = None
    try:
        for spec, share in zip(test.shares, build_shares(test.shares), strict=True):
            last = simulations[share.incident]
            last.receive(share)
            if spec.expected is not None:
                last.run(until=share.received)
                yield from check_expectations(last, spec.expected, names)
    except StepError as error:
        yield ExpectationFailure(position=error.position, message=str(error))
        return
    for simulation in simulations.values():
        simulation.run()
        yield from check_messages(simulation, test.position, names)
    if last is not None and test.expected is not None:
        yield from check_expectations(last, test.expected, names)


def _is_reached(route: Route, matched: frozenset[str]) -> bool:
    """Whether it matched a share; a route that only groups others is reached if one of them is."""
    if route.groups_only:
        return any(_is_reached(child, matched) for child in route.routes)
    return route.name in matched
