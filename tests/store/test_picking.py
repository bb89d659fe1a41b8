"""The next card is the right one, and picking it begins it in the same transaction."""

import asyncio
import re
from dataclasses import replace

import pytest
from sqlalchemy import text

from relay.cards.model import AttemptState, CardContext, CardState, CardUpdate, ChannelState, Due
from relay.model.errors import CardFailure
from relay.store import due_queries, picking
from tests.support.store_samples import (
    NOW,
    a_card,
    a_share,
    an_attempt,
    begun,
    delivered,
    due,
    entry,
    keep,
    look,
    open_channel,
    pick,
    plain,
    run,
    shown,
    with_cards,
)


async def test_a_picked_card_comes_with_its_whole_case_and_is_begun(store):
    [other, card] = await keep(
        store, a_card(channel="#other"), a_card(post=due(), reported_seq=1, options=a_card().options)
    )
    await store.accept([a_share(digest="h2")], with_cards(entries=(entry(1), entry(3), entry(2))))
    channel = await open_channel(store)

    def change(case):
        return CardUpdate(
            cards=(replace(case.card, state=CardState.POSTING, post=None),), attempt=an_attempt("k1", targets=("S1",))
        )

    found = await store.start_next_card(
        "post", NOW, begin=lambda case: ("step", case), change=lambda step: change(step[1])
    )

    case, step = found
    assert step == ("step", case)
    assert case == CardContext(
        incident_state=case.incident_state,
        card=card,
        cards=(other, card),
        entries=(entry(2), entry(3)),
        channel=channel,
        attempt=None,
    )
    assert case.incident_state == (await store.incident_history("i1")).state
    dossier = await store.incident_history("i1")
    assert dossier.cards[1].state is CardState.POSTING
    assert dossier.attempts == {card.id: (an_attempt("k1", targets=("S1",)),)}


async def test_what_raises_while_it_begins_leaves_all_as_it_was(store):
    [card] = await keep(store, a_card(post=due()))
    await open_channel(store)

    def fail(case):
        raise ZeroDivisionError

    with pytest.raises(CardFailure, match="ZeroDivisionError") as raised:
        await store.start_next_card("post", NOW, begin=fail, change=look)
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert raised.value.card == card.id
    assert raised.value.details == {"incident": "i1", "route": card.route, "channel": card.channel}
    assert (await pick(store, change=look)).card == card


async def test_urgent_cards_come_first_then_the_earliest_deadline(store):
    wanted = {
        "late": due(NOW - 9, NOW + 60),
        "soon": due(NOW - 1, NOW + 10),
        "urgent late": due(NOW - 1, NOW + 50, urgent=True),
        "urgent soon": due(NOW, NOW + 40, urgent=True),
    }
    await keep(store, *(a_card(channel=name, post=when) for name, when in wanted.items()))
    for number, name in enumerate(wanted):
        await open_channel(store, name, f"C{number}")
    order = [(await pick(store)).card.channel for _ in wanted]
    assert order == ["urgent soon", "urgent late", "soon", "late"]
    assert await pick(store) is None


async def test_the_oldest_is_what_was_wanted_first(store):
    await keep(
        store,
        a_card(channel="a", post=due(NOW - 5, NOW, urgent=True), pending_since=NOW - 5),
        a_card(channel="b", post=due(NOW - 1, NOW + 60), pending_since=NOW - 50),
        a_card(channel="c", post=due(NOW - 20, NOW + 60)),
    )
    for name in "abc":
        await open_channel(store, name, name.upper())
    assert [(await pick(store, oldest_first=True)).card.channel for _ in range(3)] == ["b", "c", "a"]


async def test_busy_cards_and_lanes_are_passed_over(store):
    [one, two, three] = await keep(
        store,
        a_card(channel="a", post=due(NOW, NOW + 1)),
        a_card(channel="b", post=due(NOW, NOW + 2)),
        a_card(channel="c", post=due(NOW, NOW + 3)),
    )
    for name in "abc":
        await open_channel(store, name, name.upper())
    assert (await pick(store, change=look)).card.id == one.id
    assert (await pick(store, change=look, skip_cards={one.id})).card.id == two.id
    assert (await pick(store, change=look, skip_cards={one.id}, skip_channels={"b"})).card.id == three.id
    assert await pick(store, change=look, skip_channels={"a", "b", "c"}) is None


