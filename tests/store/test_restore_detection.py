"""A database that was put back from a copy knows since when it knows nothing."""

import re
from pathlib import Path

from tests.support.store_samples import DAY, NOW, run

GUIDE = Path(__file__).parent.parent.parent / "docs" / "operating.md"


async def test_a_database_that_is_no_copy_says_nothing(store):
    assert await store.restore_window(NOW) is None


async def test_a_copy_says_when_it_was_made_for_a_day_from_its_first_delivery(store):
    await run(store, "INSERT INTO lease (name, holder, epoch, until) VALUES ('restored', '', 1700000000, 0)")
    assert await store.restore_window(NOW) == (1_700_000_000.0, NOW + DAY)
    assert await store.restore_window(NOW + DAY / 2) == (1_700_000_000.0, NOW + DAY)
    assert await store.restore_window(NOW + DAY) is None


async def test_the_guides_statement_for_postgresql_does_that(postgresql_url):
    from relay.store import Store  # noqa: PLC0415  this test is of one database alone

    [statement] = re.findall(r'^psql -c "(.+)"$', GUIDE.read_text(), re.MULTILINE)
    store = await Store.open(postgresql_url)
    await run(store, statement.replace(":", r"\:"))
    copied, _ = await store.restore_window(NOW)
    assert 1.7e9 < copied < 2.5e9
    await store.close()
