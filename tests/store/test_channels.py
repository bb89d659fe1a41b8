"""Two references of one channel are one channel, whenever relay finds out."""

import pytest

from relay.cards.model import CardState, Channel, ChannelState
from relay.model.errors import StoreError
from tests.support.store_samples import (
    NOW,
    a_card,
    an_attempt,
    change_nothing,
    due,
    open_channel,
    posted,
    save,
    save_attempt,
    start,
)


async def test_an_added_channel_is_known_but_not_open(store):
    await store.add_channels(["#b", "#a", "#b"])
    await open_channel(store, "#a", "C1")
    await store.add_channels(["#a"])
    first, second = await store.channels()
    assert (first.ref, first.state) == ("#a", ChannelState.OPEN)
    assert second == Channel(ref="#b", state=ChannelState.NEW)


async def test_slacks_data_about_a_channel_is_saved(store):
    channel = Channel(
        ref="#a", slack_id="C1", state=ChannelState.REJECTED, facts={"is_private": True}, reason="rate", retry_at=NOW
    )
    assert await store.update_channel(channel) == channel
    assert await store.channels() == (channel,)


async def test_the_next_lookup_is_of_a_new_channel_or_of_the_first_that_is_due(store):
    assert await store.next_channel_lookup_at() is None

    async def look_up(ref, slack_id, retry_at):
        await store.update_channel(Channel(ref=ref, slack_id=slack_id, state=ChannelState.OPEN, retry_at=retry_at))

    await look_up("#a", "C#a", NOW + 60)
    await look_up("#b", "C#b", NOW + 30)
    assert await store.next_channel_lookup_at() == NOW + 30
    await look_up("#c", "C#b", NOW + 5)
    assert await store.canonical_refs() == {"#c": "#b"}
    assert await store.next_channel_lookup_at() == NOW + 5
    await store.add_channels(["#d"])
    assert await store.next_channel_lookup_at() == 0.0


async def test_the_id_stays_known_after_the_name_is_gone(store):
    await open_channel(store, "#a", "C1")
    channel = await store.update_channel(Channel(ref="#a", state=ChannelState.REJECTED, reason="channel_not_found"))
    assert (channel.slack_id, channel.state) == ("C1", ChannelState.REJECTED)


async def test_an_open_channel_needs_an_id(store):
    with pytest.raises(StoreError, match="open_has_slack_id"):
        await store.update_channel(Channel(ref="#a", state=ChannelState.OPEN))


async def test_a_second_reference_points_to_the_first_and_its_cards_move(store):
    [card] = await save(store, a_card(channel="C1", post=due()))
    await open_channel(store, "#noc", "C1")
    canonical = await store.update_channel(
        Channel(ref="C1", slack_id="C1", state=ChannelState.OPEN, facts={"name": "noc"})
    )

    assert (canonical.ref, canonical.facts, canonical.canonical_ref) == ("#noc", {"name": "noc"}, None)
    by_ref = {channel.ref: channel for channel in await store.channels()}
    assert (by_ref["C1"].canonical_ref, by_ref["#noc"].facts) == ("#noc", {"name": "noc"})
    context = await start(store)
    assert (context.card.id, context.card.channel, context.channel) == (card.id, "#noc", canonical)


async def test_slacks_data_about_a_second_reference_applies_to_the_channel(store):
    await open_channel(store, "#noc", "C1")
    canonical = await store.update_channel(
        Channel(ref="C1", slack_id="C1", state=ChannelState.REJECTED, reason="is_archived")
    )
    assert (canonical.ref, canonical.state, canonical.reason) == ("#noc", ChannelState.REJECTED, "is_archived")


async def test_references_that_point_to_a_merged_one_follow_it(store):
    await open_channel(store, "#b", "C2")
    await open_channel(store, "#b-too", "C2")
    await open_channel(store, "#a", "C1")
    await open_channel(store, "#b", "C1")
    assert {channel.ref: channel.canonical_ref for channel in await store.channels()} == {
        "#a": None,
        "#b": "#a",
        "#b-too": "#a",
    }


async def test_a_reference_with_a_new_id_is_a_channel_of_its_own_again(store):
    await open_channel(store, "#a", "C1")
    await open_channel(store, "#b", "C1")
    again = await open_channel(store, "#b", "C2")
    assert (again.ref, again.canonical_ref, again.slack_id) == ("#b", None, "C2")


async def test_a_card_with_nothing_in_slack_is_superseded_by_its_twin(store):
    await save(store, a_card(channel="#noc"), a_card(channel="C1", post=due()), a_card(channel="C1", episode=2))
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    cards = (await store.incident_history("i1")).cards
    assert [(card.channel, card.episode, card.state, card.post) for card in cards] == [
        ("#noc", 1, CardState.PENDING, None),
        ("C1", 1, CardState.SUPERSEDED, None),
        ("#noc", 2, CardState.PENDING, None),
    ]


async def test_a_card_in_slack_replaces_a_twin_that_is_not(store):
    [twin, card] = await save(store, a_card(channel="#noc", post=due()), posted(a_card(channel="C1")))
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    stored = {each.id: each for each in (await store.incident_history("i1")).cards}
    assert (stored[card.id].channel, stored[card.id].state, stored[card.id].episode) == ("#noc", CardState.POSTED, 1)
    assert (stored[twin.id].channel, stored[twin.id].state, stored[twin.id].episode) == ("C1", CardState.SUPERSEDED, 1)


async def test_two_cards_that_are_both_in_slack_are_both_edited(store):
    await save(store, posted(a_card(channel="#noc")), posted(a_card(channel="C1", edit=due()), ts="1700000000.000200"))
    canonical = await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    context = await start(store, "edit", begin=change_nothing)
    assert (context.card.channel, context.card.state, context.channel.ref) == ("C1", CardState.POSTED, canonical.ref)
    assert await start(store, "edit", skip_channels=frozenset({"#noc"})) is None


async def test_a_card_that_is_being_posted_is_not_superseded(store):
    [twin, card] = await save(store, a_card(channel="#noc"), a_card(channel="C1", state=CardState.POSTING))
    await save_attempt(store, card, an_attempt())
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    stored = {each.id: each for each in (await store.incident_history("i1")).cards}
    assert (stored[card.id].channel, stored[card.id].state) == ("#noc", CardState.POSTING)
    assert stored[twin.id].state is CardState.SUPERSEDED
