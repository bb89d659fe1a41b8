"""The doorbell between relays on one PostgreSQL: it only saves waiting; without it, it is looked for all the same."""

import asyncio
from collections.abc import Callable

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import Connection, Dialect, text
from sqlalchemy.exc import DBAPIError

from relay.store.address import Address, connection_settings
from relay.store.db_errors import complaint
from relay.store.locks import postgresql

log = structlog.get_logger("relay.store")

BELL = "relay"
"""PostgreSQL's channel on which relays tell one another that something is due."""

AGAIN = 5.0
"""Seconds until it is hung again, whatever took it down (a connection that was lost, or leads to a standby now)."""

ANYTHING = "anything"
"""What is said where it was no share: doubt, letters and channels may have changed, too."""

OnNotify = Callable[[bool], None]
"""Hears that something may be due; and whether that may be anything, or is what shares bring."""

_RING = text("SELECT pg_notify(:bell, :what)")


def ring(connection: Connection, *, anything: bool = False) -> None:
    """Wake the relay that delivers, once this is committed. On SQLite it is the only one, and nothing is to be done."""
    if postgresql(connection):
        connection.execute(_RING, {"bell": BELL, "what": ANYTHING if anything else ""})


async def listen(dialect: Dialect, address: Address, ring: OnNotify) -> None:
    """Call `ring` whenever another program has written something that is due, or may have; until cancelled."""
    arguments, given = dialect.create_connect_args(address.url)
    settings = {**connection_settings(address.url), **given}
    complained = False

    async def hang() -> None:
        nonlocal complained
        async with await psycopg.AsyncConnection.connect(*arguments, **settings, autocommit=True) as connection:
            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(BELL)))
            complained = False
            ring(True)  # noqa: FBT003  whatever was rung while nobody listened
            async for notice in connection.notifies():
                ring(notice.payload == ANYTHING)

    while True:
        error = await _came_of(asyncio.create_task(hang(), name="bell"))
        if isinstance(error, psycopg.Error):
            if not complained:
                log.warning("bell_lost", detail=str(complaint(DBAPIError(None, None, error), address)))
            complained = True
            await asyncio.sleep(AGAIN)
            ring(True)  # noqa: FBT003  the same
        elif error is not None:
            raise error


async def _came_of(hanging: asyncio.Task[None]) -> BaseException | None:
    """What ended it. Whoever is cancelled meanwhile does not wait for it to end.

    Cancelled in a statement, psycopg asks the server to give that up, and waits ten seconds for a server that hangs.
    """
    hanging.add_done_callback(lambda task: task.cancelled() or task.exception())  # so that nobody misses it
    try:
        await asyncio.wait([hanging])
    finally:
        hanging.cancel()
    return hanging.exception()
