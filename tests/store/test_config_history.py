"""What is kept beside incidents stays within its bounds."""

import pytest

from relay.cards.model import CardUpdate
from relay.store import SlackCall, StoredConfiguration, config_history
from tests.support.store_samples import NOW, a_card, count, keep, run


async def test_the_newest_configuration_that_worked_is_the_one(store):
    assert await store.latest_configuration() is None
    await store.save_configuration("a", "version: 1\n", {"incident/card.j2": "{{ incident.title }}"}, NOW)
    await store.save_configuration("b", "version: 1\n# two\n", {}, NOW + 1)
    assert await store.latest_configuration() == StoredConfiguration(
        hash="b", saved_at=NOW + 1, routes="version: 1\n# two\n", templates={}
    )


async def test_a_configuration_that_comes_back_is_the_newest_again(store):
    for digest, at in (("a", NOW), ("b", NOW + 1), ("a", NOW + 2)):
        await store.save_configuration(digest, digest, {"file": digest}, at)
    assert (await store.latest_configuration()).hash == "a"
    assert await count(store, "configuration") == 2


async def test_only_so_many_configurations_are_kept(store):
    for number in range(config_history.CONFIGURATIONS + 5):
        await store.save_configuration(f"h{number}", "", {}, NOW + number)
    assert await count(store, "configuration") == config_history.CONFIGURATIONS
    assert (await run(store, "SELECT min(saved_at) FROM configuration"))[0][0] == NOW + 5


async def test_a_fault_is_new_once(store, second):
    assert await store.claim_fault_report("f", NOW) is True
    assert await store.claim_fault_report("f", NOW + 1) is False
    assert await second.claim_fault_report("f", NOW + 2) is False
    assert await store.claim_fault_report("other", NOW) is True


async def test_only_so_many_faults_are_remembered(store):
    for number in range(config_history.FAULTS + 3):
        await store.claim_fault_report(f"h{number}", NOW + number)
    assert await count(store, "reported_fault") == config_history.FAULTS


async def test_a_refused_body_is_kept_with_the_reason(store):
    await store.quarantine(b"not json \x00\xff", {"content-type": "text/plain"}, "not_json", NOW)
    [row] = await run(store, "SELECT received, reason, headers, size, length(body) AS length FROM quarantine")
    assert (row.received, row.reason, row.headers) == (NOW, "not_json", '{"content-type":"text/plain"}')
    assert row.size == row.length


@pytest.mark.parametrize(("name", "bound", "kept"), [("REFUSED", 3, 3), ("REFUSED_BYTES", 3 * 1011, 3)])
async def test_the_oldest_refused_bodies_go(store, monkeypatch, name, bound, kept):
    monkeypatch.setattr(config_history, name, bound)
    monkeypatch.setattr(config_history, "packed", bytes)
    for number in range(6):
        await store.quarantine(b"x" * 1000, {}, f"r{number}", NOW + number)
    assert await run(store, "SELECT reason FROM quarantine ORDER BY id") == [("r3",), ("r4",), ("r5",)][-kept:]


async def test_a_dossier_is_none_where_nothing_is_known(store):
    assert await store.incident_history("nobody") is None
    assert await store.share_bodies("nobody") == ()


async def test_a_dossier_tells_of_each_card_what_slack_said(store):
    first, second = await keep(store, a_card(channel="a"), a_card(channel="b"))
    calls = [SlackCall(method="chat.postMessage", at=NOW + number, answer={"try": number}) for number in range(2)]
    for call in calls:
        await store.update_card(first.id, lambda case: CardUpdate(), call)
    await store.update_card(second.id, lambda case: CardUpdate(), calls[0])
    assert (await store.incident_history("i1")).calls == {first.id: tuple(calls), second.id: (calls[0],)}


async def test_the_store_tells_its_size_and_whether_it_can_be_written(store, second):
    await store.check_writable()
    await second.check_writable()
    assert await count(store, "health_probe") == 1
    assert await store.size_bytes() > 10_000


async def test_a_refused_body_is_listed_without_its_bytes_and_given_out_as_it_came(store):
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
