"""Two spellings of one channel are one channel, whenever that is found out."""

import pytest

from relay.cards.model import CardState, CardUpdate, Channel, ChannelState
from relay.model.errors import StoreError
from tests.support.store_samples import (
    NOW,
    a_card,
    an_attempt,
    due,
    keep,
    open_channel,
    pick,
    shown,
)


async def test_a_wanted_channel_is_known_but_not_open(store):
    await store.add_channels(["#b", "#a", "#b"])
    await open_channel(store, "#a", "C1")
    await store.add_channels(iter(["#a"]))
    first, second = await store.channels()
    assert (first.ref, first.state) == ("#a", ChannelState.OPEN)
    assert second == Channel(ref="#b", state=ChannelState.NEW)


async def test_what_was_found_of_a_channel_is_kept(store):
    found = await store.update_channel(
        "#a", slack_id="C1", state=ChannelState.PAUSED, facts={"is_private": True}, reason="rate", retry_at=NOW
    )
    assert found == Channel(
        ref="#a", slack_id="C1", state=ChannelState.PAUSED, facts={"is_private": True}, reason="rate", retry_at=NOW
    )
    assert await store.channels() == (found,)


async def test_the_next_channel_to_be_asked_about_is_a_new_one_or_the_first_whose_time_comes(store):
    assert await store.next_channel_lookup_at() is None
    for name, moment in (("#a", NOW + 60), ("#b", NOW + 30)):
        await store.update_channel(name, slack_id=f"C{name}", state=ChannelState.OPEN, retry_at=moment)
    assert await store.next_channel_lookup_at() == NOW + 30
    await store.update_channel("#c", slack_id="C#b", state=ChannelState.OPEN, retry_at=NOW + 5)
    assert await store.canonical_refs() == {"#c": "#b"}
    assert await store.next_channel_lookup_at() == NOW + 5
    await store.add_channels(["#d"])
    assert await store.next_channel_lookup_at() == 0.0


async def test_an_id_survives_that_its_name_is_gone(store):
    await open_channel(store, "#a", "C1")
    found = await store.update_channel("#a", slack_id=None, state=ChannelState.REJECTED, reason="channel_not_found")
    assert (found.slack_id, found.state) == ("C1", ChannelState.REJECTED)


async def test_an_open_channel_without_an_id_cannot_be(store):
    with pytest.raises(StoreError, match="open_has_slack_id"):
        await store.update_channel("#a", slack_id=None, state=ChannelState.OPEN)


async def test_a_second_spelling_is_the_first_ones_and_its_cards_move(store):
    [card] = await keep(store, a_card(channel="C1", post=due()))
    await open_channel(store, "#noc", "C1")
    home = await store.update_channel("C1", slack_id="C1", state=ChannelState.OPEN, facts={"name": "noc"}, reason="")

    assert (home.ref, home.facts, home.canonical_ref) == ("#noc", {"name": "noc"}, None)
    spelled = {channel.ref: channel for channel in await store.channels()}
    assert (spelled["C1"].canonical_ref, spelled["#noc"].facts) == ("#noc", {"name": "noc"})
    case = await pick(store)
    assert (case.card.id, case.card.channel, case.channel) == (card.id, "#noc", home)


async def test_what_a_spelling_turns_out_to_be_holds_for_its_channel(store):
    await open_channel(store, "#noc", "C1")
    home = await store.update_channel("C1", slack_id="C1", state=ChannelState.REJECTED, reason="is_archived")
    assert (home.ref, home.state, home.reason) == ("#noc", ChannelState.REJECTED, "is_archived")


async def test_spellings_of_a_spelling_follow_it(store):
    await open_channel(store, "#b", "C2")
    await open_channel(store, "#b-too", "C2")
    await open_channel(store, "#a", "C1")
    await open_channel(store, "#b", "C1")
    assert {channel.ref: channel.canonical_ref for channel in await store.channels()} == {
        "#a": None,
        "#b": "#a",
        "#b-too": "#a",
    }


async def test_a_spelling_that_is_found_elsewhere_is_a_channel_of_its_own_again(store):
    await open_channel(store, "#a", "C1")
    await open_channel(store, "#b", "C1")
    again = await open_channel(store, "#b", "C2")
    assert (again.ref, again.canonical_ref, again.slack_id) == ("#b", None, "C2")


async def test_a_card_with_nothing_in_slack_gives_way_to_its_twin(store):
    await keep(store, a_card(channel="#noc"), a_card(channel="C1", post=due()), a_card(channel="C1", episode=2))
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    places = [
        (card.channel, card.episode, card.state, card.post) for card in (await store.incident_history("i1")).cards
    ]
    assert places == [
        ("#noc", 1, CardState.PENDING, None),
        ("C1", 1, CardState.SUPERSEDED, None),
        ("#noc", 2, CardState.PENDING, None),
    ]


async def test_a_card_that_is_in_slack_takes_the_place_of_a_twin_that_is_not(store):
    [twin, card] = await keep(store, a_card(channel="#noc", post=due()), shown(a_card(channel="C1")))
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    kept = {each.id: each for each in (await store.incident_history("i1")).cards}
    assert (kept[card.id].channel, kept[card.id].state, kept[card.id].episode) == ("#noc", CardState.POSTED, 1)
    assert (kept[twin.id].channel, kept[twin.id].state, kept[twin.id].episode) == ("C1", CardState.SUPERSEDED, 1)


async def test_of_two_cards_in_slack_both_stay_true(store):
    await keep(store, shown(a_card(channel="#noc")), shown(a_card(channel="C1", edit=due()), ts="1700000000.000200"))
    home = await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    case = await pick(store, "edit", change=lambda _: CardUpdate())
    assert (case.card.channel, case.card.state, case.channel.ref) == ("C1", CardState.POSTED, home.ref)
    assert await pick(store, "edit", skip_channels={"#noc"}) is None


async def test_a_card_on_its_way_does_not_give_way(store):
    [twin, card] = await keep(store, a_card(channel="#noc"), a_card(channel="C1", state=CardState.POSTING))
    await store.update_card(card.id, lambda case: CardUpdate(attempt=an_attempt()))
    await open_channel(store, "#noc", "C1")
    await open_channel(store, "C1", "C1")
    kept = {each.id: each for each in (await store.incident_history("i1")).cards}
    assert (kept[card.id].channel, kept[card.id].state) == ("#noc", CardState.POSTING)
    assert kept[twin.id].state is CardState.SUPERSEDED
