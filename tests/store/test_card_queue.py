"""The next card is the right one, and it is started in the same transaction."""

import asyncio
import re
from functools import partial
from math import inf

import pytest
from sqlalchemy import text

from relay.cards.eligibility import Work
from relay.cards.model import AttemptState, CardContext, CardState, CardUpdate, Channel, ChannelState
from relay.model.errors import CardFailure
from relay.model.struct import replace
from relay.store import card_queue, due_queries
from relay.store.store import Store
from tests.support.store_samples import (
    NOW,
    Begun,
    a_card,
    a_share,
    an_attempt,
    change_nothing,
    due,
    entry,
    one_entry,
    open_channel,
    posted,
    query_plan,
    run,
    save,
    save_attempt,
    start,
    with_cards,
)


async def open_channels(store, *names):
    for name in names:
        await open_channel(store, name, name.upper())


async def test_a_card_is_started_with_its_whole_context(store):
    [other, card] = await save(store, a_card(channel="#other"), a_card(post=due(), reported_seq=1))
    await store.accept([a_share(digest="h2")], with_cards(entries=(entry(1), entry(3), entry(2))))
    channel = await open_channel(store)
    attempt = an_attempt("k1", targets=("S1",))

    def decide(context):
        posting = replace(context.card, state=CardState.POSTING, post=None)
        return Begun(context, CardUpdate(cards=(posting,), attempt=attempt))

    context, begun, more = await store.start_next_card("post", NOW, decide=decide)

    assert not more

    assert begun.context is context
    history = await store.incident_history("i1")
    assert context == CardContext(
        topic=history.state,
        card=card,
        cards=(other, card),
        entries=(entry(2), entry(3)),
        channel=channel,
        attempt=None,
    )
    assert history.cards[1].state is CardState.POSTING
    assert history.attempts == {card.id: (attempt,)}


async def test_relay_looks_again_only_in_channels_where_other_cards_have_work(store):
    async def pick(*skipped, **options):
        begin = partial(Begun, update=CardUpdate())
        return await store.start_next_card("post", NOW, decide=begin, skip_cards=frozenset(skipped), **options)

    [first] = await save(store, a_card(channel="a", post=due()))
    await open_channels(store, "a", "b")
    assert not (await pick()).more
    assert await pick(skip_channels=frozenset("a")) == inf
    assert await pick(first.id) is None
    await store.accept([a_share("i2", "h2")], with_cards(a_card("i2", channel="b", post=due(NOW + 5))))
    assert (await pick()).more
    assert await pick(first.id) == NOW + 5


async def test_the_last_channel_gets_its_turn_if_no_other_has_due_work(store):
    [other, last] = await save(store, a_card(channel="a", post=due()), a_card(channel="b", post=due(NOW, NOW - 5)))
    await open_channels(store, "a", "b")
    turns = [
        await start(store, begin=change_nothing, last_channel=channel, skip_channels=frozenset(skipped))
        for channel, skipped in (("", ""), ("b", ""), ("b", "a"), ("b", "b"))
    ]
    assert [context.card for context in turns] == [last, other, last, other]


async def test_a_transaction_records_the_work_that_it_leaves(store):
    left = []
    store.database.on_work = left.append
    [card] = await save(store, a_card(channel="a", post=due()))
    await open_channel(store, "a", "A")
    await start(store, begin=change_nothing)
    await store.update_card(card.id, lambda context: CardUpdate(cards=(replace(context.card, edit=due()),)))
    await start(store, begin=lambda context: CardUpdate(cards=(context.card,)))
    await store.update_card(card.id, lambda context: CardUpdate(cards=(replace(context.card, post=None, edit=None),)))
    await store.incident_history("i1")
    assert left == [{Work.POST, Work.CHANNEL}, {Work.POST, Work.EDIT}, {Work.EDIT}]


async def test_a_decision_that_raises_changes_nothing(store):
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)

    def fail(_context):
        raise ZeroDivisionError

    with pytest.raises(CardFailure, match="ZeroDivisionError") as raised:
        await start(store, begin=fail)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert raised.value.card == card.id
    assert raised.value.details == {"incident": "i1", "route": card.route, "channel": card.channel}
    assert (await start(store, begin=change_nothing)).card == card


