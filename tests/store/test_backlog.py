"""How much waits, and for how long, as Prometheus and /readyz are told."""

import pytest

from relay.cards.model import AttemptState, CardUpdate, ChannelState
from relay.store import Backlog, ChannelBacklog, Store, backlog
from tests.support.store_samples import NOW, a_card, a_share, an_attempt, due, keep, plain, run, shown


async def test_an_empty_store_has_no_backlog(store):
    told = await store.backlog(NOW)
    assert told == Backlog(size_bytes=told.size_bytes)
    assert told.size_bytes > 10_000


async def test_work_counts_by_channel_and_kind_with_the_age_of_the_oldest(store):
    await keep(store, a_card(post=due(NOW), pending_since=NOW - 5))
    await keep(store, shown(a_card("i2", edit=due(NOW + 3)), ts="2"), incident="i2", digest="h2")
    await keep(store, a_card("i3", post=due(NOW + 8)), incident="i3", digest="h3")
    told = await store.backlog(NOW + 10)
    assert sorted(told.channels, key=lambda lane: lane.track) == [
        ChannelBacklog(channel="#noc", track="edit", cards=1, age=7),
        ChannelBacklog(channel="#noc", track="post", cards=2, age=15),
    ]


async def test_what_is_due_later_does_not_count_yet(store):
    await keep(store, a_card(post=due(NOW + 60)))
    assert (await store.backlog(NOW)).channels == ()


async def test_two_spellings_of_one_channel_are_one_lane(store):
    await keep(store, a_card(post=due(NOW)))
    await keep(store, a_card("i2", channel="C1", post=due(NOW + 2)), incident="i2", digest="h2")
    for ref in ("#noc", "C1"):
        await store.update_channel(ref, slack_id="C1", state=ChannelState.OPEN)
    [lane] = (await store.backlog(NOW + 3)).channels
    assert (lane.cards, lane.age) == (2, 3)


async def test_doubt_letters_and_refused_bodies_are_counted(store):
    [card] = await keep(store, a_card())
    await store.update_card(card.id, lambda case: CardUpdate(attempt=an_attempt(state=AttemptState.IN_DOUBT)))
    await run(store, f"INSERT INTO dead_letter (card, reason, remedy, since) VALUES ({card.id}, 'r', 'm', 1)")
    await run(
        store, f"INSERT INTO dead_letter (card, reason, remedy, since, closed_at) VALUES ({card.id}, 'r', 'm', 1, 2)"
    )
    await store.quarantine(b"{", {}, "not_json", NOW)
    told = await store.backlog(NOW)
    assert (told.in_doubt, told.dead_letters, told.quarantined_bodies) == (1, 1, 1)


async def test_it_tells_when_a_share_was_kept_last(store):
    await store.accept([a_share(at=NOW + 1), a_share(digest="h2", at=NOW + 7)], plain)
    assert (await store.backlog(NOW + 60)).last_share_at == NOW + 7


@pytest.mark.parametrize("statement", [*backlog._DUE.values(), backlog._IN_DOUBT, backlog._LAST_SHARE])
async def test_every_scrape_is_answered_from_an_index(sqlite_url, statement):
    store = await Store.open(sqlite_url)

    def steps(connection):
        bound = statement.params(now=1.0) if "now" in str(statement) else statement
        literal = bound.compile(connection, compile_kwargs={"literal_binds": True})
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {literal}")]

    told = await store._database.read(steps)
    assert all("INDEX" in step for step in told if step.startswith(("SCAN", "SEARCH"))), told
    await store.close()
