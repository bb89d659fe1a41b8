"""The bell rings for every way in which files come to change, and not for the database beside them."""

import asyncio
import shutil
from contextlib import suppress

import pytest

from relay.reload import watcher
from relay.reload.watcher import watch
from tests.support.reload_samples import BETTER, GOOD


@pytest.fixture
async def bell(folder, monkeypatch):
    """Rings only for changes: what rings every so often is made to keep silent."""
    folder.template("one")
    monkeypatch.setattr(watcher, "REWATCH_MS", 60_000)
    rung = asyncio.Event()
    task = asyncio.create_task(watch(folder.routes, folder.templates, rung.set))
    async with asyncio.timeout(20):
        while not rung.is_set():  # until the watch is set up
            folder.routes.touch()
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    rung.clear()
    yield rung
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def rings(bell):
    async with asyncio.timeout(20):
        await bell.wait()
    await asyncio.sleep(0.3)  # what follows from the same change
    bell.clear()


async def test_it_rings_for_whatever_an_editor_does(folder, bell):
    folder.write(BETTER)
    await rings(bell)
    fresh = folder.path / "fresh"
    fresh.write_text(GOOD)
    fresh.rename(folder.routes)
    await rings(bell)
    folder.template("two")
    await rings(bell)
    folder.routes.unlink()
    await rings(bell)


async def test_it_follows_folders_that_come_go_and_are_replaced(folder, bell):
    folder.template("payments", "payments/card.j2")
    await rings(bell)
    folder.template("payments, changed", "payments/card.j2")
    await rings(bell)
    shutil.copytree(folder.templates, folder.path / "fresh")
    folder.templates.rename(folder.path / "old")
    (folder.path / "fresh").rename(folder.templates)
    await rings(bell)
    folder.template("payments, changed again", "payments/card.j2")
    await rings(bell)


async def test_it_rings_when_a_volume_of_kubernetes_is_swapped(folder, bell):
    (folder.path / "..one").mkdir()
    (folder.path / "..data_tmp").symlink_to("..one")
    (folder.path / "..data_tmp").rename(folder.path / "..data")
    await rings(bell)


async def test_the_database_beside_it_rings_nothing(folder, bell):
    for number in range(20):
        (folder.path / "relay.db-wal").write_text(str(number))
        await asyncio.sleep(0.02)
    assert not bell.is_set()
