"""Both databases find held cards and pings as the pure core says, and one transaction decides the catch-up of a
channel."""

import pytest

from relay.bigpanda.webhook.share import ReceivedShare
from relay.cards.attention import Surroundings
from relay.cards.eligibility import Work
from relay.cards.holding import CatchUp, catch_up, may_be_caught_up
from relay.cards.holds import UNKNOWN_END, HeldPing, Hold, Ping, Reason, catch_up_due
from relay.cards.model import CardState
from relay.model.incident import State
from relay.model.struct import replace
from relay.store import held as held_cards
from relay.store.held import CARDS_FIRST
from tests.support.store_samples import (
    NOW,
    a_card,
    an_attempt,
    due,
    open_channel,
    posted,
    query_plan,
    save,
    save_attempt,
)

QUIET = Hold(reason=Reason.QUIET, until=NOW)
HELD = Hold(reason=Reason.HOLD, until=NOW)
LONG_AGO = Hold(reason=Reason.HOLD, until=NOW - CARDS_FIRST)


def held(target="S1", hold=QUIET, **values):
    return HeldPing(target=target, ping=Ping.FIRST_POST, since=NOW - 60, hold=hold, state=State.WARNING, **values)


def with_held(card, *pings):
    return replace(card, held_pings=pings, catch_up_due=catch_up_due(pings))


def decide(channel, cards, mutes):
    return catch_up(channel, cards, Surroundings(mutes=mutes), NOW)


async def make_up(store, now=NOW):
    return await store.catch_up_next(now, decide)


async def test_the_released_pings_of_a_channel_get_a_catch_up_before_those_of_the_next(store):
    await open_channel(store)
    await open_channel(store, "#db", "C2")
    for number, channel in enumerate(("#noc", "#noc", "#db")):
        card = posted(a_card(f"i{number}", channel), f"{NOW - number:.6f}")
        await save(store, with_held(card, held()), incident=f"i{number}", digest=f"h{number}")
    first, second, rest = await make_up(store), await make_up(store), await make_up(store)
    assert [(each.channel, len(each.cards)) for each in (first, second)] == [("#noc", 2), ("#db", 1)]
    assert rest is None
    [card] = (await store.incident_history("i0")).cards
    assert (card.held_pings, card.catch_up_due) == ((), None)


async def test_a_ping_held_until_later_gives_the_time_of_the_next_check(store):
    await open_channel(store)
    later = replace(QUIET, until=NOW + 60)
    await save(store, with_held(posted(a_card()), held(hold=later)))
    assert await make_up(store) is None
    assert await store.next_catch_up_due() == NOW + 60
    unknown = with_held(posted(a_card("i2"), "1700000001.000100"), held(hold=replace(QUIET, until=None)))
    assert unknown.catch_up_due == UNKNOWN_END
    await save(store, unknown, incident="i2", digest="h2")
    assert await store.next_catch_up_due() == NOW + 60


@pytest.mark.parametrize(
    "card",
    [
        with_held(posted(a_card()), held()),
        with_held(posted(a_card(), post=due(urgent=True)), held()),
        with_held(posted(a_card(), post=due()), held()),
        with_held(a_card(state=CardState.PENDING, post=due()), held()),
        with_held(a_card(state=CardState.PENDING, post=due(), held=HELD), held(hold=LONG_AGO)),
        with_held(a_card(state=CardState.POSTING, held=HELD), held(hold=LONG_AGO)),
        with_held(a_card(state=CardState.IN_DOUBT, held=HELD), held(hold=LONG_AGO)),
        with_held(a_card(state=CardState.REJECTED, held=HELD), held(hold=LONG_AGO)),
        with_held(a_card(state=CardState.CANCELLED), held()),
    ],
    ids=lambda card: f"{card.state}, {'held' if card.held else 'not held'}, {card.post and card.post.urgent}",
)
async def test_the_database_finds_the_cards_that_a_catch_up_may_name(store, card):
    await open_channel(store)
    await save(store, card)
    assert isinstance(await make_up(store), CatchUp) == may_be_caught_up(card)


async def test_a_catch_up_waits_a_minute_for_the_cards_that_were_held_in_its_channel(store):
    await open_channel(store)
    await save(store, with_held(posted(a_card()), held()))
    waiting = a_card("i2", state=CardState.PENDING, post=due(), held=HELD)
    await save(store, waiting, incident="i2", digest="h2")
    assert await make_up(store) is None
    assert isinstance(await make_up(store, NOW + CARDS_FIRST), CatchUp)


async def test_a_reply_in_flight_comes_before_a_catch_up_for_its_card(store):
    await open_channel(store)
    [card] = await save(store, with_held(posted(a_card()), held()))
    await save_attempt(store, card, an_attempt(kind="reply"))
    assert await make_up(store) is None


async def test_earlier_shares_are_planned_first_and_later_ones_are_not(store):
    await open_channel(store)
    await save(store, with_held(posted(a_card()), held()))

    async def receive(at, digest):
        share = ReceivedShare(incident="i9", received=at, hash=digest, body=b"{}", headers={})
        await store.accept([share], decide=None, within=-1.0)

    await receive(NOW + 1, "later")
    assert isinstance(await make_up(store), CatchUp)
    await save(store, with_held(posted(a_card("i2"), "1700000001.000100"), held()), incident="i2", digest="h2")
    await receive(NOW - 1, "before")
    assert await make_up(store) is None


async def test_everything_held_is_looked_at_again_when_the_rules_change(store):
    await open_channel(store)
    later = replace(QUIET, until=NOW + 60)
    waiting = a_card("i2", state=CardState.PENDING, held=HELD, post=due(NOW + 60))
    await save(store, with_held(posted(a_card()), held(hold=later)))
    await save(store, waiting, incident="i2", digest="h2")
    await save(store, a_card("i3", post=due(NOW + 60)), incident="i3", digest="h3")
    woken = []
    store.database.on_work = woken.append
    await store.look_at_held(NOW)
    await store.look_at_held(NOW)
    assert woken == [{Work.HELD, Work.POST}]  # with the commit, so that nothing that fails afterwards costs it
    cards = {number: (await store.incident_history(f"i{number}")).cards[0] for number in (1, 2, 3)}
    assert (cards[1].catch_up_due, cards[2].post.at, cards[3].post.at) == (NOW, NOW, NOW + 60)


async def test_a_second_catch_up_for_the_same_moment_is_another_message(store):
    await open_channel(store)
    await save(store, with_held(posted(a_card()), held()))
    await make_up(store)
    await save(store, with_held(posted(a_card("i2"), "1700000001.000100"), held()), incident="i2", digest="h2")
    await make_up(store)
    keys = await store.database.read(lambda connection: connection.exec_driver_sql("SELECT key FROM bulletin").all())
    assert sorted(float(key) for (key,) in keys) == [NOW, NOW + 1]


async def test_the_queries_find_their_cards_along_an_index(store):
    if store.shared:
        pytest.skip("the plan is SQLite's")
    for statement, parameters in ((held_cards.FIRST_DUE, {}), (held_cards.DUE_IN_CHANNEL, {"channel": "#noc"})):
        plan = await query_plan(store, statement.params(parameters), now=NOW)
        assert [step for step in plan if step.startswith("SCAN")] == []
