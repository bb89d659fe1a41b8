"""Everything about one incident is returned."""

from relay.store.types import SlackCall
from tests.support.store_samples import NOW, a_card, change_nothing, save


async def test_an_unknown_incident_has_no_history(store):
    assert await store.incident_history("nobody") is None


async def test_the_history_has_slacks_answers_by_card(store):
    first, second = await save(store, a_card(channel="a"), a_card(channel="b"))
    calls = [SlackCall(method="chat.postMessage", at=NOW + number, answer={"try": number}) for number in range(2)]
    for call in calls:
        await store.update_card(first.id, change_nothing, call)
    await store.update_card(second.id, change_nothing, calls[0])
    assert (await store.incident_history("i1")).calls == {first.id: tuple(calls), second.id: (calls[0],)}
