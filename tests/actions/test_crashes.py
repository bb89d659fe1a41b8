"""A component that crashes ends the whole process, so that its supervisor restarts a complete relay."""

import asyncio

import pytest

from relay.app import Relay
from relay.delivery.leader import Leader
from relay.http.session import make_session
from relay.model.errors import LeaseLost
from relay.runtime.clock import Clock
from relay.store.store import Store
from tests.support.bigpanda_round_trip import ROUTES, settings


@pytest.mark.parametrize("later", range(6))
async def test_a_component_that_crashes_ends_relay_even_while_delivery_is_cancelled(tmp_path, monkeypatch, later):
    """Before Python 3.13, a failing group of tasks does not notice a cancellation from outside."""
    turns, breaking_off = [], asyncio.Event()

    async def lingers():
        try:
            await asyncio.Event().wait()
        finally:
            breaking_off.set()
            for _ in range(100):
                await asyncio.sleep(0)

    async def loses_its_lease():
        raise LeaseLost("another relay delivers now")

    async def deliver(_sender, _lease, stopping):
        turns.append(stopping)
        if len(turns) > 1:
            await stopping.wait()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(lingers())
            await asyncio.sleep(0)
            tasks.create_task(loses_its_lease())

    async def breaks_down(*_):
        await breaking_off.wait()
        for _ in range(later):
            await asyncio.sleep(0)
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(Leader, "_lead", deliver)
    monkeypatch.setattr("relay.app.run_retention", breaks_down)
    (tmp_path / "routes.yaml").write_text(ROUTES)
    nowhere = "http://127.0.0.1:9/"
    given = settings(tmp_path, nowhere, nowhere)
    store = await Store.open(given.database_url.get_secret_value())
    async with make_session() as session:
        relay = Relay(given, store, session, Clock())
        running = asyncio.create_task(relay.run())
        await asyncio.wait([running], timeout=100)
        assert running.done()
    assert await store.close()
    with pytest.raises(ExceptionGroup) as broken:
        await running
    assert broken.group_contains(RuntimeError, match="unforeseen")
