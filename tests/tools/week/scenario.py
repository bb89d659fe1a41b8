"""The rules, incidents and mutes of a simulated time, made from a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0

HOURS_TEXT = """\
hours:
  night: {from: "22:00", to: "07:00"}
  early: {from: "02:30", to: "05:00"}
  weekend: {days: [sat, sun]}
  office: {days: [mon-fri], from: "09:00", to: "18:00", except: [holidays]}
  holidays: {dates: [DATE]}
  desk: {zone: America/New_York, days: [mon-fri], from: "08:00", to: "20:00"}
  silent: [night, weekend]
"""


@dataclass(frozen=True, kw_only=True)
class Silent:
    """The value of `quiet` or `hold`."""

    during: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    unless: str = "critical"

    def text(self) -> str:
        return (
            f"{{during: [{', '.join(self.during)}], outside: [{', '.join(self.outside)}], unless: {self.unless}}}"
            if self.outside
            else f"{{during: [{', '.join(self.during)}], unless: {self.unless}}}"
        )


@dataclass(frozen=True, kw_only=True)
class Remind:
    """The value of `remind`; times in seconds."""

    after: float
    every: float
    times: int
    state: str = "critical"

    def text(self) -> str:
        return f"{{after: {self.after:.0f}s, every: {self.every:.0f}s, times: {self.times}, state: {self.state}}}"


@dataclass(frozen=True, kw_only=True)
class Post:
    """One channel of a route."""

    channel: str
    mention: dict[str, tuple[str, ...]] = field(default_factory=dict)
    quiet: Silent | None = None
    hold: Silent | None = None
    wait: float = 0.0
    remind: Remind | None = None


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route: it matches the incidents of a team, or those of the first tier."""

    name: str
    tag: tuple[str, str]
    posts: tuple[Post, ...]
    continues: bool = False
    shadow: bool = False
    storm: bool = True


@dataclass(frozen=True, kw_only=True)
class StormRule:
    """The storm rule of a channel; `over` of 0: nothing is."""

    over: int
    within: float
    by: str = "service"


@dataclass(frozen=True, kw_only=True)
class DailySummary:
    """A summary in a channel at a time of the day, in the zone of the file."""

    title: str
    channel: str
    at: tuple[int, int]
    weekdays_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a routes.yaml."""

    zone: str
    holiday: str
    routes: tuple[Route, ...]
    storm: StormRule
    channel_storms: dict[str, StormRule]
    summaries: tuple[DailySummary, ...]

    def text(self) -> str:
        """The same as routes.yaml."""
        lines = [
            "version: 1",
            f"zone: {self.zone}",
            HOURS_TEXT.replace("DATE", self.holiday),
            f"storm: {_storm(self.storm)}",
            "channels:",
            *(f"  {name.lower()}: {{id: {name}, storm: {_storm(each)}}}" for name, each in self.channel_storms.items()),
            "summaries:",
            *(
                f'  - {{title: {each.title}, channel: {each.channel}, at: "{each.at[0]:02}:{each.at[1]:02}"'
                f"{', days: [mon-fri]' if each.weekdays_only else ''}}}"
                for each in self.summaries
            ),
            "routes:",
        ]
        for route in self.routes:
            lines += [
                f"  - name: {route.name}",
                f"    match: {{tags: {{{route.tag[0]}: {route.tag[1]}}}}}",
                *(["    continue: true"] if route.continues else []),
                *(["    shadow: true"] if route.shadow else []),
                *([] if route.storm else ["    storm: off"]),
                "    post:",
                *(f"      - {_post(post)}" for post in route.posts),
            ]
        return "\n".join(lines) + "\n"


def _storm(rule: StormRule) -> str:
    return f"{{over: {rule.over}, within: {rule.within:.0f}s, by: {rule.by}}}" if rule.over else "off"


def _post(post: Post) -> str:
    mention = ", ".join(f"{key}: [{', '.join(targets)}]" for key, targets in post.mention.items())
    parts = [f"channel: {post.channel}", f"mention: {{{mention}}}"]
    parts += [f"quiet: {post.quiet.text()}"] if post.quiet else []
    parts += [f"hold: {post.hold.text()}"] if post.hold else []
    parts += [f"wait: {post.wait:.0f}s"] if post.wait else []
    parts += [f"remind: {post.remind.text()}"] if post.remind else []
    return f"{{{', '.join(parts)}}}"


@dataclass(frozen=True, kw_only=True)
class Update:
    """The content of a share: at `at` (Unix seconds) the incident has a state and an owner, and is snoozed until a
    moment."""

    at: float
    state: str
    owner: str = ""
    wakes: float = 0.0
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Story:
    """An incident and its shares."""

    id: str
    tags: dict[str, str]
    updates: tuple[Update, ...]

    def bodies(self) -> Iterator[tuple[float, dict[str, object]]]:
        """The shares: when each arrives, and its body."""
        for update in self.updates:
            resolved = update.state == "resolved"
            incident = {
                "id": self.id,
                "status": "Ok" if resolved else update.state.capitalize(),
                "severity": update.state.capitalize(),
                "active": not resolved,
                "resolved": resolved,
                "startedOn": int(self.updates[0].at),
                "changedOn": int(update.at),
                "endedOn": int(update.at) if resolved else None,
                "snooze": {"snoozed": bool(update.wakes), "wake": update.wakes or None},
            }
            metadata: dict[str, object] = {
                "assignee": {"userId": update.owner, "name": update.owner} if update.owner else None
            }
            if update.comment:
                metadata["comment"] = {"comment": update.comment}
            tags = [{"id": name, "value": value} for name, value in self.tags.items()]
            yield update.at, {"incident": incident, "incidentTags": tags, "metadata": metadata}


@dataclass(frozen=True, kw_only=True)
class MuteStory:
    """A mute of the incidents with this tag, or of one incident; those at or above the state `unless` are not muted."""

    start: float
    end: float
    tag: tuple[str, str] = ("", "")
    incident: str = ""
    unless: str = ""
    routes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A time from `start` to `end` (Unix seconds): what was known of it, and the rules."""

    start: float
    end: float
    rules: Rules
    stories: tuple[Story, ...]
    mutes: tuple[MuteStory, ...]


