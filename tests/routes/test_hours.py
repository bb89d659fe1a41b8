"""Hours: windows in the time of a zone, on the nights when clocks change too, and what is held back in them."""

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from relay.model.incident import State
from relay.model.zones import current_name, find_zone, tzdata_is_old, tzdata_version, zone_names
from relay.routes.hours import Hours, SilentHours
from relay.routes.parser.parse import parse_rulebook
from relay.tools.check.command import check_routes

BERLIN = "Europe/Berlin"
MINUTE, HOUR, DAY = 60, 3600, 86400


def defined(hours: str, zone: str = BERLIN) -> dict[str, Hours]:
    return dict(parse_rulebook(f"version: 1\nzone: {zone}\nhours: {hours}\nroutes: []\n").hours)


def window(written: str, zone: str = BERLIN) -> Hours:
    return defined(f"{{it: {written}}}", zone)["it"]


def utc(text: str) -> float:
    """The moment `2026-03-28 21:00`, in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def begins(hours: Hours, after: str) -> float | None:
    """The next moment after a time in UTC at which these hours begin."""
    at = utc(after)
    change = hours.next_change(at)
    return hours.next_change(change) if change is not None and hours.is_on(at) else change


NIGHTS = [
    (BERLIN, '{from: "22:00", to: "07:00"}', "2026-03-28 12:00", "2026-03-28 21:00", "2026-03-29 05:00"),
    (BERLIN, '{from: "22:00", to: "07:00"}', "2026-10-24 12:00", "2026-10-24 20:00", "2026-10-25 06:00"),
    (BERLIN, "{from: 02:15, to: 02:45}", "2026-03-28 12:00", "2026-03-30 00:15", "2026-03-30 00:45"),
    (BERLIN, "{from: 02:30, to: 05:00}", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-29 03:00"),
    (BERLIN, "{from: 01:00, to: 02:30}", "2026-03-28 12:00", "2026-03-29 00:00", "2026-03-29 01:00"),
    (BERLIN, "{from: 22:00, to: 02:30}", "2026-10-24 12:00", "2026-10-24 20:00", "2026-10-25 01:30"),
    (BERLIN, "{from: 02:30, to: 07:00}", "2026-10-24 12:00", "2026-10-25 00:30", "2026-10-25 06:00"),
    (BERLIN, "{from: 02:15, to: 02:45}", "2026-10-24 12:00", "2026-10-25 00:15", "2026-10-25 01:45"),
    ("Asia/Beirut", "{days: [sun]}", "2026-03-28 12:00", "2026-03-28 22:00", "2026-03-29 21:00"),
    ("Africa/Cairo", "{days: [fri]}", "2026-04-23 12:00", "2026-04-23 22:00", "2026-04-24 21:00"),
    ("America/Santiago", "{days: [sun]}", "2026-09-05 12:00", "2026-09-06 04:00", "2026-09-07 03:00"),
    ("America/Havana", "{days: [sun]}", "2026-03-07 12:00", "2026-03-08 05:00", "2026-03-09 04:00"),
    ("America/Santiago", "{from: 23:00, to: 24:00}", "2026-04-04 12:00", "2026-04-05 02:00", "2026-04-05 04:00"),
    ("Asia/Beirut", "{from: 23:00, to: 24:00}", "2026-10-24 12:00", "2026-10-24 20:00", "2026-10-24 22:00"),
    ("America/Nuuk", "{from: 20:00, to: 24:00}", "2026-03-28 12:00", "2026-03-28 22:00", "2026-03-29 01:00"),
    ("America/Nuuk", "{from: 23:15, to: 23:45}", "2026-03-28 12:00", "2026-03-30 00:15", "2026-03-30 00:45"),
    ("Australia/Lord_Howe", "{from: 01:30, to: 02:00}", "2026-04-04 00:00", "2026-04-04 14:30", "2026-04-04 15:30"),
    ("Australia/Lord_Howe", "{from: 02:10, to: 03:00}", "2026-10-03 00:00", "2026-10-03 15:30", "2026-10-03 16:00"),
    ("Pacific/Chatham", "{from: 03:00, to: 04:00}", "2026-09-26 12:00", "2026-09-26 14:00", "2026-09-26 14:15"),
    ("Antarctica/Troll", "{from: 02:30, to: 04:00}", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-29 02:00"),
    ("Africa/Casablanca", "{from: 22:00, to: 07:00}", "2026-02-14 12:00", "2026-02-14 21:00", "2026-02-15 07:00"),
    ("Africa/Casablanca", "{from: 22:00, to: 07:00}", "2026-03-21 12:00", "2026-03-21 22:00", "2026-03-22 06:00"),
    ("Australia/Sydney", "{from: 22:00, to: 07:00}", "2026-04-04 00:00", "2026-04-04 11:00", "2026-04-04 21:00"),
    ("Australia/Sydney", "{from: 22:00, to: 07:00}", "2026-10-03 00:00", "2026-10-03 12:00", "2026-10-03 20:00"),
    ("Asia/Kolkata", "{from: 22:00, to: 07:00}", "2026-06-01 00:00", "2026-06-01 16:30", "2026-06-02 01:30"),
    ("Asia/Kathmandu", "{from: 22:00, to: 07:00}", "2026-06-01 00:00", "2026-06-01 16:15", "2026-06-02 01:15"),
    ("America/St_Johns", "{from: 22:00, to: 07:00}", "2026-01-01 12:00", "2026-01-02 01:30", "2026-01-02 10:30"),
    (BERLIN, "{dates: [2028-02-29]}", "2026-01-01 00:00", "2028-02-28 23:00", "2028-02-29 23:00"),
    (BERLIN, "{dates: [2026-12-31], from: 22:00, to: 07:00}", "2026-06-01 00:00", "2026-12-31 21:00",
     "2027-01-01 06:00"),
    (BERLIN, "{dates: [2026-12-24..2026-12-26]}", "2026-06-01 00:00", "2026-12-23 23:00", "2026-12-26 23:00"),
    (BERLIN, "{days: [fri-mon]}", "2026-06-03 00:00", "2026-06-04 22:00", "2026-06-08 22:00"),
    ("UTC", "{days: [sat], from: 12:00, to: 24:00}", "2026-06-01 00:00", "2026-06-06 12:00", "2026-06-07 00:00"),
]  # fmt: skip
"""Zone, window, a moment, and when the next period after it begins and ends; all moments in UTC.

