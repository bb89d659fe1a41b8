"""Configurations that worked stay within limits; every relay sees the latest."""

from relay.store.configurations import MAX_CONFIGURATIONS
from relay.store.types import StoredConfiguration
from tests.support.store_samples import NOW, count, run


async def test_the_latest_configuration_is_the_one_saved_last(store):
    assert await store.latest_configuration() is None
    await store.save_configuration("a", "version: 1\n", {"incident/card.j2": "{{ incident.title }}"}, NOW)
    await store.save_configuration("b", "version: 1\n# two\n", {}, NOW + 1)
    assert await store.latest_configuration() == StoredConfiguration(
        hash="b", saved_at=NOW + 1, routes="version: 1\n# two\n", templates={}
    )


async def test_a_configuration_that_comes_back_is_the_latest_again(store):
    for digest, at in (("a", NOW), ("b", NOW + 1), ("a", NOW + 2)):
        await store.save_configuration(digest, digest, {"file": digest}, at)
    assert (await store.latest_configuration()).hash == "a"
    assert await count(store, "configuration") == 2


async def test_the_hash_is_that_of_the_latest_configuration(store, second):
    assert await store.latest_configuration_hash() is None
    for digest, at in (("a", NOW), ("b", NOW + 1), ("a", NOW + 2)):
        await store.save_configuration(digest, "version: 1", {}, at)
        assert await second.latest_configuration_hash() == (await second.latest_configuration()).hash == digest


async def test_the_configuration_saved_last_is_the_latest_regardless_of_clocks(store, second):
    await store.save_configuration("ahead", "version: 1", {}, NOW + 60)
    await second.save_configuration("behind", "version: 1", {}, NOW)
    assert (await store.latest_configuration()).hash == "behind"
    await store.save_configuration("ahead", "version: 1", {}, NOW)
    assert await store.latest_configuration_hash() == "ahead"


async def test_only_the_newest_configurations_are_stored(store):
    for number in range(MAX_CONFIGURATIONS + 5):
        await store.save_configuration(f"h{number}", "", {}, NOW + number)
    assert await count(store, "configuration") == MAX_CONFIGURATIONS
    assert (await run(store, "SELECT min(saved_at) FROM configuration"))[0][0] == NOW + 5