# --- the rules ---


def _profiles(name: str) -> Sequence[Route]:
    """The routes of a team, one kind after the other."""
    channel, crew, lead, tag = f"C0{name}001".upper(), f"S0{name}CREW".upper(), f"S0{name}LEAD".upper(), ("team", name)
    people = {"warning": (crew,), "critical": (crew, lead)}
    remind = Remind(after=20 * MINUTE, every=45 * MINUTE, times=3)
    night, outside = Silent(during=("night",)), Silent(outside=("office",), unless="never")

    def route(*posts: Post, shadow: bool = False, storm: bool = True) -> Route:
        return Route(name=f"{name}-team", tag=tag, posts=posts, shadow=shadow, storm=storm)

    return (
        route(Post(channel=channel, mention=people)),
        route(Post(channel=channel, mention=people, quiet=night, remind=remind)),
        route(Post(channel=channel, mention={"any": (crew,), "critical": (lead,)}, quiet=outside)),
        route(Post(channel=channel, mention=people, hold=Silent(during=("silent",)))),
        route(
            Post(
                channel=channel,
                mention=people,
                hold=Silent(during=("night",), unless="never"),
                quiet=Silent(during=("early",), outside=("desk",)),
            )
        ),
        route(Post(channel=channel, mention=people), shadow=True),
        route(
            Post(
                channel=channel,
                mention={"any": (crew, "here")},
                wait=5 * MINUTE,
                quiet=Silent(during=("silent",), unless="never"),
            )
        ),
        route(
            Post(channel=channel, mention=people, quiet=night),
            Post(channel="C0SHARED01", mention={"any": (crew, "S0EVERYONE")}, quiet=Silent(during=("weekend",))),
            storm=False,
        ),
        route(
            Post(
                channel=channel,
                mention={"warning": (crew,), "critical": (lead,)},
                quiet=night,
                hold=Silent(during=("early", "holidays")),
            )
        ),
    )


KINDS = len(_profiles("x"))


