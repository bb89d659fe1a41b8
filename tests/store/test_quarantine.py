"""Bodies that are no valid shares are stored within limits."""

import os

import pytest

from relay.store import quarantine
from tests.support.store_samples import NOW, run


async def test_a_body_is_stored_with_the_reason(store):
    await store.quarantine(b"not json \x00\xff", {"content-type": "text/plain"}, "not_json", NOW)
    [row] = await run(store, "SELECT received, reason, headers, size FROM quarantine")
    assert (row.received, row.reason, row.headers) == (NOW, "not_json", '{"content-type":"text/plain"}')
    assert row.size == len(b"not json \x00\xff")


@pytest.mark.parametrize(("limit", "value"), [("MAX_BODIES", 3), ("MAX_BYTES", 3 * 1100)])
async def test_the_oldest_bodies_are_deleted(store, monkeypatch, limit, value):
    monkeypatch.setattr(quarantine, limit, value)
    for number in range(6):
        await store.quarantine(os.urandom(1000), {}, f"r{number}", NOW + number)  # incompressible
    assert await run(store, "SELECT reason FROM quarantine ORDER BY id") == [("r3",), ("r4",), ("r5",)]


async def test_large_bodies_delete_only_large_ones(store, monkeypatch):
    monkeypatch.setattr(quarantine, "LARGE", 1000)
    monkeypatch.setattr(quarantine, "MAX_BYTES", 3 * 1100)
    for number in range(20):
        await store.quarantine(b"small", {}, f"small{number}", NOW + number)
        await store.quarantine(os.urandom(1000), {}, f"large{number}", NOW + number)
    kept = [row.reason for row in await run(store, "SELECT reason FROM quarantine ORDER BY id")]
    assert [reason for reason in kept if reason.startswith("small")] == [f"small{number}" for number in range(20)]
    assert [reason for reason in kept if reason.startswith("large")] == ["large17", "large18", "large19"]


async def test_bodies_are_listed_without_their_bytes_and_returned_as_they_came(store):
    await store.quarantine(b"first \xff", {"content-type": "text/plain"}, "not_json", NOW)
    await store.quarantine(b"second", {}, "no_incident", NOW + 1)
    first, second = await store.quarantined_bodies()
    assert [(each.reason, each.received, each.body) for each in (first, second)] == [
        ("not_json", NOW, b""),
        ("no_incident", NOW + 1, b""),
    ]
    whole = await store.quarantined_body(first.id)
    assert (whole.body, whole.headers) == (b"first \xff", {"content-type": "text/plain"})
    assert await store.quarantined_body(second.id + 1) is None
