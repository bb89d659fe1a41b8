"""The inbox: shares that are stored and not planned yet, by whom they are planned, and when again."""

import asyncio
import sqlite3
from itertools import accumulate

import pytest
from sqlalchemy.exc import OperationalError

from relay.cards.model import ShareOutcome
from relay.model.errors import StoreError, StoreUnusable
from relay.store import inbox, planning
from relay.store.accepting import accept
from relay.store.planning import MAX_ERROR
from relay.store.store import Store
from tests.support.store_samples import DAY, NOW, a_share, count, one_entry, query_plan, received, run

BASIS = "1.0 abc"


def failing(_context):
    raise ValueError("it never works")


async def stored(store, *shares):
    """Shares that are in the inbox, by their ids."""
    accepted = await store.accept([received(share) for share in shares], failing)
    return {each.share_id: share for each, share in zip(accepted, shares, strict=True)}


async def due(store, at):
    return [each.id for each in await store.due_shares(at, 100)]


async def test_a_share_in_the_inbox_is_planned_once_by_the_first_relay(store, second):
    shares = await stored(store, a_share("i1", "a"), a_share("i2", "b"), a_share("i1", "c"))
    accepted = await store.plan_shares(shares, one_entry, NOW)
    assert [each.outcome for each in accepted] == [ShareOutcome.FIRST, ShareOutcome.FIRST, ShareOutcome.UPDATE]
    assert (await store.incident_history("i1")).state.version == 2
    assert await second.plan_shares(shares, failing, NOW) == []
    assert await due(store, NOW + DAY) == []


async def test_the_shares_of_the_inbox_are_as_they_were_received_and_in_order(store):
    first, second = a_share("i1", "a", body=b'{"incident":{"id":"i1"}}'), a_share("i2", "b", at=NOW + 1)
    ids = list(await stored(store, first, second))
    shares = await store.inbox_shares(ids[::-1])
    assert list(shares.items()) == list(zip(ids, map(received, (first, second)), strict=True))
    await store.plan_shares({ids[0]: first}, one_entry, NOW)
    assert list(await store.inbox_shares(ids)) == ids[1:]


async def test_a_share_is_due_again_if_the_relay_that_claimed_it_dies(store):
    [number] = await stored(store, a_share())
    assert await due(store, NOW + inbox.CLAIM_SECONDS - 1) == []
    assert await store.next_plan_due(NOW) == NOW + inbox.CLAIM_SECONDS
    assert await due(store, NOW + inbox.CLAIM_SECONDS) == [number]
    await store.start_planning([number], NOW + 100)
    assert await due(store, NOW + 100) == []
    [again] = await store.due_shares(NOW + 100 + inbox.CLAIM_SECONDS, 100)
    assert (again.id, again.starts) == (number, 1)


async def test_the_only_relay_of_a_database_immediately_resumes_the_claims_of_a_former_process(store):
    [number] = await stored(store, a_share())
    await store.start_planning([number], NOW)
    assert await store.resume_inbox(NOW + 1) == 1
    assert await due(store, NOW + 1) == [number]


async def test_failed_shares_of_an_incident_are_retried_together_after_growing_pauses(store):
    shares = await stored(store, a_share("i1", "a"), a_share("i2", "b"))
    now = NOW
    for tries in range(1, 8):
        await store.plan_shares(shares, failing, now, basis=BASIS)
        pause = inbox.pause(tries)
        assert await due(store, now + pause - 0.1) == []
        assert await due(store, now + pause) == list(shares)
        now += pause
    # A later share of the same incident is tried at once; when it fails too, it waits with the others.
    await store.plan_shares(shares, failing, now, basis=BASIS)
    [later] = more = await stored(store, a_share("i1", "c", at=now))
    await store.plan_shares(more, failing, now + 60, basis=BASIS)
    assert await due(store, now + inbox.LONGEST_PAUSE - 1) == []
    assert await due(store, now + inbox.LONGEST_PAUSE) == [*shares, later]