The instants of these changes of the clock were read with `zdump -v`.
"""


@pytest.mark.parametrize(("zone", "written", "after", "start", "end"), NIGHTS)
def test_a_window_runs_from_its_first_start_to_its_last_end_and_skips_what_does_not_exist(
    zone, written, after, start, end
):
    hours = window(written, zone)
    assert begins(hours, after) == utc(start)
    assert hours.next_change(utc(start)) == utc(end)
    assert (hours.is_on(utc(start) - 1), hours.is_on(utc(start))) == (False, True)
    assert (hours.is_on(utc(end) - 1), hours.is_on(utc(end))) == (True, False)


def test_two_zones_whose_clocks_change_on_other_days_keep_their_own_time():
    """In these weeks New York is five hours behind Berlin; else six."""
    hours = defined(
        '{here: {from: "14:00", to: "15:00"}, there: {from: "08:00", to: "09:00", zone: America/New_York},'
        " apart: {any: [here], except: [there]}}"
    )
    apart = [
        datetime.fromtimestamp(start, UTC).date()
        for start, _ in hours["apart"].between(utc("2026-01-01"), utc("2026-12-31"))
    ]
    spring = [date(2026, 3, 8) + timedelta(days=each) for each in range(21)]
    autumn = [date(2026, 10, 25) + timedelta(days=each) for each in range(7)]
    assert apart == [*spring, *autumn]


def test_adjacent_hours_are_one_period():
    """Friday night, weekend and Sunday night: one end, on Monday."""
    hours = defined('{night: {from: "22:00", to: "07:00"}, weekend: {days: [sat, sun]}, silent: [night, weekend]}')
    friday = utc("2026-06-05 12:00")
    start = hours["silent"].next_change(friday)
    assert start == utc("2026-06-05 20:00")
    assert hours["silent"].next_change(start) == utc("2026-06-08 05:00")


def test_the_turn_of_the_year_is_not_a_change():
    hours = window('{from: "22:00", to: "07:00"}', "UTC")
    assert hours.next_change(utc("2026-12-31 23:00")) == utc("2027-01-01 07:00")
    assert window("{dates: [2026-12-30..2027-01-02]}", "UTC").next_change(utc("2026-12-31 00:00")) == utc(
        "2027-01-03 00:00"
    )


def test_hours_can_except_others():
    hours = defined(
        '{office: {days: [mon-fri], from: "09:00", to: "18:00", except: [holidays]},'
        " holidays: {dates: [2026-12-24..2026-12-26]},"
        " away: {except: [office]}}"
    )
    assert not hours["office"].is_on(utc("2026-12-24 10:00"))
    assert hours["office"].is_on(utc("2026-12-23 10:00"))
    assert hours["office"].next_change(utc("2026-12-23 18:00")) == utc("2026-12-28 08:00")
    assert hours["away"].is_on(utc("2026-12-24 10:00"))


def test_hours_without_a_change_have_no_next_change():
    assert window("{}").next_change(utc("2026-03-01")) is None
    assert window("{dates: [2020-01-01]}").next_change(utc("2026-03-01")) is None
    assert window("{}").is_on(utc("2026-03-01"))


# --- any window, against a reading of the clock minute by minute ---

CHANGES = [
    (BERLIN, "2026-03-29"), (BERLIN, "2026-10-25"), ("America/New_York", "2026-03-08"), ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"), ("America/Santiago", "2026-04-05"), ("America/Nuuk", "2026-03-29"),
    ("Australia/Lord_Howe", "2026-10-04"), ("Australia/Lord_Howe", "2026-04-05"), ("Antarctica/Troll", "2026-03-29"),
    ("Africa/Casablanca", "2026-02-15"), ("America/Havana", "2025-11-02"), ("Pacific/Chatham", "2026-09-27"),
    (BERLIN, "2028-02-29"), (BERLIN, "2026-12-31"), ("Asia/Kathmandu", "2027-03-01"),
]  # fmt: skip
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIMES = st.sampled_from([*range(0, 24 * 60, 15), *range(24 * 60)])


def clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


@cache
def minutes_around(name: str, day: str) -> list[tuple[float, int, int, bool]]:
    """Every minute of four days: the moment, what the clock shows (weekday and minute), and whether twice."""
    zone = find_zone(name)
    found = []
    for index in range(-2 * 24 * 60, 2 * 24 * 60):
        at = utc(f"{day} 12:00") + index * MINUTE
        wall = datetime.fromtimestamp(at, zone).replace(tzinfo=None)
        twice = wall.replace(tzinfo=zone, fold=0).timestamp() < wall.replace(tzinfo=zone, fold=1).timestamp()
        found.append((at, wall.weekday(), wall.hour * 60 + wall.minute, twice))
    return found


def shows_it(weekday: int, minute: int, start: int, end: int, days: set[int]) -> bool:
    """Whether a clock that shows this is in the window, read as a person reads it."""
    if start < end:
        return weekday in days and start <= minute < end
    return (weekday in days and minute >= start) or ((weekday - 1) % 7 in days and minute < end)


@settings(max_examples=50)
@given(
    change=st.sampled_from(CHANGES),
    start=TIMES,
    end=st.one_of(TIMES, st.just(24 * 60)),
    days=st.sets(st.integers(0, 6), min_size=1),
)
@example(change=CHANGES[0], start=22 * 60, end=7 * 60, days=set(range(7)))
@example(change=CHANGES[1], start=22 * 60, end=150, days=set(range(7)))
def test_outside_a_repeated_hour_a_window_is_on_exactly_at_its_wall_clock_times(change, start, end, days):
    assume(start != end)
    name, day = change
    written = f'{{days: [{", ".join(WEEKDAYS[each] for each in days)}], from: "{clock(start)}", to: "{clock(end)}"}}'
    hours = window(written, name)
    for at, weekday, minute, twice in minutes_around(name, day):
        assert twice or hours.is_on(at) == shows_it(weekday, minute, start, end, days), (weekday, clock(minute))


@pytest.mark.parametrize(("name", "around"), CHANGES)
def test_a_whole_day_is_the_day_of_the_calendar_at_every_minute(name, around):
    days = [window(f"{{days: [{each}]}}", name) for each in WEEKDAYS]
    for at, weekday, _, _ in minutes_around(name, around):
        assert days[weekday].is_on(at)
        assert not days[weekday - 1].is_on(at)


@settings(max_examples=40)
@given(
    first=st.dates(date(2026, 1, 1), date(2028, 12, 31)),
    length=st.integers(0, 40),
    at=st.dates(date(2026, 1, 1), date(2029, 2, 1)),
)
@example(first=date(2028, 2, 28), length=1, at=date(2028, 2, 29))
@example(first=date(2026, 12, 31), length=0, at=date(2027, 1, 1))
def test_a_date_never_leaks_into_another_day(first, length, at):
    last = first + timedelta(days=length)
    hours = window(f"{{dates: [{first}..{last}]}}", "America/New_York")
    zone = find_zone("America/New_York")
    for each in (0, 1, 12 * 60, 24 * 60 - 1):
        moment = datetime(at.year, at.month, at.day, each // 60, each % 60, tzinfo=zone).timestamp()
        assert hours.is_on(moment) == (first <= at <= last)


NAMES = ("a", "b", "c", "d")
BASIC = (
    '{from: "22:00", to: "07:00"}',
    "{days: [sat, sun]}",
    "{dates: [2026-03-28..2026-03-30]}",
    "{from: 02:10, to: 02:50}",
)


@st.composite
def combined(draw) -> str:
    """Four basic windows, and hours made of hours that stand before them."""
    lines = [f"{name}: {written}" for name, written in zip(NAMES, BASIC, strict=True)]
    known = list(NAMES)
    for name in ("e", "f", "g"):
        some = st.lists(st.sampled_from(known), min_size=1, max_size=3)
        lines.append(f"{name}: {{any: [{', '.join(draw(some))}], except: [{', '.join(draw(some))}]}}")
        known.append(name)
    return "{" + ", ".join(lines) + "}"


@settings(max_examples=20)
@given(written=combined(), minute=st.integers(0, 4 * 24 * 60))
def test_changes_of_combined_hours_are_exactly_where_they_begin_or_end(written, minute):
    hours = defined(written)["g"]
    start, end = utc("2026-03-27"), utc("2026-03-31")
    states = [hours.is_on(start + each * MINUTE) for each in range(4 * 24 * 60 + 1)]
    changes = [start + index * MINUTE for index, (one, other) in enumerate(pairwise(states), 1) if one != other]
    at = start + minute * MINUTE
    expected = next((each for each in changes if each > at), None)
    found = hours.next_change(at)
    assert found == expected if expected else (found is None or found > end)
    ends = [*([start] if states[0] else []), *changes, *([end] if states[-2] else [])]
    assert hours.between(start, end) == list(zip(ends[::2], ends[1::2], strict=False))


def test_lists_of_lists_cost_no_more_than_their_names_and_have_a_limit():
    """Two names for each list, as in an alias bomb."""
    lines = ["a0: {days: [sat]}", "b0: {days: [sun]}"]
    for number in range(1, 50):
        lines += [f"{name}{number}: [a{number - 1}, b{number - 1}]" for name in "ab"]
    text = f"version: 1\nzone: UTC\nhours: {{{', '.join(lines)}}}\ndefaults: {{quiet: [a49, b49]}}\nroutes: []\n"
    rulebook, findings = check_routes(text, "routes.yaml", None)
    assert rulebook
    assert rulebook.hours["a49"].is_on(utc("2026-06-06 12:00"))
    assert all(each.warning for each in findings)
    lines = ["a0: {}", *(f"a{number}: [a{number - 1}]" for number in range(1, 300))]
    for order in (lines, lines[::-1]):
        _, findings = check_routes(f"version: 1\nzone: UTC\nhours: {{{', '.join(order)}}}\nroutes: []\n", "r", None)
        assert findings
        assert all("nested more than 50 levels deep" in each.message for each in findings)


# --- what is held back ---

HOURS = defined(
    '{night: {from: "22:00", to: "07:00"}, office: {days: [mon-fri], from: "09:00", to: "18:00"}, always: {}}'
)
WEDNESDAY_3, WEDNESDAY_10, WEDNESDAY_20 = (utc(f"2026-06-03 {hour:02}:00") - 2 * HOUR for hour in (3, 10, 20))


@pytest.mark.parametrize(
    ("silent", "at", "state", "until"),
    [
        (SilentHours(during=("night",)), WEDNESDAY_3, State.WARNING, "2026-06-03 05:00"),
        (SilentHours(during=("night",)), WEDNESDAY_3, State.CRITICAL, None),
        (SilentHours(during=("night",), unless=None), WEDNESDAY_3, State.CRITICAL, "2026-06-03 05:00"),
        (SilentHours(during=("night",), unless=State.WARNING), WEDNESDAY_3, State.WARNING, None),
        (SilentHours(during=("night",), unless=State.WARNING), WEDNESDAY_3, State.ACKNOWLEDGED, "2026-06-03 05:00"),
        (SilentHours(during=("night",)), WEDNESDAY_10, State.WARNING, None),
        (SilentHours(outside=("office",)), WEDNESDAY_20, State.WARNING, "2026-06-04 07:00"),
        (SilentHours(outside=("office",)), WEDNESDAY_10, State.WARNING, None),
        (SilentHours(outside=("office", "night")), WEDNESDAY_3, State.WARNING, None),
        (SilentHours(during=("night",), outside=("office",)), WEDNESDAY_20, State.WARNING, "2026-06-04 07:00"),
        (SilentHours(during=("gone",)), WEDNESDAY_3, State.WARNING, None),
        (SilentHours(outside=("gone",)), WEDNESDAY_3, State.WARNING, None),
        (SilentHours(outside=("office", "gone")), WEDNESDAY_20, State.WARNING, None),
        (SilentHours(during=("night", "gone")), WEDNESDAY_3, State.WARNING, "2026-06-03 05:00"),
        (SilentHours(), WEDNESDAY_3, State.WARNING, None),
    ],
)  # fmt: skip
def test_silent_hours_hold_states_below_unless_until_they_end(silent, at, state, until):
    assert silent.until(state, at, HOURS) == (utc(until) if until else None)
    assert silent.holds(state, at, HOURS) == bool(until)


def test_silent_hours_that_never_end_hold_without_an_end():
    silent = SilentHours(during=("always",))
    assert silent.holds(State.WARNING, WEDNESDAY_3, HOURS)
    assert silent.until(State.WARNING, WEDNESDAY_3, HOURS) is None


# --- zones ---


def test_every_zone_of_the_package_can_be_used():
    for name in zone_names():
        zone = find_zone(name)
        assert zone
        assert datetime.fromtimestamp(0, zone).utcoffset() is not None


@pytest.mark.parametrize(
    "name",
    [
        "localtime",
        "posixrules",
        "Factory",
        "right/Europe/Berlin",
        "posix/Europe/Berlin",
        "europe/berlin",
        "../UTC",
        "/etc/localtime",
        "",
    ],
)
def test_a_zone_that_depends_on_the_machine_is_rejected(name):
    assert find_zone(name) is None


@pytest.mark.parametrize(
    ("name", "current"),
    [
        (BERLIN, BERLIN), ("UTC", "UTC"), ("Etc/UTC", "Etc/UTC"), ("Europe/Oslo", "Europe/Oslo"),
        ("US/Eastern", "America/New_York"), ("CET", "Europe/Brussels"), ("Asia/Calcutta", "Asia/Kolkata"),
        ("GMT", "UTC"), ("Zulu", "UTC"), ("Etc/GMT+2", ""), ("EST5EDT", ""),
    ],
)  # fmt: skip
def test_every_old_zone_name_has_a_current_one(name, current):
    assert current_name(name) == current


def test_the_time_zone_data_is_old_from_the_second_new_year_after_its_release():
    year = int(tzdata_version()[:4])
    assert not tzdata_is_old(utc(f"{year + 1}-12-31"))
    assert tzdata_is_old(utc(f"{year + 2}-01-01"))
