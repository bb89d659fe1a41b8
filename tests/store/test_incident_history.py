"""Everything about one incident is returned."""

import pytest

from relay.store import incident_history
from relay.store.types import SlackCall
from tests.support.store_samples import NOW, a_card, a_share, change_nothing, one_entry, save


async def test_an_unknown_incident_has_no_history(store):
    assert await store.incident_history("nobody") is None


async def test_the_history_has_slacks_answers_by_card(store):
    first, second = await save(store, a_card(channel="a"), a_card(channel="b"))
    calls = [SlackCall(method="chat.postMessage", at=NOW + number, answer={"try": number}) for number in range(2)]
    for call in calls:
        await store.update_card(first.id, change_nothing, call)
    await store.update_card(second.id, change_nothing, calls[0])
    assert (await store.incident_history("i1")).calls == {first.id: tuple(calls), second.id: (calls[0],)}


async def test_the_newest_of_very_many_rows_are_returned_and_the_others_counted(store, monkeypatch):
    monkeypatch.setattr(incident_history, "MOST", 3)
    await store.accept([a_share(digest=f"h{number}", at=NOW + number) for number in range(5)], one_entry)
    history = await store.incident_history("i1")
    assert [share.hash for share in history.shares] == ["h2", "h3", "h4"]
    assert [entry.seq for entry in history.entries] == [3, 4, 5]
    assert history.omitted == {"shares": 2, "entries": 2}


@pytest.mark.parametrize("incident", ["", "i\0001", "i\ud800", "{i1}", "i1\n", "i" * 10_000])
async def test_an_impossible_incident_id_is_unknown(store, incident):
    assert await store.incident_history(incident) is None
