"""A folder with a good configuration, and a store."""

import asyncio
import shutil

import pytest

from relay.config import files
from relay.store.store import Store
from tests.support.reload_samples import GOOD, ConfigFolder


@pytest.fixture(autouse=True)
def few_templates(monkeypatch):
    """Leave out the packaged templates, which need not be compiled where nothing is rendered."""
    monkeypatch.setattr(files, "load_packaged", lambda: {"incident/card.j2": "{% header %}packaged{% endheader %}"})


@pytest.fixture(scope="session")
def migrated(tmp_path_factory):
    """A database that is ready for use, to be copied."""
    path = tmp_path_factory.mktemp("database") / "relay.db"

    async def made():
        await (await Store.open(f"sqlite:///{path}")).close()

    asyncio.run(made())
    return path


@pytest.fixture
def folder(tmp_path):
    made = ConfigFolder(tmp_path)
    made.write(GOOD)
    return made


@pytest.fixture
async def store(tmp_path, migrated):
    shutil.copy(migrated, tmp_path / "relay.db")
    opened = await Store.open(f"sqlite:///{tmp_path}/relay.db")
    yield opened
    await opened.close()
