"""Work that is cancelled before it begins blocks neither its card nor any channel."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace

from relay.actions.task_worker import TaskWorker
from relay.cards.model import IncidentState, Task, TaskKind
from relay.cards.tasks import TaskContext
from relay.model.errors import LeaseLost
from relay.model.record import Record
from tests.support.clocks import ManualClock
from tests.support.incident_lifecycle import cards
from tests.support.relay_in_process import run_relay

ROUTES = """
version: 1
fallback: C0NOC00001
routes:
  - {name: db, match: {tags: {team: database}}, post: [C0DB000001]}
  - {name: all, post: [C0ALL00001]}
"""
NAMES = ("one", "two", "three")
DATABASE = [{"id": "team", "name": "team", "type": "Text", "value": "database"}]


async def test_a_call_that_is_cancelled_before_its_first_step_releases_its_channel(tmp_path):
    """The picked card and the loss of the lease arrive in the same turn of the event loop."""
    async with run_relay(tmp_path, routes=ROUTES) as relay:
        posts = relay.delivery._posts
        execute, pick = posts._executor.execute, relay.store.start_next_card
        called, picked, now = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def executing(call):
            if call.context.card.incident == "one" and not now.is_set():
                called.set()
                await now.wait()
                raise LeaseLost("The lease has ended.")
            return await execute(call)

        async def picking(**search):
            found = await pick(**search)
            if isinstance(found, tuple) and found[0].card.incident == "two" and not now.is_set():
                picked.set()
                await now.wait()
            return found

        posts._executor.execute, relay.store.start_next_card = executing, picking
        relay.store.lend_pick = lambda: None  # the scheduler picks for itself
        await relay.share("one", status="critical")
        await called.wait()
        await relay.share("two", status="critical", incidentTags=DATABASE)
        await picked.wait()
        now.set()
        async with asyncio.timeout(100):
            while relay.delivery.delivering:  # noqa: ASYNC110  no event is set when delivery ends
                await asyncio.sleep(0.002)
        assert (posts._cards, posts._busy_channels, relay.gateway.breaker.calls_in_flight) == (set(), set(), 0)
        await relay.share("three", status="critical", incidentTags=DATABASE)
        relay.clock.advance(1)
        await relay.advance(60)
        found = {incident: len(cards(relay, incident, "db")) + len(cards(relay, incident)) for incident in NAMES}
        assert found == dict.fromkeys(NAMES, 1)


async def test_a_task_that_is_cancelled_before_it_begins_does_not_block_its_incident():
    task = Task(key="e", kind=TaskKind.ASSIGN, incident="i1", created=0.0, due_at=0.0)

    async def due(_now, *, skip):
        return (
            TaskContext(task=task, incident_state=IncidentState(record=Record(incident="i1")))
            if "i1" not in skip
            else None
        )

    async def no_silent_incident(*_arguments, **_named):
        return None

    clock = ManualClock()
    store = SimpleNamespace(next_due_task=due, update_silent_incident=no_silent_incident)
    definitions = SimpleNamespace(refresh_at=clock.now(), refresh=lambda: asyncio.sleep(0))
    runner = SimpleNamespace(bigpanda=SimpleNamespace(problem=""))
    worker = TaskWorker(store, runner, definitions, clock)
    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            await worker._turn(None, tasks)
            assert worker._running.keys() == {"", "i1"}
            raise LeaseLost("The lease has ended.")
    await asyncio.sleep(0)
    assert not worker._running
