"""A slow reference implementation of the rules: what relay has to post, ping, hold and catch up on, minute by minute.

It is written from the rules in the documents, not from relay's code, and uses none of it. Where clocks change, it looks
at every minute of the year and asks what a clock on the wall shows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from math import ceil, inf
from zoneinfo import ZoneInfo

from tests.tools.week.scenario import MuteStory, Post, Route, Rules, Scenario, Silent, StormRule, Story, Update

MINUTE, HALF_AN_HOUR, DAY = 60, 1800.0, 86_400.0
REOPEN_WITHIN = DAY
SATURDAY = 5
ORDER = ["resolved", "unknown", "acknowledged", "warning", "critical"]
NEVER_IN_A_CATCH_UP = {"here", "channel"}
REASONS = ["hold", "mute", "quiet", "snoozed", "reopened_lately"]
"""In the order of the table in the documents: of two that end together, the later one is named."""


# --- hours ---


class Clock:
    """The local time of a zone in every minute of a period; moments are Unix seconds."""

    def __init__(self, zone: str, start: float, end: float) -> None:
        place = ZoneInfo(zone)
        self.minutes = range(int(start) // MINUTE, int(end) // MINUTE + 1)
        moments = {each: datetime.fromtimestamp(each * MINUTE, UTC) for each in self.minutes}
        self.wall = {each: moment.astimezone(place).replace(tzinfo=None) for each, moment in moments.items()}
        self.shown: defaultdict[datetime, list[int]] = defaultdict(list)
        for minute, wall in self.wall.items():
            self.shown[wall].append(minute)
        self.days = sorted({wall.date() for wall in self.wall.values()})[1:-1]

    def minute_of(self, wall: datetime, *, last: bool = False) -> int:
        """The minute in which the clock shows this: the first, or the last; that of the jump, if it never does."""
        if found := self.shown.get(wall):
            return found[-1 if last else 0]
        return next(each for each in self.minutes if self.wall[each] > wall)

    def day(self, day: date) -> range:
        """The minutes of a day of the calendar."""
        there = [each for each in self.minutes if self.wall[each].date() == day]
        return range(there[0], there[-1] + 1)

    def window(self, day: date, begin: str, end: str) -> range:
        """The minutes of a window that begins on this day."""
        next_day = timedelta(days=end < begin)
        return range(self.minute_of(_at(day, begin)), self.minute_of(_at(day + next_day, end), last=True))


def _at(day: date, text: str) -> datetime:
    hour, minute = text.split(":")
    return datetime(day.year, day.month, day.day, int(hour), int(minute))  # noqa: DTZ001  what a wall shows


def hours_of(rules: Rules, start: float, end: float) -> Mapping[str, set[int]]:
    """The minutes of each of the hours of the scenario."""
    here, desk = Clock(rules.zone, start, end), Clock("America/New_York", start, end)
    holidays = set(here.day(date.fromisoformat(rules.holiday)))

    def windows(clock: Clock, begin: str, until: str, *, week: bool = False) -> set[int]:
        days = [day for day in clock.days[:-1] if not week or day.weekday() < SATURDAY]
        return {minute for day in days for minute in clock.window(day, begin, until)}

    night, weekend = (
        windows(here, "22:00", "07:00"),
        {minute for day in here.days if day.weekday() >= SATURDAY for minute in here.day(day)},
    )
    return {
        "night": night,
        "early": windows(here, "02:30", "05:00"),
        "weekend": weekend,
        "office": windows(here, "09:00", "18:00", week=True) - holidays,
        "holidays": holidays,
        "desk": windows(desk, "08:00", "20:00", week=True),
        "silent": night | weekend,
    }


# --- cards ---


@dataclass
class HeldPing:
    """The ping of a target that waits: since when, for what, and which reasons have held it."""

    since: float
    kind: str
    state: str
    reasons: set[str]
    reason: str = ""
    holding: list[str] = field(default_factory=list)
    only_if_it_pings: bool = False
    reopening: bool = False


def first_ping(now: Update) -> HeldPing:
    """A ping of a first post."""
    return HeldPing(since=now.at, kind="first_post", state=now.state, reasons=set())


@dataclass
class Series:
    """The reminders of a card: the moment from which the next one counts, how long that is, and how many were sent."""

    base: float
    wait: float
    sent: int = 0


@dataclass
class ReadCard:
    """A card: where it stands, and what was said and held."""

    story: Story
    channel: str
    route: Route
    posts: list[tuple[Route, Post]]
    born: float
    posted_at: float | None = None
    state_when_posted: str = ""
    released: bool = False
    over: bool = False
    gone: bool = False
    was: str = ""
    shown: str = ""
    reopening_pinged: float = -inf
    sent: int = 0
    reminders: int = 0
    series: "Series | None" = None
    holds: dict[str, float] = field(default_factory=dict)
    waiting: bool = False
    held: dict[str, HeldPing] = field(default_factory=dict)
    made_up: set[str] = field(default_factory=set)
    done: list[tuple[str, float, str]] = field(default_factory=list)
    quiet: dict[tuple[str, str], set[int]] = field(default_factory=dict)
    muted: dict[str, list[MuteStory]] = field(default_factory=dict)

    @cached_property
    def own(self) -> Post:
        """The post item of the route that governs the card."""
        return next(post for route, post in self.posts if route is self.route)

    def mention(self, state: str) -> list[str]:
        """Whom it pings in a state."""
        return list(dict.fromkeys(each for _, post in self.posts for each in pinged_by(post, state)))


def pinged_by(post: Post, state: str) -> tuple[str, ...]:
    """Whom a post item pings in a state: those of the state, and those that are always added."""
    return (*post.mention.get(state, ()), *post.mention.get("any", ()))


class Reading:
    """The reading of a scenario: `cards`, the `catch_ups` of each channel, and what follows from them."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rules = scenario.rules
        self.hours = hours_of(self.rules, scenario.start - 5 * DAY, scenario.end + 9 * DAY)
        self.every_minute = set(range(int(scenario.start - 6 * DAY) // MINUTE, int(scenario.end + 10 * DAY) // MINUTE))
        self.mutes = {
            story.id: [mute for mute in scenario.mutes if _concerns(mute, story)] for story in scenario.stories
        }
        self.silent: dict[Silent, set[int]] = {}
        self.cards: list[ReadCard] = []
        self.catch_ups: defaultdict[str, dict[float, set[str]]] = defaultdict(dict)
        for story in scenario.stories:
            self._read(story)

    # -- one incident --

    def _read(self, story: Story) -> None:
        cards: list[ReadCard] = []
        now: Update | None = None
        shares = {each.at: each for each in story.updates}
        for at in self._moments(story):
            before, now = now, shares.get(at, now)
            if now is None:
                continue
            for card in cards if before is not None else ():
                self._remind(card, before or now, at)
            if at in shares:
                cards = self._receive(story, cards, before, now)
            for card in cards:
                self._post(card, now, at)
            for card in cards:
                self._catch_up(card, now, at)
                self._remind(card, now, at)
            if at > story.updates[-1].at and not any(self._is_open(card) for card in cards):
                break
        self.cards += cards

    def _receive(self, story: Story, cards: list[ReadCard], before: Update | None, now: Update) -> list[ReadCard]:
        """The cards once a share has arrived: those of a new episode too."""
        if before is None or (
            before.state == "resolved" != now.state and now.at - ended(story, now.at) > REOPEN_WITHIN
        ):
            for card in cards:
                card.over = True
            cards = [*cards, *self._new_cards(story, now.at)]
        for card in cards:
            self._share(card, before, now)
        return cards

    @staticmethod
    def _is_open(card: ReadCard) -> bool:
        """Whether something may still happen by itself."""
        waits = card.posted_at is None or bool(card.held) or card.series is not None
        return not (card.over or card.gone) and waits

    def _moments(self, story: Story) -> Iterator[float]:
        """Every full minute from the first share on, and the moments between at which something may change."""
        first = story.updates[0].at
        special = {each.at for each in story.updates} | {each.wakes for each in story.updates if each.wakes}
        special |= {each + wait for each in special for wait in (5.0 * MINUTE, HALF_AN_HOUR)}
        special |= {moment for mute in self.scenario.mutes for moment in (mute.start, mute.end)}
        ahead = sorted(each for each in special if each >= first)
        minute = float(int(first) // MINUTE * MINUTE + MINUTE)
        while minute < self.scenario.end + 8 * DAY:
            while ahead and ahead[0] < minute:
                yield ahead.pop(0)
            if ahead and ahead[0] == minute:
                ahead.pop(0)
            yield minute
            minute += MINUTE

    def _new_cards(self, story: Story, at: float) -> Iterator[ReadCard]:
        """A card in each channel that a route names which matches; the first that does governs it."""
        matching: list[Route] = []
        for route in self.rules.routes:
            if story.tags.get(route.tag[0]) == route.tag[1] and not route.shadow:
                matching.append(route)
                if not route.continues:
                    break
        channels: dict[str, list[tuple[Route, Post]]] = {}
        for route in matching:
            for post in route.posts:
                channels.setdefault(post.channel, []).append((route, post))
        for channel, posts in channels.items():
            yield ReadCard(story=story, channel=channel, route=posts[0][0], posts=posts, born=at)

    # -- reasons --

    def _on(self, silent: Silent | None, state: str, at: float) -> bool:
        return silent is not None and int(at) // MINUTE in self._minutes_of(silent, state)

    def _minutes_of(self, silent: Silent | None, state: str) -> set[int]:
        """The minutes in which something is silent in a state; they are found once."""
        if silent is None or (silent.unless != "never" and ORDER.index(state) >= ORDER.index(silent.unless)):
            return set()
        if silent not in self.silent:
            self.silent[silent] = self._find_minutes(silent)
        return self.silent[silent]

    def _find_minutes(self, silent: Silent) -> set[int]:
        during = {minute for name in silent.during for minute in self.hours[name]}
        inside = {minute for name in silent.outside for minute in self.hours[name]}
        return during | (self.every_minute - inside if silent.outside else set())

    def _muted(self, card: ReadCard, state: str, at: float) -> bool:
        if state not in card.muted:
            card.muted[state] = [
                mute
                for mute in self.mutes[card.story.id]
                if (not mute.unless or ORDER.index(state) < ORDER.index(mute.unless))
                and (not mute.routes or card.route.name in mute.routes)
            ]
        return any(mute.start <= at < mute.end for mute in card.muted[state])

    def _quiet(self, card: ReadCard, target: str, state: str, at: float) -> bool:
        if (target, state) not in card.quiet:
            card.quiet[target, state] = self._find_quiet(card, target, state)
        return int(at) // MINUTE in card.quiet[target, state]

    def _find_quiet(self, card: ReadCard, target: str, state: str) -> set[int]:
        """The minutes in which a target is quiet: one whom several routes ping, only while all of them are."""
        pinging = [post for _, post in card.posts if target in pinged_by(post, state)]
        pinging = pinging or [
            post for _, post in card.posts if target in {each for some in post.mention.values() for each in some}
        ]
        return set.intersection(*(self._minutes_of(post.quiet, state) for post in pinging))

    def _holding(self, card: ReadCard, ping: HeldPing, target: str, now: Update, at: float) -> list[str]:
        """What holds a ping at a moment."""
        found = []
        if ping.kind == "first_post" and card.posted_at is None and self._on(card.own.hold, ping.state, at):
            found.append("hold")
        if self._muted(card, ping.state, at):
            found.append("mute")
        if self._quiet(card, target, ping.state, at):
            found.append("quiet")
        if at < now.wakes and (ping.kind in {"first_post", "reopened"} or ping.reasons):
            found.append("snoozed")
        if ping.kind == "reopened" and at < card.reopening_pinged + HALF_AN_HOUR:
            found.append("reopened_lately")
        return found

    def _last(self, card: ReadCard, ping: HeldPing, target: str, now: Update, at: float) -> str:
        """The reason that ends last, if nothing else changes: the one that holds in the last minute."""
        return _last_of(lambda moment: self._holding(card, ping, target, now, moment), at, self._changes(card, now))

    def _changes(self, card: ReadCard, now: Update) -> list[float]:
        return [now.wakes, card.reopening_pinged + HALF_AN_HOUR, *(mute.end for mute in self.scenario.mutes)]

    def _holding_post(self, card: ReadCard, state: str, at: float) -> list[str]:
        held = ["hold"] if self._on(card.own.hold, state, at) else []
        return [*held, *(["mute"] if self._muted(card, state, at) else [])]

    # -- what happens --

    def _share(self, card: ReadCard, before: Update | None, now: Update) -> None:
        """A posted card that gets worse, or comes back, pings in its thread."""
        reopened = before is not None and before.state == "resolved" != now.state
        if card.gone and reopened:  # it was not posted, and waits again
            card.gone, card.waiting, card.born = False, False, now.at
        if card.over or card.posted_at is None or before is None:
            return
        rises = now.state != "resolved" and ORDER.index(now.state) > ORDER.index(card.shown)
        if rises or reopened:
            pinged = self._ping(card, "rise" if rises else "reopened", card.mention(now.state), now, reopening=reopened)
            if reopened and pinged:
                card.reopening_pinged = now.at
        if now.state != "resolved" and (rises or reopened):
            card.shown = now.state

    def _ping(self, card: ReadCard, kind: str, targets: Iterable[str], now: Update, *, reopening: bool = False) -> bool:
        """Ping whom nothing holds; the others wait. Return whether somebody was pinged."""
        sent = False
        for target in targets:
            ping = HeldPing(since=now.at, kind=kind, state=now.state, reasons=set(), reopening=reopening)
            if self._holding(card, ping, target, now, now.at):
                self._hold(card, target, ping, now, now.at)
            else:
                card.sent += 1
                sent = True
                self._count_from(card, now.at)
                self._drop(card, target)
        return sent

    def _hold(self, card: ReadCard, target: str, ping: HeldPing, now: Update, at: float) -> None:
        reason = self._last(card, ping, target, now, at)
        known = card.held.get(target)
        if known is not None:
            ping.since, ping.reasons = known.since, known.reasons
        ping.reasons.add(reason)
        ping.reason = reason
        ping.only_if_it_pings = reason in {"snoozed", "reopened_lately"}
        card.held[target] = ping

    def _drop(self, card: ReadCard, target: str) -> None:
        ping = card.held.pop(target, None)
        if ping is not None:
            card.done += [(target, ping.since, reason) for reason in ping.reasons]

    def _post(self, card: ReadCard, now: Update, at: float) -> None:
        """Post a card that waits, unless something holds it."""
        if card.over or card.gone or card.posted_at is not None or at < card.born + card.own.wait:
            return
        moment = Update(at=at, state=now.state, owner=now.owner, wakes=now.wakes)
        if now.state == "resolved":
            card.gone = True
            for target in list(card.held):
                self._drop(card, target)
        elif not self._holding_post(card, now.state, at):
            self._post_now(card, moment)
        elif not card.waiting or card.was != now.state:
            self._hold_post(card, moment)

    def _hold_post(self, card: ReadCard, now: Update) -> None:
        """The card waits, and whom it would ping."""
        reason = _last_of(lambda then: self._holding_post(card, now.state, then), now.at, self._changes(card, now))
        card.holds.setdefault(reason, now.at)
        card.waiting, card.was = True, now.state
        for target in dict.fromkeys((*card.mention(now.state), *card.held)):
            if target not in card.made_up:
                self._hold(card, target, first_ping(now), now, now.at)

    def _post_now(self, card: ReadCard, now: Update) -> None:
        """A card whose hold is over leaves its pings to the catch-up; one that got too bad to be held pings itself."""
        released = card.waiting and not self._holding_post(card, card.was, now.at)
        card.posted_at, card.state_when_posted, card.shown, card.released = now.at, now.state, now.state, card.waiting
        for target in list(card.held):  # the hold of the post is over; what else holds them, and how long?
            if self._holding(card, first_ping(now), target, now, now.at):
                self._hold(card, target, first_ping(now), now, now.at)
        wanted = [*card.mention(now.state), *card.held]
        left = {*card.held, *card.made_up} if released else card.made_up
        self._ping(card, "first_post", [each for each in dict.fromkeys(wanted) if each not in left], now)

    def _catch_up(self, card: ReadCard, now: Update, at: float) -> None:
        """Make up for what nothing holds any more."""
        if card.posted_at is None and not card.waiting:
            return
        free = {
            target: ping for target, ping in card.held.items() if not self._still_holds(card, ping, target, now, at)
        }
        for target in free:
            self._drop(card, target)
        if now.state == "resolved" or card.over or card.gone:
            return
        owned = bool(now.owner) or now.state == "acknowledged"
        needed = set() if owned else set(card.mention(now.state))
        listed = {target for target, ping in free.items() if not ping.only_if_it_pings or target in needed}
        if listed:
            self._make_up(card, free, set() if owned else listed, at)

    def _still_holds(self, card: ReadCard, ping: HeldPing, target: str, now: Update, at: float) -> bool:
        """Whether something holds a ping. Of reasons that follow one another, the last decides about the catch-up."""
        holding = self._holding(card, ping, target, now, at)
        if holding and (card.posted_at or 0) < at and (at == now.at or holding != ping.holding):
            ping.holding = holding
            ping.reason = self._last(card, ping, target, now, at)
            ping.reasons.add(ping.reason)
            ping.only_if_it_pings = ping.reason in {"snoozed", "reopened_lately"}
        return bool(holding)

    def _make_up(self, card: ReadCard, free: Mapping[str, HeldPing], pinged: set[str], at: float) -> None:
        """One message of the channel names the incident, and pings."""
        if pinged and any(ping.reopening for ping in free.values()):
            card.reopening_pinged = at
        if card.posted_at is None:
            card.made_up |= set(free)
        if pinged:
            self._count_from(card, at)
        here = self.catch_ups[card.channel]
        here[at] = here.get(at, set()) | (pinged - NEVER_IN_A_CATCH_UP)

    # -- reminders --

    @staticmethod
    def _count_from(card: ReadCard, at: float) -> None:
        """A ping is a moment from which reminders count."""
        if card.series is not None and card.own.remind is not None:
            card.series.base, card.series.wait = at, card.own.remind.after

    def _remind(self, card: ReadCard, now: Update, at: float) -> None:
        """Remind of an incident that nobody has, up to that moment."""
        rule = card.own.remind
        if rule is None or card.posted_at is None or card.over:
            return
        if now.state in {"resolved", "acknowledged"} or now.owner:
            card.series = None
            return
        if card.series is None:
            card.series = Series(base=max(now.at, card.posted_at), wait=rule.after)
        series = card.series
        due = series.base + series.wait
        if due >= at or series.sent >= rule.times or ORDER.index(now.state) < ORDER.index(rule.state):
            return
        moment = next(
            (each for each in (due, at) if not self._muted(card, now.state, each) and each >= now.wakes), None
        )
        if moment is None or moment < now.at:
            moment = at if moment is not None else None
        if moment is None:
            return
        card.reminders += 1
        card.sent += len(card.mention(now.state))
        series.base, series.wait, series.sent = moment, rule.every, series.sent + 1

    # -- what follows --

    @property
    def routes(self) -> dict[tuple[str, str], tuple[int, int, int, dict[str, int], dict[str, int]]]:
        """Of each channel and route: cards, pings, reminders, held cards by reason, held pings by reason."""
        found: dict[tuple[str, str], list[ReadCard]] = defaultdict(list)
        for card in self.cards:
            found[card.channel, card.route.name].append(card)
        return {
            key: (
                sum(card.posted_at is not None for card in cards),
                sum(card.sent for card in cards),
                sum(card.reminders for card in cards),
                dict(Counter(reason for card in cards for reason in card.holds)),
                dict(Counter(reason for card in cards for _, _, reason in {*card.done, *_waiting(card)})),
            )
            for key, cards in found.items()
        }

    @property
    def storms(self) -> list[tuple[str, float, float, int, int]]:
        """The storms: channel, when the first and the last card is held, how many are, how many of them critical."""
        found: list[tuple[str, float, float, int, int]] = []
        for channel in {card.channel for card in self.cards}:
            new = [card for card in self.cards if card.channel == channel and card.route.storm and not card.released]
            posts = sorted((card.posted_at, card.story.id, card) for card in new if card.posted_at is not None)
            found += self._storms_in(channel, [(at, card) for at, _, card in posts])
        return sorted(found, key=lambda each: (each[1], each[0]))

    def _storms_in(
        self, channel: str, posts: Iterable[tuple[float, ReadCard]]
    ) -> Iterator[tuple[str, float, float, int, int]]:
        rule = self.rules.channel_storms.get(channel, self.rules.storm)
        if not rule.over:
            return
        said: list[tuple[float, str]] = []
        waiting: list[ReadCard] = []
        held: list[tuple[float, bool]] = []
        for at, card in posts:
            while waiting:
                moments = sorted({each + rule.within for each, _ in said if said[-1][0] <= each + rule.within <= at})
                free = next((moment for moment in moments if _has_room(rule, said, waiting[0], moment)), None)
                if free is None:
                    break
                said.append((free, waiting.pop(0).story.tags.get(rule.by, "")))
            critical = card.state_when_posted == "critical"
            if (not waiting or critical) and _has_room(rule, said, card, at):
                said.append((at, card.story.tags.get(rule.by, "")))
                continue
            held.append((at, critical))
            if critical:
                waiting.append(card)
        for together in _runs(held, rule.within):
            yield channel, together[0][0], together[-1][0], len(together), sum(critical for _, critical in together)

    @property
    def summaries(self) -> dict[tuple[str, str], list[float]]:
        """The moments of the summaries: one a day, where something is open or was resolved since the last."""
        first = min(story.updates[0].at for story in self.scenario.stories)
        last = max(story.updates[-1].at for story in self.scenario.stories)
        found: dict[tuple[str, str], list[float]] = {}
        for each in self.rules.summaries:
            clock = Clock(self.rules.zone, first - 2 * DAY, last + 2 * DAY)
            posted: list[float] = []
            for day in clock.days:
                at = clock.minute_of(datetime(day.year, day.month, day.day, *each.at)) * float(MINUTE)  # noqa: DTZ001  a wall
                if not first < at <= last or (each.weekdays_only and day.weekday() >= SATURDAY):
                    continue
                since = posted[-1] if posted else at - DAY
                if any(self._is_said(card, since, at) for card in self.cards if card.channel == each.channel):
                    posted.append(at)
            if posted:
                found[each.channel, each.title] = posted
        return found

    @staticmethod
    def _is_said(card: ReadCard, since: float, at: float) -> bool:
        """Whether a summary names an incident: it is named in the channel, and open, or resolved lately."""
        named = min([*card.holds.values(), inf if card.posted_at is None else card.posted_at], default=inf)
        until_then = [update for update in card.story.updates if update.at <= at]
        if named > at or not until_then:
            return False
        return until_then[-1].state != "resolved" or ended(card.story, at) > since


def ended(story: Story, at: float) -> float:
    """When an incident that is resolved was resolved, as of a share before that moment."""
    open_at = [each.at for each in story.updates if each.at < at and each.state != "resolved"]
    return min(each.at for each in story.updates if each.at > open_at[-1] and each.state == "resolved")


def _has_room(rule: StormRule, said: Iterable[tuple[float, str]], card: ReadCard, at: float) -> bool:
    """Whether the channel takes this card at that moment; a third more for critical ones of a group without a card."""
    lately = [group for each, group in said if at - rule.within < each <= at]
    reserved = card.state_when_posted == "critical" and card.story.tags.get(rule.by, "") not in lately
    return len(lately) < rule.over + (ceil(rule.over / 3) if reserved else 0)


def _runs(held: Iterable[tuple[float, bool]], within: float) -> Iterator[list[tuple[float, bool]]]:
    """What was held with no more than so much time between two."""
    run: list[tuple[float, bool]] = []
    for each in held:
        if run and each[0] - run[-1][0] > within:
            yield run
            run = []
        run.append(each)
    if run:
        yield run


def _waiting(card: ReadCard) -> Iterator[tuple[str, float, str]]:
    for target, ping in card.held.items():
        yield from ((target, ping.since, reason) for reason in ping.reasons)


def _concerns(mute: MuteStory, story: Story) -> bool:
    return mute.incident == story.id if mute.incident else story.tags.get(mute.tag[0]) == mute.tag[1]


def _last_of(holding, at: float, changes: Iterable[float]) -> str:
    """The reason that holds in the last minute, minute by minute; moments between the minutes are looked at, too."""
    between = sorted({each for each in changes if each > at})
    found, moment = holding(at), at
    while True:
        following = float(int(moment) // MINUTE * MINUTE + MINUTE)
        if between and between[0] <= following:
            following = between.pop(0)
        after = holding(following)
        if not after:
            return max(found, key=REASONS.index)
        found, moment = after, following
