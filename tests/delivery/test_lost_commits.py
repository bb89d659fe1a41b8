"""The database commits, and its answer is lost: the caller gets an error although the change is stored."""

import asyncio
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest
from sqlalchemy.engine import make_url

from relay.model.errors import StoreError, StoreUnusable
from relay.sandbox.faults import DropConnection, InjectedFault
from tests.support.incident_lifecycle import ALERT, LIFECYCLE, cards, find_faults, visible_messages
from tests.support.postgres import postgresql_with_tables
from tests.support.relay_in_process import LONG_STEP, run_relay

POST = "chat.postMessage"


class Losing:
    """Loses the answer to the n-th transaction of delivery or ingest that changed something, after its commit.

    A search for work that finds none commits nothing: a lost answer to it is an error without an effect.
    """

    def __init__(self, relay, nth: int) -> None:
        self.lost = False
        self._left = nth
        self._write = relay.store.database.write
        relay.store.database.write = self

    async def __call__(self, work):
        changes = []

        def counted(connection):
            database = connection.connection.dbapi_connection
            before = database.total_changes
            result = work(connection)
            changes.append(database.total_changes - before)
            return result

        result = await self._write(counted)
        self._left -= bool(changes[-1])
        if self._left == 0 and not self.lost:
            self.lost = True
            raise StoreUnusable("The connection was lost as it committed.")
        return result


async def shared(relay, incident, **fields):
    """Send the share again if the answer is not 202."""
    for _ in range(2):
        with suppress(StoreError):
            return await relay.share(incident, **fields)
    raise AssertionError("rejected twice")


async def troubled(relay, incident):
    """A lifecycle in which a root and a reply are lost, one of them on the way to Slack."""
    relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, nth=1))
    relay.slack.faults.add(InjectedFault(behaviour=DropConnection(), method=POST, nth=4, after_effect=True))
    for fields in LIFECYCLE:
        await shared(relay, incident, **fields)
        await relay.advance(60)
    await relay.advance(400)


@pytest.mark.timeout(600)
async def test_a_lost_answer_to_any_commit_does_not_change_the_result(tmp_path):
    nth, found = 0, {}
    while True:
        nth += 1
        folder = tmp_path / str(nth)
        folder.mkdir()
        async with run_relay(folder) as relay:
            losing = Losing(relay, nth)
            await troubled(relay, "i1")
            found[nth] = visible_messages(relay, "all", "noc")
            assert find_faults(relay, "i1") == [], (nth, relay.transcript())
        if not losing.lost:
            break
    as_ever = found.pop(nth)
    assert {number: read for number, read in found.items() if read != as_ever} == {}
    assert nth > 20


class Proxy:
    """A proxy to PostgreSQL: it passes on the next commit of a transaction that wrote `mark`, and loses its answer."""

    def __init__(self, path: str) -> None:
        self.mark = b""
        self.cut = 0
        self.serving: set[asyncio.Task[None]] = set()
        self._path = path

    async def serve(self, reader, writer) -> None:
        self.serving.add(asyncio.current_task())
        up_reader, up_writer = await asyncio.open_unix_connection(self._path)
        cutting = asyncio.Event()
        ways = [
            asyncio.create_task(self._to_server(reader, up_writer, cutting)),
            asyncio.create_task(self._to_relay(up_reader, writer, cutting)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, up_writer):
                end.transport.abort()
            await asyncio.wait(ways)

    async def _to_server(self, reader, writer, cutting) -> None:
        marked = False
        while data := await reader.read(65536):
            marked = marked or bool(self.mark and self.mark in data)
            if marked and b"COMMIT" in data:
                self.mark = b""
                cutting.set()
            writer.write(data)

    async def _to_relay(self, reader, writer, cutting) -> None:
        while data := await reader.read(65536):
            if cutting.is_set():
                self.cut += 1
                return
            writer.write(data)


@asynccontextmanager
async def proxied(address: str):
    found = make_url(address)
    proxy = Proxy(f"{found.query['host']}/.s.PGSQL.{found.port or 5432}")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, f"postgresql://{found.username}@127.0.0.1:{port}/{found.database}"
    finally:
        server.close()
        for each in proxy.serving:
            each.cancel()
        await asyncio.wait(proxy.serving)


@pytest.mark.parametrize("what", ["root", "reply"])
async def test_a_connection_that_is_lost_during_the_commit_of_a_post_to_postgresql_changes_nothing(tmp_path, what):
    with postgresql_with_tables() as address:
        async with proxied(address) as (proxy, url), run_relay(tmp_path, url=url) as relay:
            relay.leader._guard.extend = lambda *_: None  # the test's time leaps over the end of the lease
            relay.leader._guard._until = None
            if what == "reply":
                await relay.share("one", status="warning", alerts=[ALERT])
                await relay.advance(60)
            proxy.mark = b"INSERT INTO attempt"
            await relay.share("one", status="critical", alerts=[ALERT])
            await relay.advance(4)
            await relay.share("two", status="critical", alerts=[ALERT])
            await relay.advance(120, step=LONG_STEP)
            await relay.share("one", metadata={"comment": {"comment": "anybody there?"}})
            await relay.advance(120, step=LONG_STEP)
            assert proxy.cut == 1
            assert [len(cards(relay, incident)) for incident in ("one", "two")] == [1, 1]
            assert relay.transcript().count("anybody there?") == 1
            assert relay.transcript().count("Warning → *Critical*") == (what == "reply")
        with psycopg.connect(address) as connection:
            assert connection.execute("SELECT count(*) FROM attempt WHERE state <> 'done'").fetchone() == (0,)
