"""The watcher reports every way in which files change, and ignores the database beside them."""

import asyncio
import shutil
from contextlib import suppress

import pytest

from relay.reload import watcher
from relay.reload.watcher import watch
from tests.support.reload_samples import BETTER, GOOD

wherever_the_database_is = pytest.mark.parametrize("beside", ["", "relay.db"])


@pytest.fixture
def beside():
    """The name of the database beside routes.yaml; empty if it is elsewhere."""
    return ""


@pytest.fixture
async def on_change(folder, monkeypatch, beside):
    """An event that is set at each change, by a watcher that looks for replaced folders all the time."""
    database = folder.path / beside if beside else None
    folder.template("one")
    monkeypatch.setattr(watcher, "STEP_MS", 50)
    monkeypatch.setattr(watcher, "REWATCH_MS", 100)
    event = asyncio.Event()
    task = asyncio.create_task(watch(folder.routes, folder.templates, event.set, database=database))
    async with asyncio.timeout(100):
        while not event.is_set():  # until the watch is set up
            folder.routes.touch()
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    event.clear()
    yield event
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def changed(event):
    async with asyncio.timeout(100):
        await event.wait()
    await asyncio.sleep(0.3)  # what follows from the same change
    event.clear()


@wherever_the_database_is
async def test_every_way_in_which_an_editor_saves_is_reported(folder, on_change):
    folder.write(BETTER)
    await changed(on_change)
    fresh = folder.path / "fresh"
    fresh.write_text(GOOD)
    fresh.rename(folder.routes)
    await changed(on_change)
    folder.template("two")
    await changed(on_change)
    folder.routes.unlink()
    await changed(on_change)


@wherever_the_database_is
async def test_changes_in_new_and_replaced_folders_are_reported(folder, on_change):
    folder.template("payments", "payments/card.j2")
    await changed(on_change)
    folder.template("payments, changed", "payments/card.j2")
    await changed(on_change)
    shutil.copytree(folder.templates, folder.path / "fresh")
    folder.templates.rename(folder.path / "old")
    (folder.path / "fresh").rename(folder.templates)
    await changed(on_change)
    folder.template("payments, changed again", "payments/card.j2")
    await changed(on_change)


async def test_an_updated_kubernetes_volume_is_reported(folder, on_change):
    (folder.path / "..one").mkdir()
    (folder.path / "..data_tmp").symlink_to("..one")
    (folder.path / "..data_tmp").rename(folder.path / "..data")
    await changed(on_change)


@wherever_the_database_is
async def test_nothing_is_reported_while_only_the_database_beside_the_files_changes(folder, on_change):
    for _ in range(20):  # on a busy machine, changes of before are reported late
        on_change.clear()
        for number in range(20):
            (folder.path / "relay.db-wal").write_text(str(number))
            await asyncio.sleep(0.02)
        if not on_change.is_set():
            break
    assert not on_change.is_set()
