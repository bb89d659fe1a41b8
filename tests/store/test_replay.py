"""Recorded shares are read once more, incident by incident."""

from relay.store import replay
from tests.support.store_samples import NOW, a_share, with_cards


async def pieces(store, since=0.0):
    return [piece async for piece in store.recorded_incidents(since)]


async def test_every_incident_comes_once_with_its_shares_in_the_order_of_arrival(store):
    for number, incident in enumerate(["b", "a", "b", "a", "c"]):
        share = a_share(incident=incident, digest=f"h{number}", at=NOW + number)
        await store.accept([share], with_cards())
    (piece,) = await pieces(store)
    told = {incident: [share.received - NOW for share in shares] for incident, shares in piece}
    assert told == {"a": [1, 3], "b": [0, 2], "c": [4]}
    assert list(told) == sorted(told)


async def test_a_share_comes_as_it_was_sent(store):
    share = a_share()
    await store.accept([share], with_cards())
    (((incident, (body,)),),) = await pieces(store)
    assert (incident, body.received, body.headers, body.body) == (
        share.incident,
        share.received,
        dict(share.headers),
        share.body,
    )


async def test_an_incident_without_a_share_since_then_is_left_out_and_others_are_whole(store):
    for incident, digest, at in (("a", "h1", 0), ("b", "h2", 0), ("b", "h3", 100)):
        await store.accept([a_share(incident=incident, digest=digest, at=NOW + at)], with_cards())
    assert await store.count_recorded_incidents(NOW + 50) == 1
    (piece,) = await pieces(store, NOW + 50)
    assert [(incident, len(shares)) for incident, shares in piece] == [("b", 2)]


async def test_it_goes_on_from_piece_to_piece(store, monkeypatch):
    monkeypatch.setattr(replay, "_NEXT", replay._NEXT.limit(2))
    await store.accept([a_share(incident=each, digest=each) for each in "edcba"], with_cards())
    assert [[incident for incident, _ in piece] for piece in await pieces(store)] == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_relay_beside_reads_too(store, second):
    await store.accept([a_share()], with_cards())
    assert len(await pieces(second)) == 1


async def test_where_nothing_was_recorded_there_is_nothing(store):
    assert (await pieces(store), await store.count_recorded_incidents(0)) == ([], 0)
