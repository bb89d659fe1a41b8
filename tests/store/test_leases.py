"""One relay delivers while it renews its lease; a relay that has lost it writes nothing."""

import asyncio
import threading

import pytest

from relay.cards.model import AttemptState, CardState, CardUpdate
from relay.model.errors import LeaseLost, StoreError
from relay.store import database
from relay.store.locks import check_lease
from relay.store.store import Store
from relay.store.types import Lease, SlackCall
from tests.support.store_samples import (
    NOW,
    a_card,
    an_attempt,
    change_nothing,
    due,
    open_channel,
    save,
    save_attempt,
    start,
)


async def test_a_lease_is_acquired_and_extended_and_nobody_else_gets_it(store):
    assert await store.acquire_lease("delivery", "a", NOW, 12) == 1
    assert await store.acquire_lease("delivery", "b", NOW + 11.9, 12) is None
    assert await store.acquire_lease("delivery", "a", NOW + 11.9, 12) == 1
    assert await store.acquire_lease("delivery", "b", NOW + 23.8, 12) is None


async def test_an_expired_lease_goes_to_the_next_holder_with_a_new_epoch(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    assert await store.acquire_lease("delivery", "b", NOW + 12, 12) == 2
    assert await store.acquire_lease("delivery", "a", NOW + 13, 12) is None
    assert await store.acquire_lease("delivery", "a", NOW + 24, 12) == 3


async def test_an_expired_lease_that_nobody_acquired_can_be_extended(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    assert await store.acquire_lease("delivery", "a", NOW + 600, 12) == 1


async def test_a_released_lease_is_free_at_once_and_its_epoch_increases(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.release_lease(Lease("delivery", "a", 1))
    assert await store.acquire_lease("delivery", "b", NOW, 12) == 2


async def test_a_lost_lease_cannot_be_released(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.acquire_lease("delivery", "b", NOW + 12, 12)
    await store.release_lease(Lease("delivery", "a", 1))
    assert await store.acquire_lease("delivery", "c", NOW + 12, 12) is None


async def test_leases_with_different_names_are_independent(store):
    assert await store.acquire_lease("delivery", "a", NOW, 12) == 1
    assert await store.acquire_lease("tasks", "b", NOW, 12) == 1


async def test_only_one_of_many_concurrent_requests_gets_the_lease(store, second):
    epochs = await asyncio.gather(
        *((store, second)[number % 2].acquire_lease("delivery", str(number), NOW, 12) for number in range(10))
    )
    assert sorted(epochs, key=str) == [1, *[None] * 9]


async def test_with_the_lease_everything_works(store):
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)
    lease = Lease("delivery", "a", await store.acquire_lease("delivery", "a", NOW, 12))
    assert await store.recover_attempts(NOW, lease=lease) == 0
    assert (await start(store, lease=lease)).card.id == card.id
    assert (await store.update_card(card.id, change_nothing, lease=lease)).card.state is CardState.POSTING


@pytest.mark.parametrize("lease", [Lease("delivery", "a", 1), Lease("delivery", "b", 1), Lease("unknown", "b", 2)])
async def test_without_the_lease_nothing_is_written(store, lease):
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.acquire_lease("delivery", "b", NOW + 12, 12)
    before = await store.incident_history("i1")

    with pytest.raises(LeaseLost, match=lease.name):
        await start(store, lease=lease)
    with pytest.raises(LeaseLost):
        await store.update_card(
            card.id, lambda context: CardUpdate(attempt=an_attempt()), SlackCall(method="m", at=NOW), lease=lease
        )
    with pytest.raises(LeaseLost):
        await store.recover_attempts(NOW, lease=lease)
    with pytest.raises(LeaseLost):
        await store.recover_tasks(NOW, lease)
    assert await store.incident_history("i1") == before


async def test_a_relay_that_begins_to_deliver_marks_everything_in_flight_as_in_doubt(store):
    cards = await save(store, *(a_card(channel=name, state=CardState.POSTING) for name in "ab"))
    await store.acquire_lease("delivery", "a", NOW, 12)
    lease = Lease("delivery", "b", await store.acquire_lease("delivery", "b", NOW + 12, 12))
    for card in cards:
        attempt = an_attempt(card.channel)
        await save_attempt(store, card, attempt)

    assert await store.recover_attempts(NOW + 12, lease=lease) == 2
    history = await store.incident_history("i1")
    assert [card.state for card in history.cards] == [CardState.IN_DOUBT] * 2
    assert [attempt.state for [attempt] in history.attempts.values()] == [AttemptState.IN_DOUBT] * 2


async def test_relays_with_different_clocks_agree_by_the_databases_clock(store, second):
    assert await store.acquire_lease("delivery", "a", None, 600) == 1
    assert await second.acquire_lease("delivery", "b", None, 12) is None
    assert await store.acquire_lease("delivery", "a", None, -1) == 1  # until a second ago, on the database's clock
    assert await second.acquire_lease("delivery", "b", None, 12) == 2
    assert await store.acquire_lease("delivery", "a", None, 12) is None


async def test_a_relay_that_hangs_in_a_transaction_does_not_keep_the_lease(ready_postgresql_url, monkeypatch):
    monkeypatch.setattr(database, "IDLE_LIMIT", 1.0)
    hanging, other = await Store.open(ready_postgresql_url), await Store.open(ready_postgresql_url)
    lease = Lease("delivery", "a", await hanging.acquire_lease("delivery", "a", NOW, 12))
    suspended, awake = threading.Event(), threading.Event()

    def sleep(connection):
        check_lease(connection, lease)
        suspended.set()
        awake.wait(20)
        check_lease(connection, lease)

    sleeping = asyncio.create_task(hanging.database.write(sleep))
    await asyncio.to_thread(suspended.wait, 20)
    async with asyncio.timeout(100):
        assert await other.acquire_lease("delivery", "b", NOW + 12, 12) == 2
    awake.set()
    with pytest.raises(StoreError):
        await sleeping
    await hanging.close()
    await other.close()


async def test_a_clock_that_was_set_back_does_not_keep_a_lease_alive(store):
    await store.acquire_lease("delivery", "a", NOW + 3600, 12)
    assert await store.acquire_lease("delivery", "b", NOW, 12) is None
    assert await store.acquire_lease("delivery", "b", NOW + 12, 12) == 2
