"""The doorbell between relays on one PostgreSQL: it only saves waiting, since whoever delivers looks anyway."""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import sql
from sqlalchemy import URL, Dialect

from relay.store.accepting import BELL
from relay.store.address import connection_settings

AGAIN = 5.0
"""Seconds until a lost connection is tried again."""


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
