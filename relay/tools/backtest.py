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
from relay.cards.mutes import Mute
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
from relay.tools.speech import Speech
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
    speech: dict[str, Speech] = field(default_factory=lambda: {"live": Speech(), "candidate": Speech()})
    storms: dict[str, list[HeldByStorm]] = field(default_factory=dict)
    summaries: dict[str, dict[tuple[str, str], list[float]]] = field(default_factory=dict)

    def add(self, other: "BacktestReport") -> None:
        """Add the result for other incidents."""
        self.incidents += other.incidents
        self.shares += other.shares
        self.unreadable += other.unreadable
        self.left_out += other.left_out
        self.different += other.different
        for name, posts in other.posts.items():
            self.posts[name] += posts
        for name, speech in other.speech.items():
            self.speech[name].add(speech)

    def add_simulations(self, live: Simulation, candidate: Simulation, comparison: ConfigurationComparison) -> None:
        """Add what would have been said about an incident under both configurations."""
        sides = {"live": (live, comparison.live), "candidate": (candidate, comparison.candidate)}
        for name, (simulation, configuration) in sides.items():
            self.posts[name] += first_posts(simulation, configuration.rulebook)
            self.speech[name].add_incident(simulation, configuration.rulebook.summaries)

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
            "speech": {name: speech.as_json() for name, speech in self.speech.items()},
            "summaries": {
                name: [
                    {"channel": channel, "title": title, "moments": moments}
                    for (channel, title), moments in sorted(summaries.items())
                ]
                for name, summaries in self.summaries.items()
            },
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
        yield from self._held_lines()
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

    def _held_lines(self) -> Iterator[str]:
        """What hours and mutes would have held, by each configuration; only once if both say the same."""
        said = {name: self._sentence(name) for name in self.speech}
        if any(speech.holds_something for speech in self.speech.values()):
            same = len(set(said.values())) == 1
            yield from ([f"both: {said['live']}"] if same else [f"{name}: {text}" for name, text in said.items()])

    def _sentence(self, name: str) -> str:
        posted = sum(map(len, self.summaries.get(name, {}).values()))
        return self.speech[name].sentence + (f", summaries: {posted}" if posted else "")

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
    mutes = await store.mutes_after(since)
    number = await store.count_recorded_incidents(since)
    refs = {each.ref: each.canonical_ref for each in await store.channels() if each.canonical_ref is not None}
    report = BacktestReport()
    if number > MAX_IN_ONE_PROCESS and processes > 1:
        # Not "fork": this process has threads, and a forked copy of their locks may never be released.
        spawn = multiprocessing.get_context("spawn")
        initargs = (_files(live), None if candidate is None else _files(candidate), refs, dict(definitions), mutes)
        pool: Executor = ProcessPoolExecutor(processes, spawn, initializer=_start_worker, initargs=initargs)
        replay: Callable[[RecordedIncidents], BacktestReport] = _replay_in_worker
    else:
        processes, pool = 1, ThreadPoolExecutor(1)
        comparison = _comparison(live, candidate, definitions)
        replay = partial(_replay, comparison, refs, mutes)
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
        report.summaries[name] = report.speech[name].summaries(rulebook.summaries, rulebook.hours)
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
    comparison: ConfigurationComparison,
    canonical_refs: Mapping[str, str],
    mutes: tuple[Mute, ...],
    chunk: RecordedIncidents,
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
        if not shares:
            continue
        live, candidate = _simulate(comparison, canonical_refs, mutes, shares)
        report.add_simulations(live, candidate or live, comparison)
        if candidate is not None and (difference := comparison.compare(incident, live, candidate)) is not None:
            report.different.append(difference)
    return report


def _simulate(
    comparison: ConfigurationComparison, refs: Mapping[str, str], mutes: tuple[Mute, ...], shares: Sequence[Share]
) -> tuple[Simulation, Simulation | None]:
    """Simulate one incident under both configurations; None: the candidate does the same.

    Most incidents do not differ, which the simulation of the live configuration finds out.
    """
    run = partial(Simulation, canonical_refs=refs, render=False, mutes=mutes)
    live = run(comparison.live, alternative=comparison.candidate.rulebook).receive_all(shares)
    if live.is_same and comparison.renders_same:
        return live, None
    return live, run(comparison.candidate).receive_all(shares)


_replay_in_this_process: list[Callable[[RecordedIncidents], BacktestReport]] = []
"""`_replay` of this process, if it is one of several: compiled routes cannot be sent to another process."""


def _start_worker(
    live: ConfigurationFiles,
    candidate: ConfigurationFiles | None,
    canonical_refs: Mapping[str, str],
    definitions: Mapping[str, TagDefinition],
    mutes: tuple[Mute, ...],
) -> None:
    comparison = _comparison(
        build_configuration(live), None if candidate is None else build_configuration(candidate), definitions
    )
    _replay_in_this_process.append(partial(_replay, comparison, canonical_refs, mutes))


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
