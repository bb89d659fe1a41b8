"""`relay backtest`: recorded shares replayed through a candidate configuration, compared with what is live.

Every share is planned by both, and every card and reply that falls due is taken as sent; drawn is only what could read
differently. Incidents have nothing to do with one another, so that several processes share the work.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.errors import Fault, ShareError
from relay.routes.rulebook import Rulebook
from relay.store import ShareBody, Store
from relay.store.replay import RecordedIncidents
from relay.tools.compare import Comparison, DifferenceKind, IncidentDifference
from relay.tools.live_config import Definitions, stored_tag_definitions
from relay.tools.simulate import Simulation

ALONE = 1_000
"""Up to so many incidents are done here: to start other processes would take longer."""

_AHEAD = 2
"""Pieces that wait for each process, so that none is ever idle and memory stays small."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkResult:
    """What came of some incidents. `unreadable` counts shares that cannot be parsed any more."""

    incidents: int = 0
    shares: int = 0
    unreadable: int = 0
    different: tuple[IncidentDifference, ...] = ()


@dataclass(slots=True, kw_only=True)
class BacktestReport:
    """What came of all of them."""

    incidents: int = 0
    shares: int = 0
    unreadable: int = 0
    different: list[IncidentDifference] = field(default_factory=list)

    def add(self, piece: ChunkResult) -> None:
        """Count a piece in."""
        self.incidents += piece.incidents
        self.shares += piece.shares
        self.unreadable += piece.unreadable
        self.different += piece.different

    @property
    def tally(self) -> Mapping[DifferenceKind, int]:
        """How many incidents differ in each way."""
        counted = Counter(difference for each in self.different for difference in each.differences)
        return {difference: counted[difference] for difference in DifferenceKind}

    def as_json(self) -> dict[str, Any]:
        """The whole report."""
        return {
            "incidents": self.incidents,
            "shares": self.shares,
            "unreadable": self.unreadable,
            "tally": {str(difference): number for difference, number in self.tally.items()},
            "different": [asdict(each) for each in self.different],
        }


async def live_configuration(store: Store, otherwise: Callable[[], Configuration]) -> Configuration:
    """What is live: the newest that worked, as relay kept it; where it has kept none, what is on disk."""
    kept = await store.latest_configuration()
    if kept is None:
        return otherwise()
    return build_configuration(
        ConfigurationFiles(routes_file="routes.yaml as it is live", routes_text=kept.routes, templates=kept.templates)
    )


def with_live_templates(written: ConfigurationFiles, live: Configuration, *, own: bool) -> ConfigurationFiles:
    """The candidate: routes as they were read, with templates of its `own`, or with those that are live."""
    return written if own else replace(written, templates=live.templates, read_faults=_of_routes(written))


def _of_routes(written: ConfigurationFiles) -> tuple[Fault, ...]:
    return tuple(fault for fault in written.read_faults if fault.file == written.routes_file)


async def backtest(  # noqa: PLR0913  what is compared, of what, how, and who is told
    store: Store,
    live: Configuration,
    candidate: Configuration,
    *,
    since: float,
    processes: int,
    done: Callable[[int, int], None] = lambda _done, _of: None,
) -> BacktestReport:
    """Replay every incident that has had a share since then; `done` is told how many are done, of how many.

    Both are lived by as relay lives by them, with BigPanda's definitions of tags as they are now.
    """
    known = await stored_tag_definitions(store)
    live, candidate = (
        live.with_tag_definitions(known, buttons_enabled=live.buttons_enabled),
        candidate.with_tag_definitions(known, buttons_enabled=candidate.buttons_enabled),
    )
    number = await store.count_recorded_incidents(since)
    same = {
        channel.ref: channel.canonical_ref for channel in await store.channels() if channel.canonical_ref is not None
    }
    report = BacktestReport()
    task = (live, candidate, same)
    with _Crew(*task, processes=processes if number > ALONE else 1) as crew:
        async for piece in crew.played(store.recorded_incidents(since)):
            report.add(piece)
            done(report.incidents, number)
    report.different.sort(key=lambda each: (list(DifferenceKind).index(each.differences[0]), each.incident))
    return report


class _Crew:
    """Those who do the work: some processes, or nobody but this one."""

    def __init__(
        self, live: Configuration, candidate: Configuration, same: Mapping[str, str], *, processes: int
    ) -> None:
        self._worker = _Worker(Comparison(live, candidate), same)
        self._processes = processes
        self._pool: Executor | None = None
        self._task = (_written(live), _written(candidate), dict(same), dict(live.rulebook.tag_definitions))

    def __enter__(self) -> Self:
        if self._processes > 1:
            # Not forked: this process has threads, and what a fork makes of their locks nobody knows.
            spawned = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._processes, spawned, initializer=_begin, initargs=self._task)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    async def played(self, recorded: AsyncIterator[RecordedIncidents]) -> AsyncIterator[ChunkResult]:
        """Each piece as it is done, in no order."""
        waiting: set[asyncio.Future[ChunkResult]] = set()
        async for each in recorded:
            if self._pool is None:
                yield await asyncio.to_thread(self._worker.play, each)
                continue
            waiting.add(asyncio.get_running_loop().run_in_executor(self._pool, _play, each))
            while len(waiting) >= self._processes * _AHEAD:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        for future in waiting:
            yield await future


class _Worker:
    """Plays incidents by both configurations."""

    def __init__(self, comparison: Comparison, same: Mapping[str, str]) -> None:
        self._comparison = comparison
        self._same = same

    def play(self, recorded: RecordedIncidents) -> ChunkResult:
        shares, unreadable, different = 0, 0, []
        for incident, bodies in recorded:
            readable = _readable(bodies)
            shares += len(bodies)
            unreadable += len(bodies) - len(readable)
            if readable and (compared := self._compared(incident, readable)) is not None:
                different.append(compared)
        return ChunkResult(incidents=len(recorded), shares=shares, unreadable=unreadable, different=tuple(different))

    def _compared(self, incident: str, shares: Sequence[Share]) -> IncidentDifference | None:
        """How an incident differs; most do not, which is seen while the live one is played."""
        both = self._comparison
        live = self._played(both.live, shares, beside=both.candidate.rulebook)
        if live.alike and both.drawn_alike:
            return None
        return both.compare(incident, live, self._played(both.candidate, shares))

    def _played(
        self, configuration: Configuration, shares: Iterable[Share], *, beside: Rulebook | None = None
    ) -> Simulation:
        rehearsal = Simulation(configuration, same=self._same, drawn=False, beside=beside)
        for share in shares:
            rehearsal.receive(share)
        rehearsal.run()
        return rehearsal


def _readable(bodies: Iterable[ShareBody]) -> list[Share]:
    shares = []
    for each in bodies:
        try:
            shares.append(parse_share(each.body, each.headers, each.received))
        except ShareError:  # kept by a relay that could read it; it is counted
            continue
    return shares


_WORKERS: list[_Worker] = []
"""The one of this process, where it is one of several: what is compiled does not travel between processes."""


def _begin(
    live: ConfigurationFiles, candidate: ConfigurationFiles, same: Mapping[str, str], known: Definitions
) -> None:
    both = (build_configuration(each).with_tag_definitions(known, buttons_enabled=True) for each in (live, candidate))
    _WORKERS.append(_Worker(Comparison(*both), same))


def _play(recorded: RecordedIncidents) -> ChunkResult:
    return _WORKERS[-1].play(recorded)


def _written(configuration: Configuration) -> ConfigurationFiles:
    return ConfigurationFiles(
        routes_file="routes.yaml", routes_text=configuration.rulebook.text, templates=dict(configuration.templates)
    )