def test_pauses_grow_up_to_an_hour():
    pauses = [inbox.pause(tries) for tries in range(1, 50)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (inbox.FIRST_PAUSE, inbox.LONGEST_PAUSE)
    assert [*accumulate(pauses)][5] < DAY / 4  # six tries on the first morning


async def test_another_version_or_configuration_retries_failed_shares_at_once(store):
    shares = await stored(store, a_share("i1", "a"))
    await store.plan_shares(shares, failing, NOW, basis="1.0 abc")
    assert await store.retry_failed(NOW + 1, "1.0 abc") == 0
    assert await due(store, NOW + 1) == []
    assert await store.retry_failed(NOW + 1, "1.0 def") == 1
    assert await due(store, NOW + 1) == list(shares)
    [planned] = await store.plan_shares(shares, one_entry, NOW + 1, basis="1.0 def")
    assert planned.outcome is ShareOutcome.FIRST
    assert await store.failed_shares() == ()


async def test_a_share_that_ended_the_process_too_often_is_set_aside_until_relay_changes(store):
    culprit, other = await stored(store, a_share("i1", "a"), a_share("i2", "b"))
    for _ in range(inbox.MAX_STARTS):
        await store.start_planning([culprit], NOW)
        await store.resume_inbox(NOW + 1)
    assert await store.set_aside(NOW + 2, BASIS) == [culprit]
    assert await store.set_aside(NOW + 2, BASIS) == []
    assert await due(store, NOW + DAY) == [other]
    [failed] = await store.failed_shares()
    assert (failed.id, failed.retry_at, failed.error) == (culprit, None, inbox.SET_ASIDE)
    await store.retry_failed(NOW + 3, BASIS)
    assert await due(store, NOW + 3) == [other]
    await store.retry_failed(NOW + 3, "2.0 abc")
    assert [(each.id, each.starts) for each in await store.due_shares(NOW + 3, 9)] == [(other, 0), (culprit, 0)]


async def test_due_shares_come_in_order_of_their_due_time_and_not_of_age(store):
    old, new = await stored(store, a_share("i1", "a"), a_share("i2", "b"))
    await store.start_planning([old], NOW + 50)
    assert await due(store, NOW + 100) == [new, old]


@pytest.mark.parametrize("statement", [inbox.DUE, inbox.NEXT_DUE, inbox.COUNTS])
async def test_frequent_queries_of_the_inbox_use_an_index(sqlite_url, statement):
    store = await Store.open(sqlite_url)
    values = {name: 1 for name in ("now", "most", "after") if f":{name}" in str(statement)}
    steps = await query_plan(store, statement, **values)
    assert all("INDEX" in step for step in steps if step.startswith(("SCAN", "SEARCH"))), steps
    await store.close()


async def test_the_shares_in_the_inbox_are_counted(store):
    shares = await stored(store, a_share("i1", "a"), a_share("i2", "b", at=NOW + 5), a_share("i3", "c", at=NOW + 5))
    await store.plan_shares(dict([shares.popitem()]), failing, NOW + 5, basis=BASIS)
    backlog = await store.backlog(NOW + 10)
    assert (backlog.unplanned_shares, backlog.failed_shares, backlog.oldest_unplanned_age) == (3, 1, 10.0)
    await store.plan_shares(shares, one_entry, NOW)
    backlog = await store.backlog(NOW + 10)
    assert (backlog.unplanned_shares, backlog.failed_shares, backlog.oldest_unplanned_age) == (1, 1, 5.0)


async def test_retention_bounds_the_shares_that_were_never_planned(store, monkeypatch):
    shares = {}
    for number in range(4):
        shares |= await stored(store, a_share("i1", f"h{number}", body=b"%d" % number * 100))
    waiting = [*await stored(store, a_share("i2", "waits"))]
    await store.plan_shares(shares, failing, NOW, basis=BASIS)
    planned = await stored(store, a_share("i3", "planned"))
    await store.plan_shares(planned, one_entry, NOW)

    result = await store.apply_retention(NOW + 100 * DAY, 30, lambda record: record)
    assert (result.shares, result.failed) == (1, 0)
    assert await count(store, "share") == 5
    [[size]] = await run(store, "SELECT sum(length(body)) FROM share WHERE plan_error <> ''")
    monkeypatch.setattr(inbox, "MAX_FAILED_BYTES", size / 2)
    result = await store.apply_retention(NOW + 100 * DAY, 30, lambda record: record)
    assert result.failed == 2
    assert [each.id for each in await store.failed_shares()] == list(shares)[2:]
    assert sorted(await due(store, NOW + DAY)) == [*list(shares)[2:], *waiting]


async def test_only_a_failed_share_is_discarded(store):
    [waiting] = await stored(store, a_share("i1", "a"))
    assert not await store.discard_share(waiting)
    failed = await stored(store, a_share("i2", "b"))
    await store.plan_shares(failed, failing, NOW, basis=BASIS)
    assert await store.discard_share(*failed)
    assert not await store.discard_share(*failed)
    assert await count(store, "share") == 1


async def test_a_failed_share_is_planned_behind_a_later_one_of_its_incident(store):
    shares = await stored(store, a_share("i1", "a"))
    await store.plan_shares(shares, failing, NOW, basis=BASIS)
    await store.accept([a_share("i1", "b", at=NOW + 60)], one_entry)
    [late] = await store.plan_shares(shares, one_entry, NOW + 120, basis=BASIS)
    assert late.outcome is ShareOutcome.UPDATE


async def test_a_share_that_cannot_be_parsed_fails_with_its_error(store):
    shares = await stored(store, a_share("i1", "a"), a_share("i2", "b"))
    broken, sound = shares
    accepted = await store.plan_shares(
        {sound: shares[sound]}, one_entry, NOW, basis=BASIS, errors={broken: ValueError("too deep")}
    )
    assert {each.share_id: each.error for each in accepted} == {sound: "", broken: "ValueError: too deep"}
    [failed] = await store.failed_shares()
    assert (failed.id, failed.incident, failed.tries) == (broken, "i1", 1)


@pytest.mark.parametrize("text", ["", "x" * 10_000, "a\0b"])
async def test_an_error_is_stored_within_bounds(store, text):
    shares = await stored(store, a_share())

    def decide(_context):
        raise ValueError(text)

    await store.plan_shares(shares, decide, NOW, basis=BASIS)
    [failed] = await store.failed_shares()
    assert failed.error.startswith("ValueError")
    assert len(failed.error) <= MAX_ERROR


async def test_two_relays_that_plan_the_same_inbox_plan_each_share_once(store, second):
    shares = await stored(store, *(a_share(f"i{n % 3}", f"h{n}") for n in range(30)))
    results = await asyncio.gather(*(each.plan_shares(shares, one_entry, NOW) for each in (store, second)))
    assert sorted(each.share_id for result in results for each in result) == sorted(shares)
    for incident in ("i0", "i1", "i2"):
        history = await store.incident_history(incident)
        assert history.state.version == len(history.entries) == 10


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_unreadable_incident_keeps_its_shares_and_delays_no_other(store, at_once):
    await store.accept([a_share("bad", "a")], one_entry)
    await run(store, "UPDATE incident SET record = '{}' WHERE id = 'bad'")
    group = [a_share("bad", "b"), a_share("good", "c"), a_share("bad", "d")]
    if at_once:
        accepted = await store.accept(group, one_entry)
    else:
        accepted = await store.plan_shares(await stored(store, *group), one_entry, NOW)
    by_incident = {each.incident: bool(each.error) for each in accepted}
    assert by_incident == {"bad": True, "good": False}
    assert [each.incident for each in await store.failed_shares()] == ["bad", "bad"]


def database_error(name):
    cause = sqlite3.OperationalError("no")
    cause.sqlite_errorname = name
    return OperationalError("INSERT", {}, cause)


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_database_error_for_one_share_affects_no_other_share(store, monkeypatch, at_once):
    """Such as a limit of the database that the share's own values exceed."""
    save = planning.save_entries

    def limited(connection, entries):
        if any(incident == "bad" for incident, _ in entries):
            raise database_error("SQLITE_ERROR")
        return save(connection, entries)

    monkeypatch.setattr(planning, "save_entries", limited)
    shares = [a_share("good", "a"), a_share("bad", "b"), a_share("other", "c")]
    if at_once:
        accepted = await store.accept(shares, one_entry)
    else:
        ids = [each.share_id for each in await store.accept([received(share) for share in shares], one_entry)]
        accepted = await store.plan_shares(dict(zip(ids, shares, strict=True)), one_entry, NOW)
    assert {each.incident: bool(each.error) for each in accepted} == {"good": False, "bad": True, "other": False}
    assert [each.incident for each in await store.failed_shares()] == ["bad"]


@pytest.mark.parametrize("name", ["SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_BUSY", "SQLITE_CORRUPT"])
async def test_a_database_failure_does_not_count_as_a_failure_of_the_share(store, monkeypatch, name):
    def broken(*_arguments):
        raise database_error(name)

    monkeypatch.setattr(planning, "save_entries", broken)
    with pytest.raises(StoreUnusable):
        await store.accept([a_share("i1", "a")], one_entry)


@pytest.mark.parametrize("at_once", [True, False])
async def test_shares_of_an_incident_are_planned_in_order(store, at_once):
    earlier = await stored(store, a_share("i1", "a"))
    group = [a_share("i1", "b"), a_share("i2", "c")]
    if at_once:
        accepted = await store.accept(group, one_entry)
        later = {each.share_id: share for each, share in zip(accepted, group, strict=True)}
    else:
        later = await stored(store, *group)
        accepted = await store.plan_shares(later, one_entry, NOW)
    assert [each.incident for each in accepted if each.planned] == ["i2"]
    await store.plan_shares(earlier, one_entry, NOW)
    await store.plan_shares(later, one_entry, NOW)
    assert [entry.key for entry in (await store.incident_history("i1")).entries] == ["i1/a", "i1/b"]


async def test_a_share_that_failed_does_not_hold_up_later_ones(store):
    await store.plan_shares(await stored(store, a_share("i1", "a")), failing, NOW, basis=BASIS)
    [accepted] = await store.accept([a_share("i1", "b")], one_entry)
    assert accepted.planned


async def test_a_transaction_that_the_database_ended_by_itself_saves_nothing(sqlite_url):
    """SQLite does so where it cannot write; what follows must not be committed as if it were whole."""
    store = await Store.open(sqlite_url)

    def decide(context):
        connection.exec_driver_sql("ROLLBACK")
        return one_entry(context)

    def work(opened):
        nonlocal connection
        connection = opened
        return accept(opened, [a_share()], decide)

    connection = None
    with pytest.raises(StoreError):
        await store.database.write(work)
    assert await count(store, "share") == 0
    await store.close()
