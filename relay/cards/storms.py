"""Decide about storms: whether a new card may be posted in its channel, whom the storm card pings, when it is over.

More than `over` new cards in a channel within `within` are a storm. From then on:

    a new card                              waits, and is a line in the thread of the storm card
    ... of a critical incident whose        is posted, as long as the reserve lasts: a third of `over`, which only
        group has no card yet               such cards may use
    a card that waits                       stays a line until its incident changes or ends
    ... of a critical incident, or of       is posted when the channel takes new cards again, worst first
        one that has changed since

The thread pings the people of the waiting incidents. Nobody is pinged there twice, except for a worse state or for the
first critical incident of another group. There is at most one ping every `PING_EVERY` seconds.

Only the database says what was posted when (`ChannelStorm`), so it is the same after a restart.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf

from relay.cards.bulletins import Bulletin, BulletinChange, BulletinKind, BulletinLine, new_bulletin
from relay.model.incident import Incident, State, worst_of
from relay.model.json_types import JSON
from relay.model.struct import replace
from relay.routes.options import Options
from relay.routes.storm import Storm

PING_EVERY = 600.0
"""Seconds after which a storm may ping the same target again."""

GATHER_PINGS = 5.0
"""Seconds for which a ping waits for others, so that one message serves all."""

MOST_GROUPS = 100
"""The most groups for whose critical incidents relay remembers that it has pinged a target."""

LONGEST_GROUP = 80
"""Characters of a group's name; a longer one is cut."""

