"""What a relay asks again and again: which configuration is the newest, and whether a fault is over."""

from tests.support.store_samples import NOW, count


async def test_the_hash_of_the_newest_configuration_is_that_of_the_newest(store, second):
    assert await store.latest_configuration_hash() is None
    for digest, at in (("a", NOW), ("b", NOW + 1), ("a", NOW + 2)):
        await store.save_configuration(digest, "version: 1", {}, at)
        assert await second.latest_configuration_hash() == (await second.latest_configuration()).hash == digest


async def test_the_end_of_a_fault_is_told_once_and_the_fault_is_new_again_after_it(store, second):
    assert await store.clear_fault_reports() is False
    await store.claim_fault_report("f", NOW)
    await store.claim_fault_report("g", NOW)
    assert await second.clear_fault_reports() is True
    assert await store.clear_fault_reports() is False
    assert await count(store, "reported_fault") == 0
    assert await store.claim_fault_report("f", NOW + 1) is True


async def test_what_is_kept_last_is_the_newest_whatever_the_clock_of_its_relay_says(store, second):
    await store.save_configuration("ahead", "version: 1", {}, NOW + 60)
    await second.save_configuration("behind", "version: 1", {}, NOW)
    assert (await store.latest_configuration()).hash == "behind"
    await store.save_configuration("ahead", "version: 1", {}, NOW)
    assert await store.latest_configuration_hash() == "ahead"
