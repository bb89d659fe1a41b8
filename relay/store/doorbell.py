"""The doorbell between relays on one PostgreSQL: it only saves waiting, since whoever delivers looks anyway."""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import sql
from sqlalchemy import URL, Dialect

from relay.store.accepting import BELL

AGAIN = 5.0
"""Seconds until a lost connection is tried again."""


async def listen(dialect: Dialect, url: URL, ring: Callable[[], None]) -> None:
    """Call `ring` whenever a relay has accepted something that is due; until cancelled."""
    arguments, settings = dialect.create_connect_args(url)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(*arguments, **settings, autocommit=True) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(BELL)))
                ring()  # whatever was rung while nobody listened
                async for _ in connection.notifies():
                    ring()
        except psycopg.OperationalError:
            await asyncio.sleep(AGAIN)
