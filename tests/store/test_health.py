"""The database says whether it takes writes."""

from tests.support.store_samples import count


async def test_checking_that_the_database_takes_writes_leaves_one_row(store, second):
    await store.check_writable()
    await second.check_writable()
    assert await count(store, "health_probe") == 1
