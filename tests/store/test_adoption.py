"""Cards that are found in Slack enter the database, once, and only while this relay delivers."""

import pytest

from relay.cards.adoption import AdoptionOutcome, FoundCard, adopt
from relay.model.errors import LeaseLost
from relay.model.struct import replace
from relay.routes.options import Options
from relay.slack.message import Marker
from relay.store.types import Lease
from tests.support.store_samples import NOW, a_share, one_entry, open_channel

MARKER = Marker(
    event_type="relay_card", incident="i1", key="k", route="all", state="warning", as_of=int(NOW), episode=2
)
FOUND = FoundCard(slack_channel="C1", ts="1700000000.000100", marker=MARKER)


async def take_over(store, *found, lease=None):
    def decide(context, card):
        return adopt(context, card, Options(), NOW)

    return await store.adopt_cards("#noc", found, decide, now=NOW, lease=lease)


@pytest.fixture
async def channel(store):
    await open_channel(store, "#noc", "C1")


@pytest.mark.usefixtures("channel")
async def test_a_card_is_taken_over_once(store):
    assert await take_over(store, FOUND) == [AdoptionOutcome.ADOPTED]
    first = await store.incident_history("i1")
    assert [(card.ts, card.episode, card.state) for card in first.cards] == [(FOUND.ts, 2, "posted")]
    assert (first.state.episode, first.state.was_shared) == (2, False)
    assert await take_over(store, FOUND) == [AdoptionOutcome.KNOWN]
    assert await store.incident_history("i1") == first


@pytest.mark.usefixtures("channel")
async def test_an_ignored_card_leaves_no_trace(store):
    assert await take_over(store, FOUND) == [AdoptionOutcome.ADOPTED]
    older = replace(FOUND, ts="1690000000.000100", marker=replace(MARKER, episode=1))
    assert await take_over(store, older) == [AdoptionOutcome.ANOTHER_CARD]
    assert len((await store.incident_history("i1")).cards) == 1


@pytest.mark.usefixtures("channel")
async def test_without_the_lease_nothing_is_taken_over(store):
    with pytest.raises(LeaseLost):
        await take_over(store, FOUND, lease=Lease("delivery", "another", 7))
    with pytest.raises(LeaseLost):
        await store.mark_read("#noc", lease=Lease("delivery", "another", 7))
    assert await store.incident_history("i1") is None


async def test_only_a_database_that_was_never_used_reads_its_channels_first(store):
    await store.accept([a_share("i0", "h")], one_entry)
    await store.add_channels(["#before"])
    secret = await store.marker_secret("first", adopt_since=100.0)
    await store.add_channels(["#after"])
    await open_channel(store, "#before", "C1")
    await open_channel(store, "#after", "C2")
    assert {channel.ref: channel.unread_since for channel in await store.unread_channels()} == {
        "#before": 100.0,
        "#after": 100.0,
    }
    await store.mark_read("#before")
    await open_channel(store, "#before", "C1")
    assert [channel.ref for channel in await store.unread_channels()] == ["#after"]
    assert await store.marker_secret("second", adopt_since=200.0) == secret
    await store.end_adoption(100.0)
    await store.add_channels(["#early"])
    await store.end_adoption(100.5)
    await store.add_channels(["#late"])
    await open_channel(store, "#early", "C3")
    await open_channel(store, "#late", "C4")
    assert [channel.ref for channel in await store.unread_channels()] == ["#after", "#early"]
