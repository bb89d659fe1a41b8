"""Batches in both databases: what a storm card lists, a task for each chosen line, and the sum of what they became."""

import asyncio
from functools import partial

import pytest
from sqlalchemy import text

from relay.cards.batches import Batch
from relay.cards.model import AttemptState
from relay.cards.tasks import close_task
from relay.store import batch_progress, batches
from tests.store import test_storms
from tests.store.test_storms import NOW, come, post_all, storm_in
from tests.support.store_samples import query_plan

AT = NOW + 60
store = test_storms.store


async def storm_card(store) -> int:
    rows = await store.database.read(lambda connection: connection.execute(text("SELECT id FROM bulletin")).all())
    [(bulletin,)] = rows
    return int(bulletin)


async def batch_line(store):
    query = text("SELECT data FROM bulletin_line WHERE key = 'take:V1'")
    return await store.database.read(lambda connection: connection.execute(query).scalar_one())


async def a_batch(store, *, key="take:V1"):
    """A storm that lists i3, i4 and i5, and somebody who takes them."""
    await come(store, *(f"i{number}" for number in range(1, 6)))
    await post_all(store, NOW)
    bulletin = await storm_card(store)
    listed = await store.listed_incidents(bulletin)
    lines = tuple(each.seq for each in listed.incidents)
    return Batch(key=key, bulletin=bulletin, lines=lines, user="U1", name="Dana", channel="C1", message_ts="1.2", at=AT)


async def end(store, incident, state, reason=""):
    [task] = [each for each in await store.open_tasks(incident) if each.batch]
    return await store.update_task(task.key, partial(close_task, state=state, reason=reason), now=AT + 1)


async def test_the_storm_card_lists_each_open_incident_with_the_route_of_its_card(store):
    batch = await a_batch(store)
    listed = await store.listed_incidents(batch.bulletin)
    assert len(listed.incidents) == 3
    assert [card.route for card in listed.cards] == ["all"]
    assert not any(each.in_progress for each in listed.incidents)
    await store.add_batch(batch)
    again = await store.listed_incidents(batch.bulletin)
    assert all(each.in_progress for each in again.incidents)


async def test_a_batch_is_started_once(store):
    batch = await a_batch(store)
    started = await asyncio.gather(store.add_batch(batch), store.add_batch(batch))
    assert sorted(started) == [0, 3]
    assert '"left":3' in await batch_line(store)


async def test_only_one_of_several_last_tasks_reports_the_end_of_the_batch(store):
    await store.add_batch(await a_batch(store))
    ends = [
        end(store, "i3", AttemptState.DONE),
        end(store, "i4", AttemptState.REJECTED, "not_found"),
        end(store, "i5", AttemptState.DROPPED, "taken"),
    ]
    contexts = await asyncio.gather(*ends)
    [progress] = [context.batch for context in contexts if context.batch.is_over]
    assert (progress.done, progress.failed, progress.taken, progress.total) == (1, 1, 1, 3)
    [failure] = progress.failures
    assert (failure.reason, failure.title) != ("", "")
    assert '"left":0' in await batch_line(store)


async def test_a_batch_continues_after_its_storm_is_over(store):
    await store.add_batch(await a_batch(store))
    for moment in (NOW + 400, NOW + 800, NOW + 1200):
        await store.tend_storms(moment, storm_in)
    await end(store, "i3", AttemptState.DONE)
    closed = text("SELECT count(*) FROM bulletin WHERE closed_at IS NOT NULL")
    assert await store.database.read(lambda connection: connection.execute(closed).scalar_one()) == 1
    assert '"done":1' in await batch_line(store)


async def test_tasks_of_a_batch_and_tasks_in_progress_are_found_along_an_index(store):
    if store.shared:
        pytest.skip("the plan is SQLite's")
    for statement in (batches.IN_PROGRESS, batch_progress.TASKS.params(batch="take:V1")):
        plan_of = await query_plan(store, statement)
        assert [step for step in plan_of if step.startswith("SCAN bigpanda_task") and "INDEX" not in step] == []
