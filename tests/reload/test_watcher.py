"""The bell rings for every way in which files come to change, and not for the database beside them."""

import asyncio
import shutil
from contextlib import suppress

import pytest

from relay.reload import watcher
from relay.reload.watcher import watch
from tests.support.reload_samples import BETTER, GOOD


@pytest.fixture
async def bell(desk, monkeypatch):
    """Rings only for changes: what rings every so often is made to keep silent."""
    desk.template("one")
    monkeypatch.setattr(watcher, "LOOK_AROUND", 60_000)
    rung = asyncio.Event()
    task = asyncio.create_task(watch(desk.routes, desk.templates, rung.set))
    async with asyncio.timeout(20):
        while not rung.is_set():  # until the watch is set up
            desk.routes.touch()
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


async def test_it_rings_for_whatever_an_editor_does(desk, bell):
    desk.write(BETTER)
    await rings(bell)
    fresh = desk.folder / "fresh"
    fresh.write_text(GOOD)
    fresh.rename(desk.routes)
    await rings(bell)
    desk.template("two")
    await rings(bell)
    desk.routes.unlink()
    await rings(bell)


async def test_it_follows_folders_that_come_go_and_are_replaced(desk, bell):
    desk.template("payments", "payments/card.j2")
    await rings(bell)
    desk.template("payments, changed", "payments/card.j2")
    await rings(bell)
    shutil.copytree(desk.templates, desk.folder / "fresh")
    desk.templates.rename(desk.folder / "old")
    (desk.folder / "fresh").rename(desk.templates)
    await rings(bell)
    desk.template("payments, changed again", "payments/card.j2")
    await rings(bell)


async def test_it_rings_when_a_volume_of_kubernetes_is_swapped(desk, bell):
    (desk.folder / "..one").mkdir()
    (desk.folder / "..data_tmp").symlink_to("..one")
    (desk.folder / "..data_tmp").rename(desk.folder / "..data")
    await rings(bell)


async def test_the_database_beside_it_rings_nothing(desk, bell):
    for number in range(20):
        (desk.folder / "relay.db-wal").write_text(str(number))
        await asyncio.sleep(0.02)
    assert not bell.is_set()
