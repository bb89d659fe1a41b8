"""Every test of the store runs on both databases: SQLite in a folder of its own, PostgreSQL in a schema of its own."""

import asyncio
import itertools
import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.engine import make_url

from relay.store.store import Store
from tests.support.postgres import postgresql_with_tables, shared_server

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server():
    """The URL of the PostgreSQL server that the tests share."""
    return shared_server().get_uri()


@pytest.fixture
def postgresql_url(server):
    """An empty schema; the URL shows nothing else."""
    name = f"relay_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{server}&options=-csearch_path%3D{name}"


@pytest.fixture
def ready_postgresql_url():
    with postgresql_with_tables() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_with_tables(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "relay.db"
    asyncio.run(_create_tables(f"sqlite:///{path}"))
    return path


@pytest.fixture
def ready_sqlite_url(sqlite_url, sqlite_with_tables):
    shutil.copy(sqlite_with_tables, make_url(sqlite_url).database)
    return sqlite_url


async def _create_tables(url):
    await (await Store.open(url)).close()


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
    """A database of each kind: with tables if the test has a `store`, otherwise empty."""
    ready = "ready_" if "store" in request.fixturenames else ""
    return request.getfixturevalue(f"{ready}{request.param}_url")


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
