"""What was due by a clock that was set back is due by the new time."""

from tests.support.store_samples import NOW, a_card, due, open_channel, run, save

HOUR = 3600.0


async def test_the_newest_share_says_how_far_the_clock_was_set_back(store):
    assert await store.seconds_ahead(NOW) == 0
    await save(store, a_card(), at=NOW + HOUR)
    assert await store.seconds_ahead(NOW) == HOUR
    assert await store.seconds_ahead(NOW + 2 * HOUR) == 0


async def test_what_is_due_moves_back_and_what_is_due_already_stays(store):
    await open_channel(store)
    await save(store, a_card("late", post=due(NOW + HOUR + 60)), incident="late", digest="late", at=NOW + HOUR)
    await save(store, a_card("now", post=due(NOW - 60)), incident="now", digest="now")
    await store.move_back(NOW, HOUR)
    assert {row.incident: row.post_due for row in await run(store, "SELECT incident, post_due FROM card")} == {
        "late": NOW + 60,
        "now": NOW - 60,
    }
    assert await store.seconds_ahead(NOW) == 0
