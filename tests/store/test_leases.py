"""One relay delivers, for as long as it says so; and whoever has lost that right writes nothing."""

import asyncio
import threading

import pytest

from relay.cards.model import AttemptState, CardState, CardUpdate
from relay.model.errors import LeaseLost, StoreError
from relay.store import Lease, SlackCall, Store, database
from relay.store.locks import check_lease
from tests.support.store_samples import NOW, a_card, an_attempt, due, keep, look, open_channel, pick


async def test_a_lease_is_taken_extended_and_kept_from_others(store):
    assert await store.lease_epoch("delivery") == 0
    assert await store.acquire_lease("delivery", "a", NOW, 12) == 1
    assert await store.acquire_lease("delivery", "b", NOW + 11.9, 12) is None
    assert await store.acquire_lease("delivery", "a", NOW + 11.9, 12) == 1
    assert await store.acquire_lease("delivery", "b", NOW + 23.8, 12) is None
    assert await store.lease_epoch("delivery") == 1


async def test_a_lease_that_ran_out_is_the_next_ones_with_a_new_epoch(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    assert await store.acquire_lease("delivery", "b", NOW + 12, 12) == 2
    assert await store.acquire_lease("delivery", "a", NOW + 13, 12) is None
    assert await store.acquire_lease("delivery", "a", NOW + 24, 12) == 3


async def test_a_lease_that_ran_out_unnoticed_is_still_its_holders(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    assert await store.acquire_lease("delivery", "a", NOW + 600, 12) == 1


async def test_a_released_lease_is_free_at_once_and_its_epoch_goes_on(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.release_lease(Lease("delivery", "a", 1))
    assert await store.acquire_lease("delivery", "b", NOW, 12) == 2


async def test_whoever_lost_a_lease_cannot_release_it(store):
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.acquire_lease("delivery", "b", NOW + 12, 12)
    await store.release_lease(Lease("delivery", "a", 1))
    assert await store.acquire_lease("delivery", "c", NOW + 12, 12) is None


async def test_leases_of_other_names_are_other_leases(store):
    assert await store.acquire_lease("delivery", "a", NOW, 12) == 1
    assert await store.acquire_lease("errands", "b", NOW, 12) == 1


async def test_of_many_that_want_it_at_once_one_has_it(store, second):
    epochs = await asyncio.gather(
        *((store, second)[number % 2].acquire_lease("delivery", str(number), NOW, 12) for number in range(10))
    )
    assert sorted(epochs, key=str) == [1, *[None] * 9]


async def test_with_the_lease_in_hand_all_works(store):
    [card] = await keep(store, a_card(post=due()))
    await open_channel(store)
    lease = Lease("delivery", "a", await store.acquire_lease("delivery", "a", NOW, 12))
    assert await store.recover_attempts(NOW, lease=lease) == 0
    assert (await pick(store, lease=lease)).card.id == card.id
    assert (await store.update_card(card.id, look, lease=lease)).card.state is CardState.POSTING


@pytest.mark.parametrize("lease", [Lease("delivery", "a", 1), Lease("delivery", "b", 1), Lease("unheard", "b", 2)])
async def test_without_the_lease_nothing_is_written(store, lease):
    [card] = await keep(store, a_card(post=due()))
    await open_channel(store)
    await store.acquire_lease("delivery", "a", NOW, 12)
    await store.acquire_lease("delivery", "b", NOW + 12, 12)
    before = await store.incident_history("i1")

    with pytest.raises(LeaseLost, match=lease.name):
        await pick(store, lease=lease)
    with pytest.raises(LeaseLost):
        await store.update_card(
            card.id, lambda case: CardUpdate(attempt=an_attempt()), SlackCall(method="m", at=NOW), lease=lease
        )
    with pytest.raises(LeaseLost):
        await store.recover_attempts(NOW, lease=lease)
    with pytest.raises(LeaseLost):
        await store.recover_tasks(NOW, lease)
    assert await store.incident_history("i1") == before


async def test_whoever_begins_to_deliver_doubts_all_that_was_left_even_by_itself(store):
    cards = await keep(store, *(a_card(channel=name, state=CardState.POSTING) for name in "ab"))
    await store.acquire_lease("delivery", "a", NOW, 12)
    lease = Lease("delivery", "b", await store.acquire_lease("delivery", "b", NOW + 12, 12))
    for card in cards:
        attempt = an_attempt(card.channel)
        await store.update_card(card.id, lambda case, attempt=attempt: CardUpdate(attempt=attempt))

    assert await store.recover_attempts(NOW + 12, lease=lease) == 2
    dossier = await store.incident_history("i1")
    assert [card.state for card in dossier.cards] == [CardState.IN_DOUBT] * 2
    assert [attempt.state for [attempt] in dossier.attempts.values()] == [AttemptState.IN_DOUBT] * 2


async def test_by_the_database_s_clock_relays_need_not_agree_on_the_time(store, second):
    assert await store.acquire_lease("delivery", "a", None, 0.2) == 1
    assert await second.acquire_lease("delivery", "b", None, 12) is None
    await asyncio.sleep(0.3)  # what passes here is the database's time
    assert await second.acquire_lease("delivery", "b", None, 12) == 2
    assert await store.acquire_lease("delivery", "a", None, 12) is None


async def test_a_relay_that_stops_within_a_transaction_does_not_keep_the_lease_for_ever(postgresql_url, monkeypatch):
    monkeypatch.setattr(database, "IDLE_LIMIT", 1.0)
    stopped, heir = await Store.open(postgresql_url), await Store.open(postgresql_url)
    lease = Lease("delivery", "a", await stopped.acquire_lease("delivery", "a", NOW, 12))
    asleep, awake = threading.Event(), threading.Event()

    def sleep(connection):
        check_lease(connection, lease)
        asleep.set()
        awake.wait(20)
        check_lease(connection, lease)

    sleeping = asyncio.create_task(stopped._database.write(sleep))
    await asyncio.to_thread(asleep.wait, 20)
    async with asyncio.timeout(10):
        assert await heir.acquire_lease("delivery", "b", NOW + 12, 12) == 2
    awake.set()
    with pytest.raises(StoreError):
        await sleeping
    await stopped.close()
    await heir.close()
