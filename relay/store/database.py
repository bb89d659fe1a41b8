"""A database with a writer and a reader: two threads, each with a connection; the event loop never waits for a disk.

One writer with one connection is faster than a pool: SQLite allows one writer anyway, and the shares of a group commit
split its cost. The drivers are in autocommit mode, and relay begins every transaction. On SQLite, the writer's begin
with `BEGIN IMMEDIATE`: a transaction that reads first and writes later would fail at once with SQLITE_BUSY_SNAPSHOT,
whatever the time-out (https://sqlite.org/isolation.html).
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import LRUCache

from relay.cards.eligibility import Work
from relay.model.errors import StoreError, StoreUnusable
from relay.store.address import Address, connection_parameters, parse_database_url
from relay.store.db_errors import READ_ONLY, is_transient, to_store_error
from relay.store.dialects import POSTGRESQL, SQLITE
from relay.store.execution import driver, execute_text
from relay.store.file_lock import FileLock
from relay.store.file_system import file_system_at, reject_network
from relay.store.left_work import take
from relay.store.open_files import DatabaseFiles, OpenFiles, set_foreign_log_aside

T = TypeVar("T")

BUSY_TIMEOUT = 10.0
"""Seconds to wait for a lock that another program (`relay letters`, a backup) holds."""
MAX_TRIES = 3
"""How often a transaction is tried if its connection was dead, or PostgreSQL rolled it back in favour of another."""
IDLE_LIMIT = 6.0
"""Seconds after which PostgreSQL ends a transaction that does nothing: its relay was stopped, or cut off.

