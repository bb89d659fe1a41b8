"""A database is opened whole, or refused with a sentence that says what is wrong and what to do."""

import asyncio
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from relay.model.errors import StoreError, StoreInUse, StoreTooNew, StoreUnusable
from relay.store import Store, address, migration
from tests.support.store_samples import NOW, a_share, count, plain, run


async def refusal(url, **how):
    """The sentence with which opening is refused."""
    with pytest.raises(StoreUnusable) as refused:
        await Store.open(url, **how)
    return str(refused.value)


async def test_an_empty_database_is_migrated_and_opened_again_as_it_was(url):
    first = await Store.open(url)
    await first.accept([a_share()], plain)
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
async def test_a_database_of_a_newer_relay_is_refused(url, exclusive):
    store = await Store.open(url)
    await run(store, f"UPDATE {migration.VERSION_TABLE} SET version_num = '9999'")
    await store.close()
    with pytest.raises(StoreTooNew, match=r"version 9999.*run the newer relay"):
        await Store.open(url, exclusive=exclusive)


async def test_tables_of_somebody_else_are_left_alone(url):
    store = await Store.open(url)
    await run(store, f"DROP TABLE {migration.VERSION_TABLE}")
    await store.close()
    assert "tables already that relay did not make (attempt, bigpanda_task," in await refusal(url)


async def test_who_looks_only_makes_nothing(sqlite_url, tmp_path, postgresql_url):
    assert "There is no SQLite database at" in await refusal(sqlite_url, exclusive=False)
    assert list(tmp_path.glob("relay.db*")) == []
    assert "holds nothing of relay's yet" in await refusal(postgresql_url, exclusive=False)


async def test_who_looks_only_does_not_migrate(url):
    store = await Store.open(url)
    await run(store, f"DELETE FROM {migration.VERSION_TABLE}")
    await store.close()
    assert "Start `relay serve` once" in await refusal(url, exclusive=False)


async def test_who_looks_only_reads_and_may_write_beside_a_running_relay(store, second):
    await store.accept([a_share()], plain)
    assert (await second.incident_history("i1")).state.version == 1
    await second.accept([a_share(digest="h2")], plain)
    assert (await store.incident_history("i1")).state.version == 2


async def test_a_second_relay_on_one_file_is_refused_while_the_first_lives(sqlite_url):
    first = await Store.open(sqlite_url)
    with pytest.raises(StoreInUse, match=rf"\(process {os.getpid()}\).*relay\.db open: stop it first"):
        await Store.open(sqlite_url)
    await first.close()
    again = await Store.open(sqlite_url)
    await again.close()


async def test_a_second_relay_that_comes_by_a_link_is_refused_too(sqlite_url, tmp_path):
    first = await Store.open(sqlite_url)
    (tmp_path / "link.db").symlink_to(tmp_path / "relay.db")
    with pytest.raises(StoreInUse, match="stop it first"):
        await Store.open(f"sqlite:///{tmp_path}/link.db")
    await first.close()


async def test_a_new_file_and_its_log_are_their_owners_alone_and_one_that_is_there_stays_as_it_is(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], plain)
    modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.glob("relay.db*")}
    assert (modes["relay.db"], modes["relay.db-wal"]) == (0o600, 0o600)
    await store.close()
    (tmp_path / "relay.db").chmod(0o640)
    await (await Store.open(sqlite_url)).close()
    assert (tmp_path / "relay.db").stat().st_mode & 0o777 == 0o640


async def test_the_lock_dies_with_its_process(sqlite_url):
    program = (
        "import asyncio, os, sys\n"
        "from relay.store import Store\n"
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


async def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(sqlite_url, tmp_path):
    file = tmp_path / "relay.db"
    file.write_bytes(b"these are not the bytes you are looking for" * 100)
    sentence = await refusal(sqlite_url)
    assert sentence.startswith(f"The SQLite database {file} is not an SQLite database")
    assert "restore it from a backup" in sentence
    assert file.read_bytes().startswith(b"these are not")


async def test_a_file_that_lost_its_end_is_called_damaged(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share(f"i{number}", f"h{number}", body=os.urandom(4000)) for number in range(100)], plain)
    await store.close()
    file = tmp_path / "relay.db"
    os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)
    sentence = await refusal(sqlite_url)
    assert f"{file} is damaged" in sentence
    assert "restore it from a backup" in sentence


async def test_a_page_that_is_damaged_later_is_told_when_it_is_read(sqlite_url, tmp_path):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], plain)
    [[page]] = await run(store, "SELECT rootpage FROM sqlite_master WHERE name = 'share'")
    await store.close()
    with (tmp_path / "relay.db").open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)
    store = await Store.open(sqlite_url)
    with pytest.raises(StoreUnusable, match="is damaged"):
        await store.accept([a_share(digest="h2")], plain)
    await store.close()


async def test_a_missing_folder_is_named(tmp_path):
    sentence = await refusal(f"sqlite:///{tmp_path}/none/relay.db")
    assert f"create {tmp_path}/none, or change RELAY_DATABASE_URL" in sentence


async def test_a_folder_is_no_database(tmp_path):
    assert f"{tmp_path} is no file" in await refusal(f"sqlite:///{tmp_path}")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody may write")
async def test_a_folder_that_cannot_be_written_is_named():
    sentence = await refusal("sqlite:////proc/relay.db")
    assert "/proc/relay.db.lock cannot be written" in sentence
    assert "let relay's user write in /proc" in sentence


async def test_a_database_that_cannot_be_written_is_found_by_its_check(store, monkeypatch):
    def no_room(connection):
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA query_only = ON"))
        else:
            connection.execute(text("SET TRANSACTION READ ONLY"))

    monkeypatch.setattr("relay.store.health.beat", lambda connection: (no_room(connection), _beat(connection)))
    with pytest.raises(StoreUnusable, match="cannot be written"):
        await store.check_writable()


