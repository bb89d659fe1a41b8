"""A database that was restored from a copy knows since when it knows nothing."""

import re
from pathlib import Path

from relay.store.store import Store
from tests.support.store_samples import DAY, NOW, run

GUIDE = Path(__file__).parent.parent.parent / "docs" / "operating.md"


async def test_a_database_that_is_no_copy_has_no_window(store):
    assert await store.restore_window(NOW) is None


async def test_a_copy_has_a_window_of_a_day_from_its_first_delivery(store):
    await run(store, "INSERT INTO lease (name, holder, epoch, until) VALUES ('restored', '', 1700000000, 0)")
    assert await store.restore_window(NOW) == (1_700_000_000.0, NOW + DAY)
    assert await store.restore_window(NOW + DAY / 2) == (1_700_000_000.0, NOW + DAY)
    assert await store.restore_window(NOW + DAY) is None


async def test_the_guides_statement_marks_a_copy_of_postgresql(postgresql_url):
    [statement] = re.findall(r'^psql -c "(.+)"$', GUIDE.read_text(), re.MULTILINE)
    store = await Store.open(postgresql_url)
    await run(store, statement.replace(":", r"\:"))
    copied_at, _ = await store.restore_window(NOW)
    assert 1.7e9 < copied_at < 2.5e9
    await store.close()