def rules(teams: int, zone: str, holiday: str) -> Rules:
    """The rules for so many teams, each of one kind after the other."""
    desk = Route(
        name="desk",
        tag=("tier", "first"),
        continues=True,
        posts=(
            Post(
                channel="C0DESK0001",
                mention={"critical": ("S0DESK0001",)},
                quiet=Silent(during=("weekend",), unless="never"),
            ),
            Post(channel="C0SHARED01", mention={"any": ("S0EVERYONE", "S0DESK0001")}, quiet=Silent(during=("night",))),
        ),
    )
    return Rules(
        zone=zone,
        holiday=holiday,
        routes=(desk, *(_profiles(f"t{number:02}x")[number % KINDS] for number in range(teams))),
        storm=StormRule(over=3, within=5 * MINUTE),
        channel_storms={
            "C0DESK0001": StormRule(over=6, within=10 * MINUTE, by="team"),
            "C0SHARED01": StormRule(over=0, within=300),
        },
        summaries=(
            DailySummary(title="Morning", channel="C0DESK0001", at=(9, 0), weekdays_only=True),
            DailySummary(title="Small-hours", channel="C0T01X001", at=(2, 30)),
            DailySummary(title="Held", channel="C0T03X001", at=(3, 0)),
        ),
    )


# --- the incidents ---


def scenario(*, seed: int, start: str, days: int, teams: int, a_day: float, zone: str = "Europe/Berlin") -> Scenario:
    """So many days from `start` (a date, UTC), with about so many incidents `a_day` of each team, and floods."""
    random = Random(seed)
    begins = datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp()
    end = begins + days * DAY
    stories: list[Story] = []
    for team in range(teams):
        for _ in range(max(1, round(days * a_day))):
            stories.append(
                _story(random, f"i{len(stories):05}", f"t{team:02}x", begins + random.random() * days * DAY, end)
            )
    for _ in range(max(2, teams * days // 8)):
        at, team = begins + random.random() * days * DAY, random.randrange(teams)
        stories += [
            _story(random, f"i{len(stories) + each:05}", f"t{team:02}x", at + random.random() * 4 * MINUTE, end)
            for each in range(random.randint(8, 14))
        ]
    mutes = tuple(_mute(random, stories, begins, days, teams) for _ in range(max(3, teams * days // 6)))
    holiday = datetime.fromtimestamp(begins + DAY, UTC).date().isoformat()
    return Scenario(start=begins, end=end, rules=rules(teams, zone, holiday), stories=tuple(stories), mutes=mutes)


def _story(random: Random, name: str, team: str, at: float, end: float) -> Story:
    """An incident: it gets worse and better, somebody takes it, it is resolved, and may come back."""
    at = float(round(at))
    if random.random() < 0.1:
        at -= at % HOUR
    tags = {"team": team, "service": f"{team}-{random.choice('abcd')}"}
    if random.random() < 0.3:
        tags["tier"] = "first"
    state, owner = random.choice(["warning", "warning", "critical", "unknown"]), ""
    wakes = float(round(at + random.choice([HOUR, 4 * HOUR]))) if random.random() < 0.05 else 0.0
    updates = [Update(at=at, state=state, wakes=wakes)]
    for number in range(random.randint(0, 7)):
        at += float(
            round(
                random.choice([3 * MINUTE, 40 * MINUTE, 3 * HOUR, 9 * HOUR, 30 * HOUR]) * (0.7 + random.random() * 0.6)
            )
        )
        if at > end:
            break
        comment = f"note {number}" if random.random() < 0.2 else ""
        kind = random.random()
        if state == "resolved":
            state, owner = random.choice(["warning", "critical"]), ""
        elif kind < 0.3:
            state = "resolved"
        elif kind < 0.5:
            owner = "" if owner else "ann"
        else:
            state = random.choice(["unknown", "acknowledged", "warning", "critical", "critical"])
        updates.append(Update(at=at, state=state, owner=owner, wakes=wakes if wakes > at else 0.0, comment=comment))
    return Story(id=name, tags=tags, updates=tuple(updates))


def _mute(random: Random, stories: Sequence[Story], begins: float, days: int, teams: int) -> MuteStory:
    start = begins + float(round(random.random() * days * DAY))
    length = random.choice([HOUR, 4 * HOUR, 12 * HOUR, 30 * HOUR])
    team = f"t{random.randrange(teams):02}x"
    kind = random.random()
    if kind < 0.2:
        return MuteStory(start=start, end=start + length, incident=random.choice(stories).id)
    if kind < 0.4:
        return MuteStory(start=start, end=start + length, tag=("team", team), routes=(f"{team}-team",))
    tag = ("service", f"{team}-{random.choice('abcd')}") if kind < 0.7 else ("team", team)
    return MuteStory(start=start, end=start + length, tag=tag, unless=random.choice(["", "critical"]))
