"""When a snooze ends: hours from the press, the person's next morning, or a moment that they chose."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.actions.preflight import MORNING_HOUR, next_morning, snoozed_until
from relay.cards.model import Task, TaskKind
from relay.slack.responses import SlackUser
from tests.support.bigpanda_round_trip import ANN, START

ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia", "UTC"]
BERLIN = SlackUser(id="U1", time_zone="Europe/Berlin")


def task(pressed_at: float, **values: str) -> Task:
    return Task(key="k", kind=TaskKind.SNOOZE, incident="i1", created=pressed_at, payload=values)


@given(after=st.floats(min_value=1.5e9, max_value=2.5e9), zone=st.sampled_from(ZONES).map(ZoneInfo))
def test_the_next_morning_is_the_first_nine_o_clock_after_the_press(after, zone):
    morning = datetime.fromtimestamp(next_morning(after, zone), zone)
    assert (morning.hour, morning.minute, morning.second) == (MORNING_HOUR, 0, 0)
    assert after < morning.timestamp()
    day_before = (morning - timedelta(days=1)).replace(hour=MORNING_HOUR)
    assert day_before.timestamp() <= after


@pytest.mark.parametrize(
    ("pressed", "ends"),
    [
        ("2026-11-30 03:12", "2026-11-30 09:00"),  # at night: the same morning
        ("2026-11-30 08:59", "2026-11-30 09:00"),
        ("2026-11-30 09:00", "2026-12-01 09:00"),
        ("2026-11-30 23:59", "2026-12-01 09:00"),
        ("2026-03-29 01:30", "2026-03-29 09:00"),  # the night in which an hour is missing
        ("2026-10-25 01:30", "2026-10-25 09:00"),  # the night in which an hour comes twice
    ],
)
def test_until_the_next_0900_means_today_before_nine_in_the_persons_time_zone(pressed, ends):
    pressed_at, end = (
        datetime.fromisoformat(each).replace(tzinfo=ZoneInfo("Europe/Berlin")).timestamp() for each in (pressed, ends)
    )
    assert snoozed_until(task(pressed_at, until="morning"), BERLIN) == end


def test_an_unknown_time_zone_is_replaced_by_its_offset():
    pressed = datetime(2026, 11, 30, 3, 12, tzinfo=UTC).timestamp()
    somewhere = SlackUser(id="U1", time_zone="Mars/Olympus", utc_offset=7200)
    assert snoozed_until(task(pressed, until="morning"), somewhere) == datetime(2026, 11, 30, 7, tzinfo=UTC).timestamp()


def test_a_chosen_time_overrides_the_choice():
    assert snoozed_until(task(1000.0, until="4h", moment="1700009999"), BERLIN) == 1_700_009_999


async def test_a_chosen_time_reaches_bigpanda_and_the_thread_shows_it_in_the_readers_time_zone(round_trip):
    until = (START + 2 * 86_400) // 60 * 60
    await round_trip.click("snooze")
    await round_trip.submit(moment=str(until))
    await round_trip.advance(5)
    assert [call.arguments["end_time"] for call in round_trip.panda.calls_to("snooze")] == [until]
    assert f"<!date^{until}^" in str(round_trip.slack.channel("db").thread(round_trip.card().ts)[-1].attachments) + str(
        round_trip.slack.channel("db").thread(round_trip.card().ts)[-1].blocks
    )


async def test_a_moment_in_the_past_is_rejected_in_the_modal(round_trip):
    await round_trip.click("snooze")
    await round_trip.submit(moment=str(START - 3600))
    [modal] = round_trip.slack.open_views(ANN)
    assert "has passed" in modal.errors["moment"]
    await round_trip.submit(moment=str(START + 3600))
    await round_trip.advance(5)
    assert "snoozed until" in round_trip.card_text()


async def test_a_time_that_passes_while_bigpanda_is_down_snoozes_nothing_and_the_person_gets_a_message(round_trip):
    round_trip.panda.pause("snooze", 300)
    await round_trip.click("snooze")
    await round_trip.submit(moment=str(START + 120))
    await round_trip.advance(600)
    assert "time has passed" in round_trip.ephemeral_messages()[-1]
    [told] = round_trip.slack.direct_messages(ANN)
    assert "Not snoozed: the chosen time has passed." in told.text


async def test_the_end_of_a_snooze_shows_at_once_with_the_persons_name(round_trip):
    await round_trip.click("snooze")
    await round_trip.submit(until="4h")
    await round_trip.advance(60)
    assert "[⋯ End snooze, Why?]" in round_trip.card_text()
    await round_trip.click("end_snooze")
    await round_trip.advance(5)
    assert "snoozed" not in round_trip.card_text()
    assert "Snooze ended by Ann Lee" in round_trip.thread()[-1].replace("*", "")
    assert round_trip.ephemeral_messages() == []


async def test_a_snooze_that_has_ended_meanwhile_cannot_be_ended(round_trip):
    await round_trip.click("snooze")
    await round_trip.submit(until="1h")
    await round_trip.advance(60)
    card = round_trip.card()
    round_trip.panda.incident("i1").snooze(None)
    await round_trip.panda.send_share("i1")
    await round_trip.settle()
    before = [each for each in card.versions if "relay_end_snooze" in str(each.attachments)][-1]
    card.versions.append(before)  # the person's screen is old
    await round_trip.click("end_snooze")
    assert "the incident is not snoozed" in round_trip.ephemeral_messages()[-1]
    assert round_trip.panda.calls_to("end_snooze") == []
    assert round_trip.slack.direct_messages(ANN) == []