def _beat(connection):
    connection.execute(text("UPDATE health_probe SET writes = 7"))


async def test_a_full_disk_is_told_and_nothing_is_kept(sqlite_url):
    store = await Store.open(sqlite_url)
    await store._database.probe("PRAGMA max_page_count = 1")
    with pytest.raises(StoreUnusable, match="the disk is full"):
        await store.accept([a_share(f"i{number}", f"h{number}", body=os.urandom(9000)) for number in range(50)], plain)
    assert await count(store, "share") == 0
    await store.close()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("mysql://root:secret@host/relay", "begins with 'mysql'"),
        ("secret", "cannot be read as a URL"),
        ("postgresql://user:secret@host:port/relay", "cannot be read as a URL"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://secret/relay.db", "names no file"),
    ],
)
async def test_an_address_that_is_none_says_what_is_expected(wrong, said):
    sentence = await refusal(wrong)
    assert said in sentence
    assert "sqlite:///relay.db" in sentence
    assert "secret" not in sentence


@pytest.mark.parametrize(
    "wrong", ["postgresql://relay:s3cret@127.0.0.1:1/relay", "postgres://s3cret:s3cret@/x?host=/x"]
)
async def test_a_server_that_is_not_there_is_told_without_the_password(wrong):
    sentence = await refusal(wrong)
    assert "cannot be reached" in sentence
    assert "s3cret" not in sentence.replace("//s3cret:", "").replace('"s3cret"', "")
    assert "***" in sentence


async def test_a_database_that_is_not_there_is_told(server):
    sentence = await refusal(server.replace("/postgres?", "/nowhere?"))
    assert 'database "nowhere" does not exist' in sentence


def test_relative_and_absolute_files_are_told_apart():
    assert address.parse_database_url("sqlite:///relay.db").path == Path.cwd() / "relay.db"
    assert address.parse_database_url("sqlite:////var/relay.db").path == Path("/var/relay.db")
    assert address.parse_database_url("postgresql://u:p@h:1/d?sslmode=require").url.drivername == "postgresql+psycopg"
    assert (
        address.parse_database_url("postgresql://u:p@h:1/d").name
        == "the PostgreSQL database postgresql+psycopg://u:***@h:1/d"
    )


def test_a_postgresql_that_vanishes_is_given_up_in_seconds_unless_the_url_says_otherwise():
    given = address.connection_settings(address.parse_database_url("postgresql://u:p@h/d?connect_timeout=3").url)
    assert "connect_timeout" not in given
    assert given["tcp_user_timeout"] == address.CUT_OFF * 1000
    silence = given["keepalives_idle"] + given["keepalives_interval"] * given["keepalives_count"]
    assert silence <= address.CUT_OFF


async def test_every_connection_to_postgresql_is_watched(postgresql_url):
    store = await Store.open(postgresql_url)
    ours = await store._database.read(lambda connection: connection.connection.driver_connection.info.get_parameters())
    assert int(ours["keepalives_idle"]) < address.CUT_OFF
    assert int(ours["tcp_user_timeout"]) == address.CUT_OFF * 1000
    await store.close()


async def test_sqlite_runs_as_relay_needs_it(sqlite_url):
    store = await Store.open(sqlite_url)
    pragmas = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
    for pragma, value in pragmas.items():
        assert await store._database.probe(f"PRAGMA {pragma}") == value
    assert not store.shared
    await store.close()


async def test_a_connection_that_dies_between_transactions_is_replaced(postgresql_url):
    store = await Store.open(postgresql_url)
    await store.accept([a_share()], plain)
    for verb in (lambda: store.accept([a_share(digest="h2")], plain), lambda: store.incident_history("i1")):
        with psycopg.connect(postgresql_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'relay' AND pid <> pg_backend_pid()"
            )
        await verb()
    assert (await store.incident_history("i1")).state.version == 2
    assert store.shared
    await store.close()


async def test_a_connection_that_dies_within_a_transaction_costs_nothing(postgresql_url):
    store = await Store.open(postgresql_url)
    tries = []

    def plan(story, cards, share, same):
        tries.append(share.hash)
        if len(tries) == 1:
            with psycopg.connect(postgresql_url, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'relay'")
        return plain(story, cards, share, same)

    [accepted] = await store.accept([a_share()], plan)
    assert tries == ["h1", "h1"]
    assert [line.id for line in (await store.incident_history("i1")).shares] == [accepted.share_id]
    await store.close()


async def test_after_closing_every_verb_says_that_it_is_closed(url):
    store = await Store.open(url)
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.check_writable()
    await store.close()


async def test_closing_waits_for_what_is_under_way(url):
    store = await Store.open(url)
    accepting = asyncio.create_task(store.accept([a_share(at=NOW)], plain))
    await asyncio.sleep(0)
    assert await store.close()
    [accepted] = await accepting
    again = await Store.open(url)
    assert (await again.incident_history("i1")).shares[0].id == accepted.share_id
    await again.close()


async def test_closing_does_not_wait_for_what_hangs_which_ends_by_itself_and_holds_the_file_until_then(
    sqlite_url, tmp_path
):
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    accepting = asyncio.create_task(store.accept([a_share(at=NOW)], plain))
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


async def test_a_database_that_another_program_holds_is_told_in_time(sqlite_url, tmp_path, monkeypatch):
    monkeypatch.setattr("relay.store.database.BUSY_TIMEOUT", 0.05)
    store = await Store.open(sqlite_url)
    other = sqlite3.connect(tmp_path / "relay.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnusable, match="is locked by another program"):
        await store.check_writable()
    other.close()
    await store.check_writable()
    await store.close()
