"""Posts whose result is unknown are listed, and found again after a crash."""

from relay.cards.model import AttemptState, CardState, CardUpdate, Due
from relay.model.struct import replace
from tests.support.store_samples import (
    NOW,
    a_card,
    an_attempt,
    due,
    open_channel,
    posted,
    save,
    save_attempt,
    start,
)


async def test_attempts_in_doubt_are_listed_in_the_order_of_their_searches(store):
    cards = await save(store, *(a_card(channel=name) for name in "abc"))
    for card, moment in zip(cards, (NOW + 20, NOW + 5, NOW), strict=True):
        state = AttemptState.DONE if card.channel == "c" else AttemptState.IN_DOUBT
        await save_attempt(store, card, an_attempt(f"k{card.id}", state=state, next_search_at=moment, searches=1))
    await open_channel(store, "canonical", "C1")
    await open_channel(store, "b", "C1")
    first, second = await store.attempts_in_doubt()
    assert (first.card, first.channel, first.attempt.next_search_at) == (cards[1].id, "canonical", NOW + 5)
    assert (second.card, second.channel, second.attempt.searches) == (cards[0].id, "a", 1)
    [again] = await store.attempts_to_recheck()
    assert (again.card, again.channel, again.attempt.state) == (cards[2].id, "c", AttemptState.DONE)


async def test_after_a_crash_attempts_in_flight_are_in_doubt(store):
    [root, waiting, replied, done] = await save(
        store,
        a_card(channel="root", post=due()),
        a_card(channel="waiting"),
        posted(a_card(channel="replied")),
        a_card(channel="done"),
    )
    await open_channel(store, "root", "C1")
    await start(store)
    for card, state in ((waiting, AttemptState.WAITING), (replied, AttemptState.IN_FLIGHT), (done, AttemptState.DONE)):
        await save_attempt(store, card, an_attempt(card.channel, kind="reply", state=state, searches=2))

    assert await store.recover_attempts(NOW + 60) == 2
    assert await store.recover_attempts(NOW + 61) == 0

    history = await store.incident_history("i1")
    assert {card.channel: card.state for card in history.cards} == {
        "root": CardState.IN_DOUBT,
        "waiting": CardState.PENDING,
        "replied": CardState.POSTED,
        "done": CardState.PENDING,
    }
    assert {card: attempt.state for card, [attempt] in history.attempts.items()} == {
        root.id: AttemptState.IN_DOUBT,
        waiting.id: AttemptState.WAITING,
        replied.id: AttemptState.IN_DOUBT,
        done.id: AttemptState.DONE,
    }
    assert history.attempts[root.id][0].next_search_at == NOW + 60


async def test_an_attempt_that_was_in_doubt_is_repeated_under_its_key(store):
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)
    await start(store)
    await store.recover_attempts(NOW)

    def not_found(context):
        return CardUpdate(
            cards=(replace(context.card, state=CardState.PENDING, post=Due(at=NOW, deadline=NOW)),),
            attempt=replace(context.attempt, state=AttemptState.WAITING),
        )

    await store.update_card(card.id, not_found)
    assert (await start(store)).card.id == card.id
    assert len((await store.incident_history("i1")).attempts[card.id]) == 1
