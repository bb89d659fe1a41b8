"""Bulletins in the database: opened once by several relays, their lines ended, moved and deleted with them."""

import asyncio

from relay.cards.bulletins import LineEnd
from relay.cards.merge import stub_record
from relay.cards.model import CardUpdate, Channel, ChannelState, ShownLines
from relay.store.store import Store
from tests.support.bulletin_samples import catch, hold, release, resolved
from tests.support.store_samples import NOW, open_channel, run

DAY = 86_400.0


async def card_ids(store):
    return [row[0] for row in await run(store, "SELECT id FROM card WHERE bulletin IS NOT NULL ORDER BY id")]


async def the_context(store):
    [card] = await card_ids(store)
    return await store.card_context(card)


async def end(store, *ended):
    await store.change_bulletins((), ended)


async def test_several_relays_open_one_list_without_losing_a_line(store, url):
    other = await Store.open(url) if store.shared else store
    names = [f"i{number}" for number in range(12)]
    await asyncio.gather(
        *(
            each.change_bulletins([hold(name, at=NOW, channel="#noc"), catch(name, at=NOW, channel="#noc")][::order])
            for name in names
            for each, order in ((store, 1), (other, -1))
        )
    )
    kinds = await run(store, "SELECT kind, count(*) FROM bulletin GROUP BY kind ORDER BY kind")
    assert kinds == [("catch_up", 1), ("held", 1)]
    lines = (
        "SELECT bulletin_line.key, seq FROM bulletin_line JOIN bulletin ON bulletin.id = bulletin_line.bulletin "
        "WHERE kind = 'held' ORDER BY seq"
    )
    found = await run(store, lines)
    assert sorted(key for key, _ in found) == sorted(f"{name}:1" for name in names)
    assert [seq for _, seq in found] == list(range(1, 13))
    assert len(await card_ids(store)) == 2
    if other is not store:
        await other.close()


async def test_a_closed_list_starts_a_new_episode_and_a_closed_catch_up_does_not(store):
    for number in range(2):
        at = NOW + 100 * number
        await store.change_bulletins([hold(f"i{number}", at=at), catch(f"i{number}", at=at, moment=NOW)])
        await store.change_bulletins([release(at=at + 50)])
        await end(store, resolved("i0", at=at + 50))
    found = await run(store, "SELECT kind, key, episode, closed_at IS NULL FROM bulletin ORDER BY kind, episode")
    assert [(kind, episode) for kind, _, episode, _ in found] == [("catch_up", 1), ("held", 1), ("held", 2)]
    assert not any(is_open for *_, is_open in found)


async def test_only_the_lines_of_that_episode_and_channel_end(store):
    await store.change_bulletins([hold("i1", at=NOW, channel="#noc"), hold("i1", at=NOW, channel="#db")])
    await end(store, resolved("i1", NOW + 1, episode=2), resolved("i1", NOW + 1, end=LineEnd.POSTED, channel="#db"))
    ended = "SELECT channel, ended FROM bulletin_line JOIN bulletin ON bulletin.id = bulletin ORDER BY channel"
    assert await run(store, ended) == [("#db", "posted"), ("#noc", None)]


async def test_a_card_ends_no_line_of_a_catch_up(store):
    await store.change_bulletins([catch("i1", at=NOW)])
    await end(store, resolved("i1", NOW + 1, end=LineEnd.POSTED))
    assert (await the_context(store)).topic.counts == {None: 1}


async def test_a_line_that_is_held_again_is_open_again(store):
    await store.change_bulletins([hold("i1", at=NOW)])
    await end(store, resolved("i1", NOW + 1))
    assert (await the_context(store)).topic.counts == {LineEnd.RESOLVED: 1}
    await store.change_bulletins([hold("i1", at=NOW + 2)])
    assert (await the_context(store)).topic.counts == {None: 1}


async def test_a_catch_up_is_over_with_its_last_incident(store):
    await store.change_bulletins([catch("i1", "i2", at=NOW)])
    await end(store, resolved("i1", NOW + 1))
    assert (await the_context(store)).topic.is_open
    await end(store, resolved("i2"))
    assert not (await the_context(store)).topic.is_open


async def test_a_change_without_news_makes_nothing_due(store):
    await store.change_bulletins([hold("i1", at=NOW)])
    before = (await the_context(store)).topic.bulletin
    await store.change_bulletins([hold("i1", at=NOW + 5)])
    assert (await the_context(store)).topic.bulletin == before


async def test_the_replies_that_are_out_of_date_are_found_one_after_the_other(store):
    await store.change_bulletins([hold("i1", "i2", "i3", at=NOW)])
    [card] = await card_ids(store)

    async def shown(ts, version, after=None, upto=None):
        lines = ShownLines(ts=ts, version=version, after_seq=after, upto_seq=upto)
        await store.update_card(card, lambda _: CardUpdate(shown_lines=lines))

    async def outdated():
        return [(line.ts, line.incident) for line in (await store.card_context(card)).topic.outdated]

    version = (await the_context(store)).topic.version
    await shown("1.1", version, 0, 2)
    await shown("1.2", version, 2, 3)
    assert await outdated() == []
    await end(store, resolved("i2"), resolved("i3"))
    assert await outdated() == [("1.1", "i1"), ("1.1", "i2")]
    await shown("1.1", version + 1)
    assert await outdated() == [("1.2", "i3")]


async def test_bulletins_move_with_their_channel_and_stay_where_there_is_one_already(store):
    await open_channel(store, "C1", "C1")
    for reason in ("hold", "mute"):
        await store.change_bulletins([hold("i1", at=NOW, channel="#noc", reason=reason)])
    await store.change_bulletins([hold("i2", at=NOW, channel="C1", reason="mute")])
    await store.update_channel(Channel(ref="#noc", slack_id="C1", state=ChannelState.OPEN))
    places = "SELECT bulletin.channel, key, card.channel FROM bulletin JOIN card ON bulletin.id = bulletin"
    found = await run(store, places)
    assert sorted(found) == [("#noc", "mute", "#noc"), ("C1", "hold", "C1"), ("C1", "mute", "C1")]


async def test_retention_deletes_only_closed_bulletins(store):
    await store.change_bulletins([hold("i1", at=NOW), hold("i1", at=NOW, reason="mute"), catch("i1", at=NOW)])
    await store.change_bulletins([release(at=NOW + 1)])
    await store.apply_retention(NOW + 40 * DAY, 30, stub_record)
    assert await run(store, "SELECT key FROM bulletin") == [("mute",)]
    assert await run(store, "SELECT count(*) FROM bulletin_line") == [(1,)]
    assert len(await card_ids(store)) == 1


async def test_a_bulletin_has_its_own_letters_and_repairs(store):
    await open_channel(store)
    await store.change_bulletins([hold("i1", at=NOW, channel="#noc")])
    [card] = await card_ids(store)
    await run(store, "UPDATE card SET state = 'posted', ts = '1.1', slack_channel = 'C1'")
    assert await store.open_cards("#noc") == ((card, "1.1"),)
    letter = "INSERT INTO dead_letter (card, reason, remedy, since) VALUES (:card, 'r', 'r', 1)"
    await run(store, letter, card=card)
    [found] = await store.dead_letters()
    assert (found.card.id, found.card.incident, found.ended_at) == (card, "", None)
    await store.change_bulletins([release(at=NOW + 1, channel="#noc")])
    assert await store.open_cards("#noc") == ()
    [found] = await store.dead_letters()
    assert found.ended_at == NOW + 1
    assert await store.discard_dead_letter(found.id, "not needed", NOW)
    assert await store.dead_letters() == ()
