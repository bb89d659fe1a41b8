"""Whoever waits is woken by what others write."""

import asyncio
from contextlib import suppress

import psycopg
import pytest
import structlog
from sqlalchemy import create_engine, make_url

from relay.store import Store, address, notify
from tests.support.postgres import a_server, start
from tests.support.store_samples import a_card, a_share, due, plain, with_cards


@pytest.fixture
async def rings(postgresql_url, monkeypatch):
    """A relay that listens: a queue that hears every ring, after the first that tells of the start.

    It holds whether anything may have changed, or it was a share.
    """
    monkeypatch.setattr(notify, "AGAIN", 0.0)
    store = await Store.open(postgresql_url)
    heard = asyncio.Queue()
    listening = asyncio.create_task(store.listen(heard.put_nowait))
    async with asyncio.timeout(10):
        await heard.get()
    yield heard
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await store.close()


async def test_what_another_relay_accepts_rings_when_it_is_due(postgresql_url, rings):
    other = await Store.open(postgresql_url)
    await other.accept([a_share("i1", "quiet")], with_cards())
    await other.accept([a_share("i2", "due")], with_cards(a_card("i2", post=due())))
    async with asyncio.timeout(10):
        assert await rings.get() is False
    await other.accept([a_share("i2", "due")], plain)
    await other.close()
    assert rings.empty()


async def test_whoever_changed_something_by_hand_can_ring(postgresql_url, rings):
    other = await Store.open(postgresql_url, exclusive=False)
    await other.notify()
    async with asyncio.timeout(10):
        assert await rings.get() is True
    await other.close()


async def test_a_lost_bell_is_hung_again_and_rings_for_what_it_missed(postgresql_url, rings):
    with psycopg.connect(postgresql_url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
    async with asyncio.timeout(10):
        await rings.get()  # somebody looks all the same
        await rings.get()  # and it hangs again
    other = await Store.open(postgresql_url)
    await other.accept([a_share()], with_cards(a_card(post=due())))
    await other.close()
    async with asyncio.timeout(10):
        await rings.get()


async def test_a_bell_that_cannot_hang_is_told_once_looked_for_meanwhile_and_hung_when_it_can(monkeypatch):
    """After a fail-over an address may lead to the standby for a while, which lets nobody listen."""
    monkeypatch.setattr(notify, "AGAIN", 0.01)
    heard = asyncio.Queue()
    with a_server() as server, structlog.testing.capture_logs() as told:
        store = await Store.open(server.get_uri())
        standby = server.pgdata / "standby.signal"
        server.stop()
        standby.touch()
        start(server)
        listening = asyncio.create_task(store.listen(heard.put_nowait))
        async with asyncio.timeout(10):
            for _ in range(3):
                await heard.get()
        [lost] = told
        assert (lost["event"], lost["log_level"]) == ("bell_lost", "warning")
        assert "give relay the primary, not a standby" in lost["detail"]
        server.stop()
        standby.unlink()
        start(server)
        await store.notify()
        while not await hangs(server):
            await heard.get()
        while not heard.empty():
            heard.get_nowait()
        await store.notify()
        async with asyncio.timeout(10):
            await heard.get()
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        await store.close()
    assert told == [lost]


async def test_whoever_is_told_to_listen_no_more_does_not_wait_for_a_server_that_hangs(server):
    """It takes the connection (a pooler may stand before it) and answers nothing."""
    url = make_url(server)
    asked, passing = asyncio.Event(), []

    async def between(reader, writer):
        from_server, to_server = await asyncio.open_unix_connection(f"{url.query['host']}/.s.PGSQL.5432")
        passing.append(asyncio.current_task())

        try:
            await asyncio.gather(pass_on(reader, to_server, asked), pass_on(from_server, writer, asked))
        finally:
            for each in (writer, to_server):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()

    async with await asyncio.start_server(between, "127.0.0.1", 0) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        through = address.parse_database_url(f"postgresql://{url.username}@127.0.0.1:{port}/{url.database}")
        listening = asyncio.create_task(
            notify.listen(create_engine(through.url).dialect, through, lambda _anything: None)
        )
        async with asyncio.timeout(20):
            await asked.wait()
        listening.cancel()
        _, waiting = await asyncio.wait([listening], timeout=3)
        left = [*passing, *(task for task in asyncio.all_tasks() if task.get_name() == "bell")]
        for task in passing:
            task.cancel()
        await asyncio.wait(left, timeout=20)
        assert not waiting


async def pass_on(reader, writer, asked):
    """All that one side says, but for the wish to listen."""
    while data := await reader.read(65536):
        if b"LISTEN" in data:
            asked.set()
        else:
            writer.write(data)


async def hangs(server):
    """Whether somebody listens."""
    async with await psycopg.AsyncConnection.connect(server.get_uri()) as other:
        found = await other.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND state = 'idle'")
        return await found.fetchone() is not None


async def test_on_sqlite_what_another_program_writes_is_seen_once(sqlite_url):
    store = await Store.open(sqlite_url)
    assert await store.changed_elsewhere() is False
    other = await Store.open(sqlite_url, exclusive=False)
    await other.accept([a_share()], plain)
    await other.close()
    assert await store.changed_elsewhere() is True
    assert await store.changed_elsewhere() is False
    await store.close()


async def test_on_sqlite_what_relay_writes_itself_is_no_news(sqlite_url):
    store = await Store.open(sqlite_url)
    assert await store.changed_elsewhere() is False
    await store.accept([a_share()], plain)
    await store.check_writable()
    assert await store.changed_elsewhere() is False
    await store.listen(lambda _anything: pytest.fail("nobody rings on SQLite"))
    await store.close()


async def test_on_postgresql_nothing_is_to_be_asked(postgresql_url):
    store = await Store.open(postgresql_url)
    await store.accept([a_share()], plain)
    assert await store.changed_elsewhere() is False
    await store.close()
