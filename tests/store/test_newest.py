"""What a relay asks again and again: which configuration is the newest, and whether a fault is over."""

from tests.support.store_samples import NOW, count


async def test_the_hash_of_the_newest_configuration_is_that_of_the_newest(store, second):
    assert await store.configuration_hash() is None
    for digest, at in (("a", NOW), ("b", NOW + 1), ("a", NOW + 2)):
        await store.keep_configuration(digest, "version: 1", {}, at)
        assert await second.configuration_hash() == (await second.configuration()).hash == digest


async def test_the_end_of_a_fault_is_told_once_and_the_fault_is_new_again_after_it(store, second):
    assert await store.faults_over() is False
    await store.fault_is_new("f", NOW)
    await store.fault_is_new("g", NOW)
    assert await second.faults_over() is True
    assert await store.faults_over() is False
    assert await count(store, "fault") == 0
    assert await store.fault_is_new("f", NOW + 1) is True


async def test_what_is_kept_last_is_the_newest_whatever_the_clock_of_its_relay_says(store, second):
    await store.keep_configuration("ahead", "version: 1", {}, NOW + 60)
    await second.keep_configuration("behind", "version: 1", {}, NOW)
    assert (await store.configuration()).hash == "behind"
    await store.keep_configuration("ahead", "version: 1", {}, NOW)
    assert await store.configuration_hash() == "ahead"