async def test_urgent_cards_come_first_then_the_earliest_deadline(store):
    cards = {
        "late": due(NOW - 9, NOW + 60),
        "soon": due(NOW - 1, NOW + 10),
        "urgent late": due(NOW - 1, NOW + 50, urgent=True),
        "urgent soon": due(NOW, NOW + 40, urgent=True),
    }
    await save(store, *(a_card(channel=name, post=when) for name, when in cards.items()))
    await open_channels(store, *cards)
    order = [(await start(store)).card.channel for _ in cards]
    assert order == ["urgent soon", "urgent late", "soon", "late"]
    assert await start(store) is None


async def test_the_card_that_has_been_pending_longest_is_the_oldest(store):
    await save(
        store,
        a_card(channel="a", post=due(NOW - 5, NOW, urgent=True), pending_since=NOW - 5),
        a_card(channel="b", post=due(NOW - 1, NOW + 60), pending_since=NOW - 50),
        a_card(channel="c", post=due(NOW - 20, NOW + 60)),
    )
    await open_channels(store, *"abc")
    assert [(await start(store, oldest_first=True)).card.channel for _ in range(3)] == ["b", "c", "a"]


async def test_cards_and_channels_can_be_skipped(store):
    [one, two, three] = await save(
        store, *(a_card(channel=name, post=due(NOW, NOW + n)) for n, name in enumerate("abc", start=1))
    )
    await open_channels(store, *"abc")

    async def found(cards=(), channels=()):
        skipped = {"skip_cards": frozenset(cards), "skip_channels": frozenset(channels)}
        context = await start(store, begin=change_nothing, **skipped)
        return context and context.card.id

    assert await found() == one.id
    assert await found(cards=[one.id]) == two.id
    assert await found(cards=[one.id], channels=["b"]) == three.id
    assert await found(channels="abc") is None


@pytest.mark.parametrize("state", [state for state in CardState if state is not CardState.SUPERSEDED])
async def test_posts_are_due_for_pending_and_posted_cards_and_edits_for_posted_ones(store, state):
    card = a_card(state=state, post=due(), edit=due())
    await save(store, posted(card) if state is CardState.POSTED else card)
    await open_channel(store)
    posts, edits = await start(store, "post", begin=change_nothing), await start(store, "edit", begin=change_nothing)
    assert isinstance(posts, CardContext) == (state in {CardState.PENDING, CardState.POSTED})
    assert isinstance(edits, CardContext) == (state is CardState.POSTED)


@pytest.mark.parametrize("state", AttemptState)
async def test_an_attempt_in_flight_or_in_doubt_stops_posts_and_never_edits(store, state):
    [card] = await save(store, posted(a_card(post=due(), edit=due())))
    await open_channel(store)
    attempt = an_attempt(kind="reply", state=state)
    await save_attempt(store, card, attempt)
    posts, edits = await start(store, "post", begin=change_nothing), await start(store, "edit", begin=change_nothing)
    assert isinstance(posts, CardContext) == (state not in {AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT})
    assert edits.card == card
    assert edits.attempt == (attempt if attempt.state.open else None)


async def test_a_waiting_attempt_is_repeated_under_its_key(store):
    [card] = await save(store, a_card(post=due()))
    await open_channel(store)
    await start(store)

    def retry_later(context):
        return CardUpdate(
            cards=(replace(context.card, state=CardState.PENDING, post=due(NOW + 5)),),
            attempt=replace(context.attempt, state=AttemptState.WAITING),
        )

    await store.update_card(card.id, retry_later)
    context = await start(store, now=NOW + 5)
    assert context.attempt.state is AttemptState.WAITING
    [attempt] = (await store.incident_history("i1")).attempts[card.id]
    assert (attempt.state, attempt.tries) == (AttemptState.IN_FLIGHT, 2)


async def test_if_nothing_is_due_it_says_when_work_will_be(store):
    await save(
        store,
        a_card(channel="a", post=due(NOW + 20, NOW + 21)),
        a_card(channel="b", post=due(NOW + 10, NOW + 90)),
        a_card(channel="closed", post=due(NOW + 1)),
    )
    await open_channels(store, *"ab")
    assert await start(store) == NOW + 10
    assert await start(store, "edit") is None
    assert (await start(store, now=NOW + 10)).card.channel == "b"


