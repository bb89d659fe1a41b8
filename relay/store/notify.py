"""Wakes the relay that delivers, on PostgreSQL. It only saves time: that relay also looks for work by itself.

A pooler may give each transaction another session, as PgBouncer does with `pool_mode = transaction`. PostgreSQL then
accepts LISTEN, and nothing arrives. So relay tests it again and again with a notification of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from relay.model.errors import StoreError
from relay.store.address import connection_parameters
from relay.store.database import Database
from relay.store.db_errors import to_store_error
from relay.store.locks import postgresql

if TYPE_CHECKING:  # where SQLite is used, it is never loaded
    import psycopg

log = structlog.get_logger("relay.store")

CHANNEL: Final = "relay"
"""The PostgreSQL channel of the notifications."""

RECONNECT_PAUSE: Final = 5.0
"""Seconds until relay listens again after an error (the connection was lost, or leads to a standby now)."""

TEST_EVERY: Final = 60.0
"""Seconds between two tests whether notifications arrive."""

TEST_SECONDS: Final = 5.0
"""Seconds within which the notification of a test must arrive."""

ANYTHING: Final = "anything"
"""The payload if not only a share was saved: attempts in doubt, dead letters and channels may have changed too."""

NOT_RECEIVED: Final = (
    "PostgreSQL's notifications do not arrive. Relay looks for work every second, so nothing is lost. To be notified "
    "at once, connect it to PostgreSQL directly, or use a pool of sessions (PgBouncer: pool_mode = session)."
)

_TEST: Final = "test "
"""How the payload of a test begins."""

OnNotify = Callable[[bool], None]
"""Called when work may be due; the argument says whether anything may have changed, or only a share was saved."""

_NOTIFY: Final = text("SELECT pg_notify(:channel, :payload)")
_LISTEN: Final = f'LISTEN "{CHANNEL}"'
_UNLISTEN: Final = f'UNLISTEN "{CHANNEL}"'


def notify(connection: Connection, *, anything: bool = True) -> None:
    """On PostgreSQL: wake the relay that delivers, after the commit. On SQLite there is no other relay to wake."""
    if postgresql(connection):
        _send(connection, ANYTHING if anything else "")


def _send(connection: Connection, payload: str) -> None:
    connection.execute(_NOTIFY, {"channel": CHANNEL, "payload": payload})


class NotificationListener:
    """Listens on a connection of its own. `problem` says why notifications do not arrive; empty if they do."""

    def __init__(self, database: Database) -> None:
        self.problem = ""
        self._database = database

    async def run(self, on_notify: OnNotify) -> None:
        """Call `on_notify` whenever a relay has saved work that is due, or may have; until cancelled."""
        while True:
            try:
                await _wait_for(asyncio.create_task(self._listen(on_notify), name="listen for notifications"))
            except StoreError as error:
                self._report(str(error))
                await asyncio.sleep(RECONNECT_PAUSE)

    async def test(self) -> str:
        """Return why notifications do not arrive on a new connection, in a sentence; empty if they do.

        Raises:
            StoreError: the database failed.
        """
        async with self._listening() as connection:
            return "" if await self._arrives(connection, lambda _anything: None) else NOT_RECEIVED

    async def _listen(self, on_notify: OnNotify) -> None:
        """Listen for as long as notifications arrive, and then try again after a pause."""
        async with self._listening() as connection:
            on_notify(True)  # noqa: FBT003  something may have been saved while nobody listened
            while await self._arrives(connection, on_notify):
                self._report("")
                async for notification in connection.notifies(timeout=TEST_EVERY):
                    _pass_on(notification, on_notify)
        self._report(NOT_RECEIVED)
        await asyncio.sleep(TEST_EVERY)

    @asynccontextmanager
    async def _listening(self) -> "AsyncIterator[psycopg.AsyncConnection]":
        import psycopg  # noqa: PLC0415  not where SQLite is used

        address = self._database.address
        try:
            async with await psycopg.AsyncConnection.connect(
                **connection_parameters(address), autocommit=True
            ) as connection:
                await connection.execute(_LISTEN)
                yield connection
        except psycopg.Error as error:
            raise to_store_error(DBAPIError(None, None, error), address) from error

    async def _arrives(self, connection: "psycopg.AsyncConnection", on_notify: OnNotify) -> bool:
        """Send a notification from another connection, and return whether it arrives on this one."""
        payload = f"{_TEST}{uuid4().hex}"
        await self._database.write(lambda other: _send(other, payload))
        ends_at, arrived = monotonic() + TEST_SECONDS, False
        while not arrived and (left := ends_at - monotonic()) > 0:
            async for notification in connection.notifies(timeout=left, stop_after=1):
                arrived |= notification.payload == payload
                _pass_on(notification, on_notify)
        if not arrived:  # the session may belong to a pooler, which gives it to other clients
            await connection.execute(_UNLISTEN)
        return arrived

    def _report(self, problem: str) -> None:
        if problem and not self.problem:
            log.warning("pg_notify_lost", detail=problem)
        elif self.problem and not problem:
            log.info("pg_notify_restored", detail="PostgreSQL's notifications arrive again.")
        self.problem = problem


def _pass_on(notification: "psycopg.Notify", on_notify: OnNotify) -> None:
    if not notification.payload.startswith(_TEST):
        on_notify(notification.payload == ANYTHING)


async def _wait_for(listening: asyncio.Task[None]) -> None:
    """Wait for the end of the task, and raise its error. If this wait is cancelled, it does not wait for the task.

    psycopg, cancelled in a statement, asks the server to cancel it too, and waits ten seconds for a server that hangs.
    """
    listening.add_done_callback(lambda task: task.cancelled() or task.exception())  # read, so that asyncio logs nothing
    try:
        await asyncio.wait([listening])
    finally:
        listening.cancel()
    await listening
