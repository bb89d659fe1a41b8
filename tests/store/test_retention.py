"""What is old goes, a day's worth at a time, and nothing goes that is still to be told."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.cards.model import AttemptState, CardUpdate
from relay.model.record import Record
from relay.store import RetentionResult, SlackCall
from relay.store.retention import cutoff
from tests.support.store_samples import (
    DAY,
    NOW,
    a_card,
    a_share,
    an_attempt,
    count,
    due,
    entry,
    keep,
    plain,
    shown,
    with_cards,
)

moments = st.floats(0, 4e9)


def stub(record):
    return Record(incident=record.incident, title=record.title)


async def retire(store, now, days=30):
    return await store.apply_retention(now, days, stub)


@given(now=moments, days=st.floats(0, 1000), oldest=moments)
def test_never_more_than_the_oldest_day_goes_and_never_what_is_young(now, days, oldest):
    before = cutoff(now, days, oldest)
    assert before <= oldest + DAY
    assert before <= now - days * DAY


def test_where_there_is_nothing_the_days_alone_count():
    assert cutoff(NOW, 30, None) == NOW - 30 * DAY


async def test_old_shares_go_and_young_ones_stay(store):
    await store.accept([a_share(digest="old", at=NOW), a_share(digest="young", at=NOW + 10)], plain)
    assert await retire(store, NOW + 30 * DAY + 5) == RetentionResult(shares=1)
    dossier = await store.incident_history("i1")
    assert [share.hash for share in dossier.shares] == ["young"]
    assert set(dossier.state.record.blocks) == {"old", "young"}
    assert await retire(store, NOW + 30 * DAY + 5) == RetentionResult()


async def test_more_than_a_piece_goes_in_one_run(store):
    await store.accept([a_share(f"i{number % 9}", f"h{number}") for number in range(1203)], plain)
    assert await retire(store, NOW + 31 * DAY) == RetentionResult(shares=1203)


async def test_a_clock_that_jumps_costs_no_more_than_the_oldest_day(store):
    for day in range(5):
        await keep(store, incident=f"i{day}", digest=f"h{day}", at=NOW + day * DAY, ended_at=NOW + day * DAY)
    ten_years_on = NOW + 3650 * DAY
    assert await retire(store, ten_years_on) == RetentionResult(shares=1, incidents=1)
    assert [await count(store, "share"), await count(store, "incident")] == [4, 5]
    assert await retire(store, ten_years_on) == RetentionResult(shares=1, incidents=1)


async def test_an_ended_incident_becomes_a_stub_that_keeps_its_cards(store):
    card = shown(a_card(reported_seq=2))
    entries = (entry(1), entry(2))
    await store.accept([a_share()], with_cards(card, entries=entries, ended_at=NOW, next_seq=3))
    [kept] = (await store.incident_history("i1")).cards
    attempt = an_attempt(state=AttemptState.DONE)
    call = SlackCall(method="chat.postMessage", at=NOW + 29 * DAY, answer={"ok": True})
    await store.update_card(kept.id, lambda case: CardUpdate(attempt=attempt), call)

    assert await retire(store, NOW + 31 * DAY) == RetentionResult(shares=1, incidents=1)

    dossier = await store.incident_history("i1")
    assert dossier.state.record == Record(incident="i1", title="first")
    assert (dossier.state.ended_at, dossier.state.next_seq) == (NOW, 3)
    assert dossier.cards == (kept,)
    assert (dossier.shares, dossier.entries, dossier.attempts, dossier.calls) == ((), (), {}, {})
    assert await retire(store, NOW + 60 * DAY) == RetentionResult()


async def test_an_ended_incident_with_very_many_shares_goes_in_small_pieces_too(store):
    many = [a_share(digest=f"h{number}", at=NOW) for number in range(1203)]
    await store.accept(many, with_cards(ended_at=NOW))
    dropped, drop = [], store._database.write

    async def noted(work):
        result = await drop(work)
        dropped.append(result)
        return result

    store._database.write = noted
    assert await retire(store, NOW + 31 * DAY) == RetentionResult(shares=1203, incidents=1)
    assert dropped == [0, (0, 500), (0, 500), (1, 203), (0, 0), 0]


async def test_a_stub_that_is_told_of_again_is_an_incident_like_any_other(store):
    await keep(store, ended_at=NOW)
    await retire(store, NOW + 31 * DAY)
    await keep(store, digest="late", at=NOW + 40 * DAY, ended_at=NOW)
    assert await retire(store, NOW + 41 * DAY) == RetentionResult()
    assert await retire(store, NOW + 71 * DAY) == RetentionResult(shares=1, incidents=1)


async def test_an_incident_that_is_open_stays_however_old(store):
    await keep(store, shown(a_card()))
    assert await retire(store, NOW + 900 * DAY) == RetentionResult(shares=1)
    assert (await store.incident_history("i1")).state.record.blocks


@pytest.mark.parametrize("work", ["post", "edit"])
async def test_an_incident_with_something_left_to_say_stays_and_stops_no_other(store, work):
    await keep(store, shown(a_card(**{work: due()})), ended_at=NOW)
    await keep(store, incident="i2", digest="h2", at=NOW + 2 * DAY, ended_at=NOW + 2 * DAY)
    assert await retire(store, NOW + 90 * DAY) == RetentionResult(incidents=1, shares=2)
    assert (await store.incident_history("i1")).state.record.blocks
    assert not (await store.incident_history("i2")).state.record.blocks


async def test_an_incident_with_an_open_attempt_stays(store):
    [card] = await keep(store, a_card(), ended_at=NOW)
    doubt = an_attempt(state=AttemptState.IN_DOUBT)
    await store.update_card(card.id, lambda case: CardUpdate(attempt=doubt))
    assert (await retire(store, NOW + 90 * DAY)).incidents == 0
    await store.update_card(card.id, lambda case: CardUpdate(attempt=replace(doubt, state=AttemptState.DONE)))
    assert (await retire(store, NOW + 90 * DAY)).incidents == 1


async def test_slacks_answers_go_after_a_week(store):
    [card] = await keep(store, a_card())
    for day in (0, 1):
        call = SlackCall(method="chat.update", at=NOW + day * DAY, answer={"day": day})
        await store.update_card(card.id, lambda case: CardUpdate(), call)
    assert await retire(store, NOW + 7.5 * DAY) == RetentionResult(calls=1)
    [kept] = (await store.incident_history("i1")).calls[card.id]
    assert kept == SlackCall(method="chat.update", at=NOW + DAY, answer={"day": 1})


async def test_retention_deletes_by_index(sqlite_url):
    from relay.store import Store, retention  # noqa: PLC0415  this test is of one database alone

    store = await Store.open(sqlite_url)
    plans = {
        "ix_share_received": "DELETE FROM share WHERE id IN "
        "(SELECT id FROM share WHERE received < 1 ORDER BY received LIMIT 500)",
        "ix_call_at": "DELETE FROM call WHERE id IN (SELECT id FROM call WHERE at < 1 ORDER BY at LIMIT 500)",
        "ix_incident_ended_at": retention._ENDED.params(before=1.0, silent=1.0, most=50),
    }
    for index, statement in plans.items():

        def work(connection, statement=statement):
            if not isinstance(statement, str):
                statement = statement.compile(connection, compile_kwargs={"literal_binds": True})
            return connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}").all()

        steps = [row[3] for row in await store._database.write(work)]
        assert any(index in step for step in steps), steps
        assert not any(step.startswith("SCAN") and "INDEX" not in step for step in steps), steps
    await store.close()
