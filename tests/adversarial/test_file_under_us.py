"""Somebody removes or replaces relay's SQLite files while it runs: relay accepts nothing that a restart would lose."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from relay.model.errors import StoreInUse, StoreUnusable
from relay.sandbox.slack.server import FakeSlack, serve_slack
from relay.store.backup import backup
from relay.store.store import Store
from tests.support.intervals import intervals
from tests.support.relay_process import running

ROUTES = "version: 1\nfallback: C0NOC00001\nroutes: []\n"


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "data"
    place.mkdir()
    (tmp_path / "routes.yaml").write_text(ROUTES)
    return tmp_path


@pytest.fixture
async def slack():
    workspace = FakeSlack()
    workspace.add_channel("C0NOC00001", "noc")
    async with serve_slack(workspace) as url:
        workspace.url = url
        yield workspace


def delete(database):
    database.unlink()


def delete_all(database):
    for each in database.parent.glob("relay.db*"):
        each.unlink()


def replace(database):
    """A backup of an earlier moment is moved over the live file."""
    _copy(database).replace(database)


def replace_by_link(database):
    copy = _copy(database)
    database.unlink()
    database.symlink_to(copy)


def _copy(database):
    copy = database.with_name("backup.db")
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def drop_log(database):
    database.with_name("relay.db-wal").unlink()


def drop_index(database):
    database.with_name("relay.db-shm").unlink()


def replace_log(database):
    log = database.with_name("relay.db-wal")
    copy = database.with_name("copy")
    shutil.copy(log, copy)
    copy.replace(log)


def move_folder(database):
    database.parent.rename(database.parent.with_name("elsewhere"))
    database.parent.mkdir()


FAULTS = (delete, delete_all, replace, replace_by_link, drop_log, drop_index, replace_log, move_folder)


async def accept(relay, prefix, number=10):
    """Share so many incidents; return the ids of those that were answered 202."""
    accepted = []
    for each in range(number):
        incident = f"{prefix}-{each}"
        async with await relay.share({"incident": {"id": incident, "status": "critical"}}) as answer:
            assert answer.status in {202, 503}
            accepted += [incident] * (answer.status == 202)
    return accepted


def stored(database):
    with closing(sqlite3.connect(database)) as connection:
        return {incident for (incident,) in connection.execute("SELECT id FROM incident")}


@pytest.mark.parametrize(
    "fault",
    # All faults are in `test_no_write_is_confirmed_after_a_file_was_changed`, without a process.
    [delete, pytest.param(replace, marks=pytest.mark.soak), pytest.param(drop_log, marks=pytest.mark.soak)],
    ids=lambda fault: fault.__name__,
)
@pytest.mark.slow
async def test_no_share_is_accepted_that_a_restart_would_lose(folder, slack, fault):
    database = folder / "data" / "relay.db"
    address = {"RELAY_DATABASE_URL": f"sqlite:///{database}"}
    noc = slack.channel("C0NOC00001")
    soon = intervals({"relay.store.monitor.CHECK_EVERY": 0.1})
    async with running(folder, slack.url, prepare=soon, **address) as relay:
        before = await accept(relay, "before")
        assert len(before) == 10
        await relay.until(lambda: noc.messages)
        fault(database)
        status, body = await relay.get("/readyz")
        after = await accept(relay, "after")
        assert status == 503
        assert "restart relay" in body["database"]
        assert "restart relay" in (await relay.line("database_unusable"))["detail"]
        await relay.until(lambda: any("restart relay" in slack.text_of(each) for each in noc.messages))
        await relay.stop(9)
    await set_log_aside(database)
    async with running(folder, slack.url, **address) as relay:
        again = await accept(relay, "again")
        assert len(again) == 10
        await relay.stop()
    kept = stored(database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert kept >= {*after, *again}
    if fault is drop_log:  # the database itself is whole
        assert kept >= set(before)


async def set_log_aside(database):
    """A log without its database keeps relay from starting: what it holds would be overwritten."""
    log = database.with_name("relay.db-wal")
    if log.exists() and log.stat().st_size and not database.exists():
        with pytest.raises(StoreUnusable, match="is missing"):
            await Store.open(f"sqlite:///{database}")
        log.rename(log.with_name("log that was set aside"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_no_write_is_confirmed_after_a_file_was_changed(folder, fault):
    database = folder / "data" / "relay.db"
    store = await Store.open(f"sqlite:///{database}")
    await store.check_writable()
    fault(database)
    for check in (store.check_writable, store.check_files, store.check_writable):
        with pytest.raises(StoreUnusable, match="restart relay"):
            await check()
    await store.close()
    await set_log_aside(database)
    again = await Store.open(f"sqlite:///{database}")
    await again.check_writable()
    await again.close()


async def test_a_share_is_not_confirmed_if_the_file_changes_during_the_write(folder):
    database = folder / "data" / "relay.db"
    store = await Store.open(f"sqlite:///{database}")
    with pytest.raises(StoreUnusable, match="restart relay"):
        await store.database.write(lambda _connection: delete(database))
    await store.close()


async def test_a_file_that_is_moved_away_and_back_needs_no_restart(folder):
    database = folder / "data" / "relay.db"
    store = await Store.open(f"sqlite:///{database}")
    database.rename(folder / "aside")
    with pytest.raises(StoreUnusable):
        await store.check_writable()
    (folder / "aside").rename(database)
    await store.check_writable()
    await store.close()


async def test_a_log_beside_a_backup_is_not_applied_to_it(folder):
    """Somebody restores a backup after a crash, and leaves the old log where it was."""
    database = folder / "data" / "relay.db"
    address = f"sqlite:///{database}"
    await (await Store.open(address)).close()
    copy = folder / "copy.db"
    backup(address, copy)
    store = await Store.open(address)
    await store.check_writable()
    left = {path: path.read_bytes() for path in database.parent.glob("relay.db-wal")}
    await store.close()
    copy.replace(database)
    for path, content in left.items():
        path.write_bytes(content)
    restored = await Store.open(address)
    await restored.close()
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT 1 FROM lease WHERE name = 'restored'").fetchall() == [(1,)]
    assert list(database.parent.glob("relay.db-wal.foreign*"))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_a_backup_is_refused_if_relay_has_other_files_open(folder, fault):
    database = folder / "data" / "relay.db"
    address = f"sqlite:///{database}"
    store = await Store.open(address)
    await store.check_writable()
    backup(address, folder / "before.db")
    fault(database)
    with pytest.raises(StoreUnusable, match=r"running relay has open|There is no SQLite database|is missing") as caught:
        backup(address, folder / "copy.db")
    assert "restart relay" in str(caught.value) or not database.exists()
    assert not (folder / "copy.db").exists()
    await store.close()


async def test_a_copy_of_a_database_beside_a_foreign_log_is_refused(folder):
    database = folder / "data" / "relay.db"
    address = f"sqlite:///{database}"
    await (await Store.open(address)).close()
    backup(address, folder / "copy.db")
    (folder / "copy.db").replace(database)
    database.with_name("relay.db-wal").write_bytes(b"x" * 4096)
    with pytest.raises(StoreUnusable, match="another database"):
        backup(address, folder / "again.db")
    assert database.with_name("relay.db-wal").exists()


async def test_a_second_relay_names_the_process_that_has_the_database(folder):
    address = f"sqlite:///{folder / 'data' / 'relay.db'}"
    store = await Store.open(address)
    with pytest.raises(StoreInUse, match=rf"\(process {os.getpid()}\)"):
        await Store.open(address)
    await store.close()
