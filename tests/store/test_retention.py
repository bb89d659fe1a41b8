"""Retention deletes old data, at most one day at a time, and nothing that is still needed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from relay.cards.model import AttemptState, CardUpdate
from relay.model.record import Record
from relay.model.struct import replace
from relay.store.retention import ENDED, cutoff
from relay.store.store import Store
from relay.store.types import RetentionResult, SlackCall
from tests.support.store_samples import (
    DAY,
    NOW,
    a_card,
    a_share,
    an_attempt,
    count,
    due,
    entry,
    one_entry,
    posted,
    query_plan,
    save,
    with_cards,
)

moments = st.floats(0, 4e9)


def stub(record):
    return Record(incident=record.incident, title=record.title)


async def apply(store, now, days=30):
    return await store.apply_retention(now, days, stub)


@given(now=moments, days=st.floats(0, 1000), oldest=moments)
def test_at_most_the_oldest_day_is_deleted_and_nothing_recent(now, days, oldest):
    before = cutoff(now, days, oldest)
    assert before <= oldest + DAY
    assert before <= now - days * DAY


def test_without_data_only_the_retention_days_count():
    assert cutoff(NOW, 30, None) == NOW - 30 * DAY


async def test_old_shares_are_deleted_and_young_ones_stay(store):
    await store.accept([a_share(digest="old", at=NOW), a_share(digest="young", at=NOW + 10)], one_entry)
    assert await apply(store, NOW + 30 * DAY + 5) == RetentionResult(shares=1)
    history = await store.incident_history("i1")
    assert [share.hash for share in history.shares] == ["young"]
    assert set(history.state.record.blocks) == {"old", "young"}
    assert await apply(store, NOW + 30 * DAY + 5) == RetentionResult()


async def test_one_run_deletes_more_than_one_batch(store):
    await store.accept([a_share(f"i{number % 9}", f"h{number}") for number in range(1203)], one_entry)
    assert await apply(store, NOW + 31 * DAY) == RetentionResult(shares=1203)


async def test_a_clock_that_jumps_costs_only_the_oldest_day(store):
    for day in range(5):
        await save(store, incident=f"i{day}", digest=f"h{day}", at=NOW + day * DAY, ended_at=NOW + day * DAY)
    ten_years_on = NOW + 3650 * DAY
    assert await apply(store, ten_years_on) == RetentionResult(shares=1, incidents=1)
    assert [await count(store, "share"), await count(store, "incident")] == [4, 5]
    assert await apply(store, ten_years_on) == RetentionResult(shares=1, incidents=1)


async def test_an_ended_incident_becomes_a_stub_that_keeps_its_cards(store):
    card = posted(a_card(reported_seq=2))
    entries = (entry(1), entry(2))
    await store.accept([a_share()], with_cards(card, entries=entries, ended_at=NOW, next_seq=3))
    [stored] = (await store.incident_history("i1")).cards
    attempt = an_attempt(state=AttemptState.DONE)
    call = SlackCall(method="chat.postMessage", at=NOW + 29 * DAY, answer={"ok": True})
    await store.update_card(stored.id, lambda context: CardUpdate(attempt=attempt), call)

    assert await apply(store, NOW + 31 * DAY) == RetentionResult(shares=1, incidents=1)

    history = await store.incident_history("i1")
    assert history.state.record == Record(incident="i1", title="first")
    assert (history.state.ended_at, history.state.next_seq) == (NOW, 3)
    assert history.cards == (stored,)
    assert (history.shares, history.entries, history.attempts, history.calls) == ((), (), {}, {})
    assert await apply(store, NOW + 60 * DAY) == RetentionResult()


async def test_an_ended_incident_with_very_many_shares_is_deleted_in_small_batches_too(store, monkeypatch):
    many = [a_share(digest=f"h{number}", at=NOW) for number in range(1203)]
    await store.accept(many, with_cards(ended_at=NOW))
    results, write = [], store.database.write

    async def noting(work):
        results.append(await write(work))
        return results[-1]

    monkeypatch.setattr(store.database, "write", noting)
    assert await apply(store, NOW + 31 * DAY) == RetentionResult(shares=1203, incidents=1)
    assert results == [0, 0, (0, 500), (0, 500), (1, 203), (0, 0), 0, 0]


async def test_a_stub_with_a_new_share_is_an_incident_like_any_other(store):
    await save(store, ended_at=NOW)
    await apply(store, NOW + 31 * DAY)
    await save(store, digest="late", at=NOW + 40 * DAY, ended_at=NOW)
    assert await apply(store, NOW + 41 * DAY) == RetentionResult()
    assert await apply(store, NOW + 71 * DAY) == RetentionResult(shares=1, incidents=1)


async def test_an_open_incident_is_kept_at_any_age(store):
    await save(store, posted(a_card()))
    assert await apply(store, NOW + 900 * DAY) == RetentionResult(shares=1)
    assert (await store.incident_history("i1")).state.record.blocks


@pytest.mark.parametrize("work", ["post", "edit"])
async def test_an_incident_with_due_work_stays_and_does_not_block_others(store, work):
    await save(store, posted(a_card(**{work: due()})), ended_at=NOW)
    await save(store, incident="i2", digest="h2", at=NOW + 2 * DAY, ended_at=NOW + 2 * DAY)
    assert await apply(store, NOW + 90 * DAY) == RetentionResult(incidents=1, shares=2)
    assert (await store.incident_history("i1")).state.record.blocks
    assert not (await store.incident_history("i2")).state.record.blocks


async def test_an_incident_with_an_open_attempt_stays(store):
    [card] = await save(store, a_card(), ended_at=NOW)
    doubt = an_attempt(state=AttemptState.IN_DOUBT)
    await store.update_card(card.id, lambda context: CardUpdate(attempt=doubt))
    assert (await apply(store, NOW + 90 * DAY)).incidents == 0
    await store.update_card(card.id, lambda context: CardUpdate(attempt=replace(doubt, state=AttemptState.DONE)))
    assert (await apply(store, NOW + 90 * DAY)).incidents == 1


async def test_slacks_answers_are_deleted_after_a_week(store):
    [card] = await save(store, a_card())
    for day in (0, 1):
        call = SlackCall(method="chat.update", at=NOW + day * DAY, answer={"day": day})
        await store.update_card(card.id, lambda context: CardUpdate(), call)
    assert await apply(store, NOW + 7.5 * DAY) == RetentionResult(calls=1)
    [stored] = (await store.incident_history("i1")).calls[card.id]
    assert stored == SlackCall(method="chat.update", at=NOW + DAY, answer={"day": 1})


async def test_retention_finds_what_to_delete_along_an_index(sqlite_url):
    store = await Store.open(sqlite_url)
    statements = {
        "ix_share_received": text("SELECT id FROM share WHERE received < 1 ORDER BY received LIMIT 500"),
        "ix_call_at": text("SELECT id FROM call WHERE at < 1 ORDER BY at LIMIT 500"),
        "ix_incident_ended_at": ENDED.params(before=1.0, quiet_since=1.0, most=50),
    }
    for index, statement in statements.items():
        steps = await query_plan(store, statement)
        assert any(index in step for step in steps), steps
        assert not any(step.startswith("SCAN") and "INDEX" not in step for step in steps), steps
    await store.close()
