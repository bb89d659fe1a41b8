"""Days around both changes of the clocks, through a configuration that uses everything."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from tests.tools.week.compare import of_reading, reported
from tests.tools.week.reading import Clock, Reading
from tests.tools.week.scenario import KINDS, scenario

SMALL = {
    "autumn": scenario(seed=1, start="2026-10-24", days=2, teams=KINDS, a_day=2),
    "spring": scenario(seed=7, start="2026-03-28", days=2, teams=KINDS, a_day=2),
}
"""Two days with a night in which the clocks of Berlin change; one team of each kind."""


@pytest.fixture(scope="module", params=SMALL)
def reading(request):
    return Reading(SMALL[request.param])


async def test_the_backtest_reports_the_same_as_a_slow_reference_implementation(reading, tmp_path):
    assert await reported(reading.scenario, f"sqlite:///{tmp_path}/relay.db") == of_reading(reading)


def test_the_simulated_days_contain_every_kind_of_event(reading):
    """Without this, the comparison would show nothing."""
    held, pings = Counter(), Counter()
    for _, _, reminders, cards, targets in reading.routes.values():
        held.update(cards)
        held["reminders"] += reminders
        pings.update(targets)
    assert min(held["hold"], held["mute"], pings["hold"], pings["mute"], pings["quiet"], pings["snoozed"]) > 0
    assert held["reminders"] > 0
    assert reading.storms
    assert reading.summaries
    assert len(reading.catch_ups) > 3
    assert not any(card.channel == "C0T05X001" for card in reading.cards), "the route of this team is in shadow"
    assert {len(card.posts) for card in reading.cards} == {1, 2}, "some cards are pinged by two routes"


SOAK = [
    pytest.param({"seed": seed, "start": start, "days": 14, "teams": 40, "a_day": 1}, id=start)
    for seed, start in ((1, "2026-10-19"), (2, "2027-03-22"))
]


@pytest.mark.soak
@pytest.mark.parametrize("size", SOAK)
async def test_two_weeks_of_forty_teams_equal_the_reference_implementation(size, tmp_path):
    reading = Reading(scenario(**size))
    assert await reported(reading.scenario, f"sqlite:///{tmp_path}/relay.db") == of_reading(reading)


@pytest.mark.parametrize(
    ("day", "begin", "end", "first", "last"),
    [
        ("2026-03-28", "22:00", "07:00", "2026-03-28T21:00Z", "2026-03-29T05:00Z"),
        ("2026-10-24", "22:00", "07:00", "2026-10-24T20:00Z", "2026-10-25T06:00Z"),
        ("2026-03-29", "02:30", "05:00", "2026-03-29T01:00Z", "2026-03-29T03:00Z"),
        ("2026-03-29", "01:00", "02:30", "2026-03-29T00:00Z", "2026-03-29T01:00Z"),
        ("2026-10-24", "22:00", "02:30", "2026-10-24T20:00Z", "2026-10-25T01:30Z"),
        ("2026-10-25", "02:30", "07:00", "2026-10-25T00:30Z", "2026-10-25T06:00Z"),
        ("2026-10-25", "02:15", "02:45", "2026-10-25T00:15Z", "2026-10-25T01:45Z"),
    ],
)
def test_the_reference_handles_windows_in_the_nights_of_a_clock_change(day, begin, end, first, last):
    start = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
    minutes = Clock("Europe/Berlin", start - 3 * 86_400, start + 4 * 86_400).window(date.fromisoformat(day), begin, end)
    found = [datetime.fromtimestamp(each * 60, UTC) for each in (minutes.start, minutes.stop)]
    assert found == [datetime.fromisoformat(first), datetime.fromisoformat(last)]
