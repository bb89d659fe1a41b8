"""What BigPanda is to be told or asked, as it is kept: which errand comes next."""

from relay.cards.model import Task, TaskKind
from relay.cards.tasks import TaskContext
from tests.support.store_samples import NOW, keep


def an_errand(kind: TaskKind, incident: str, due_at: float) -> Task:
    return Task(key=f"{kind}:{incident}", kind=kind, incident=incident, created=due_at, due_at=due_at)


async def test_what_people_wait_for_comes_before_callbacks_and_these_before_checks(store):
    wanted = [
        an_errand(TaskKind.CHECK, "i1", NOW - 300),
        an_errand(TaskKind.CALLBACK, "i2", NOW - 200),
        an_errand(TaskKind.RESOLVE, "i3", NOW - 100),
        an_errand(TaskKind.REPLY, "i4", NOW - 50),
    ]
    for errand in wanted:
        await keep(store, incident=errand.incident, digest=errand.incident)
    await store.add_tasks(wanted)
    busy: set[str] = set()
    for incident in ("i3", "i4", "i2", "i1"):
        found = await store.next_due_task(NOW, skip=busy)
        assert isinstance(found, TaskContext)
        assert found.task.incident == incident
        busy.add(incident)
    assert await store.next_due_task(NOW, skip=busy) is None
