"""What relay would have said under a configuration: cards, pings, what held them, catch-ups and summaries.

Each incident is simulated alone, without storms; `relay.tools.storms` adds what these would have held. A message about
several incidents, such as a catch-up, counts once.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any

from relay.cards.summaries import FIRST_SPAN
from relay.model.counting import counted
from relay.model.entry_kinds import EntryKind
from relay.routes.hours import Hours
from relay.routes.summary import Summary
from relay.tools.simulate import SimulatedCard, Simulation


@dataclass(slots=True, kw_only=True)
class RouteSpeech:
    """What the cards of a route in a channel would have done: how many were posted, pinged and reminded.

    `held` counts the cards that were held, `held_pings` the pings, by reason.
    """

    posts: int = 0
    pings: int = 0
    reminders: int = 0
    held: Counter[str] = field(default_factory=Counter)
    held_pings: Counter[str] = field(default_factory=Counter)

    def add(self, other: "RouteSpeech") -> None:
        """Add what other cards would have done."""
        self.posts += other.posts
        self.pings += other.pings
        self.reminders += other.reminders
        self.held += other.held
        self.held_pings += other.held_pings


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedIncident:
    """An incident that a channel names since `since`; `ends` are the moments of its shares, and when it had ended then.

    Moments are Unix seconds; infinity: it was open.
    """

    since: float
    ends: tuple[tuple[float, float], ...]

    def ended(self, at: float) -> float | None:
        """When it had ended, as of that moment; None if the channel did not name it yet."""
        index = bisect_right(self.ends, at, key=lambda each: each[0])
        return self.ends[index - 1][1] if self.since <= at and index else None


@dataclass(slots=True)
class Speech:
    """What would have been said about some or all incidents.

    `routes` has a row for each channel and route. `catch_ups` has for each channel the moments of its catch-ups, and
    whom each of them pings. `named` are the incidents that the channels name; `first` and `last` are the moments
    (Unix seconds) of the first and the last share.
    """

    routes: defaultdict[tuple[str, str], RouteSpeech] = field(default_factory=lambda: defaultdict(RouteSpeech))
    catch_ups: dict[str, dict[float, frozenset[str]]] = field(default_factory=dict)
    named: dict[str, list[NamedIncident]] = field(default_factory=dict)
    first: float = inf
    last: float = -inf

    def add_incident(self, simulation: Simulation, summaries: Iterable[Summary] = ()) -> None:
        """Add what would have been said about an incident, for the channels with these summaries too."""
        summarised = {summary.channel.ref for summary in summaries}
        for card in simulation.cards:
            row = self.routes[card.card.channel, card.card.route]
            row.posts += card.first is not None
            row.pings += sum(len(sent.pings) for sent in (card.first, *card.replies) if sent is not None)
            row.reminders += sum(each.kind is EntryKind.REMINDER for sent in card.replies for each in sent.entries)
            row.held.update(map(str, card.holds))
            row.held_pings.update(str(reason) for _, _, reason in card.pings_held)
            for each in card.catch_ups:
                self._add_catch_up(card.card.channel, each.moment, each.pings)
            if card.card.channel in summarised:
                self._add_named(card, simulation)
        times = [share.share.received for share in simulation.shares]
        self.first, self.last = min([self.first, *times]), max([self.last, *times])

    def add(self, other: "Speech") -> None:
        """Add what would have been said about other incidents."""
        for key, row in other.routes.items():
            self.routes[key].add(row)
        for channel, catch_ups in other.catch_ups.items():
            for moment, pings in catch_ups.items():
                self._add_catch_up(channel, moment, pings)
        for channel, named in other.named.items():
            self.named.setdefault(channel, []).extend(named)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)

    def _add_catch_up(self, channel: str, moment: float, pings: Iterable[str]) -> None:
        here = self.catch_ups.setdefault(channel, {})
        here[moment] = here.get(moment, frozenset()) | {*pings}

    def _add_named(self, card: SimulatedCard, simulation: Simulation) -> None:
        since = min([*([card.first.at] if card.first else []), *card.holds.values()], default=None)
        if since is None:
            return
        states = [(each.share.received, each.plan.incident_state.ended_at) for each in simulation.shares if each.plan]
        ends = tuple((at, inf if ended is None else ended) for at, ended in states)
        self.named.setdefault(card.card.channel, []).append(NamedIncident(since=since, ends=ends))

    def summaries(self, summaries: Iterable[Summary], hours: Mapping[str, Hours]) -> dict[tuple[str, str], list[float]]:
        """The moments of the summaries that would have been posted, by channel and title."""
        posted = {(each.channel.ref, each.title): list(self._posted(each, hours)) for each in summaries}
        return {key: moments for key, moments in posted.items() if moments}

    def _posted(self, summary: Summary, hours: Mapping[str, Hours]) -> Iterator[float]:
        named, last = self.named.get(summary.channel.ref, []), None
        for slot in summary.slots(self.first, self.last, hours):
            since = slot.at - FIRST_SPAN if last is None else last
            ends = (each.ended(slot.at) for each in named)
            if summary.always or any(ended is not None and ended > since for ended in ends):
                last = slot.at
                yield slot.at

    @property
    def total(self) -> RouteSpeech:
        """All routes together."""
        total = RouteSpeech()
        for row in self.routes.values():
            total.add(row)
        return total

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        total, catch_ups = self.total, sum(map(len, self.catch_ups.values()))
        parts = [
            counted(total.posts, "card"),
            counted(total.pings, "ping"),
            *([counted(total.reminders, "reminder")] if total.reminders else []),
            *_held("card", total.held),
            *_held("ping", total.held_pings),
            *([counted(catch_ups, "catch-up")] if catch_ups else []),
        ]
        return ", ".join(parts)

    @property
    def holds_something(self) -> bool:
        """Whether a card or a ping would have been held, or people reminded."""
        total = self.total
        return bool(total.held or total.held_pings or total.reminders)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, in the order of channels and routes."""
        return {
            "routes": [
                {
                    "channel": channel,
                    "route": route,
                    "posts": row.posts,
                    "pings": row.pings,
                    "reminders": row.reminders,
                    "held": dict(sorted(row.held.items())),
                    "held_pings": dict(sorted(row.held_pings.items())),
                }
                for (channel, route), row in sorted(self.routes.items())
            ],
            "catch_ups": [
                {"channel": channel, "moment": moment, "pings": sorted(pings)}
                for channel, catch_ups in sorted(self.catch_ups.items())
                for moment, pings in sorted(catch_ups.items())
            ],
        }


def _held(what: str, counts: Counter[str]) -> Iterator[str]:
    if counts:
        reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(counts.items()))
        yield f"{counted(sum(counts.values()), what)} held ({reasons})"