@pytest.mark.parametrize("state", [state for state in CardState if state is not CardState.SUPERSEDED])
async def test_only_wanted_and_shown_cards_are_posted_to_and_only_shown_ones_edited(store, state):
    card = a_card(state=state, post=due(), edit=due())
    await keep(store, shown(card) if state is CardState.POSTED else card)
    await open_channel(store)
    posts, edits = await pick(store, "post", change=look), await pick(store, "edit", change=look)
    assert isinstance(posts, CardContext) == (state in {CardState.PENDING, CardState.POSTED})
    assert isinstance(edits, CardContext) == (state is CardState.POSTED)


@pytest.mark.parametrize("state", AttemptState)
async def test_an_attempt_under_way_or_in_doubt_stops_posts_and_never_edits(store, state):
    [card] = await keep(store, shown(a_card(post=due(), edit=due())))
    await open_channel(store)
    attempt = an_attempt(kind="reply", state=state)
    await store.update_card(card.id, lambda case: CardUpdate(attempt=attempt))
    posts, edits = await pick(store, "post", change=look), await pick(store, "edit", change=look)
    assert isinstance(posts, CardContext) == (state not in {AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT})
    assert edits.card == card
    assert edits.attempt == (attempt if attempt.open else None)


async def test_an_attempt_that_waits_is_reopened_under_its_key(store):
    [card] = await keep(store, a_card(post=due()))
    await open_channel(store)
    await pick(store)

    def deferred(case):
        return CardUpdate(
            cards=(replace(case.card, state=CardState.PENDING, post=due(NOW + 5)),),
            attempt=replace(case.attempt, state=AttemptState.WAITING),
        )

    await store.update_card(card.id, deferred)
    case = await pick(store, now=NOW + 5)
    assert case.attempt.state is AttemptState.WAITING
    [attempt] = (await store.incident_history("i1")).attempts[card.id]
    assert (attempt.state, attempt.tries) == (AttemptState.IN_FLIGHT, 2)


async def test_nothing_due_yet_tells_when(store):
    await keep(
        store,
        a_card(channel="a", post=due(NOW + 20, NOW + 21)),
        a_card(channel="b", post=due(NOW + 10, NOW + 90)),
        a_card(channel="closed", post=due(NOW + 1)),
    )
    await open_channel(store, "a", "A")
    await open_channel(store, "b", "B")
    assert await pick(store) == NOW + 10
    assert await pick(store, "edit") is None
    assert (await pick(store, now=NOW + 10)).card.channel == "b"


@pytest.mark.parametrize("state", [ChannelState.NEW, ChannelState.PAUSED, ChannelState.REJECTED])
async def test_a_channel_that_is_not_open_is_waited_for_and_reported(store, state):
    [card] = await keep(store, shown(a_card(post=due(), edit=due())))
    channel = await store.update_channel("#noc", slack_id="C1", state=state, reason="is_archived")
    assert [await pick(store, track) for track in ("post", "edit")] == [None, None]
    assert await store.stalled_channels(NOW) == (channel,)
    assert await store.stalled_channels(NOW - 1) == ()
    assert await store.due_cards("#noc", NOW) == (card.id,)
    assert await store.channels_with_due_work("post", NOW) == set()


async def test_an_open_channel_with_work_is_a_lane_and_waits_for_nothing(store):
    await keep(store, shown(a_card(edit=due())))
    await open_channel(store)
    assert await store.channels_with_due_work("edit", NOW) == {"#noc"}
    assert await store.channels_with_due_work("edit", NOW - 1) == set()
    assert await store.channels_with_due_work("post", NOW) == set()
    assert await store.stalled_channels(NOW) == ()


async def test_two_senders_never_pick_the_same_card(store, second):
    await keep(store, *(a_card(channel=f"c{number}", post=due()) for number in range(12)))
    for number in range(12):
        await open_channel(store, f"c{number}", f"C{number}")
    picked = await asyncio.gather(*(pick((store, second)[number % 2]) for number in range(16)))
    cards = [case.card.id for case in picked if case is not None]
    assert len(cards) == len(set(cards)) == 12


