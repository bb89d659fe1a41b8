"""A database of each kind."""

import psycopg
import pytest

from tests.support.postgres import postgresql


@pytest.fixture(scope="session")
def server():
    """The URL of a PostgreSQL server for this process alone."""
    with postgresql() as address:
        yield address


@pytest.fixture
def postgresql_url(server, request):
    """An empty schema; the URL shows nothing else."""
    name = f"relay_{abs(hash(request.node.nodeid))}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{server}&options=-csearch_path%3D{name}"


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path}/relay.db"
