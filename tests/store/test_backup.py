"""A backup is one moment of the database, whole and sound, or it is not there."""

import os
import sqlite3
from contextlib import closing

import pytest

from relay.model.errors import StoreUnusable
from relay.store import Store
from relay.store.backup import backup
from tests.support.store_samples import a_share, count, plain


@pytest.fixture
async def kept(sqlite_url):
    """A store with fifty shares in it, open, and kept open."""
    store = await Store.open(sqlite_url)
    await store.accept([a_share(f"i{number}", f"h{number}", body=os.urandom(2000)) for number in range(50)], plain)
    yield store
    await store.close()


def rows(file, statement):
    with closing(sqlite3.connect(file)) as database:
        return database.execute(statement).fetchall()


def refusal(url, target, **how):
    with pytest.raises(StoreUnusable) as refused:
        backup(url, target, **how)
    return str(refused.value)


async def test_a_backup_of_a_running_relay_is_a_database_that_another_relay_opens(kept, sqlite_url, tmp_path):
    copied = backup(sqlite_url, tmp_path / "copy.db")
    assert (copied.incidents, copied.shares) == (50, 50)
    assert copied.size_bytes == (tmp_path / "copy.db").stat().st_size
    await kept.accept([a_share("later", "later")], plain)
    restored = await Store.open(f"sqlite:///{tmp_path}/copy.db")
    assert await restored.incident_history("i7")
    assert await restored.incident_history("later") is None
    await restored.accept([a_share("later", "later")], plain)
    await restored.close()


async def test_what_is_committed_while_it_copies_neither_enters_it_nor_makes_it_begin_again(
    kept, sqlite_url, tmp_path, monkeypatch
):
    monkeypatch.setattr("relay.store.backup.PAGES", 2)
    steps = []

    with closing(sqlite3.connect(tmp_path / "relay.db", isolation_level=None)) as other:

        def meanwhile(done, total):
            steps.append((done, total))
            other.execute("UPDATE share SET times_seen = times_seen + 1")
            other.execute("UPDATE incident SET version = version + 1")

        copied = backup(sqlite_url, tmp_path / "copy.db", progress=meanwhile)
    assert len(steps) > 10
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert len({total for _, total in steps}) == 1
    assert copied.shares == 50
    assert rows(tmp_path / "copy.db", "SELECT DISTINCT times_seen FROM share") == [(1,)]
    assert rows(tmp_path / "copy.db", "SELECT DISTINCT version FROM incident") == [(1,)]
    assert rows(tmp_path / "relay.db", "SELECT DISTINCT times_seen FROM share") == [(1 + len(steps),)]


async def test_it_is_one_file_for_its_owner_alone_and_leaves_nothing_beside_it(kept, sqlite_url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    backup(sqlite_url, folder / "copy.db")
    assert [file.name for file in folder.iterdir()] == ["copy.db"]
    assert (folder / "copy.db").stat().st_mode & 0o777 == 0o600


async def test_a_file_that_is_there_is_replaced_only_when_that_is_said(kept, sqlite_url, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("yesterday's")
    assert f"{target} is there already" in refusal(sqlite_url, target)
    assert target.read_text() == "yesterday's"
    backup(sqlite_url, target, overwrite=True)
    assert rows(target, "SELECT count(*) FROM share") == [(50,)]


async def test_a_copy_that_fails_leaves_the_old_one_and_no_half_of_a_new_one(kept, sqlite_url, tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir()
    target = folder / "copy.db"
    target.write_text("yesterday's")

    def pull_the_plug(_done, _total):
        raise OSError(28, "No space left on device")

    said = refusal(sqlite_url, target, overwrite=True, progress=pull_the_plug)
    assert "No space left on device" in said
    assert "see that there is room" in said
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("copy.db", "yesterday's")]


async def test_a_file_that_appears_while_it_copies_is_left_alone(kept, sqlite_url, tmp_path):
    target = tmp_path / "copy.db"
    said = refusal(sqlite_url, target, progress=lambda _done, _total: target.write_text("somebody else's"))
    assert "is there already" in said
    assert target.read_text() == "somebody else's"


async def test_a_damaged_database_makes_no_backup(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], plain)
    await store.close()
    [[page]] = rows(tmp_path / "relay.db", "SELECT rootpage FROM sqlite_master WHERE name = 'entry'")
    with (tmp_path / "relay.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    said = refusal(sqlite_url, tmp_path / "copy.db")
    assert "not sound" in said or "malformed" in said
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("suffix", ["", "-wal", ".lock"])
@pytest.mark.parametrize("overwrite", [True, False])
async def test_the_database_itself_is_never_the_target(kept, sqlite_url, tmp_path, suffix, overwrite):
    said = refusal(sqlite_url, tmp_path / f"relay.db{suffix}", overwrite=overwrite)
    assert "is the database itself, or belongs to it" in said
    assert await count(kept, "share") == 50


async def test_what_is_no_database_of_relays_is_not_copied(tmp_path):
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE cat (name)")
    assert "holds nothing of relay's" in refusal(f"sqlite:///{tmp_path}/other.db", tmp_path / "copy.db")
    assert "There is no SQLite database" in refusal(f"sqlite:///{tmp_path}/none.db", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_missing_folder_is_named(kept, sqlite_url, tmp_path):
    assert f"{tmp_path}/none does not exist" in refusal(sqlite_url, tmp_path / "none" / "copy.db")


def test_postgresql_is_sent_to_its_own_tool_without_the_password(tmp_path):
    said = refusal("postgresql://relay:s3cret@host/relay", tmp_path / "copy.db")
    assert "use pg_dump" in said
    assert "s3cret" not in said