async def test_work_that_vanishes_before_the_lock_is_not_begun(store, monkeypatch):
    await keep(store, a_card(channel="a", post=due(NOW, NOW + 1)), a_card(channel="b", post=due(NOW, NOW + 2)))
    await open_channel(store, "a", "A")
    await open_channel(store, "b", "B")
    load = picking.load

    def after_another_relay(connection, card):
        connection.execute(
            text("UPDATE card SET post_due = NULL, post_deadline = NULL, post_since = NULL WHERE channel = 'a'")
        )
        return load(connection, card)

    monkeypatch.setattr(picking, "load", after_another_relay)
    assert (await pick(store)).card.channel == "b"


async def test_settling_sees_the_case_as_it_is_by_now_and_returns_it_as_it_becomes(store):
    [card] = await keep(store, a_card(post=due()))
    await open_channel(store)
    await pick(store)
    await store.accept([a_share(digest="h2")], with_cards(entries=(entry(1), entry(2), entry(3))))
    seen = []

    def finish(case):
        seen.append(case)
        change = delivered()(case)
        return replace(change, cards=(replace(change.cards[0], reported_seq=2),))

    after = await store.update_card(card.id, finish)
    assert [each.seq for each in seen[0].entries] == [1, 2, 3]
    assert seen[0].attempt.state is AttemptState.IN_FLIGHT
    assert (after.card.state, after.card.ts) == (CardState.POSTED, "1700000000.000100")
    assert (after.cards, after.attempt) == ((after.card,), None)
    assert after.entries == (entry(3),)
    assert after == await store.update_card(card.id, look)


async def test_settling_may_make_a_card_and_leave_another(store):
    [card, other] = await keep(store, a_card(post=due()), a_card(channel="#other"))
    fallback = a_card(channel="#fallback", reported_seq=1, post=due())

    def refused(case):
        return CardUpdate(
            cards=(
                replace(case.card, state=CardState.REJECTED, post=None),
                replace(other, state=CardState.SUPERSEDED),
                fallback,
            )
        )

    after = await store.update_card(card.id, refused)
    assert [each.channel for each in after.cards] == ["#noc", "#fallback"]
    assert after.cards[1].id > other.id
    assert "#fallback" in {channel.ref for channel in await store.channels()}
    assert after.cards[1] == (await store.incident_history("i1")).cards[2]


async def test_settling_a_card_that_nobody_follows_still_works(store):
    [card] = await keep(store, a_card(state=CardState.SUPERSEDED))
    after = await store.update_card(card.id, lambda case: CardUpdate(cards=(replace(case.card, reason="late answer"),)))
    assert (after.card.reason, after.cards) == ("late answer", ())


async def test_a_card_that_is_superseded_has_no_work(store):
    await keep(store, a_card(post=due(), edit=due(), state=CardState.SUPERSEDED))
    [[post, edit]] = await run(store, "SELECT post_due, edit_due FROM card")
    assert (post, edit) == (None, None)


async def test_doubts_are_listed_by_when_they_are_to_be_looked_at(store):
    cards = await keep(store, *(a_card(channel=name) for name in "abc"))
    for card, moment in zip(cards, (NOW + 20, NOW + 5, NOW), strict=True):
        state = AttemptState.DONE if card.channel == "c" else AttemptState.IN_DOUBT
        attempt = an_attempt(f"k{card.id}", state=state, next_search_at=moment, searches=1)
        await store.update_card(card.id, lambda case, attempt=attempt: CardUpdate(attempt=attempt))
    await open_channel(store, "home", "C1")
    await open_channel(store, "b", "C1")
    first, second = await store.attempts_in_doubt()
    assert (first.card, first.channel, first.attempt.next_search_at) == (cards[1].id, "home", NOW + 5)
    assert (second.card, second.channel, second.attempt.searches) == (cards[0].id, "a", 1)