Other relays wait for the rows that it has locked, above all for the lease.
"""
CLOSE_SECONDS = 8.0
"""Seconds within which running transactions may end when the database is closed."""
WAL_LIMIT = 64 * 1024 * 1024
"""Bytes to which SQLite truncates its write-ahead log after a checkpoint."""


class Database:
    """Runs transactions: `write` in the writer's thread, `read` in the reader's.

    `on_work` is called with the work that a transaction has left, once it is committed.
    """

    def __init__(  # noqa: PLR0913  each has a name
        self,
        address: Address,
        writer: Engine,
        reader: Engine,
        *,
        lock: FileLock | None = None,
        files: OpenFiles | None = None,
        created: bool = False,
    ) -> None:
        self.address = address
        self.on_work: Callable[[Collection[Work]], None] = lambda _work: None
        self._created = created
        self._discard = False
        self._engines = {"writer": writer, "reader": reader}
        self._kept: dict[str, Connection] = {}
        self._lock = lock
        self._files = files
        self._closing: asyncio.Future[None] | None = None
        self._threads = {name: ThreadPoolExecutor(1, f"relay-store-{name}") for name in self._engines}

    @classmethod
    def open(cls, url: str, *, exclusive: bool, network: bool = False) -> Self:
        """Check the address and lock the file. Connections are opened when they are first needed.

        `network` allows a SQLite file on a network file system.

        Raises:
            StoreUnusable: there is no such folder, or (if not `exclusive`) no such file; or the file is on a network.
            StoreInUse: another relay has the SQLite file open.
        """
        address = parse_database_url(url)
        if address.path is None:
            return cls(address, _postgresql(address, *_WRITE), _postgresql(address, *_READ))
        _check_file(address.path, address.name, exclusive=exclusive)
        if not network:
            reject_network(address.path, file_system_at(address.path))
        lock = files = None
        created = False
        if exclusive:
            lock = FileLock.acquire(address.path)
            # A new file is readable for its owner alone, as backups are: it holds the text of all alerts. SQLite gives
            # its log the same rights. If the file cannot be created, SQLite says so when it is opened.
            with suppress(OSError):
                real = DatabaseFiles.at(address.path).database
                os.close(os.open(real, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
                created = True
            set_foreign_log_aside(address.path)
            files = OpenFiles(address.path)
        pragmas = (*_OWNER, *_ALWAYS) if exclusive else _ALWAYS
        writer = _sqlite(address, (*pragmas, _NO_TEMPORARY_FILE), "BEGIN IMMEDIATE")
        reader = _sqlite(address, pragmas, "BEGIN")
        return cls(address, writer, reader, lock=lock, files=files, created=created)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one transaction that is committed when this returns. Cancelling the wait does not undo it.

        `work` may run again if the first try was rolled back, so it must not change anything but the database.

        Raises:
            StoreError: the database failed; nothing was saved. If the connection was lost at the commit, nobody knows.
        """
        result, left = await self._in_thread("writer", lambda: self._write(work))
        if left:
            self.on_work(left)
        return result

    async def watch_files(self) -> None:
        """From now on, compare SQLite's files with those that are open at every write. Call this after the first write.

        Raises:
            StoreUnusable: one was replaced already.
        """
        if self._files is not None:
            await asyncio.to_thread(self._files.remember_log)
            if self._lock is not None:
                self._lock.record(self._files.inodes)
            await self.check_files()

    async def check_files(self) -> None:
        """Make sure that SQLite's files are those that relay has open; on PostgreSQL there are none.

        Raises:
            StoreUnusable: one is missing, or another file is in its place; with what to do.
        """
        if self._files is not None:
            await self._in_thread("writer", self._check_files)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one consistent state of the database. Raises StoreError: the database failed."""
        result, _ = await self._in_thread("reader", lambda: self._transact("reader", work))
        return result

    async def probe(self, statement: str) -> Any:
        """Return the single value of a statement, on the writer's connection outside a transaction (SQLite).

        Raises StoreUnusable: the database failed.
        """

        def execute() -> Any:
            try:
                with self._connection("writer") as connection:
                    return driver(connection).execute(statement).fetchone()[0]
            except (sqlite3.Error, DBAPIError) as error:
                raise StoreUnusable(f"{self.address.name} does not answer: {error}.") from error

        return await self._in_thread("writer", execute)

    def discard_if_new(self) -> None:
        """Delete the SQLite file at the end, if `open` created it: relay could not start, so nothing is in it."""
        self._discard = self._created

    async def close(self, within: float = CLOSE_SECONDS) -> bool:
        """Finish the running transactions, close the connections, then release the lock; return whether in time.

        A frozen server, or a lock that another program holds, is not waited for: the thread continues, and keeps the
        lock of the file, until that is over or the process has ended.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(asyncio.to_thread(self._close))
        closed, _ = await asyncio.wait([self._closing], timeout=within)
        for each in closed:
            each.result()
        return bool(closed)

    def _close(self) -> None:
        for thread in self._threads.values():
            thread.shutdown(wait=True)
        for connection in self._kept.values():
            connection.close()
        for engine in reversed(self._engines.values()):
            engine.dispose()
        if self._discard and self.address.path is not None:  # while it is locked: no other relay has opened it
            database, log, index, _ = DatabaseFiles.at(self.address.path)
            for file in (database, log, index):
                file.unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.release()

    async def _in_thread(self, name: str, work: Callable[[], T]) -> T:
        if self._closing is not None:
            raise StoreError(f"{self.address.name} is closed: relay is stopping.")
        return await asyncio.get_running_loop().run_in_executor(self._threads[name], work)

    def _write(self, work: Callable[[Connection], T]) -> tuple[T, frozenset[Work]]:
        self._check_files()
        result = self._transact("writer", work)
        self._check_files()  # data in a file that was replaced meanwhile is lost
        return result

    def _check_files(self) -> None:
        if self._files is None:
            return
        try:
            self._files.check()
        except StoreUnusable:
            with suppress(sqlite3.Error, DBAPIError, OSError):
                self._save_what_can_be_saved(self._files)
            raise

    def _save_what_can_be_saved(self, files: OpenFiles) -> None:
        """Write the log into the database while its file is open, or keep it away from the database that came instead.

        Without a name the log would be gone when relay ends.
        """
        if files.log_can_be_saved:
            with self._connection("writer") as connection:
                driver(connection).execute("PRAGMA wal_checkpoint(FULL)")
        else:
            files.set_log_aside()

    @contextmanager
    def _connection(self, name: str) -> Iterator[Connection]:
        """A connection without a transaction. SQLite's are kept: the pool takes as long as a short transaction."""
        connection = self._kept.pop(name, None) or self._engines[name].connect()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self.address.path is None:
            connection.close()
        else:
            self._kept[name] = connection

    def _transact(self, name: str, work: Callable[[Connection], T]) -> tuple[T, frozenset[Work]]:
        """Return the result, and the work that the transaction leaves."""
        for tries_left in reversed(range(MAX_TRIES)):
            committing = False
            try:
                with self._connection(name) as connection:
                    connection.begin()
                    take(connection)
                    result = work(connection)
                    if connection.in_transaction() and not is_in_transaction(connection):
                        raise StoreUnusable(f"{self.address.name} ended a transaction by itself; nothing was saved.")
                    left, committing = take(connection), True
                    connection.commit()
                    return result, left
            except DBAPIError as error:
                # A connection that was lost during the commit may have committed: then nothing is tried again.
                if committing or not tries_left or not is_transient(error):
                    raise to_store_error(error, self.address) from error
        raise AssertionError("the last try returns or raises")


def is_in_transaction(connection: Connection) -> bool:
    """Return whether the transaction still exists: SQLite ends it by itself where it cannot write.

    https://sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction
    """
    return bool(getattr(connection.connection.dbapi_connection, "in_transaction", True))


