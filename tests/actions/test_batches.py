"""Somebody takes the incidents of a storm: what the modal counts, what BigPanda gets, what the thread and they read."""

import asyncio

import pytest

from relay.cards.mutes import Mute
from relay.sandbox.bigpanda.users import FakeBigPandaUser
from tests.support.bigpanda_round_trip import ANN, BOB, NOC, press, run_round_trip

CID = FakeBigPandaUser(id="5506e4fbe7e0e400000000c3", name="Cid", email="cid@example.com")
BOB_THERE = FakeBigPandaUser(id="5506e4fbe7e0e400000000b2", name="Bob", email="bob@example.com")
ROUTES = """
version: 1
fallback: C0NOC00001
storm: {over: 2, within: 5m}
routes:
  - name: guarded
    match: {tags: {team: payments}}
    post: [C0NOC00001]
    actions: [assign]
    actors: [S0ONCALL01]
  - name: databases
    post: [C0NOC00001]
    actions: [assign, comment, snooze, resolve]
"""


@pytest.fixture
async def storm(tmp_path):
    async with run_round_trip(tmp_path, routes=ROUTES) as round_trip:
        round_trip.panda.add_user(CID)
        round_trip.panda.add_user(BOB_THERE)
        yield round_trip


async def flood(storm, number=6, *, guarded=(), warning=()):
    """So many incidents come; the first two get cards, the storm card lists the others."""
    for each in range(number):
        state = {"status": "Warning", "severity": "Warning"} if each in warning else {}
        await storm.start_incident(f"i{each}", team="payments" if each in guarded else "database", **state)
    await storm.advance(40)


def card(storm):
    [found] = [each for each in storm.slack.channel(NOC).messages if "Storm" in storm.slack.text_of(each)[:12]]
    return found


async def press_take(storm, user=ANN, action="take"):
    await press(storm.slack, user, NOC, card(storm), action)
    await storm.settle()
    await storm.advance(1)  # BigPanda looks up two people a second


async def take(storm, user=ANN, action="take"):
    await press_take(storm, user, action)
    await storm.submit(user)
    await storm.advance(90)


def reports(storm):
    """What the thread says of who took incidents."""
    replies = storm.slack.channel(NOC).thread(card(storm).ts)
    return [text for text in map(storm.slack.text_of, replies) if text.startswith("👤")]


def question(storm, user=ANN):
    view = storm.slack.open_views(user)[-1].definition
    return view["title"]["text"], view["blocks"][0]["text"]["text"]


def owners(storm, number=6):
    every = [storm.panda.incident(f"i{each}").assignee for each in range(number)]
    return [each.name if each else "" for each in every]


async def test_taking_the_incidents_of_a_storm_assigns_exactly_those_that_the_modal_counted(storm):
    await flood(storm)
    await press_take(storm)
    title, text = question(storm)
    assert title == "Take 4 incidents"
    assert "4 critical" in text
    await storm.submit(ANN)
    await storm.advance(90)
    assert owners(storm) == ["", "", *["Ann Lee"] * 4]
    assert reports(storm) == ["👤 *Ann Lee* took 4 incidents"]
    assert storm.ephemeral_messages(ANN) == ["4 of 4 incidents assigned to you"]
    assert len([each for each in storm.slack.channel(NOC).messages if each.thread_ts is None]) == 3


async def test_take_the_criticals_assigns_only_critical_incidents(storm):
    await flood(storm, warning={3, 5})
    await press_take(storm, action="take_criticals")
    assert question(storm)[0] == "Take 2 incidents"
    await storm.submit(ANN)
    await storm.advance(90)
    assert owners(storm) == ["", "", "Ann Lee", "", "Ann Lee", ""]


async def test_incidents_whose_actors_exclude_the_person_are_counted_and_not_assigned(storm):
    await flood(storm, guarded={2, 3})
    await press_take(storm)
    title, text = question(storm)
    assert title == "Take 2 incidents"
    assert "2 left out: only <!subteam^S0ONCALL01> may take them" in text
    await take(storm, BOB)
    assert owners(storm) == ["", "", *["Bob"] * 4]


