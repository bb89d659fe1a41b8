"""The doorbell between relays on one PostgreSQL: it only saves waiting, since whoever delivers looks anyway."""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import sql
from sqlalchemy import URL, Connection, Dialect, text

from relay.store.address import connection_settings
from relay.store.locks import postgresql

BELL = "relay"
"""PostgreSQL's channel on which relays tell one another that something is due."""

AGAIN = 5.0
"""Seconds until a lost connection is tried again."""

_RING = text("SELECT pg_notify(:bell, '')")


def ring(connection: Connection) -> None:
    """Wake the relay that delivers, once this is committed. On SQLite it is the only one, and nothing is to be done."""
    if postgresql(connection):
        connection.execute(_RING, {"bell": BELL})


async def listen(dialect: Dialect, url: URL, ring: Callable[[], None]) -> None:
    """Call `ring` whenever a relay has accepted something that is due; until cancelled."""
    arguments, given = dialect.create_connect_args(url)
    settings = {**connection_settings(url), **given}
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(*arguments, **settings, autocommit=True) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(BELL)))
                ring()  # whatever was rung while nobody listened
                async for _ in connection.notifies():
                    ring()
        except psycopg.OperationalError:
            await asyncio.sleep(AGAIN)
