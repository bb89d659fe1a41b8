"""A real PgBouncer in front of a test's PostgreSQL. Debian's package `pgbouncer` installs it."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="needs PgBouncer (Debian: pgbouncer)")

POOL_SIZE = 5
"""Sessions of each database."""

_SETTINGS = """
[databases]
* = host={socket} port=5432 user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {pool_size}
server_round_robin = 1
"""
"""With round robin, two transactions of one client rarely meet the same session: what leaks shows."""


@contextmanager
def pgbouncer(server: Any, mode: str = "transaction", pool_size: int = POOL_SIZE) -> Iterator[str]:
    """The URL of the server's database through a PgBouncer."""
    owner = Path(server.pgdata).stat()  # PgBouncer does not run as root, and the socket's folder is its owner's
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="relay-pgbouncer-") as name:
        settings = Path(name) / "pgbouncer.ini"
        settings.write_text(_SETTINGS.format(socket=server.pgdata, port=port, mode=mode, pool_size=pool_size))
        for path in (Path(name), settings):
            path.chmod(0o755)
        user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        with subprocess.Popen([str(PROGRAM), "--quiet", str(settings)], **user) as process:  # type: ignore[call-overload]
            try:
                url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
                _wait_for(url)
                yield url
            finally:
                process.kill()


def _wait_for(url: str) -> None:
    for tries_left in reversed(range(200)):
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if not tries_left:
                raise
            time.sleep(0.05)
        else:
            return
