"""Mutes in both databases: one request of a person makes one mute, even if it is repeated."""

import asyncio

from relay.cards.mutes import Mute
from relay.model.struct import replace

WANTED = Mute(match="{tags: {a: b}}", start=1_000.0, end=2_000.0, reason="deploy", author="Ann", origin="slack:U1")


async def test_one_key_makes_one_mute_even_from_two_relays_and_finds_it_after_its_end(store, second):
    wanted = [replace(WANTED, end=2_000.0 + number) for number in range(4)]
    made = await asyncio.gather(
        *(each.add_mute(mute, "k1") for each, mute in zip([store, second] * 2, wanted, strict=True))
    )
    assert len({mute.id for mute in made}) == 1
    other = await store.add_mute(WANTED, "k2")
    assert other.id != made[0].id
    assert await store.end_mute(made[0].id, 1_500.0, "Ben")
    again = await second.add_mute(WANTED, "k1")
    assert (again.id, again.ended_by, again.end) == (made[0].id, "Ben", 1_500.0)
    assert await store.mute_with_key("k1") == again
    assert await store.mute_with_key("k3") is None


async def test_mutes_without_a_key_are_all_made(store):
    made = [await store.add_mute(WANTED) for _ in range(2)]
    assert len({mute.id for mute in made}) == 2
    assert [mute.id for mute in await store.mutes_after(1_999.0)] == [mute.id for mute in made]
