"""Migration from older tables to newer ones, with a newer version that exists in these tests alone."""

import asyncio
import shutil
import subprocess
import sys

import pytest
from sqlalchemy.exc import DBAPIError

from relay.model.errors import RelayError, StoreTooNew, StoreUnusable
from relay.store import migration
from relay.store.store import Store
from tests.support.store_samples import a_share, one_entry, run

STEP = '''"""A step that exists in a test alone."""
from alembic import op
import sqlalchemy as sa
revision, down_revision = "9001", "{before}"
def upgrade():
    op.add_column("lease", sa.Column("remark", sa.Text, nullable=False, server_default="none"))
    {more}
'''


@pytest.fixture
def newer(monkeypatch, tmp_path):
    """Makes this relay a newer one, with one more step."""

    def make(more=""):
        folder = tmp_path / "migrations"
        shutil.copytree(migration.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "r9001.py").write_text(STEP.format(before=migration.NEWEST, more=more))
        monkeypatch.setattr(migration, "SCRIPTS", folder)
        monkeypatch.setattr(migration, "NEWEST", "9001")

    return make


async def use(url):
    """A database that an older relay has used."""
    store = await Store.open(url)
    await store.accept([a_share()], one_entry)
    await store.acquire_lease("delivery", "a", 1.0, 1.0)
    await store.close()


async def test_an_older_database_is_migrated_with_all_its_data(url, newer):
    await use(url)
    newer()
    store = await Store.open(url)
    assert await run(store, "SELECT holder, remark FROM lease") == [("a", "none")]
    assert await run(store, f"SELECT version_num FROM {migration.VERSION_TABLE}") == [("9001",)]
    assert (await store.incident_history("i1")).state.version == 1
    await store.close()


def test_with_sqlite_and_nothing_to_migrate_neither_alembic_nor_postgresql_is_loaded(sqlite_url):
    """They would take a sixth of the time in which relay starts, and a sixth of its memory at rest."""
    code = f"""
import asyncio, sys
import relay.app
from relay.store.store import Store

async def use():
    await (await Store.open({sqlite_url!r})).close()

for each in ("an empty database", "one of this version"):
    asyncio.run(use())
    assert not {{"alembic", "psycopg", "sqlalchemy.dialects.postgresql"}} & sys.modules.keys(), each
"""
    subprocess.run([sys.executable, "-c", code], check=True)


async def test_a_command_does_not_migrate_an_older_database_and_says_what_to_do(url, newer):
    await use(url)
    newer()
    with pytest.raises(StoreUnusable, match=r"was written by an older relay\. Start `relay serve` once"):
        await Store.open(url, exclusive=False)


async def test_a_step_that_fails_leaves_the_older_database_as_it_was(url, newer, monkeypatch):
    await use(url)
    with monkeypatch.context():
        newer(more='op.execute("this is no SQL")')
        with pytest.raises((RelayError, DBAPIError)):
            await Store.open(url)
    monkeypatch.undo()
    store = await Store.open(url)
    assert await run(store, "SELECT * FROM lease WHERE holder = 'a'")
    assert await run(store, f"SELECT version_num FROM {migration.VERSION_TABLE}") == [(migration.NEWEST,)]
    await store.close()


async def test_relays_that_start_together_migrate_once(postgresql_url, newer):
    await use(postgresql_url)
    newer()
    stores = await asyncio.gather(*(Store.open(postgresql_url) for _ in range(3)))
    for store in stores:
        assert await run(store, "SELECT remark FROM lease") == [("none",)]
        await store.close()


async def test_the_older_relay_rejects_a_migrated_database(url, newer, monkeypatch):
    await use(url)
    newer()
    await (await Store.open(url)).close()
    monkeypatch.undo()
    with pytest.raises(StoreTooNew, match=r"migrated .* to version 9001.*restore an older backup"):
        await Store.open(url)
