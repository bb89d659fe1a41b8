"""The next task for BigPanda is the most urgent one."""

from relay.cards.model import Task, TaskKind
from tests.support.store_samples import NOW, save


def a_task(kind, incident, due_at):
    return Task(key=f"{kind}:{incident}", kind=kind, incident=incident, created=due_at, due_at=due_at)


async def test_peoples_tasks_come_before_callbacks_and_these_before_checks(store):
    tasks = [
        a_task(TaskKind.CHECK, "i1", NOW - 300),
        a_task(TaskKind.CALLBACK, "i2", NOW - 200),
        a_task(TaskKind.RESOLVE, "i3", NOW - 100),
        a_task(TaskKind.REPLY, "i4", NOW - 50),
    ]
    for task in tasks:
        await save(store, incident=task.incident, digest=task.incident)
    await store.add_tasks(tasks)
    skip = frozenset()
    for incident in ("i3", "i4", "i2", "i1"):
        context = await store.next_due_task(NOW, skip=skip)
        assert context.task.incident == incident
        skip |= {incident}
    assert await store.next_due_task(NOW, skip=skip) is None