@contextmanager
def savepoint(connection: Connection) -> Iterator[None]:
    """Undo what was done inside if it raises, and nothing else; SQLAlchemy compiles its own savepoints every time."""
    execute_text(connection, "SAVEPOINT relay")
    try:
        yield
    except BaseException:
        if not connection.invalidated and is_in_transaction(connection):
            execute_text(connection, "ROLLBACK TO SAVEPOINT relay")
        raise
    execute_text(connection, "RELEASE SAVEPOINT relay")


def missing_database(path: Path) -> str:
    """Say that a database was deleted or moved, and what to do; empty if none is missing.

    Its log remains, and may hold all that relay accepted: a new database there would overwrite it.
    """
    log = DatabaseFiles.at(path).log
    if path.exists() or not log.exists() or not log.stat().st_size:
        return ""
    return (
        f"{path} is missing, but its log {log} is there: the database was deleted or moved. Put it or a backup back to "
        f"{path}. To begin with an empty database, move {log} away first; keep it, since it may hold shares."
    )


def _check_file(path: Path, name: str, *, exclusive: bool) -> None:
    """Say what is wrong, where SQLite would only say `unable to open database file`."""
    if path.is_file():
        return
    if not path.parent.is_dir():
        raise StoreUnusable(f"The folder of {name} does not exist: create {path.parent}, or change RELAY_DATABASE_URL.")
    if path.exists():
        raise StoreUnusable(f"{path} is not a file: name the SQLite database in RELAY_DATABASE_URL.")
    if lost := missing_database(path):
        raise StoreUnusable(lost)
    if not exclusive:
        raise StoreUnusable(
            f"There is no SQLite database at {path} yet: start `relay serve` once, or change RELAY_DATABASE_URL."
        )


_OWNER = ("journal_mode = WAL", f"journal_size_limit = {WAL_LIMIT}")
"""Only the relay that owns the file sets these; the file remembers them."""
_ALWAYS = ("synchronous = FULL", "foreign_keys = ON")
_NO_TEMPORARY_FILE = "temp_store = MEMORY"
"""For the writer. Behind a savepoint SQLite copies each page before it changes, and from 64 KB on into a temporary file
(https://sqlite.org/tempfiles.html#statement_journal_files): for one share that costs as much as its commit. The reader
may use a file: what it sorts may be much."""


_COMPILED: Final = LRUCache[Any, Any](1000)
"""The statements that were compiled, for all engines; those of the writer and of the reader are partly the same."""


def _sqlite(address: Address, pragmas: Sequence[str], begin: str) -> Engine:
    engine = create_engine(
        URL.create(SQLITE, database=str(address.path)),
        hide_parameters=True,
        execution_options={"compiled_cache": _COMPILED},
        pool_size=1,
        max_overflow=0,
        connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    return _beginning_with(begin, engine)


_DURABLE = "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'"
"""A commit that PostgreSQL confirms is on disk, whatever the server's default is; stricter settings stay.
https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT"""
_WRITE = ("BEGIN ISOLATION LEVEL READ COMMITTED", _DURABLE)
_READ = ("BEGIN ISOLATION LEVEL REPEATABLE READ",)
"""One snapshot for all statements of a read, so that its parts fit together."""


def _postgresql(address: Address, *begin: str) -> Engine:
    import psycopg  # noqa: PLC0415  not where SQLite is used

    engine = create_engine(
        URL.create(POSTGRESQL),
        hide_parameters=True,
        execution_options={"compiled_cache": _COMPILED},
        pool_size=1,
        max_overflow=0,
        creator=partial(psycopg.connect, **connection_parameters(address), autocommit=True),
        use_native_hstore=False,
    )

    @event.listens_for(engine, "connect")
    def ignore_notifications(connection: psycopg.Connection[Any], _record: object) -> None:
        # A pooler may give relay a session that listens; psycopg would keep what arrives for ever.
        connection.add_notify_handler(lambda _notification: None)

    @event.listens_for(engine, "handle_error")
    def drop_read_only(context: ExceptionContext) -> None:
        # After a failover, a connection may lead to a server that is a standby now; a new one may find the primary.
        if getattr(context.original_exception, "sqlstate", "") == READ_ONLY:
            context.is_disconnect = True

    # For the transaction alone: behind a pooler, other programs get the session afterwards.
    idle_limit = f"SET LOCAL idle_in_transaction_session_timeout = '{IDLE_LIMIT:.0f}s'"
    return _beginning_with("; ".join((*begin, idle_limit)), engine)


def _beginning_with(statements: str, engine: Engine) -> Engine:
    """Begin each transaction with these statements; the driver is in autocommit mode."""

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        execute_text(connection, statements)

    return engine
