"""Stored shares are read again, incident by incident."""

from relay.store import recorded_incidents
from tests.support.store_samples import NOW, a_share, with_cards


async def batches(store, since=0.0):
    return [batch async for batch in store.recorded_incidents(since)]


async def test_every_incident_comes_once_with_its_shares_in_the_order_of_arrival(store):
    for number, incident in enumerate(["b", "a", "b", "a", "c"]):
        share = a_share(incident=incident, digest=f"h{number}", at=NOW + number)
        await store.accept([share], with_cards())
    (batch,) = await batches(store)
    received = {incident: [share.received - NOW for share in shares] for incident, shares, _ in batch}
    assert received == {"a": [1, 3], "b": [0, 2], "c": [4]}
    assert list(received) == sorted(received)


async def test_a_share_comes_as_it_was_sent(store):
    share = a_share()
    await store.accept([share], with_cards())
    (((incident, (body,), _),),) = await batches(store)
    assert (incident, body.received, body.headers, body.body) == (
        share.incident,
        share.received,
        dict(share.headers),
        share.body,
    )


async def test_an_incident_without_a_share_since_then_is_left_out_and_others_are_complete(store):
    for incident, digest, at in (("a", "h1", 0), ("b", "h2", 0), ("b", "h3", 100)):
        await store.accept([a_share(incident=incident, digest=digest, at=NOW + at)], with_cards())
    assert await store.count_recorded_incidents(NOW + 50) == 1
    (batch,) = await batches(store, NOW + 50)
    assert [(incident, len(shares)) for incident, shares, _ in batch] == [("b", 2)]


async def test_one_batch_follows_another(store, monkeypatch):
    monkeypatch.setattr(recorded_incidents, "BATCH_SIZE", 2)
    await store.accept([a_share(incident=each, digest=each) for each in "edcba"], with_cards())
    ids = [[incident for incident, _, _ in batch] for batch in await batches(store)]
    assert ids == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_batch_has_few_bytes_and_of_a_huge_incident_only_the_newest_shares(store, monkeypatch):
    monkeypatch.setattr(recorded_incidents, "MAX_BATCH_BYTES", 250)
    for number, incident in enumerate("abbbbcd"):
        share = a_share(incident=incident, digest=f"h{number}", at=NOW + number, body=b"x" * 100)
        await store.accept([share], with_cards())
    found = [
        [(name, [each.received - NOW for each in shares], more) for name, shares, more in batch]
        for batch in await batches(store)
    ]
    assert found == [[("a", [0], 0)], [("b", [3, 4], 2)], [("c", [5], 0), ("d", [6], 0)]]


async def test_a_second_program_reads_too(store, second):
    await store.accept([a_share()], with_cards())
    assert len(await batches(second)) == 1


async def test_an_empty_store_gives_nothing(store):
    assert (await batches(store), await store.count_recorded_incidents(0)) == ([], 0)


async def test_the_newest_shares_of_an_incident_are_few_and_small(store, monkeypatch):
    monkeypatch.setattr(recorded_incidents, "MAX_NEWEST", 3)
    monkeypatch.setattr(recorded_incidents, "MAX_NEWEST_BYTES", 250)
    sizes = {"many": [1] * 5, "large": [100] * 4, "huge": [1, 300]}
    for incident, each in sizes.items():
        for number, size in enumerate(each):
            share = a_share(incident=incident, digest=f"{incident}{number}", at=NOW + number, body=b"x" * size)
            await store.accept([share], with_cards())
    found = {incident: [each.received - NOW for each in await store.newest_shares(incident)] for incident in sizes}
    assert found == {"many": [2, 3, 4], "large": [2, 3], "huge": []}
    assert await store.newest_shares("unknown") == await store.newest_shares("nul\0") == ()
