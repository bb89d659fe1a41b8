"""A backup is one consistent state of the database, complete and checked, or it does not exist."""

import os
import sqlite3
from contextlib import closing

import pytest

from relay.model.errors import StoreUnusable
from relay.store.backup import backup
from relay.store.store import Store
from tests.support.store_samples import a_share, count, one_entry


@pytest.fixture
async def source(sqlite_url):
    """An open store with fifty shares."""
    store = await Store.open(sqlite_url)
    await store.accept([a_share(f"i{number}", f"h{number}", body=os.urandom(2000)) for number in range(50)], one_entry)
    yield store
    await store.close()


def rows(file, statement):
    with closing(sqlite3.connect(file)) as database:
        return database.execute(statement).fetchall()


def rejection(url, target, **options):
    with pytest.raises(StoreUnusable) as rejected:
        backup(url, target, **options)
    return str(rejected.value)


async def test_a_backup_of_a_running_relay_is_a_database_that_another_relay_opens(source, sqlite_url, tmp_path):
    summary = backup(sqlite_url, tmp_path / "copy.db")
    assert (summary.incidents, summary.shares) == (50, 50)
    assert summary.size_bytes == (tmp_path / "copy.db").stat().st_size
    await source.accept([a_share("later", "later")], one_entry)
    restored = await Store.open(f"sqlite:///{tmp_path}/copy.db")
    assert await restored.incident_history("i7")
    assert await restored.incident_history("later") is None
    await restored.accept([a_share("later", "later")], one_entry)
    await restored.close()


async def test_changes_during_the_copy_neither_enter_it_nor_restart_it(source, sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setattr("relay.store.backup.PAGES", 2)
    steps = []

    with closing(sqlite3.connect(tmp_path / "relay.db", isolation_level=None)) as other:

        def meanwhile(done, total):
            steps.append((done, total))
            other.execute("UPDATE share SET times_seen = times_seen + 1")
            other.execute("UPDATE incident SET version = version + 1")

        summary = backup(sqlite_url, tmp_path / "copy.db", progress=meanwhile)
    assert len(steps) > 10
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert len({total for _, total in steps}) == 1
    assert summary.shares == 50
    assert rows(tmp_path / "copy.db", "SELECT DISTINCT times_seen FROM share") == [(1,)]
    assert rows(tmp_path / "copy.db", "SELECT DISTINCT version FROM incident") == [(1,)]
    assert rows(tmp_path / "relay.db", "SELECT DISTINCT times_seen FROM share") == [(1 + len(steps),)]


async def test_a_backup_is_one_file_that_only_its_owner_can_read(source, sqlite_url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    backup(sqlite_url, folder / "copy.db")
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600


async def test_an_existing_file_is_replaced_only_with_overwrite(source, sqlite_url, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("yesterday's")
    assert f"{target} exists already" in rejection(sqlite_url, target)
    assert target.read_text() == "yesterday's"
    backup(sqlite_url, target, overwrite=True)
    assert rows(target, "SELECT count(*) FROM share") == [(50,)]


async def test_a_copy_that_fails_leaves_the_old_one_as_it_was(source, sqlite_url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    target = folder / "copy.db"
    target.write_text("yesterday's")

    def fail(_done, _total):
        raise OSError(28, "No space left on device")

    sentence = rejection(sqlite_url, target, overwrite=True, progress=fail)
    assert "No space left on device" in sentence
    assert "check that there is space" in sentence
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("copy.db", "yesterday's")]


async def test_a_file_that_appears_while_it_copies_is_left_alone(source, sqlite_url, tmp_path):
    target = tmp_path / "copy.db"
    sentence = rejection(sqlite_url, target, progress=lambda _done, _total: target.write_text("somebody else's"))
    assert "exists already" in sentence
    assert target.read_text() == "somebody else's"


async def test_a_damaged_database_gives_no_backup(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], one_entry)
    await store.close()
    [[page]] = rows(tmp_path / "relay.db", "SELECT rootpage FROM sqlite_master WHERE name = 'entry'")
    with (tmp_path / "relay.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    sentence = rejection(sqlite_url, tmp_path / "copy.db")
    assert "is damaged" in sentence or "malformed" in sentence
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_the_database_itself_is_never_the_target(source, sqlite_url, tmp_path, suffix, overwrite):
    sentence = rejection(sqlite_url, tmp_path / f"relay.db{suffix}", overwrite=overwrite)
    assert "is the database itself, or belongs to it" in sentence
    assert await count(source, "share") == 50


async def test_a_database_of_another_program_is_not_copied(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE cat (name)")
    assert "has no tables of relay" in rejection(f"sqlite:///{tmp_path}/other.db", tmp_path / "copy.db")
    assert "There is no SQLite database" in rejection(f"sqlite:///{tmp_path}/none.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_missing_folder_is_named(source, sqlite_url, tmp_path):
    assert f"{tmp_path}/none does not exist" in rejection(sqlite_url, tmp_path / "none" / "copy.db")


def test_for_postgresql_it_names_pg_dump_and_no_password(tmp_path):
    sentence = rejection("postgresql://relay:s3cret@host/relay", tmp_path / "copy.db")
    assert "use pg_dump" in sentence
    assert "s3cret" not in sentence
