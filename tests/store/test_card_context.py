"""What is decided about a card sees its newest context, and is saved whole."""

from relay.cards.model import AttemptState, CardState, CardUpdate
from relay.model.struct import replace
from relay.store.card_context import MAX_ENTRIES
from tests.support.store_samples import (
    a_card,
    a_share,
    change_nothing,
    delivered,
    due,
    entry,
    open_channel,
    save,
    start,
    with_cards,
)


async def test_a_decision_gets_the_current_context_and_returns_the_next_one(store):
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)
    await start(store)
    await store.accept([a_share(digest="h2")], with_cards(entries=(entry(1), entry(2), entry(3))))
    contexts = []

    def decide(context):
        contexts.append(context)
        update = delivered()(context)
        return replace(update, cards=(replace(update.cards[0], reported_seq=2),))

    after = await store.update_card(card.id, decide)
    assert [each.seq for each in contexts[0].entries] == [1, 2, 3]
    assert contexts[0].attempt.state is AttemptState.IN_FLIGHT
    assert (after.card.state, after.card.ts) == (CardState.POSTED, "1700000000.000100")
    assert (after.cards, after.attempt) == ((after.card,), None)
    assert after.entries == (entry(3),)
    assert after == await store.update_card(card.id, change_nothing)
    assert after == await store.card_context(card.id)


async def test_an_update_may_create_a_card_and_supersede_another(store):
    [card, other] = await save(store, a_card(post=due()), a_card(channel="#other"))
    fallback = a_card(channel="#fallback", reported_seq=1, post=due())

    def divert(context):
        rejected = replace(context.card, state=CardState.REJECTED, post=None)
        return CardUpdate(cards=(rejected, replace(other, state=CardState.SUPERSEDED), fallback))

    after = await store.update_card(card.id, divert)
    assert [each.channel for each in after.cards] == ["#noc", "#fallback"]
    assert after.cards[1].id > other.id
    assert "#fallback" in {channel.ref for channel in await store.channels()}
    assert after.cards[1] == (await store.incident_history("i1")).cards[2]


async def test_a_superseded_card_can_still_be_updated(store):
    [card] = await save(store, a_card(state=CardState.SUPERSEDED))
    after = await store.update_card(
        card.id, lambda context: CardUpdate(cards=(replace(context.card, reason="late answer"),))
    )
    assert (after.card.reason, after.cards) == ("late answer", ())


async def test_a_decision_sees_a_bounded_number_of_entries_and_whether_more_follow(store):
    """A thread that was read is the exception: it may have reported any of them."""
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)
    await start(store)
    many = tuple(entry(number) for number in range(1, MAX_ENTRIES + 51))
    await store.accept([a_share(digest="h2")], with_cards(entries=many))
    context = await store.card_context(card.id)
    assert (context.entries, context.more_entries) == (many[:MAX_ENTRIES], True)
    await store.update_card(card.id, lambda _: CardUpdate(cards=(replace(context.card, reported_seq=50),)))
    context = await store.card_context(card.id)
    assert (context.entries, context.more_entries) == (many[50:], False)
    reads = replace(context.attempt, data={"reads_thread": True})
    before = replace(context.card, reported_seq=0)
    await store.update_card(card.id, lambda _: CardUpdate(cards=(before,), attempt=reads))
    context = await store.card_context(card.id)
    assert (context.entries, context.more_entries) == (many, False)
