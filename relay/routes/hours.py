"""Hours: parts of the week or of the year in the time of a zone, and the options that hold something back in them.

When clocks change, a time of a day is skipped or repeated. A window then runs from the first occurrence of its start to
the last occurrence of its end, and a time that is skipped is the moment of the jump. All comparisons are of Unix
seconds: Python compares two moments in one zone by what the clock shows, so the repeated hour would be one hour.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cached_property, lru_cache
from typing import Final

from relay.model.incident import State
from relay.model.zones import find_zone

Period = tuple[float, float]
"""From a moment to another (Unix seconds), half open."""

MINUTES_OF_DAY: Final = 24 * 60
EVERY_DAY: Final = tuple(range(7))
"""Weekdays, from Monday (0) to Sunday (6)."""
HORIZON: Final = 5
"""How many years ahead the next change is looked for: 29 February comes every fourth year."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A period of every day, of some weekdays (`days`) or of some dates (`dates`: the first and last of each range).

    Both name the day on which the period begins. `start` and `end` are minutes after the midnight of that day; an end
    on the next day is above 1440. If they are missing, it is the whole day, from its first moment to that of the next
    day.
    """

    zone: str
    days: tuple[int, ...] = EVERY_DAY
    dates: tuple[tuple[date, date], ...] | None = None
    start: int | None = None
    end: int | None = None

    @property
    def ends_on_next_day(self) -> bool:
        """Whether a period of it ends on the day after the one on which it begins."""
        return self.end is not None and self.end > MINUTES_OF_DAY

    def periods(self, first: date, last: date) -> Iterator[Period]:
        """The periods that begin on these days, without those that a change of the clock leaves empty."""
        zone = find_zone(self.zone) or UTC
        for day in self._days(first, last):
            begins = moment(day, self.start or 0, zone)
            ends = moment(day + _DAY, 0, zone) if self.end is None else moment(day, self.end, zone, last=True)
            if begins < ends:
                yield begins, ends

    def _days(self, first: date, last: date) -> Iterator[date]:
        if self.dates is None:
            return (day for day in _days(first, last) if day.weekday() in self.days)
        return (day for begin, end in self.dates for day in _days(max(begin, first), min(end, last)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Hours:
    """Some windows and other hours, any of them, without the hours in `minus`. Periods that touch are one.

    It is equal to itself alone: it remembers its periods, and so is the key under which combinations are remembered.
    """

    windows: tuple[Window, ...] = ()
    parts: "tuple[Hours, ...]" = ()
    minus: "tuple[Hours, ...]" = ()

    def is_on(self, at: float) -> bool:
        """Whether a moment (Unix seconds) is in these hours."""
        periods = self.in_year(_year_of(at))
        index = _first_after(periods, at)
        return index < len(periods) and periods[index][0] <= at

    def next_change(self, at: float) -> float | None:
        """The next moment at which they begin or end; None if there is none within `HORIZON` years."""
        was_on, year = self.is_on(at), _year_of(at)
        for each in range(year, year + HORIZON + 1):
            periods = self.in_year(each)
            for period in periods[_first_after(periods, at) :]:
                change = period[was_on]
                if change > at and self.is_on(change) != was_on:
                    return change
        return None

    def between(self, start: float, end: float) -> list[Period]:
        """The periods of these hours in a span of time, cut at its ends."""
        years = range(_year_of(start), _year_of(end) + 1)
        return _union(_cut(each, start, end) for year in years for each in self.in_year(year))

    def in_year(self, year: int) -> Sequence[Period]:
        """The periods in a year of UTC, cut at its ends. They are made once."""
        if year not in self._years:
            start, end = (datetime(each, 1, 1, tzinfo=UTC).timestamp() for each in (year, year + 1))
            days = date(year, 1, 1) - 3 * _DAY, date(year, 12, 31) + 2 * _DAY
            windows = (_cut(each, start, end) for window in self.windows for each in window.periods(*days))
            inside = _union((*windows, *(each for part in self.parts for each in part.in_year(year))))
            outside = _union(each for part in self.minus for each in part.in_year(year))
            self._years[year] = tuple(_difference(inside, outside))
        return self._years[year]

    @cached_property
    def _years(self) -> dict[int, Sequence[Period]]:
        return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentHours:
    """The value of `quiet` and `hold`: during these hours and outside those, by name, something is held back.

    Incidents at or above the state `unless` are not held; None: nothing is excepted.
    """

    during: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    unless: State | None = State.CRITICAL

    def __bool__(self) -> bool:
        """Whether it can hold anything."""
        return bool(self.during or self.outside)

    @property
    def names(self) -> tuple[str, ...]:
        """The hours that it names."""
        return (*self.during, *self.outside)

    def holds(self, state: State, at: float, hours: Mapping[str, Hours]) -> bool:
        """Whether it holds back what is in a state at a moment (Unix seconds)."""
        return self._concerns(state) and self.combined(hours).is_on(at)

    def until(self, state: State, at: float, hours: Mapping[str, Hours]) -> float | None:
        """The moment at which it holds this back no longer; None if it does not now, or without an end."""
        return self.combined(hours).next_change(at) if self.holds(state, at, hours) else None

    def _concerns(self, state: State) -> bool:
        return self.unless is None or state.rank < self.unless.rank

    def combined(self, hours: Mapping[str, Hours]) -> Hours:
        """All these hours as one. Hours that the file no longer defines hold nothing."""
        during = tuple(hours[name] for name in self.during if name in hours)
        outside = tuple(hours[name] for name in self.outside if name in hours)
        return _silence(during, outside if len(outside) == len(self.outside) else ())


@lru_cache(maxsize=1024)
def _silence(during: tuple[Hours, ...], outside: tuple[Hours, ...]) -> Hours:
    complement = Hours(windows=(Window(zone="UTC"),), minus=outside)
    return Hours(parts=(*during, *((complement,) if outside else ())))


def moment(day: date, minutes: int, zone: tzinfo, *, last: bool = False) -> float:
    """The moment (Unix seconds) at which the clock of a zone shows a time of a day, given in minutes after midnight.

    If the time is repeated, the first or the last occurrence; if it is skipped, the moment of the jump.
    """
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)  # noqa: DTZ001  the zone follows
    early, late = (wall.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    if late >= early:
        return late if last else early
    return _jump(late, early, zone)


def _jump(before: float, after: float, zone: tzinfo) -> float:
    """The second of the only jump after `before` and not after `after`."""
    first, end = int(before), int(after)
    offset = _offset(first, zone)
    seconds = range(first + 1, end + 1)
    return float(seconds[bisect_right(seconds, False, key=lambda second: _offset(second, zone) != offset)])  # noqa: FBT003


def _offset(at: float, zone: tzinfo) -> timedelta | None:
    return datetime.fromtimestamp(at, zone).utcoffset()


def _days(first: date, last: date) -> Iterator[date]:
    return (first + index * _DAY for index in range((last - first).days + 1))


def _year_of(at: float) -> int:
    return datetime.fromtimestamp(at, UTC).year


def _first_after(periods: Sequence[Period], at: float) -> int:
    """The index of the first period that ends after a moment."""
    return bisect_right(periods, at, key=lambda period: period[1])


def _cut(period: Period, start: float, end: float) -> Period:
    return max(period[0], start), min(period[1], end)


def _union(periods: Iterable[Period]) -> list[Period]:
    """The same moments as periods in order, of which no two touch."""
    union: list[Period] = []
    for start, end in sorted(each for each in periods if each[0] < each[1]):
        if union and start <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], end)
        else:
            union.append((start, end))
    return union


def _difference(inside: Sequence[Period], outside: Sequence[Period]) -> Iterator[Period]:
    """The moments of `inside` that are not in `outside`; both as `_union` makes them."""
    for start, end in inside:
        for begins, ends in outside[_first_after(outside, start) :]:
            if begins >= end:
                break
            if start < begins:
                yield start, begins
            start = min(ends, end)  # noqa: PLW2901  the rest of this period
        if start < end:
            yield start, end
