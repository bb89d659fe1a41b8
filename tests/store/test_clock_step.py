"""After the clock was set back, due times are moved to the new time."""

import pytest
from sqlalchemy import Double

from relay.cards.model import NO_DEADLINE
from relay.model.errors import StoreError
from relay.store import schema
from relay.store.clock_step import MOMENTS, Moment
from relay.store.monitor import StoreMonitor
from tests.support.clocks import ManualClock
from tests.support.store_samples import NOW, a_card, a_share, due, open_channel, received, run, save, with_cards

HOUR = 3600.0


def test_every_stored_time_has_a_rule_for_a_step_of_the_clock():
    times = {
        column for table in schema.metadata.tables.values() for column in table.c if isinstance(column.type, Double)
    }
    assert set(MOMENTS) == times


async def test_the_newest_share_says_how_far_the_clock_was_set_back(store):
    assert await store.seconds_ahead(NOW) == 0
    await save(store, a_card(), at=NOW + HOUR)
    assert await store.seconds_ahead(NOW) == HOUR
    assert await store.seconds_ahead(NOW + 2 * HOUR) == 0


async def test_future_due_times_move_back_and_past_ones_stay(store):
    await open_channel(store)
    await save(store, a_card("late", post=due(NOW + HOUR + 60)), incident="late", digest="late", at=NOW + HOUR)
    await save(store, a_card("now", post=due(NOW - 60)), incident="now", digest="now")
    await store.move_back(NOW, HOUR)
    assert {row.incident: row.post_due for row in await run(store, "SELECT incident, post_due FROM card")} == {
        "late": NOW + 60,
        "now": NOW - 60,
    }
    assert await store.seconds_ahead(NOW) == 0


def expected(meaning, moment, step):
    """What becomes of a time."""
    if meaning is Moment.SHOWN or moment is None or moment <= NOW or moment >= NO_DEADLINE:
        return moment
    return max(moment - step, NOW) if meaning is Moment.DUE else min(moment - step, NOW)


@pytest.mark.parametrize("step", [5.0, HOUR, 366 * 24 * HOUR])
async def test_nothing_is_due_later_and_nothing_that_happened_is_in_the_future(store, step):
    """For the tables with most of the times; each time is set, whether relay would ever set it so or not."""
    await save(store, a_card(post=due(), edit=due()))
    columns = {column: meaning for column, meaning in MOMENTS.items() if column.table.name in {"card", "incident"}}
    spread = (-step, -1.0, 1.0, step / 2, step, step + 20.0, 3 * step)
    values = {column: NOW + spread[number % len(spread)] for number, column in enumerate(columns)}
    values[schema.card.c.edit_deadline] = NO_DEADLINE
    for column, moment in values.items():
        await run(store, f"UPDATE {column.table.name} SET {column.name} = :moment", moment=moment)
    await store.move_back(NOW, step)
    for column, meaning in columns.items():
        [[found]] = await run(store, f"SELECT {column.name} FROM {column.table.name}")
        assert found == expected(meaning, values[column], step), column


async def test_a_share_of_the_inbox_is_due_as_soon_as_it_would_have_been(store):
    await store.accept([received(a_share())], with_cards())
    await run(store, "UPDATE share SET plan_due = :due", due=NOW + HOUR + 10)
    await store.move_back(NOW, HOUR)
    assert await store.next_plan_due(NOW) == NOW + 10


class Monitored:
    """A monitor of the store by a clock of the test; it counts how often what is due has moved."""

    def __init__(self, store):
        self.clock, self.leads, self.moves = ManualClock(NOW), True, 0
        self.monitor = StoreMonitor(
            store, self.clock, is_leader=lambda: self.leads, on_problem=lambda _: None, on_change=self.count
        )

    def count(self):
        self.moves += 1

    async def check(self):
        """Check as often as in ten seconds."""
        for _ in range(5):
            self.clock.advance(2)
            await self.monitor.check()


async def not_now(*_):
    raise StoreError("database is locked")


async def test_due_times_move_once_per_step_even_if_the_database_fails_meanwhile(store, monkeypatch):
    relay = Monitored(store)
    await relay.monitor.start()
    await relay.check()
    relay.clock.set_time(NOW - HOUR)
    with monkeypatch.context() as patch:
        patch.setattr(store, "move_back", not_now)
        await relay.check()
    assert relay.moves == 0
    await relay.check()
    assert relay.moves == 1


async def test_a_relay_that_starts_to_deliver_after_a_step_moves_due_times(store):
    """The clock of PostgreSQL is set back when another machine takes over, and then another relay leads."""
    relay = Monitored(store)
    relay.leads = not store.shared
    await relay.monitor.start()
    relay.clock.set_time(NOW - HOUR)
    await relay.check()
    relay.leads = True
    await relay.check()
    assert relay.moves == 1


async def test_a_relay_that_delivers_first_corrects_times_stored_by_a_clock_that_was_ahead(store):
    await save(store, a_card(), at=NOW + HOUR)
    relay = Monitored(store)
    await relay.monitor.start()
    await relay.check()
    assert relay.moves == 1
    assert await store.seconds_ahead(NOW) == 0


@pytest.mark.parametrize("step", [1.0, 60.0, HOUR])
async def test_a_clock_that_is_set_forward_or_a_little_back_moves_nothing(store, step):
    relay = Monitored(store)
    await relay.monitor.start()
    relay.clock.advance(step)
    relay.clock.set_time(relay.clock.now() - 1)
    await relay.check()
    assert relay.moves == 0
