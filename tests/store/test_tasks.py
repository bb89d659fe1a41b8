"""The next task for BigPanda is the most urgent one."""

from relay.cards.model import Task, TaskKind
from tests.support.store_samples import NOW, save


def a_task(kind, incident, due_at, **values):
    return Task(key=f"{kind}:{incident}", kind=kind, incident=incident, created=due_at, due_at=due_at, **values)


async def test_tasks_of_people_come_first_then_callbacks_batches_and_checks(store):
    tasks = [
        a_task(TaskKind.CHECK, "i1", NOW - 300),
        a_task(TaskKind.ASSIGN, "i5", NOW - 250, batch="take:V1"),
        a_task(TaskKind.CALLBACK, "i2", NOW - 200),
        a_task(TaskKind.RESOLVE, "i3", NOW - 100),
        a_task(TaskKind.REPLY, "i4", NOW - 50),
    ]
    for task in tasks:
        await save(store, incident=task.incident, digest=task.incident)
    await store.add_tasks(tasks)
    skip = frozenset()
    for incident in ("i3", "i4", "i2", "i5", "i1"):
        context = await store.next_due_task(NOW, skip=skip)
        assert context.task.incident == incident
        skip |= {incident}
    assert await store.next_due_task(NOW, skip=skip) is None


async def test_if_enough_batch_tasks_are_in_progress_only_other_tasks_are_picked(store):
    for incident in ("i1", "i2"):
        await save(store, incident=incident, digest=incident)
    await store.add_tasks([a_task(TaskKind.ASSIGN, "i1", NOW - 9, batch="take:V1"), a_task(TaskKind.CHECK, "i2", NOW)])
    context = await store.next_due_task(NOW, batches=False)
    assert context.task.incident == "i2"
    assert await store.next_due_task(NOW, skip=frozenset({"i2"}), batches=False) is None
