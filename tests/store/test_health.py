"""The database says how large it is, and whether it takes writes."""

from tests.support.store_samples import count


async def test_the_check_writes_one_row_and_the_size_is_known(store, second):
    await store.check_writable()
    await second.check_writable()
    assert await count(store, "health_probe") == 1
    assert await store.size_bytes() > 10_000
