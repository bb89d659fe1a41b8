"""What a storm setting would have held, given the first posts that a backtest finds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from relay.cards.notices import NO_PING, STAND_IN
from relay.cards.storms import ChannelStorm, allowance, group_of
from relay.model.counting import counted
from relay.model.incident import State
from relay.routes.rulebook import Rulebook
from relay.routes.storm import Storm
from relay.runtime.logging import utc
from relay.tools.simulate import Simulation


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class FirstPost:
    """One new card: when it is due without storms (Unix seconds), where, and what a storm needs to know of it."""

    at: float
    incident: str
    channel: str
    group: str
    critical: bool


@dataclass(slots=True, kw_only=True)
class HeldByStorm:
    """One storm: from the first card that it holds until the last, in Unix seconds, and how many cards it holds.

    `critical` are those of critical incidents, which get their card as soon as the channel allows it.
    """

    channel: str
    began: float
    last: float
    held: int = 0
    critical: int = 0


@dataclass(slots=True)
class _Channel:
    rules: Storm
    posted: list[float] = field(default_factory=list)
    groups: dict[str, float] = field(default_factory=dict)
    waiting: list[FirstPost] = field(default_factory=list)

    def storm(self, group: str) -> ChannelStorm:
        posted = tuple(self.posted[-allowance(self.rules, reserve=True) :])
        return ChannelStorm(rules=self.rules, posted=posted, group=group, group_posted_at=self.groups.get(group))

    def post(self, post: FirstPost, at: float) -> None:
        self.posted.append(at)
        self.groups[post.group] = at

    def release(self, until: float) -> None:
        """Post the waiting cards that the channel allows, up to that moment."""
        while self.waiting:
            free_at = max(self.storm(self.waiting[0].group).free_at(self.posted[-1], critical=True), self.posted[-1])
            if free_at > until:
                return
            self.post(self.waiting.pop(0), free_at)


def first_posts(simulation: Simulation, rulebook: Rulebook) -> Iterator[FirstPost]:
    """The new cards of an incident that count for storms: none that was held before, by hours or by a mute."""
    for card in simulation.cards:
        incident, options = card.first_incident, card.card.options
        if card.first is None or incident is None or not options.storm or card.holds:
            continue
        if {NO_PING, STAND_IN} & {*card.card.notices}:
            continue
        rules = rulebook.storm_in(card.card.channel)
        yield FirstPost(
            at=card.first.at,
            incident=incident.id,
            channel=card.card.channel,
            group=group_of(incident, rules.by, options.show_tags),
            critical=incident.state is State.CRITICAL,
        )


def held_by_storms(posts: Iterable[FirstPost], rulebook: Rulebook) -> list[HeldByStorm]:
    """The storms that these new cards make, in the order in which they begin."""
    channels: dict[str, _Channel] = {}
    storms: defaultdict[str, list[HeldByStorm]] = defaultdict(list)
    for post in sorted(posts):
        here = channels.setdefault(post.channel, _Channel(rulebook.storm_in(post.channel)))
        if not here.rules:
            continue
        here.release(post.at)
        waits = bool(here.waiting) and not post.critical
        if not waits and here.storm(post.group).free_at(post.at, critical=post.critical) <= post.at:
            here.post(post, post.at)
            continue
        known = storms[post.channel]
        if not known or post.at - known[-1].last > here.rules.within:
            known.append(HeldByStorm(channel=post.channel, began=post.at, last=post.at))
        known[-1].last = post.at
        known[-1].held += 1
        if post.critical:
            known[-1].critical += 1
            here.waiting.append(post)
    return sorted((storm for each in storms.values() for storm in each), key=lambda storm: (storm.began, storm.channel))


def storm_lines(storms: Iterable[HeldByStorm], most: int) -> Iterator[str]:
    """What people read about them: a line for each, at most so many."""
    every = list(storms)
    for storm in every[:most]:
        critical = f", {storm.critical} of them critical" if storm.critical else ""
        minutes = max(1, round((storm.last - storm.began) / 60))
        yield f"  {utc(storm.began)}  {storm.channel}: {counted(storm.held, 'card')} held{critical}, in {minutes} min"
    if len(every) > most:
        yield f"  ... and {len(every) - most} more"


def as_json(storms: Iterable[HeldByStorm]) -> list[Mapping[str, Any]]:
    """Plain JSON."""
    return [asdict(storm) for storm in storms]