async def test_after_a_crash_what_was_under_way_is_in_doubt(store):
    [root, waiting, replied, done] = await keep(
        store,
        a_card(channel="root", post=due()),
        a_card(channel="waiting"),
        shown(a_card(channel="replied")),
        a_card(channel="done"),
    )
    await open_channel(store, "root", "C1")
    await pick(store)
    for card, state in ((waiting, AttemptState.WAITING), (replied, AttemptState.IN_FLIGHT), (done, AttemptState.DONE)):
        attempt = an_attempt(card.channel, kind="reply", state=state, searches=2)
        await store.update_card(card.id, lambda case, attempt=attempt: CardUpdate(attempt=attempt))

    assert await store.recover_attempts(NOW + 60) == 2
    assert await store.recover_attempts(NOW + 61) == 0

    dossier = await store.incident_history("i1")
    assert [card.state for card in dossier.cards] == [
        CardState.IN_DOUBT,
        CardState.PENDING,
        CardState.POSTED,
        CardState.PENDING,
    ]
    states = {card: attempt.state for card, [attempt] in dossier.attempts.items()}
    assert states == {
        root.id: AttemptState.IN_DOUBT,
        waiting.id: AttemptState.WAITING,
        replied.id: AttemptState.IN_DOUBT,
        done.id: AttemptState.DONE,
    }
    assert dossier.attempts[root.id][0].next_search_at == NOW + 60


async def test_a_card_once_in_doubt_is_found_again_by_its_key(store):
    [card] = await keep(store, a_card(post=due()))
    await open_channel(store)
    await pick(store)
    await store.recover_attempts(NOW)

    def absent(case):
        return CardUpdate(
            cards=(replace(case.card, state=CardState.PENDING, post=Due(at=NOW, deadline=NOW)),),
            attempt=replace(case.attempt, state=AttemptState.WAITING),
        )

    await store.update_card(card.id, absent)
    assert (await pick(store, change=begun)).card.id == card.id
    assert len((await store.incident_history("i1")).attempts[card.id]) == 1


async def test_the_next_due_card_is_found_along_an_index_and_nothing_is_sorted(sqlite_url):
    from relay.store import Store  # noqa: PLC0415  this test is of one database alone

    store = await Store.open(sqlite_url)
    await store.accept([a_share()], plain)
    search = {"now": NOW, "cards": [1, 2], "lanes": ["#a"]}

    async def plan(statement):
        def work(connection):
            spelled_out = statement.params(search).compile(connection, compile_kwargs={"literal_binds": True})
            return connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {spelled_out}").all()

        return [row.detail for row in await store._database.write(work)]

    for track in ("post", "edit"):
        for oldest, order in ((False, "order"), (True, "since")):
            steps = await plan(due_queries.at_head(track, oldest=oldest))
            assert any(f"card USING INDEX ix_card_{track}_{order}" in step for step in steps), steps
            steps = await plan(due_queries.by_lane(track, oldest=oldest))
            assert any(f"card USING INDEX ix_card_{track}_lane (channel=?)" in step for step in steps), steps
            assert any("ix_card" in step and "(channel>?)" in step for step in steps), steps
            assert not any(re.match(r"SCAN card(?! USING)", step) for step in steps), steps
        [first, *rest] = await plan(due_queries.later(track))
        assert f"card USING INDEX ix_card_{track}_due (post_due>?)".replace("post", track) in first
        assert not any("TEMP B-TREE" in step for step in rest)
    await store.close()


async def test_a_channel_that_lags_far_behind_hides_no_other(store):
    behind = due_queries.HEAD + 20
    await open_channel(store, "slow", "S")
    await open_channel(store, "quick", "Q")
    cards = {f"i{n}": a_card(f"i{n}", "slow", post=due(NOW - n, urgent=True)) for n in range(behind)}
    cards["last"] = a_card("last", "quick", post=due(NOW, NOW + 900))
    cards["later"] = a_card("later", "quick", post=due(NOW + 1, NOW + 2))
    await store.accept(
        [a_share(incident, incident) for incident in cards],
        lambda story, kept, share, same: with_cards(cards[share.incident])(story, kept, share, same),
    )
    for oldest in (False, True):
        case = await pick(store, change=look, skip_channels={"slow"}, oldest_first=oldest)
        assert case.card.incident == "last"
    assert await store.channels_with_due_work("post", NOW) == {"slow", "quick"}
    assert await pick(store, change=look, skip_channels={"slow", "quick"}) == NOW + 1
    first = (await pick(store, change=look)).card
    assert (first.channel, first.post.at) == ("slow", NOW - behind + 1)
