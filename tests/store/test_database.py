"""A database is opened, or rejected with a sentence that says what is wrong and what to do."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text

from relay.model.errors import StoreError, StoreInUse, StoreTooNew, StoreUnusable
from relay.store import address, migration
from relay.store.store import Store
from tests.support.store_samples import NOW, a_share, count, one_entry, run


async def rejection(url, **options):
    """The sentence of the error when it is opened."""
    with pytest.raises(StoreUnusable) as rejected:
        await Store.open(url, **options)
    return str(rejected.value)


async def test_an_empty_database_is_migrated_and_keeps_its_data(url):
    first = await Store.open(url)
    await first.accept([a_share()], one_entry)
    await first.close()
    again = await Store.open(url)
    assert (await again.incident_history("i1")).state.version == 1
    assert (await run(again, f"SELECT version_num FROM {migration.VERSION_TABLE}")) == [(migration.NEWEST,)]
    await again.close()


async def test_relays_that_start_together_migrate_once(postgresql_url):
    stores = await asyncio.gather(*(Store.open(postgresql_url) for _ in range(4)))
    for store in stores:
        await store.check_writable()
        await store.close()


@pytest.mark.parametrize("exclusive", [True, False])
async def test_a_database_of_a_newer_relay_is_rejected(url, exclusive):
    store = await Store.open(url)
    await run(store, f"UPDATE {migration.VERSION_TABLE} SET version_num = '9999'")
    await store.close()
    with pytest.raises(StoreTooNew, match=r"version 9999.*run the newer relay"):
        await Store.open(url, exclusive=exclusive)


async def test_tables_of_another_program_are_not_changed(url):
    store = await Store.open(url)
    await run(store, f"DROP TABLE {migration.VERSION_TABLE}")
    await store.close()
    assert "has tables that relay did not create (attempt, bigpanda_task," in await rejection(url)


async def test_a_command_creates_nothing(sqlite_url, tmp_path, postgresql_url):
    assert "There is no SQLite database at" in await rejection(sqlite_url, exclusive=False)
    assert list(tmp_path.glob("relay.db*")) == []
    assert "has no tables of relay yet" in await rejection(postgresql_url, exclusive=False)


async def test_a_command_does_not_migrate(url):
    store = await Store.open(url)
    await run(store, f"DELETE FROM {migration.VERSION_TABLE}")
    await store.close()
    assert "Start `relay serve` once" in await rejection(url, exclusive=False)


async def test_a_command_can_read_and_write_beside_a_running_relay(store, second):
    await store.accept([a_share()], one_entry)
    assert (await second.incident_history("i1")).state.version == 1
    await second.accept([a_share(digest="h2")], one_entry)
    assert (await store.incident_history("i1")).state.version == 2


async def test_a_second_relay_on_one_file_is_rejected_while_the_first_runs(sqlite_url):
    first = await Store.open(sqlite_url)
    with pytest.raises(StoreInUse, match=rf"\(process {os.getpid()}\).*relay\.db open: stop it first"):
        await Store.open(sqlite_url)
    await first.close()
    again = await Store.open(sqlite_url)
    await again.close()


async def test_a_second_relay_that_uses_a_link_is_rejected_too(sqlite_url, tmp_path):
    first = await Store.open(sqlite_url)
    (tmp_path / "link.db").symlink_to(tmp_path / "relay.db")
    with pytest.raises(StoreInUse, match="stop it first"):
        await Store.open(f"sqlite:///{tmp_path}/link.db")
    await first.close()


async def test_a_new_file_and_its_log_are_readable_only_by_the_owner_and_an_existing_file_keeps_its_mode(
    sqlite_url, tmp_path
):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], one_entry)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("relay.db*")}
    assert (modes["relay.db"], modes["relay.db-wal"]) == (0o600, 0o600)
    await store.close()
    (tmp_path / "relay.db").chmod(0o640)
    await (await Store.open(sqlite_url)).close()
    assert (tmp_path / "relay.db").stat().st_mode & 0o777 == 0o640


async def test_a_link_to_a_file_that_does_not_exist_yet_becomes_a_link_to_the_new_database(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "volume" / "relay.db")
    store = await Store.open(f"sqlite:///{tmp_path}/link.db")
    await store.accept([a_share()], one_entry)
    await store.close()
    assert (tmp_path / "volume" / "relay.db").stat().st_mode & 0o777 == 0o600
    again = await Store.open(f"sqlite:///{tmp_path}/link.db")
    assert await again.incident_history("i1") is not None
    await again.close()


async def test_a_relay_that_cannot_start_deletes_the_database_that_it_created_and_no_link(tmp_path):
    (tmp_path / "volume").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "volume" / "relay.db")
    store = await Store.open(f"sqlite:///{tmp_path}/link.db")
    store.discard_if_new()
    await store.close()
    assert not (tmp_path / "volume" / "relay.db").exists()
    assert (tmp_path / "link.db").is_symlink()


async def test_the_lock_ends_with_its_process(sqlite_url):
    program = (
        "import asyncio, os, sys\n"
        "from relay.store.store import Store\n"
        "async def main():\n"
        "    await Store.open(sys.argv[1])\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220  the other process is what is tested
        [sys.executable, "-c", program, sqlite_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreInUse, match=f"process {other.pid}"):
            await Store.open(sqlite_url)
        other.kill()
    store = await Store.open(sqlite_url)
    await store.close()


async def test_a_file_that_is_not_a_database_is_rejected_and_left_as_it_is(sqlite_url, tmp_path):
    file = tmp_path / "relay.db"
    file.write_bytes(b"these are not the bytes you are looking for" * 100)
    sentence = await rejection(sqlite_url)
    assert sentence.startswith(f"The SQLite database {file} is not an SQLite database")
    assert "restore it from a backup" in sentence
    assert file.read_bytes().startswith(b"these are not")


async def test_a_truncated_file_is_damaged(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share(f"i{number}", f"h{number}", body=os.urandom(4000)) for number in range(100)], one_entry)
    await store.close()
    file = tmp_path / "relay.db"
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)
    sentence = await rejection(sqlite_url)
    assert f"{file} is damaged" in sentence
    assert "restore it from a backup" in sentence


async def test_a_damaged_page_is_reported_when_it_is_read(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], one_entry)
    [[page]] = await run(store, "SELECT rootpage FROM sqlite_master WHERE name = 'share'")
    await store.close()
    with (tmp_path / "relay.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    store = await Store.open(sqlite_url)
    with pytest.raises(StoreUnusable, match="is damaged"):
        await store.accept([a_share(digest="h2")], one_entry)
    await store.close()


async def test_a_missing_folder_is_named(tmp_path):
    sentence = await rejection(f"sqlite:///{tmp_path}/none/relay.db")
    assert f"create {tmp_path}/none, or change RELAY_DATABASE_URL" in sentence


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("name", ["relay.db", "link/to relay.db"])
async def test_a_missing_database_with_an_existing_log_is_reported_and_the_log_is_kept(tmp_path, exclusive, name):
    log = tmp_path / "relay.db-wal"
    log.write_bytes(b"pages of the database")
    if name != "relay.db":
        (tmp_path / "link").mkdir()
        (tmp_path / name).symlink_to(tmp_path / "relay.db")
    message = await rejection(f"sqlite:///{tmp_path / name}", exclusive=exclusive)
    assert "relay.db is missing" in message
    assert f"move {log} away" in message
    assert log.read_bytes() == b"pages of the database"
    assert not (tmp_path / "relay.db").exists()


async def test_a_loop_of_links_is_not_a_database(tmp_path):
    (tmp_path / "relay.db").symlink_to("relay.db")
    assert "cannot be opened" in await rejection(f"sqlite:///{tmp_path}/relay.db")


async def test_a_folder_is_not_a_database(tmp_path):
    assert f"{tmp_path} is not a file" in await rejection(f"sqlite:///{tmp_path}")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody may write")
async def test_a_folder_that_relay_cannot_write_is_named():
    sentence = await rejection("sqlite:////proc/relay.db")
    assert "/proc/relay.db.lock cannot be written" in sentence
    assert "let relay's user write in /proc" in sentence


async def test_the_check_finds_a_read_only_database(store):
    sqlite = not store.shared
    await run(store, "PRAGMA query_only = ON" if sqlite else "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(StoreUnusable, match="cannot be written"):
        await store.check_writable()


async def test_after_a_failover_relay_looks_for_the_primary_again(ready_postgresql_url):
    """The connection leads to a server that has become a standby."""
    store = await Store.open(ready_postgresql_url)
    await run(store, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    with pytest.raises(StoreUnusable, match="give relay the primary"):
        await store.check_writable()
    await store.check_writable()
    await store.close()


async def test_a_full_disk_is_reported_and_nothing_is_saved(sqlite_url):
    store = await Store.open(sqlite_url)
    await store.database.probe("PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnusable, match="the disk is full"):
        await store.accept(
            [a_share(f"i{number}", f"h{number}", body=os.urandom(9000)) for number in range(50)], one_entry
        )
    assert await count(store, "share") == 0
    await store.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://root:secret@host/relay", "is not the address of a supported database"),
        ("secret", "is not the address of a supported database"),
        ("postgresql://user:secret@host:port/relay", "@ as %40"),
        ("postgresql://user:pass@host/relay?secret=1", "a parameter that libpq does not know"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://secret/relay.db", "names no file"),
    ],
)
async def test_an_invalid_url_is_rejected_and_says_what_is_expected(url, reason):
    sentence = await rejection(url)
    assert reason in sentence
    assert "sqlite:///relay.db" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize("url", ["postgresql://relay:s3cret@127.0.0.1:1/relay", "postgres://relay:s3cret@/x?host=/x"])
async def test_a_missing_server_is_reported_without_the_password(url):
    sentence = await rejection(url)
    assert "cannot be reached" in sentence
    assert "s3cret" not in sentence


async def test_a_missing_database_is_reported(server):
    sentence = await rejection(server.replace("/postgres?", "/nowhere?"))
    assert 'database "nowhere" does not exist' in sentence


def test_relative_and_absolute_paths_are_distinguished():
    assert address.parse_database_url("sqlite:///relay.db").path == Path.cwd() / "relay.db"
    assert address.parse_database_url("sqlite:////var/relay.db").path == Path("/var/relay.db")


def test_a_dead_connection_is_given_up_in_seconds_unless_the_url_says_otherwise():
    given = address.connection_parameters(address.parse_database_url("postgresql://u:p@h/d?connect_timeout=3"))
    assert given["connect_timeout"] == "3"
    assert given["tcp_user_timeout"] == address.DEAD_AFTER * 1000
    silence = given["keepalives_idle"] + given["keepalives_interval"] * given["keepalives_count"]
    assert silence <= address.DEAD_AFTER


async def test_every_connection_to_postgresql_has_keepalives(ready_postgresql_url):
    store = await Store.open(ready_postgresql_url)
    ours = await store.database.read(lambda connection: connection.connection.driver_connection.info.get_parameters())
    assert int(ours["keepalives_idle"]) < address.DEAD_AFTER
    assert int(ours["tcp_user_timeout"]) == address.DEAD_AFTER * 1000
    await store.close()


@pytest.mark.parametrize(("server_has", "relay_uses"), [("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")])
async def test_a_write_to_postgresql_is_on_disk_when_it_is_confirmed(ready_postgresql_url, server_has, relay_uses):
    settings = quote(f"-c synchronous_commit={server_has}")
    store = await Store.open(f"{ready_postgresql_url}{'&' if '?' in ready_postgresql_url else '?'}options={settings}")
    try:
        show = text("SELECT current_setting('synchronous_commit')")
        assert await store.database.write(lambda connection: connection.scalar(show)) == relay_uses
    finally:
        await store.close()


async def test_sqlite_has_the_settings_that_relay_needs(sqlite_url):
    store = await Store.open(sqlite_url)
    pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    for pragma, value in pragmas.items():
        assert await store.database.probe(f"PRAGMA {pragma}") == value
    assert not store.shared
    await store.close()


async def test_a_connection_that_dies_between_transactions_is_replaced(ready_postgresql_url):
    store = await Store.open(ready_postgresql_url)
    await store.accept([a_share()], one_entry)
    for verb in (lambda: store.accept([a_share(digest="h2")], one_entry), lambda: store.incident_history("i1")):
        with psycopg.connect(ready_postgresql_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'relay' AND pid <> pg_backend_pid()"
            )
        await verb()
    assert (await store.incident_history("i1")).state.version == 2
    assert store.shared
    await store.close()


async def test_a_transaction_whose_connection_dies_is_repeated(ready_postgresql_url):
    store = await Store.open(ready_postgresql_url)
    tries = []

    def decide(context):
        tries.append(context.share.hash)
        if len(tries) == 1:
            with psycopg.connect(ready_postgresql_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relay'")
        return one_entry(context)

    [accepted] = await store.accept([a_share()], decide)
    assert tries == ["h1", "h1"]
    assert [line.id for line in (await store.incident_history("i1")).shares] == [accepted.share_id]
    await store.close()


async def test_after_closing_every_verb_reports_that_the_store_is_closed(url):
    store = await Store.open(url)
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.check_writable()
    await store.close()


async def test_closing_waits_for_running_transactions(url):
    store = await Store.open(url)
    accepting = asyncio.create_task(store.accept([a_share(at=NOW)], one_entry))
    await asyncio.sleep(0)
    assert await store.close()
    [accepted] = await accepting
    again = await Store.open(url)
    assert (await again.incident_history("i1")).shares[0].id == accepted.share_id
    await again.close()


async def test_closing_does_not_wait_for_a_hanging_transaction_which_keeps_the_lock_until_its_end(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    accepting = asyncio.create_task(store.accept([a_share(at=NOW)], one_entry))
    await asyncio.sleep(0)
    assert not await store.close(within=0.05)
    with pytest.raises(StoreInUse):
        await Store.open(sqlite_url)
    other.execute("ROLLBACK")
    [accepted] = await accepting
    assert await store.close()
    again = await Store.open(sqlite_url)
    assert (await again.incident_history("i1")).shares[0].id == accepted.share_id
    await again.close()


async def test_a_locked_database_is_reported_in_time(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setattr("relay.store.database.BUSY_TIMEOUT", 0.05)
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnusable, match="is locked by another program"):
        await store.check_writable()
    other.close()
    await store.check_writable()
    await store.close()


async def test_a_transaction_with_savepoints_writes_no_temporary_file(tmp_path):
    """SQLite would copy the pages that change into one, behind each savepoint; 2 is MEMORY."""
    store = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    assert await store.database.probe("PRAGMA temp_store") == 2
    await store.close()
