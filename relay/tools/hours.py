"""`relay explain --hours`: the week of all hours in routes.yaml, in plain words and moment by moment."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import Any, Final

from rich.text import Text

from relay.cards.summaries import next_slot, times_text
from relay.model.zones import find_zone, tzdata_version
from relay.routes.hour_types import clock, days_text
from relay.routes.hours import EVERY_DAY, Hours, Period, Window, moment
from relay.routes.options import HOURS_OPTIONS, Options
from relay.routes.rulebook import Rulebook
from relay.routes.summary import Summary

_DAY: Final = timedelta(days=1)
_WEEK: Final = 7
_AROUND: Final = 7 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedHours:
    """Hours and their periods in the week; `users` are what names them."""

    name: str
    definition: str
    is_on: bool
    next_change: float | None
    periods: Sequence[Period]
    users: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NextSummary:
    """A summary, its times in words, and its next slot (Unix seconds); None if it has none within a year."""

    title: str
    channel: str
    times: str
    slot: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """Seven days from the one of the moment `at` (Unix seconds), in one zone; `start` and `end` are their midnights."""

    at: float
    zone: str
    start: float
    end: float
    hours: Sequence[NamedHours]
    summaries: Sequence[NextSummary] = ()

    @property
    def clock_changes(self) -> Iterator[tuple[float, timedelta]]:
        """The moments in the week at which clocks change, to the hour, each with how far they are moved forward."""
        zone = find_zone(self.zone)
        moments = range(int(self.start), int(self.end), 900)
        offsets = [(each, datetime.fromtimestamp(each, zone).utcoffset() or timedelta()) for each in moments]
        for (_, before), (at, after) in pairwise(offsets):
            if before != after:
                yield float(at), after - before


def week(rulebook: Rulebook, at: float) -> Week:
    """The week of every hours of the rulebook, from the day of a moment, in the zone of the file."""
    zone = rulebook.zone or next((window.zone for each in rulebook.hours.values() for window in each.windows), "UTC")
    place = find_zone(zone) or UTC
    today = datetime.fromtimestamp(at, place).date()
    start, end = (moment(today + days * _DAY, 0, place) for days in (0, _WEEK))
    hours = [
        NamedHours(
            name=name,
            definition=definition(rulebook, name),
            is_on=each.is_on(at),
            next_change=each.next_change(at),
            periods=_in_week(each, start, end),
            users=tuple(_users(rulebook, name)),
        )
        for name, each in rulebook.hours.items()
    ]
    summaries = [_next_summary(rulebook, each, at) for each in rulebook.summaries]
    return Week(at=at, zone=zone, start=start, end=end, hours=hours, summaries=summaries)


def _next_summary(rulebook: Rulebook, summary: Summary, at: float) -> NextSummary:
    slot, times = next_slot(summary, at, rulebook.hours), times_text(summary)
    return NextSummary(title=summary.title, channel=summary.channel.source, times=times, slot=slot and slot.at)


def _in_week(hours: Hours, start: float, end: float) -> list[Period]:
    """The periods that touch these days, whole if they are not much longer."""
    periods = hours.between(start - _AROUND, end + _AROUND)
    return [each for each in periods if each[0] < end and each[1] > start]


def definition(rulebook: Rulebook, name: str) -> str:
    """What these hours are, in words: `mon-fri 09:00 until 18:00, except holidays`."""
    hours = rulebook.hours[name]
    names = {id(each): other for other, each in rulebook.hours.items()}
    words = [_window(window, rulebook.zone) for window in hours.windows]
    words += [" or ".join(names[id(part)] for part in hours.parts)] if hours.parts else []
    left_out = [names[id(part)] for part in hours.minus]
    return "; ".join(words) + (f", except {' and '.join(left_out)}" if left_out else "")


def _window(window: Window, zone: str) -> str:
    words = []
    if window.dates is not None:
        words.append(", ".join(f"{first}" if first == last else f"{first} to {last}" for first, last in window.dates))
    else:
        words.append("every day" if window.days == EVERY_DAY else days_text(window.days).strip("[]"))
    if window.start is not None and window.end is not None:
        next_day = " the next day" if window.ends_on_next_day else ""
        words.append(f"{clock(window.start)} until {clock(window.end)}{next_day}")
    if window.zone != zone:
        words.append(f"({window.zone})")
    return " ".join(words)


def _users(rulebook: Rulebook, name: str) -> Iterator[str]:
    """What names these hours: `quiet of defaults`, `hold of databases`, `hours silent`."""
    places: list[tuple[str, Sequence[Options]]] = [("defaults", [rulebook.defaults])]
    places += [
        (route.name, [route.options, *(post.options for post in route.posts)]) for route in rulebook.routes.flatten()
    ]
    for option in HOURS_OPTIONS:
        usual = name in getattr(rulebook.defaults, option).names
        for place, options in places:
            named = any(name in getattr(each, option).names for each in options)
            if named and (place == "defaults" or not usual):
                yield f"{option} of {place}"
    hours = rulebook.hours[name]
    for other, each in rulebook.hours.items():
        if any(part is hours for part in (*each.parts, *each.minus)):
            yield f"hours {other}"
    for summary in rulebook.summaries:
        if name in summary.minus:
            yield f"summary {summary.title}"


# --- as JSON ---


def as_json(week: Week) -> dict[str, Any]:
    """Convert to plain JSON; moments have the offset of the zone."""
    zone = find_zone(week.zone)

    def written(at: float | None) -> str | None:
        return None if at is None else datetime.fromtimestamp(at, zone).isoformat()

    return {
        "zone": week.zone,
        "tzdata": tzdata_version(),
        "at": written(week.at),
        "clock_changes": [written(at) for at, _ in week.clock_changes],
        "hours": {
            each.name: {
                "definition": each.definition,
                "on": each.is_on,
                "next_change": written(each.next_change),
                "periods": [{"from": written(start), "to": written(end)} for start, end in each.periods],
                "used_by": list(each.users),
            }
            for each in week.hours
        },
        "summaries": [
            {"title": each.title, "channel": each.channel, "times": each.times, "next": written(each.slot)}
            for each in week.summaries
        ],
    }


# --- as text ---


def on_terminal(week: Week) -> Iterator[Text]:
    """The zone, then each hours with its definition and its periods."""
    zone = find_zone(week.zone) or UTC
    at = datetime.fromtimestamp(week.at, zone)
    yield Text(f"{at:%a %Y-%m-%d %H:%M} in {week.zone} (UTC{_offset(at)}), time zone data {tzdata_version()}")
    for change, forward in week.clock_changes:
        before = datetime.fromtimestamp(change, zone) - forward
        direction = "forward" if forward > timedelta() else "back"
        yield Text(
            f"clocks go {direction} on {before:%a %d %b} from {before:%H:%M} to {before + forward:%H:%M}", "yellow"
        )
    for each in week.hours:
        yield Text()
        yield Text.assemble((each.name, "bold"), f": {each.definition}")
        yield Text(f"  {_now(each, zone)}")
        for start, end in each.periods if each.next_change is not None else ():
            yield Text(f"  {_span(start, end, week, zone)}", style="dim" if end <= week.at else "")
        yield Text(f"  used by {', '.join(each.users) or 'nothing'}")
    if week.summaries:
        yield Text()
    for summary in week.summaries:
        coming = "none within a year" if summary.slot is None else moment_text(summary.slot, zone)
        yield Text.assemble(
            (f"summary {summary.title}", "bold"), f" in {summary.channel}: {summary.times}; next {coming}"
        )


def moment_text(at: float, zone: tzinfo) -> str:
    """A moment in words: `Fri 2026-03-27 22:00`."""
    return f"{datetime.fromtimestamp(at, zone):%a %Y-%m-%d %H:%M}"


def _now(hours: NamedHours, zone: tzinfo) -> str:
    state = "on" if hours.is_on else "off"
    if hours.next_change is None:
        return f"now {state}, without an end"
    return f"now {state}, until {moment_text(hours.next_change, zone)}"


def _span(start: float, end: float, week: Week, zone: tzinfo) -> str:
    begins, ends = (datetime.fromtimestamp(each, zone) for each in (start, end))
    first = "before" if start == week.start - _AROUND else f"{begins:%a %d %b %H:%M}"
    last = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%a %H:%M}"
    return f"{first} to {'later' if end == week.end + _AROUND else last}"


def _offset(at: datetime) -> str:
    return f"{at:%z}"[:3] + ":" + f"{at:%z}"[3:5]
