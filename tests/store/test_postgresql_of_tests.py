"""The PostgreSQL database that one test after the other uses shows none of them what was there before."""

import asyncio

import psycopg

from relay.store.schema import metadata
from relay.store.store import Store
from tests.support.postgres import postgresql_with_tables
from tests.support.store_samples import a_card, count, run, save


async def test_the_next_test_finds_empty_tables_that_count_from_one():
    urls, found = [], []
    for _ in range(2):
        with postgresql_with_tables() as url:
            store = await Store.open(url)
            [card] = await save(store, a_card())
            urls.append(url)
            found.append((card.id, await count(store, "share")))
        await store.close()  # a relay that was still there did not keep what it had saved
    assert urls[0] == urls[1]
    assert found == [(1, 1), (1, 1)]
    with postgresql_with_tables() as url, psycopg.connect(url) as connection:
        rows = {name: connection.execute(f"SELECT count(*) FROM {name}").fetchone() for name in metadata.tables}
    assert set(rows.values()) == {(0,)}


def test_a_database_whose_tables_a_test_has_changed_is_not_used_again():
    with postgresql_with_tables() as changed:
        asyncio.run(change(changed))
    with postgresql_with_tables() as url:
        assert url != changed


async def change(url):
    store = await Store.open(url)
    await run(store, "ALTER TABLE card ADD COLUMN remark TEXT")
    await store.close()


async def test_two_databases_at_a_time_are_two():
    with postgresql_with_tables() as one, postgresql_with_tables() as other:
        assert one != other
