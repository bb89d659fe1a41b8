"""What a person reads about what they pressed: nothing if the card shows it, one message where it takes long."""

from relay.actions.interaction_handler import NOTIFY_AFTER
from tests.support.bigpanda_round_trip import ANN, BOB, DB, START

MINUTE = 60


async def test_an_action_that_shows_within_five_seconds_needs_no_message(round_trip):
    round_trip.panda.share_delay = 30  # relay does not wait for BigPanda's share
    for action, words in (("assign", "assigned to *Ann Lee*"), ("unassign", "[Assign to me]")):
        await round_trip.click(action)
        await round_trip.advance(4)
        assert words in round_trip.card_text()
    await round_trip.advance(120)
    assert round_trip.ephemeral_messages() == []
    assert round_trip.slack.direct_messages(ANN) == []


async def test_a_resolution_that_bigpanda_carries_out_later_shows_as_soon_as_it_has(round_trip):
    round_trip.panda.resolve_delay, round_trip.panda.share_delay = 8, 600
    await round_trip.click("resolve")
    await round_trip.submit()
    await round_trip.advance(NOTIFY_AFTER + 1)
    assert ["Resolving" in text for text in round_trip.ephemeral_messages()] == [True]
    await round_trip.advance(10)
    assert "✅" in round_trip.card_text()


async def test_a_snooze_that_takes_long_says_until_when(round_trip):
    round_trip.panda.snooze = lambda *_, **__: None  # accepted, and not carried out
    await round_trip.click("snooze")
    await round_trip.submit(until="1h")
    await round_trip.advance(NOTIFY_AFTER + 1)
    [told] = round_trip.ephemeral_messages()
    assert told.startswith(f"Snoozing until <!date^{START + 3600}^")


async def test_repeated_presses_while_bigpanda_is_down_give_one_message(round_trip):
    round_trip.panda.pause("assign", 90)
    for _ in range(5):
        await round_trip.click("assign")
        await round_trip.advance(10)
    assert ["Assigning to you" in text for text in round_trip.ephemeral_messages()] == [True]
    await round_trip.advance(5 * MINUTE)
    assert "assigned to *Ann Lee*" in round_trip.card_text()
    assert len(round_trip.ephemeral_messages()) == 1
    assert [state for kind, state, _ in await round_trip.tasks() if kind == "assign"] == ["done"]


async def test_an_action_that_fails_for_good_reaches_the_person_by_direct_message_too(round_trip):
    round_trip.panda.pause("assign", 3000)
    await round_trip.click("assign")
    await round_trip.advance(20 * MINUTE)
    [told] = round_trip.slack.direct_messages(ANN)
    assert "replication lag" in told.text
    assert f"/archives/{DB}/p" in told.text
    assert "Not assigned: BigPanda did not answer in time" in told.text
    assert "Not assigned" in round_trip.ephemeral_messages()[-1]


async def test_a_reason_that_the_person_sees_at_once_is_not_repeated_as_a_direct_message(round_trip):
    await round_trip.click("assign")
    await round_trip.advance(MINUTE)
    await round_trip.click("assign")
    assert "already assigned to you" in round_trip.ephemeral_messages()[-1]
    assert round_trip.slack.direct_messages(ANN) == []


async def test_a_missing_scope_costs_only_the_direct_message(round_trip):
    round_trip.slack.remove_scope("im:write")
    await round_trip.click("assign", BOB)
    assert "no user with your e-mail address" in round_trip.ephemeral_messages(BOB)[-1]
    assert round_trip.slack.direct_messages(BOB) == []
