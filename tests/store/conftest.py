"""Every test of the store runs on both databases: SQLite in a folder of its own, PostgreSQL in a schema of its own."""

import itertools
import os
import tempfile
from pathlib import Path

import psycopg
import pytest

from relay.store.store import Store
from tests.support.postgres import postgresql

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    """The URL of a PostgreSQL server for this process alone."""
    with postgresql() as address:
        yield address


@pytest.fixture
def postgresql_url(server):
    """An empty schema; the URL shows nothing else."""
    name = f"relay_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    yield f"{server}&options=-csearch_path%3D{name}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture
def tmp_path(tmp_path):
    """A folder in memory, if the machine has one: SQLite waits for the disk often, and the disk is not tested."""
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
    """An empty database of each kind."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
async def store(url):
    opened = await Store.open(url)
    yield opened
    await opened.close()


@pytest.fixture
async def second(store, url):
    """The same database, opened like a command beside the relay."""
    opened = await Store.open(url, exclusive=False)
    yield opened
    await opened.close()