async def test_an_incident_that_was_taken_or_resolved_meanwhile_is_skipped(storm):
    await flood(storm)
    await press_take(storm)
    storm.panda.incident("i3").assign(CID, CID)
    await storm.panda.resolve_incident("i4")
    await storm.submit(ANN)
    await storm.advance(90)
    assert owners(storm) == ["", "", "Ann Lee", "Cid", "", "Ann Lee"]
    assert reports(storm) == ["👤 *Ann Lee* took 2 of 4 incidents: 1 resolved meanwhile, 1 taken by somebody else"]
    assert not storm.slack.open_views(ANN)


async def test_failures_are_named_at_the_end_and_reported_to_the_person(storm):
    await flood(storm)
    await press_take(storm)
    storm.panda.incident("i3").environments = ()
    await storm.submit(ANN)
    await storm.advance(90)
    [report] = reports(storm)
    assert "took 3 of 4 incidents: 1 failed" in report
    assert "merged into another, or deleted" in report
    assert "1 failed" in storm.slack.text_of(storm.slack.direct_messages(ANN)[-1])


async def test_a_repeated_answer_and_a_second_press_start_nothing_new(storm):
    await flood(storm)
    await press_take(storm)
    [view] = storm.slack.open_views(ANN)
    await asyncio.gather(storm.slack.submit(ANN, view, {}), storm.slack.submit(ANN, view, {}))
    await storm.settle()
    await storm.advance(90)
    assert reports(storm) == ["👤 *Ann Lee* took 4 incidents"]
    await press_take(storm)
    assert not storm.slack.open_views(ANN)
    assert "you can take none of the listed incidents" in storm.ephemeral_messages(ANN)[-1]


async def test_when_two_people_take_the_same_incidents_each_learns_which_ones_they_have(storm):
    await flood(storm)
    await press_take(storm, ANN)
    await press_take(storm, BOB)
    await storm.submit(ANN)
    await storm.submit(BOB)
    await storm.advance(120)
    assert owners(storm) == ["", "", *["Ann Lee"] * 4]
    assert reports(storm) == [
        "👤 *Ann Lee* took 4 incidents",
        "👤 *Bob* took 0 of 4 incidents: 4 taken by somebody else",
    ]


async def test_a_person_whom_bigpanda_does_not_know_gets_one_message_and_starts_no_task(storm):
    await flood(storm)
    storm.panda.users.pop(BOB_THERE.id)
    await press_take(storm, BOB)
    assert not storm.slack.open_views(BOB)
    [told] = storm.ephemeral_messages(BOB)
    assert "BigPanda has no user with your e-mail address" in told


async def test_a_listed_incident_that_a_mute_now_covers_is_not_offered_again(storm):
    await flood(storm)
    now = storm.clock.now()
    await storm.store.add_mute(
        Mute(match="{tags: {team: database}}", start=now, end=now + 3600, reason="deploy", author="Dana", origin="cli")
    )
    await storm.advance(5)
    await take(storm)
    assert owners(storm) == ["", "", *["Ann Lee"] * 4]
    assert storm.slack.text_of(card(storm)).count("Ann Lee") == 4
    await press_take(storm, BOB)
    assert not storm.slack.open_views(BOB)
    assert "4 left out: somebody has them" in storm.ephemeral_messages(BOB)[-1]


@pytest.mark.soak
@pytest.mark.parametrize("minutes", [1, 5, 20])
async def test_many_incidents_are_assigned_at_bigpandas_rate_even_after_minutes_without_an_answer(storm, minutes):
    """All of them, or each that relay gave up is counted as failed: nothing is done later than people expect."""
    await flood(storm, 210)
    await press_take(storm)
    assert question(storm)[0] == "Take 200 incidents"
    storm.panda.limits.pause("assign", storm.clock.now(), minutes * 60)
    await storm.submit(ANN)
    await storm.clock.run_for(minutes * 60 - 10, lambda: storm.idle, min_step=1)
    assert owners(storm, 210) == [""] * 210
    refused = [call for call in storm.panda.calls_to("assign") if call.status == 429]
    assert len(refused) < 10 * minutes, "relay asks again when BigPanda says, not for each incident"
    await storm.clock.run_for(900, lambda: storm.idle, min_step=1)
    done = owners(storm, 210).count("Ann Lee")
    [report] = reports(storm)
    if minutes <= 5:
        assert (done, report) == (200, "👤 *Ann Lee* took 200 incidents")
    else:
        assert f"took {done} of 200 incidents: {200 - done} failed" in report
        assert f"{200 - done} failed" in storm.slack.text_of(storm.slack.direct_messages(ANN)[-1])
