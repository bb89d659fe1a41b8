"""A relay wakes up when another one writes."""

import asyncio
from contextlib import suppress

import psycopg
import pytest
import structlog
from sqlalchemy import make_url

from relay.store import notify
from relay.store.database import Database
from relay.store.store import Store
from tests.support.postgres import a_server, start
from tests.support.store_samples import a_card, a_share, due, one_entry, with_cards


@pytest.fixture
async def notifications(ready_postgresql_url, monkeypatch):
    """A queue with the notifications that a relay receives, after the first one at its start.

    Each says whether anything may have changed, or only a share was saved.
    """
    monkeypatch.setattr(notify, "RECONNECT_PAUSE", 0.0)
    store = await Store.open(ready_postgresql_url)
    received = asyncio.Queue()
    listening = asyncio.create_task(store.listen(received.put_nowait))
    async with asyncio.timeout(100):
        await received.get()
    yield received
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await store.close()


async def test_a_relay_is_notified_of_due_work_that_another_accepts(ready_postgresql_url, notifications):
    other = await Store.open(ready_postgresql_url)
    await other.accept([a_share("i1", "quiet")], with_cards())
    await other.accept([a_share("i2", "due")], with_cards(a_card("i2", post=due())))
    async with asyncio.timeout(100):
        assert await notifications.get() is False
    await other.accept([a_share("i2", "due")], one_entry)
    await other.close()
    assert notifications.empty()


async def test_a_command_can_notify_the_relay(ready_postgresql_url, notifications):
    other = await Store.open(ready_postgresql_url, exclusive=False)
    await other.notify()
    async with asyncio.timeout(100):
        assert await notifications.get() is True
    await other.close()


async def test_relay_listens_again_after_a_lost_connection_and_learns_of_missed_work(
    ready_postgresql_url, notifications
):
    with psycopg.connect(ready_postgresql_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    async with asyncio.timeout(100):
        await notifications.get()  # it listens again
    other = await Store.open(ready_postgresql_url)
    await other.accept([a_share()], with_cards(a_card(post=due())))
    await other.close()
    async with asyncio.timeout(100):
        await notifications.get()


async def test_a_server_without_notifications_is_reported_once_and_tried_again(monkeypatch):
    """After a fail-over an address may lead to the standby for a while. A standby lets nobody listen."""
    monkeypatch.setattr(notify, "RECONNECT_PAUSE", 0.01)
    received, tries = asyncio.Queue(), asyncio.Queue()
    connect = psycopg.AsyncConnection.connect

    async def counted_connect(**parameters):
        tries.put_nowait(parameters)
        return await connect(**parameters)

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", counted_connect)
    with a_server() as server, structlog.testing.capture_logs() as logged:
        store = await Store.open(server.get_uri())
        standby = server.pgdata / "standby.signal"
        server.stop()
        standby.touch()
        start(server)
        listening = asyncio.create_task(store.listen(received.put_nowait))
        async with asyncio.timeout(100):
            for _ in range(3):
                await tries.get()
        [lost] = logged
        assert (lost["event"], lost["log_level"]) == ("pg_notify_lost", "warning")
        assert "give relay the primary, not a standby" in lost["detail"]
        server.stop()
        standby.unlink()
        start(server)
        await store.notify()
        async with asyncio.timeout(100):
            await received.get()
            assert store.notify_problem
            while store.notify_problem:  # noqa: ASYNC110  the next notification comes in a minute
                await asyncio.sleep(0.01)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await store.close()
    assert [each["event"] for each in logged] == ["pg_notify_lost", "pg_notify_restored"]


async def test_cancelling_does_not_wait_for_a_server_that_hangs(server):
    """It accepts the connection (there may be a pooler) and answers nothing."""
    url = make_url(server)
    requested, connections = asyncio.Event(), []

    async def between(reader, writer):
        from_server, to_server = await asyncio.open_unix_connection(f"{url.query['host']}/.s.PGSQL.5432")
        connections.append(asyncio.current_task())

        try:
            await asyncio.gather(forward(reader, to_server, requested), forward(from_server, writer, requested))
        finally:
            for each in (writer, to_server):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()

    async with await asyncio.start_server(between, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        database = Database.open(f"postgresql://{url.username}@127.0.0.1:{port}/{url.database}", exclusive=False)
        listening = asyncio.create_task(notify.NotificationListener(database).run(lambda _anything: None))
        async with asyncio.timeout(100):
            await requested.wait()
        listening.cancel()
        _, waiting = await asyncio.wait([listening], timeout=3)
        async with asyncio.timeout(100):
            while len(connections) == 1:  # noqa: ASYNC110  psycopg asks the server to cancel its statement
                await asyncio.sleep(0.01)
        left = [*connections, *(task for task in asyncio.all_tasks() if task.get_name() == "listen for notifications")]
        for task in connections:
            task.cancel()
        await asyncio.wait(left, timeout=100)
        assert not waiting


async def forward(reader, writer, requested):
    """Forward everything except LISTEN."""
    while data := await reader.read(65536):
        if b"LISTEN" in data:
            requested.set()
        else:
            writer.write(data)


async def test_on_sqlite_a_change_by_another_program_is_noticed_once(sqlite_url):
    store = await Store.open(sqlite_url)
    assert await store.changed_elsewhere() is False
    other = await Store.open(sqlite_url, exclusive=False)
    await other.accept([a_share()], one_entry)
    await other.close()
    assert await store.changed_elsewhere() is True
    assert await store.changed_elsewhere() is False
    await store.close()


async def test_on_sqlite_relays_own_changes_are_not_noticed(sqlite_url):
    store = await Store.open(sqlite_url)
    assert await store.changed_elsewhere() is False
    await store.accept([a_share()], one_entry)
    await store.check_writable()
    assert await store.changed_elsewhere() is False
    await store.listen(lambda _anything: pytest.fail("there are no notifications on SQLite"))
    await store.close()


async def test_on_postgresql_relay_always_assumes_that_another_relay_has_written(ready_postgresql_url):
    store = await Store.open(ready_postgresql_url)
    assert await store.changed_elsewhere() is True
    await store.close()
