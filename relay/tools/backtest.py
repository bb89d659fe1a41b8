"""`relay backtest`: replays recorded shares through a candidate configuration, and compares it with the live one.

Every share is planned by both, and every card and reply that is due counts as sent; only what can differ is rendered.
Incidents are independent of one another, so several processes can share the work.
"""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rich.table import Table

from relay.bigpanda.webhook.parsing import parse_share
from relay.bigpanda.webhook.share import Share
from relay.config.configuration import Configuration
from relay.config.files import ConfigurationFiles, build_configuration
from relay.model.counting import counted
from relay.model.errors import ShareError
from relay.model.struct import replace
from relay.model.tag_labels import TagDefinition
from relay.store.recorded_incidents import RecordedIncidents
from relay.store.store import Store
from relay.tools.compare import ConfigurationComparison, DifferenceKind, IncidentDifference
from relay.tools.live_store import stored_tag_definitions
from relay.tools.shadow import with_shadow_live
from relay.tools.simulate import Simulation
from relay.tools.storms import FirstPost, HeldByStorm, as_json, first_posts, held_by_storms, storm_lines

MAX_IN_ONE_PROCESS = 1_000
"""Up to this many incidents, starting other processes would take longer than the work."""

_CHUNKS_PER_PROCESS = 2
"""Chunks that wait for each process, so that none is idle and memory use stays low."""

_SUMMARY = {
    DifferenceKind.LOST: "would have no card any more",
    DifferenceKind.GAINED: "would have a card, and have none now",
    DifferenceKind.ELSEWHERE: "would be in other channels",
    DifferenceKind.PINGED: "would ping others, or at other times",
    DifferenceKind.READS: "would read differently",
}


@dataclass(slots=True, kw_only=True)
class BacktestReport:
    """The result for some or all incidents. `unreadable` counts shares that cannot be parsed any more.

    `left_out` counts the old shares of incidents that have more than fit into memory.
    """

    incidents: int = 0
    shares: int = 0
    unreadable: int = 0
    left_out: int = 0
    different: list[IncidentDifference] = field(default_factory=list)
    posts: dict[str, list[FirstPost]] = field(default_factory=lambda: {"live": [], "candidate": []})
    storms: dict[str, list[HeldByStorm]] = field(default_factory=dict)

    def add(self, other: "BacktestReport") -> None:
        """Add the result for other incidents."""
        self.incidents += other.incidents
        self.shares += other.shares
        self.unreadable += other.unreadable
        self.left_out += other.left_out
        self.different += other.different
        for name, posts in other.posts.items():
            self.posts[name] += posts

    @property
    def tally(self) -> Mapping[DifferenceKind, int]:
        """How many incidents differ in each way."""
        counts = Counter(kind for each in self.different for kind in each.differences)
        return {kind: counts[kind] for kind in DifferenceKind}

    def as_json(self) -> dict[str, Any]:
        """Convert the whole report to plain JSON."""
        return {
            "incidents": self.incidents,
            "shares": self.shares,
            "unreadable": self.unreadable,
            "left_out": self.left_out,
            "tally": {str(kind): number for kind, number in self.tally.items()},
            "storms": {name: as_json(storms) for name, storms in self.storms.items()},
            "different": [asdict(each) for each in self.different],
        }

    def lines(self, limit: int) -> Iterator[str | Table]:
        """The report for people, with details for at most `limit` incidents."""
        yield f"{counted(self.incidents, 'incident')}, {counted(self.shares, 'share')}"
        if self.unreadable:
            yield f"skipped {counted(self.unreadable, 'share')} that could not be parsed"
        if self.left_out:
            yield f"{self.left_out} old shares of very large incidents were left out"
        yield from self._storm_lines(limit)
        if not self.different:
            yield "There are no differences."
            return
        table = Table(box=None, show_header=False, pad_edge=False)
        for kind, number in self.tally.items():
            table.add_row(f"{number:>7}", _SUMMARY[kind])
        yield table
        for each in self.different[:limit]:
            yield ""
            yield f"{each.incident}  {each.title}  [{', '.join(each.differences)}]"
            yield from (f"  {line}" for line in each.details)
        if len(self.different) > limit:
            yield ""
            yield f"... and {len(self.different) - limit} more incidents (use --limit, or --json for all)"

    def _storm_lines(self, limit: int) -> Iterator[str]:
        """What storms would have held, by each configuration; only once if both say the same."""
        live, candidate = self.storms.get("live", []), self.storms.get("candidate", [])
        for name, storms in (("live", live), ("candidate", candidate)) if live != candidate else (("both", live),):
            if live or candidate:
                held = sum(storm.held for storm in storms)
                cards = f", {counted(held, 'card')} held" if held else ""
                yield f"{name}: {counted(len(storms), 'storm')}{cards}"
                yield from storm_lines(storms, limit)


def with_live_templates(files: ConfigurationFiles, live: Configuration) -> ConfigurationFiles:
    """A candidate without templates of its own: its routes, with the templates that are live."""
    faults = tuple(fault for fault in files.read_faults if fault.file == files.routes_file)
    return replace(files, templates=live.templates, read_faults=faults)