KEY = "storm"
"""The key of a storm card: a channel has one storm at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelStorm:
    """What the database knows about storms in the channel of a card, or about the storm there; moments in Unix seconds.

    `rules` say what a storm is. `posted` are the moments of the newest first posts that count, the oldest first, as
    many as matter. `bulletin` is the newest storm card, `named_in` the one that names the card's incident. `group` is
    the incident's group, `group_posted_at` when a card of it was posted last, if that was lately. `others_wait`: cards
    that will be posted as soon as the channel takes new ones wait there.
    """

    rules: Storm
    posted: tuple[float, ...] = ()
    bulletin: Bulletin | None = None
    named_in: Bulletin | None = None
    group: str = ""
    group_posted_at: float | None = None
    others_wait: bool = False

    def free_at(self, now: float, *, critical: bool) -> float:
        """When the channel takes one more new card: not after `now` if it does so already."""
        room = allowance(self.rules, reserve=critical and self._is_new_group(now))
        recent = [moment for moment in self.posted if moment > now - self.rules.within]
        return recent[-room] + self.rules.within if len(recent) >= room else -inf

    def since(self, now: float) -> float:
        """When the storm began: with the first of the new cards that made it one; also one that is opened again."""
        if self.card_at(now) is not None and self.bulletin is not None and "since" in self.bulletin.data:
            return float(self.bulletin.data["since"])
        return next((moment for moment in self.posted if moment > now - self.rules.within), now)

    def card_at(self, now: float) -> Bulletin | None:
        """The storm card that is open, or that a new storm opens again."""
        bulletin = self.bulletin
        if bulletin is None or bulletin.closed_at is None:
            return bulletin
        return bulletin if now - bulletin.closed_at <= bulletin.row.reopens_within else None

    @property
    def is_open(self) -> bool:
        """Whether there is a storm now."""
        return self.bulletin is not None and self.bulletin.closed_at is None

    def _is_new_group(self, now: float) -> bool:
        """Whether no card of the group was posted since the storm began, or lately."""
        since = self.since(now) if self.is_open else now - self.rules.within
        return self.group_posted_at is None or self.group_posted_at < since


def allowance(rules: Storm, *, reserve: bool = False) -> int:
    """How many new cards a channel takes within `within`; with the reserve, a third more."""
    return rules.over + (-(-rules.over // 3) if reserve else 0)


def group_of(incident: Incident, by: str, show_tags: Iterable[str]) -> str:
    """The group of an incident: the value of the tag `by`, or of the first of `show_tags` that it has.

    The first of several values counts. It is empty if there is none.
    """
    tags = (incident.tag(name) for name in ([by] if by else show_tags))
    values = (value.strip() for tag in tags if tag is not None for value in tag.values[:1])
    return next(filter(None, values), "")[:LONGEST_GROUP]


# -- Pings -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StormPing:
    """The pings of a target, sent or due: the worst state, the groups with a critical incident, and the time.

    `at` is when the storm pinged it last (0: only cards did), or since when it is to be pinged (Unix seconds).
    """

    state: State
    groups: tuple[str, ...] = ()
    at: float

    @classmethod
    def of(cls, state: State, group: str, at: float) -> "StormPing":
        """The ping for one incident."""
        return cls(state=state, groups=(group,) if state is State.CRITICAL else (), at=at)

    def covers(self, other: "StormPing") -> bool:
        """Whether who was pinged for this need not be pinged for the other."""
        known = len(self.groups) >= MOST_GROUPS or not set(other.groups).difference(self.groups)
        return self.state.rank >= other.state.rank and known

    def with_more(self, other: "StormPing", at: float) -> "StormPing":
        """What both are for."""
        groups = tuple(dict.fromkeys((*self.groups, *other.groups)))[:MOST_GROUPS]
        return StormPing(state=worst_of(self.state, other.state), groups=groups, at=at)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormPings:
    """The targets that a storm or its cards have pinged, and those that it still has to ping."""

    sent: Mapping[str, StormPing]
    owed: Mapping[str, StormPing]

    @classmethod
    def of(cls, bulletin: Bulletin | None) -> "StormPings":
        """The pings of a storm card; none without one."""
        data = bulletin.data if bulletin is not None else {}
        return cls(sent=_pings(data.get("sent")), owed=_pings(data.get("owed")))

    @property
    def as_json(self) -> dict[str, JSON]:
        """Plain JSON, as a part of the data of a storm card."""
        return {"sent": _as_json(self.sent), "owed": _as_json(self.owed)}

    def is_covered(self, target: str, ping: StormPing) -> bool:
        """Whether the target has been pinged for this."""
        return target in self.sent and self.sent[target].covers(ping)

    def with_owed(self, targets: Iterable[str], ping: StormPing) -> "StormPings":
        """These targets are to be pinged, unless they have been."""
        owed = dict(self.owed)
        for target in targets:
            if not self.is_covered(target, ping):
                owed[target] = owed[target].with_more(ping, owed[target].at) if target in owed else ping
        return replace(self, owed=owed)

    def with_sent(self, targets: Iterable[str], ping: StormPing) -> "StormPings":
        """These targets have been pinged, so that nobody else need ping them for this."""
        sent = dict(self.sent)
        for target in targets:
            sent[target] = sent[target].with_more(ping, max(ping.at, sent[target].at)) if target in sent else ping
        after = replace(self, sent=sent)
        return replace(after, owed={key: owed for key, owed in self.owed.items() if not after.is_covered(key, owed)})

    def due_at(self) -> float:
        """When the next target may be pinged; infinity if nobody is to be."""
        return min(map(self._due_at, self.owed), default=inf)

    def send(self, now: float) -> tuple["StormPings", tuple[str, ...]]:
        """Ping whom may be pinged now; return also who that is."""
        after, targets = self, tuple(target for target in self.owed if self._due_at(target) <= now)
        for target in targets:
            after = after.with_sent([target], replace(self.owed[target], at=now))
        return after, targets

    def _due_at(self, target: str) -> float:
        waited = self.owed[target].at + GATHER_PINGS
        return max(waited, self.sent[target].at + PING_EVERY) if target in self.sent else waited


def _pings(stored: Mapping[str, JSON] | None) -> dict[str, StormPing]:
    return {
        target: StormPing(state=State(each["state"]), groups=tuple(each["groups"]), at=each["at"])
        for target, each in (stored or {}).items()
    }


def _as_json(pings: Mapping[str, StormPing]) -> dict[str, JSON]:
    return {
        target: {"state": str(each.state), "groups": list(each.groups), "at": each.at} for target, each in pings.items()
    }


# -- What follows ------------------------------------------------------------------------------------------------------


def held_in_storm(  # noqa: PLR0913  each has a name
    storm: ChannelStorm,
    channel: str,
    line: BulletinLine,
    targets: Iterable[str],
    now: float,
    *,
    options: Options,
    is_new: bool = True,
) -> BulletinChange:
    """The storm holds a card: the storm card names its incident with that line, and is to ping `targets`.

    One that is not new was held already, and its incident has changed.
    """
    ping = StormPing.of(line.state, storm.group, now)
    pings = StormPings.of(storm.card_at(now)).with_owed(targets, ping)
    since = storm.since(now)
    data = {"reason": KEY, "since": since, **_rules(storm.rules), **pings.as_json}
    if is_new or not storm.is_open:
        # `lasting` is how long it took until the newest incident was named, in seconds.
        data |= {"held_at": now, "lasting": now - since}
    return _change(channel, data, now, options=options, lines=(replace(line, storm_group=storm.group),))


def _rules(rules: Storm) -> dict[str, JSON]:
    return {"over": rules.over, "within": rules.within}


def posted_in_storm(
    storm: ChannelStorm, channel: str, incident: Incident, targets: Iterable[str], now: float
) -> BulletinChange | None:
    """A card that pings these targets may be posted: the storm does not ping them again for it."""
    if not storm.is_open or not targets:
        return None
    before = StormPings.of(storm.bulletin)
    pings = before.with_sent(targets, StormPing.of(incident.state, storm.group, at=0.0))
    return _change(channel, pings.as_json, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenStorm:
    """A storm as it is looked at from time to time; moments in Unix seconds.

    `candidates` are the cards that are to be posted when the channel takes new ones again, the worst first; `releasing`
    is the number of those that may be posted already, and are not yet. `open_lines` counts the incidents that wait, by
    state.
    """

    storm: ChannelStorm
    bulletin: Bulletin
    candidates: tuple[int, ...] = ()
    releasing: int = 0
    open_lines: Mapping[State, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StormTurn:
    """What follows for a storm: the cards that may be posted now, the change of its storm card, whom that pings.

    `is_over` says that it is over. It is looked at again at `look_at` (Unix seconds).
    """

    channel: str
    release: tuple[int, ...] = ()
    change: BulletinChange | None = None
    targets: tuple[str, ...] = ()
    is_over: bool = False
    look_at: float = inf


def next_turn(current: OpenStorm, now: float) -> StormTurn:
    """What follows for an open storm at that moment."""
    storm, bulletin, rules = current.storm, current.bulletin, current.storm.rules
    recent = [moment for moment in storm.posted if moment > now - rules.within] if rules else []
    room = max(0, rules.over - len(recent) - current.releasing) if rules else len(current.candidates)
    release = current.candidates[:room]
    waits = len(current.candidates) > len(release) or bool(release) or current.releasing > 0
    pings, targets = StormPings.of(bulletin).send(now)
    calm_at = max(float(bulletin.data.get("held_at", bulletin.opened_at)) + rules.within, _slow_at(rules, recent))
    is_over = not waits and not pings.owed and not targets and calm_at <= now
    lines = (_ping_line(targets, current.open_lines, now),) if targets else ()
    change = _change(bulletin.channel, pings.as_json if targets else {}, now, lines=lines, closes=is_over)
    moments = [pings.due_at()]
    if not waits:
        moments.append(calm_at)
    elif len(current.candidates) > len(release) and recent:
        moments.append(recent[0] + rules.within)
    return StormTurn(
        channel=bulletin.channel,
        release=release,
        change=change if targets or is_over else None,
        targets=targets,
        is_over=is_over,
        look_at=min(moments),
    )


def _slow_at(rules: Storm, recent: list[float]) -> float:
    """When fewer than half of `over` new cards were posted within `within`, if there are no more."""
    fewest = -(-rules.over // 2)
    return recent[-fewest] + rules.within if fewest and len(recent) >= fewest else -inf


def _ping_line(targets: tuple[str, ...], open_lines: Mapping[State, int], now: float) -> BulletinLine:
    data = {"targets": list(targets), "open": sum(open_lines.values()), "critical": open_lines.get(State.CRITICAL, 0)}
    worst = worst_of(State.UNKNOWN, *open_lines)
    return BulletinLine(key=f"ping:{now:.3f}", at=now, incident="", episode=1, state=worst, data=data)


def _change(  # noqa: PLR0913  each has a name
    channel: str,
    data: Mapping[str, JSON],
    now: float,
    *,
    options: Options | None = None,
    lines: tuple[BulletinLine, ...] = (),
    closes: bool = False,
) -> BulletinChange:
    bulletin = new_bulletin(BulletinKind.STORM, channel, KEY, now, data, options=options)
    return BulletinChange(bulletin=bulletin, at=now, lines=lines, closes=closes)
