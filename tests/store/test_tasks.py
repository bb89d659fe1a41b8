"""What BigPanda is to be told or asked, as it is kept: which errand comes next."""

from relay.cards import Errand, ErrandKind
from relay.cards.tasks import Matter
from tests.support.store_samples import NOW, keep


def an_errand(kind: ErrandKind, incident: str, due_at: float) -> Errand:
    return Errand(key=f"{kind}:{incident}", kind=kind, incident=incident, created=due_at, due_at=due_at)


async def test_what_people_wait_for_comes_before_callbacks_and_these_before_checks(store):
    wanted = [
        an_errand(ErrandKind.CHECK, "i1", NOW - 300),
        an_errand(ErrandKind.CALLBACK, "i2", NOW - 200),
        an_errand(ErrandKind.RESOLVE, "i3", NOW - 100),
        an_errand(ErrandKind.REPLY, "i4", NOW - 50),
    ]
    for errand in wanted:
        await keep(store, incident=errand.incident, digest=errand.incident)
    await store.ask(wanted)
    busy: set[str] = set()
    for incident in ("i3", "i4", "i2", "i1"):
        found = await store.errand_due(NOW, skip=busy)
        assert isinstance(found, Matter)
        assert found.task.incident == incident
        busy.add(incident)
    assert await store.errand_due(NOW, skip=busy) is None
