"""Wakes other relays on one PostgreSQL. It only saves time: a relay that misses a notification looks by itself."""

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import Connection, Dialect, text
from sqlalchemy.exc import DBAPIError

from relay.store.address import Address, connection_settings
from relay.store.db_errors import to_store_error
from relay.store.locks import postgresql

log = structlog.get_logger("relay.store")

CHANNEL = "relay"
"""The PostgreSQL channel of the notifications."""

RECONNECT_PAUSE = 5.0
"""Seconds until relay listens again after an error (the connection was lost, or leads to a standby now)."""

ANYTHING = "anything"
"""The payload if not only a share was saved: attempts in doubt, dead letters and channels may have changed too."""

OnNotify = Callable[[bool], None]
"""Called when work may be due; the argument says whether anything may have changed, or only a share was saved."""

_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


def notify(connection: Connection, *, anything: bool = True) -> None:
    """On PostgreSQL: wake the relay that delivers, after the commit. On SQLite there is no other relay to wake."""
    if postgresql(connection):
        connection.execute(_NOTIFY, {"channel": CHANNEL, "payload": ANYTHING if anything else ""})


async def listen_on_postgresql(dialect: Dialect, address: Address, on_notify: OnNotify) -> None:
    """Call `on_notify` whenever a relay has saved work that is due, or may have; until cancelled."""
    arguments, options = dialect.create_connect_args(address.url)
    settings = {**connection_settings(address.url), **options}
    reported = False

    async def listen() -> None:
        nonlocal reported
        async with await psycopg.AsyncConnection.connect(*arguments, **settings, autocommit=True) as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
            reported = False
            on_notify(True)  # noqa: FBT003  something may have been saved while nobody listened
            async for notification in connection.notifies():
                on_notify(notification.payload == ANYTHING)

    while True:
        error = await _error_of(asyncio.create_task(listen(), name="listen for notifications"))
        if isinstance(error, psycopg.Error):
            if not reported:
                log.warning("pg_notify_lost", detail=str(to_store_error(DBAPIError(None, None, error), address)))
            reported = True
            await asyncio.sleep(RECONNECT_PAUSE)
            on_notify(True)  # noqa: FBT003  the same
        elif error is not None:
            raise error


async def _error_of(listening: asyncio.Task[None]) -> BaseException | None:
    """Wait for the end of the task and return its error. If this wait is cancelled, it does not wait for the task.

    psycopg, cancelled in a statement, asks the server to cancel it too, and waits ten seconds for a server that hangs.
    """
    listening.add_done_callback(lambda task: task.cancelled() or task.exception())  # read, so that asyncio logs nothing
    try:
        await asyncio.wait([listening])
    finally:
        listening.cancel()
    return listening.exception()
