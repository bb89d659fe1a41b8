"""A database that was restored from a copy knows since when it knows nothing."""

from tests.support.store_samples import DAY, NOW, run


async def test_a_database_that_is_not_a_copy_has_no_search_window(store):
    assert await store.restore_window(NOW) is None


async def test_a_copy_has_a_search_window_of_one_day_from_its_first_delivery(store):
    await run(store, "INSERT INTO lease (name, holder, epoch, until) VALUES ('restored', '', 1700000000, 0)")
    assert await store.restore_window(NOW) == (1_700_000_000.0, NOW + DAY)
    assert await store.restore_window(NOW + DAY / 2) == (1_700_000_000.0, NOW + DAY)
    assert await store.restore_window(NOW + DAY) is None
