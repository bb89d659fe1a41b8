"""One of several relays posts a notice about relay itself; all of them know its content and its place."""

from relay.store.types import StoredNotice
from tests.support.store_samples import NOW


async def test_a_notice_is_claimed_once_by_all_relays_until_it_is_closed(store, second):
    assert await store.claim_notice("database", "d1", NOW) is True
    assert await second.claim_notice("database", "d2", NOW + 1) is False
    assert await second.claim_notice("channels", "d2", NOW + 1) is True
    assert await second.notice("database") == StoredNotice(digest="d1", opened_at=NOW)
    await second.close_notice("database")
    assert await store.notice("database") is None
    assert await store.claim_notice("database", "d2", NOW + 2) is True


async def test_every_relay_knows_what_a_notice_shows_and_where_it_is(store, second):
    await store.claim_notice("channels", "d1", NOW)
    await store.update_notice("channels", StoredNotice(digest="d2", channel="C1", ts="1.2"))
    assert await second.notice("channels") == StoredNotice(digest="d2", channel="C1", ts="1.2", opened_at=NOW)