async def backtest(  # noqa: PLR0913  each has a name
    store: Store,
    live: Configuration,
    candidate: Configuration | None,
    *,
    since: float,
    processes: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> BacktestReport:
    """Replay every incident that received a share after `since`; call `progress` with the incidents done and in total.

    Without a candidate, it is the live configuration with everything live that is in shadow. Both configurations use
    BigPanda's tag definitions as they are now.
    """
    definitions = await stored_tag_definitions(store)
    number = await store.count_recorded_incidents(since)
    refs = {each.ref: each.canonical_ref for each in await store.channels() if each.canonical_ref is not None}
    report = BacktestReport()
    if number > MAX_IN_ONE_PROCESS and processes > 1:
        # Not "fork": this process has threads, and a forked copy of their locks may never be released.
        spawn = multiprocessing.get_context("spawn")
        initargs = (_files(live), None if candidate is None else _files(candidate), refs, dict(definitions))
        pool: Executor = ProcessPoolExecutor(processes, spawn, initializer=_start_worker, initargs=initargs)
        replay: Callable[[RecordedIncidents], BacktestReport] = _replay_in_worker
    else:
        processes, pool = 1, ThreadPoolExecutor(1)
        comparison = _comparison(live, candidate, definitions)
        replay = partial(_replay, comparison, refs)
    try:
        chunks = store.recorded_incidents(since)
        async for result in _replay_all(chunks, pool, replay, most=processes * _CHUNKS_PER_PROCESS):
            report.add(result)
            progress(report.incidents, number)
    finally:
        pool.shutdown(cancel_futures=True)
    candidates = candidate or with_shadow_live(live)
    for name, rulebook in (("live", live.rulebook), ("candidate", candidates.rulebook)):
        report.storms[name] = held_by_storms(report.posts[name], rulebook)
    report.different.sort(key=lambda each: (list(DifferenceKind).index(each.differences[0]), each.incident))
    return report


async def _replay_all(
    chunks: AsyncIterator[RecordedIncidents],
    pool: Executor,
    replay: Callable[[RecordedIncidents], BacktestReport],
    *,
    most: int,
) -> AsyncIterator[BacktestReport]:
    """Yield the result of each chunk when it is done, in any order; at most `most` chunks wait."""
    waiting: set[asyncio.Future[BacktestReport]] = set()
    async for chunk in chunks:
        waiting.add(asyncio.get_running_loop().run_in_executor(pool, replay, chunk))
        while len(waiting) >= most:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                yield future.result()
    for future in waiting:
        yield await future


def _replay(
    comparison: ConfigurationComparison, canonical_refs: Mapping[str, str], chunk: RecordedIncidents
) -> BacktestReport:
    report = BacktestReport(incidents=len(chunk))
    for incident, bodies, left_out in chunk:
        report.left_out += left_out
        shares = []
        for each in bodies:
            try:
                share = parse_share(each.body, each.headers, each.received)
                shares.append(replace(share, body=b""))  # it may be large, and is not needed any more
            except ShareError:  # stored by another version of relay
                report.unreadable += 1
        report.shares += len(bodies)
        if shares and (difference := _compare(comparison, canonical_refs, incident, shares, report.posts)) is not None:
            report.different.append(difference)
    return report


def _compare(
    comparison: ConfigurationComparison,
    refs: Mapping[str, str],
    incident: str,
    shares: Sequence[Share],
    posts: Mapping[str, list[FirstPost]],
) -> IncidentDifference | None:
    """Compare one incident. Most do not differ, which the simulation of the live configuration finds out.

    The new cards of both configurations are added to `posts`.
    """
    alternative = comparison.candidate.rulebook
    live = Simulation(comparison.live, canonical_refs=refs, render=False, alternative=alternative).receive_all(shares)
    posts["live"] += first_posts(live, comparison.live.rulebook)
    if live.is_same and comparison.renders_same:
        posts["candidate"] += first_posts(live, alternative)
        return None
    candidate = Simulation(comparison.candidate, canonical_refs=refs, render=False).receive_all(shares)
    posts["candidate"] += first_posts(candidate, alternative)
    return comparison.compare(incident, live, candidate)


_replay_in_this_process: list[Callable[[RecordedIncidents], BacktestReport]] = []
"""`_replay` of this process, if it is one of several: compiled routes cannot be sent to another process."""


def _start_worker(
    live: ConfigurationFiles,
    candidate: ConfigurationFiles | None,
    canonical_refs: Mapping[str, str],
    definitions: Mapping[str, TagDefinition],
) -> None:
    comparison = _comparison(
        build_configuration(live), None if candidate is None else build_configuration(candidate), definitions
    )
    _replay_in_this_process.append(partial(_replay, comparison, canonical_refs))


def _comparison(
    live: Configuration, candidate: Configuration | None, definitions: Mapping[str, TagDefinition]
) -> ConfigurationComparison:
    """Compare with the candidate; without one, with the live configuration where nothing is in shadow."""
    both = (live, candidate or with_shadow_live(live))
    return ConfigurationComparison(*(each.with_tag_definitions(definitions, clicks=each.clicks) for each in both))


def _replay_in_worker(chunk: RecordedIncidents) -> BacktestReport:
    return _replay_in_this_process[-1](chunk)


def _files(configuration: Configuration) -> ConfigurationFiles:
    return ConfigurationFiles(
        routes_file="routes.yaml", routes_text=configuration.rulebook.text, templates=dict(configuration.templates)
    )
