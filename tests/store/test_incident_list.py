"""The list of incidents: every incident once, the newest share first, whatever the batch."""

import pytest

from relay.cards.model import CardState, Plan, ShareOutcome
from relay.model.struct import replace
from relay.store.types import IncidentFilter
from tests.support.store_samples import NOW, a_card, a_share, posted, state_after


async def accept(store, incident, *, at=NOW, cards=(), routes=(), ended=False):
    def decide(context):
        state = state_after(context.incident_state, context.share)
        changes = {"ended_at": at} if ended else {}
        state = replace(state, **changes, last_share_at=at)
        return Plan(incident_state=state, outcome=ShareOutcome.FIRST, cards=cards, routes=routes)

    await store.accept([a_share(incident, digest=f"h{incident}", at=at)], decide)


async def listed(store, *, most=500, **wanted):
    """The ids of all incidents, read in batches of this size."""
    ids, after = [], None
    while True:
        batch = await store.incident_batch(IncidentFilter(**wanted), after, most)
        ids += [each.state.record.incident for each in batch.incidents]
        if (after := batch.after) is None:
            return ids


@pytest.mark.parametrize("most", [1, 2, 3, 500])
async def test_each_incident_is_listed_once_and_the_newest_share_first(store, most):
    for incident, at in (("a", 5), ("b", 7), ("c", 5), ("d", 5), ("e", 9)):
        await accept(store, incident, at=NOW + at)
    assert await listed(store, most=most) == ["e", "b", "d", "c", "a"]


async def test_the_filters_select_by_end_channel_route_and_words(store):
    await accept(store, "open", cards=[posted(a_card("open", route="db"))], at=NOW + 1)
    await accept(store, "ended", cards=[a_card("ended", channel="#db")], routes=['the "noc"', "db"], ended=True)
    await accept(store, "none", at=NOW - 1)
    assert await listed(store, open_only=True) == ["open", "none"]
    assert await listed(store, channels=frozenset({"#noc", "C9"})) == ["open"]
    assert await listed(store, channels=frozenset()) == []
    assert await listed(store, route="db") == ["open", "ended"]
    assert await listed(store, route='the "noc"') == ["ended"]
    assert await listed(store, route="d_") == []
    assert await listed(store, words=("first", "ended")) == ["ended"]  # the title, and the id
    batch = await store.incident_batch(IncidentFilter())
    assert [[(card.channel, card.state) for card in each.cards] for each in batch.incidents] == [
        [("#noc", CardState.POSTED)],
        [("#db", CardState.PENDING)],
        [],
    ]


async def test_a_card_is_found_by_its_message(store):
    await accept(store, "one", cards=[posted(a_card("one"))])
    assert await store.incident_at("C1", "1700000000.000100") == "one"
    assert await store.incident_at("C1", "1700000000.000101") is None
    assert await store.incident_at("C2", "1700000000.000100") is None
