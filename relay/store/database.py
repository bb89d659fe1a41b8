"""A database with a writer and a reader: two threads, each with a connection; the event loop never waits for a disk.

One writer with one connection beats a pool of them: SQLite allows one anyway, and the shares of a group commit split
its cost. On SQLite the driver is in autocommit mode and every transaction is opened by hand: the writer's with `BEGIN
IMMEDIATE`, since one that reads first and writes later fails at once with SQLITE_BUSY_SNAPSHOT whatever the time-out
(https://sqlite.org/isolation.html). On PostgreSQL the same two threads use a small pool.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Dialect, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from relay.model.errors import StoreError, StoreUnusable
from relay.store import address as addresses
from relay.store.address import Address
from relay.store.db_errors import complaint, passing
from relay.store.filelock import FileLock

T = TypeVar("T")

BUSY_TIMEOUT = 10.0
"""Seconds to wait for a lock that another program (`relay letters`, a backup) holds."""
TRIES = 3
"""How often a transaction is tried whose connection was dead, or that PostgreSQL undid for another's sake."""
IDLE_LIMIT = 6.0
"""Seconds after which PostgreSQL ends a transaction that does nothing: its relay was stopped, or cut off, in it.

What it has locked, the lease before all, another relay waits for.
"""
CLOSING = 8.0
"""Seconds in which what is under way may end when the database is closed, unless its user has less."""
WAL_LIMIT = 64 * 1024 * 1024
"""Bytes to which SQLite cuts its write-ahead log back after a checkpoint."""


class Database:
    """Runs transactions: `write` in the writer's thread, `read` in the reader's."""

    def __init__(self, address: Address, writer: Engine, reader: Engine, lock: FileLock | None) -> None:
        """Own both engines and the lock."""
        self.address = address
        self._engines = {"writer": writer, "reader": reader}
        self._lock = lock
        self._closed = False
        self._threads = {name: ThreadPoolExecutor(1, f"relay-store-{name}") for name in self._engines}

    @classmethod
    def open(cls, url: str, *, exclusive: bool) -> Self:
        """Make ready; blocks for the lock file alone, since connections are opened when they are first needed.

        Raises:
            StoreUnusable: there is no such folder, or (where not `exclusive`) no such file.
            StoreInUse: another relay holds the SQLite file.
        """
        address = addresses.parse_database_url(url)
        if address.path is None:
            return cls(address, *_postgresql(address), None)
        _look(address, exclusive=exclusive)
        lock = FileLock.take(address.path) if exclusive else None
        if exclusive:
            _make_private(address.path)
        pragmas = (*_OWNER, *_ALWAYS) if exclusive else _ALWAYS
        return cls(address, _sqlite(address, pragmas, "BEGIN IMMEDIATE"), _sqlite(address, pragmas, "BEGIN"), lock)

    @property
    def dialect(self) -> Dialect:
        """How SQLAlchemy speaks to it."""
        return self._engines["writer"].dialect

    @property
    def sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self.address.path is not None

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction that is committed when this returns. Cancelling the wait does not undo it.

        `work` may run again when the first try was undone, so it must not keep anything but in the database.

        Raises:
            StoreError: the database failed; nothing was kept. Or, if it was lost at the commit, nobody knows.
        """
        return await self._run("writer", work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent state of the database.

        Raises:
            StoreError: the database failed.
        """
        return await self._run("reader", work)

    async def probe(self, statement: str) -> Any:
        """The single value of a statement, on the writer's own connection but outside of any transaction (SQLite).

        Raises:
            StoreUnusable: the database failed.
        """

        def look() -> Any:
            try:
                connection = self._engines["writer"].raw_connection()
                try:
                    return connection.cursor().execute(statement).fetchone()[0]
                finally:
                    connection.close()
            except (sqlite3.Error, DBAPIError) as error:
                raise StoreUnusable(f"{self.address.name} does not answer: {error}.") from error

        return await self._in_thread("writer", look)

    async def close(self, within: float = CLOSING) -> bool:
        """Finish what is under way, close the connections, and let the lock go last; whether it took no longer.

        A server that is frozen or a lock that another program holds is not waited for: the thread that meets it goes
        on, and the lock of the file is held, until that is over or the process has ended.
        """
        self._closed = True
        closing = asyncio.ensure_future(asyncio.to_thread(self._close))
        closed, _ = await asyncio.wait([closing], timeout=within)
        for each in closed:
            each.result()
        return bool(closed)

    def _close(self) -> None:
        for thread in self._threads.values():
            thread.shutdown(wait=True)
        for engine in reversed(self._engines.values()):
            engine.dispose()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    async def _run(self, name: str, work: Callable[[Connection], T]) -> T:
        return await self._in_thread(name, lambda: self._transact(self._engines[name], work))

    async def _in_thread(self, name: str, work: Callable[[], T]) -> T:
        if self._closed:
            raise StoreError(f"{self.address.name} is closed: relay is stopping.")
        return await asyncio.get_running_loop().run_in_executor(self._threads[name], work)

    def _transact(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        for left in reversed(range(TRIES)):
            committing = False
            try:
                with engine.connect() as connection:
                    result = work(connection)
                    committing = True
                    connection.commit()
                    return result
            except DBAPIError as error:
                # A connection lost while it commits may have committed, so only what is surely undone is done again.
                if committing or not left or not passing(error):
                    raise complaint(error, self.address) from error
        raise AssertionError("the last try returns or raises")


def _look(address: Address, *, exclusive: bool) -> None:
    """What SQLite would report as `unable to open database file` alone."""
    path = address.path
    if path is None or path.is_file():
        return
    if not path.parent.is_dir():
        raise StoreUnusable(
            f"The folder of {address.name} does not exist: create {path.parent}, or change RELAY_DATABASE_URL."
        )
    if path.exists():
        raise StoreUnusable(f"{path} is no file, so it can be no SQLite database: change RELAY_DATABASE_URL.")
    if not exclusive:
        raise StoreUnusable(
            f"There is no SQLite database at {path} yet: start `relay serve` once, or change RELAY_DATABASE_URL."
        )


def _make_private(path: Path) -> None:
    """A new file is its owner's alone, as its backups are: it holds all alerts' text. SQLite's log takes after it.

    What cannot be made here is told in SQLite's words, when it is opened.
    """
    with suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))


_OWNER = ("journal_mode = WAL", f"journal_size_limit = {WAL_LIMIT}")
"""What whoever looks at a file beside its relay must not change; the file remembers it."""
_ALWAYS = ("synchronous = FULL", "foreign_keys = ON")


def _sqlite(address: Address, pragmas: Sequence[str], begin: str) -> Engine:
    engine = create_engine(
        address.url,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def open_transaction(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _postgresql(address: Address) -> tuple[Engine, Engine]:
    writer = create_engine(
        address.url,
        hide_parameters=True,
        pool_size=2,
        max_overflow=0,
        connect_args=addresses.connection_settings(address.url),
    )

    @event.listens_for(writer, "connect")
    def impatient(connection: Any, _record: object) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_LIMIT:.0f}s'")
        connection.commit()

    # One snapshot for all statements of a read: a dossier must not be half old and half new.
    return writer, writer.execution_options(isolation_level="REPEATABLE READ")
