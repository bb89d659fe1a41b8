"""All tests, one after the other, and which routes they reach."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from time import perf_counter

from relay.config.configuration import Configuration
from relay.routes.route import Route
from relay.tools.as_read import ChannelNames, channel_names
from relay.tools.simulate import Simulation
from relay.tools.testing.assertions import check_expectations, check_messages
from relay.tools.testing.model import ExpectationFailure, OperatorTest, OperatorTestResult
from relay.tools.testing.steps import StepError, build_shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which routes the tests reach: name and line of those that none does (those switched off are left out).

    `fallback` says whether a share that no route took was among them; None where there is no fallback.
    """

    reached: tuple[str, ...]
    missed: tuple[tuple[str, int], ...]
    fallback: bool | None

    @property
    def whole(self) -> bool:
        """Whether nothing is left."""
        return not self.missed and self.fallback is not False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTestRun:
    """What came of all tests."""

    results: tuple[OperatorTestResult, ...]
    coverage: Coverage

    @property
    def failed(self) -> tuple[OperatorTestResult, ...]:
        """Those that did not come out as expected."""
        return tuple(result for result in self.results if not result.passed)


def run(
    configuration: Configuration,
    tests: Iterable[OperatorTest],
    done: Callable[[OperatorTestResult], None] = lambda _: None,
) -> OperatorTestRun:
    """Play every test; `done` is told of each as it ends."""
    names = channel_names(configuration.rulebook)
    results = []
    for test in tests:
        results.append(_result(configuration, test, names))
        done(results[-1])
    return OperatorTestRun(results=tuple(results), coverage=_coverage(configuration, results))


def _result(configuration: Configuration, test: OperatorTest, names: ChannelNames) -> OperatorTestResult:
    started = perf_counter()
    rehearsals: dict[str, Simulation] = {}
    failures = list(_failures(configuration, test, names, rehearsals))
    taken = [taken for rehearsal in rehearsals.values() for taken in rehearsal.shares]
    return OperatorTestResult(
        test=test,
        failures=tuple(dict.fromkeys(failures)),
        routes=frozenset(chain.from_iterable(each.routes for each in taken)),
        unrouted=any(each.plan is not None and not each.routes for each in taken),
        seconds=perf_counter() - started,
    )


def _failures(
    configuration: Configuration, test: OperatorTest, names: ChannelNames, rehearsals: dict[str, Simulation]
) -> Iterable[ExpectationFailure]:
    """Each share is played in the rehearsal of its incident; what is expected is expected of the last one's."""
    last: Simulation | None = None
    try:
        for step, share in zip(test.steps, build_shares(test.steps), strict=True):
            if share.incident not in rehearsals:
                rehearsals[share.incident] = Simulation(configuration)
            last = rehearsals[share.incident]
            last.receive(share)
            if step.expected is not None:
                last.run(until=share.received)
                yield from check_expectations(last, step.expected, names)
    except StepError as error:
        yield ExpectationFailure(spot=error.spot, message=str(error))
        return
    for rehearsal in rehearsals.values():
        rehearsal.run()
        yield from check_messages(rehearsal, test.spot, names)
    if last is not None and test.expected is not None:
        yield from check_expectations(last, test.expected, names)


def _coverage(configuration: Configuration, results: Iterable[OperatorTestResult]) -> Coverage:
    results = list(results)
    taken = frozenset(chain.from_iterable(result.routes for result in results))
    enabled = list(_enabled(configuration.rulebook.routes))
    fallback = configuration.rulebook.fallback
    return Coverage(
        reached=tuple(route.name for route in enabled if _reached(route, taken)),
        missed=tuple((route.name, route.line) for route in enabled if not _reached(route, taken)),
        fallback=None if fallback is None else any(result.unrouted for result in results),
    )


def _enabled(routes: Iterable[Route]) -> Iterable[Route]:
    for route in routes:
        if route.enabled:
            yield route
            yield from _enabled(route.routes)


def _reached(route: Route, taken: frozenset[str]) -> bool:
    """Whether it took a share; one that only groups is reached where one inside it is."""
    if route.groups_only:
        return any(_reached(inside, taken) for inside in route.routes)
    return route.name in taken