@pytest.mark.parametrize("state", [ChannelState.NEW, ChannelState.REJECTED])
async def test_a_channel_with_due_work_that_is_not_open_is_stalled(store, state):
    [card] = await save(store, posted(a_card(post=due(), edit=due())))
    channel = await store.update_channel(Channel(ref="#noc", slack_id="C1", state=state, reason="is_archived"))
    assert [await start(store, work) for work in ("post", "edit")] == [None, None]
    assert await store.stalled_channels(NOW) == (channel,)
    assert await store.stalled_channels(NOW - 1) == ()
    assert await store.due_cards("#noc", NOW, 9) == (card.id,)


async def test_an_open_channel_with_due_work_is_not_stalled(store):
    await save(store, posted(a_card(edit=due())))
    await open_channel(store)
    assert await store.stalled_channels(NOW) == ()


async def test_two_relays_never_start_the_same_card(store, second):
    await save(store, *(a_card(channel=f"c{number}", post=due()) for number in range(12)))
    await open_channels(store, *(f"c{number}" for number in range(12)))
    contexts = await asyncio.gather(*(start((store, second)[number % 2]) for number in range(16)))
    cards = [context.card.id for context in contexts if context is not None]
    assert len(cards) == len(set(cards)) == 12


async def test_work_that_is_gone_before_the_lock_is_not_started(store, monkeypatch):
    await save(store, a_card(channel="a", post=due(NOW, NOW + 1)), a_card(channel="b", post=due(NOW, NOW + 2)))
    await open_channels(store, *"ab")
    load = card_queue.card_context

    def after_another_relay(connection, card, storm_in):
        gone = "UPDATE card SET post_due = NULL, post_deadline = NULL, post_since = NULL WHERE channel = 'a'"
        connection.execute(text(gone))
        return load(connection, card, storm_in)

    monkeypatch.setattr(card_queue, "card_context", after_another_relay)
    assert (await start(store)).card.channel == "b"


async def test_the_next_card_is_found_along_an_index_without_sorting(sqlite_url):
    store = await Store.open(sqlite_url)
    await store.accept([a_share()], one_entry)
    search = {"now": NOW, "cards": [1, 2], "channels": ["#a"]}

    for work in ("post", "edit"):
        for oldest_first, order in ((False, "order"), (True, "since")):
            steps = await query_plan(store, due_queries.at_head(work, oldest_first=oldest_first), **search)
            assert any(f"card USING INDEX ix_card_{work}_{order}" in step for step in steps), steps
            steps = await query_plan(store, due_queries.by_channel(work, oldest_first=oldest_first), **search)
            assert any(f"card USING INDEX ix_card_{work}_channel (channel=?)" in step for step in steps), steps
            assert any("ix_card" in step and "(channel>?)" in step for step in steps), steps
            assert not any(re.match(r"SCAN card(?! USING)", step) for step in steps), steps
        [first, *rest] = await query_plan(store, due_queries.next_due_at(work), now=NOW)
        assert f"card USING INDEX ix_card_{work}_due ({work}_due>?)" in first
        assert not any("TEMP B-TREE" in step for step in rest)
    await store.close()


async def test_a_channel_with_a_long_backlog_hides_no_other(store):
    behind = due_queries.HEAD + 20
    await open_channel(store, "slow", "S")
    await open_channel(store, "quick", "Q")
    cards = {f"i{n}": a_card(f"i{n}", "slow", post=due(NOW - n, urgent=True)) for n in range(behind)}
    cards["last"] = a_card("last", "quick", post=due(NOW, NOW + 900))
    cards["later"] = a_card("later", "quick", post=due(NOW + 1, NOW + 2))
    await store.accept(
        [a_share(incident, incident) for incident in cards],
        lambda context: with_cards(cards[context.share.incident])(context),
    )
    slow, both = frozenset({"slow"}), frozenset({"slow", "quick"})
    for oldest_first in (False, True):
        context = await start(store, begin=change_nothing, skip_channels=slow, oldest_first=oldest_first)
        assert context.card.incident == "last"
    assert await start(store, begin=change_nothing, skip_channels=both) == NOW + 1
    first = (await start(store, begin=change_nothing)).card
    assert (first.channel, first.post.at) == ("slow", NOW - behind + 1)


async def test_a_superseded_card_has_no_work(store):
    await save(store, a_card(post=due(), edit=due(), state=CardState.SUPERSEDED))
    [[post, edit]] = await run(store, "SELECT post_due, edit_due FROM card")
    assert (post, edit) == (None, None)
