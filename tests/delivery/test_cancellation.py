"""Work that is cut off before it has begun holds up nothing: neither its card, nor its lane, nor the other lanes."""

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


async def test_a_call_that_is_cut_off_before_its_first_step_gives_its_lane_back(tmp_path):
    """The answer to a pick, and the news that the lease is lost, come in the same round of the event loop."""
    async with run_relay(tmp_path, routes=ROUTES) as house:
        posts = house.delivery._posts
        carry, pick = posts._courier.execute, house.store.start_next_card
        called, picked, now = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def carrying(parcel, lease):
            if parcel.case.card.incident == "one" and not now.is_set():
                called.set()
                await now.wait()
                raise LeaseLost("The lease has run out.")
            return await carry(parcel, lease)

        async def picking(track, *arguments, **named):
            found = await pick(track, *arguments, **named)
            if isinstance(found, tuple) and found[0].card.incident == "two" and not now.is_set():
                picked.set()
                await now.wait()
            return found

        posts._courier.execute, house.store.start_next_card = carrying, picking
        await house.share("one", status="critical")
        await called.wait()
        await house.share("two", status="critical", incidentTags=DATABASE)
        await picked.wait()
        now.set()
        await asyncio.sleep(0.1)
        assert not house.delivery.health.delivering
        assert (posts._cards, posts._lanes, house.delivery._gate.calls_in_flight) == (set(), set(), 0)
        await house.share("three", status="critical", incidentTags=DATABASE)
        house.clock.advance(1)
        await house.advance(60)
        found = {incident: len(cards(house, incident, "db")) + len(cards(house, incident)) for incident in NAMES}
        assert found == dict.fromkeys(NAMES, 1)


async def test_an_errand_that_is_cut_off_before_it_begins_does_not_keep_its_incident_busy():
    errand = Task(key="e", kind=TaskKind.ASSIGN, incident="i1", created=0.0, due_at=0.0)

    async def due(_now, *, skip):
        return (
            TaskContext(task=errand, incident_state=IncidentState(record=Record(incident="i1")))
            if "i1" not in skip
            else None
        )

    async def nobody_silent(*_told, **_named):
        return None

    clock = ManualClock()
    store = SimpleNamespace(errand_due=due, next_silent=nobody_silent)
    lexicon = SimpleNamespace(refresh_at=clock.now(), refresh=lambda: asyncio.sleep(0))
    errands = TaskWorker(store, SimpleNamespace(line=SimpleNamespace(trouble="")), lexicon, clock)
    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as tasks:
            await errands._turn(None, tasks, lambda: None)
            assert errands._busy == {"i1"}
            assert errands._refreshing
            raise LeaseLost("The lease has run out.")
    await asyncio.sleep(0)
    assert errands._busy == set()
    assert not errands._refreshing
