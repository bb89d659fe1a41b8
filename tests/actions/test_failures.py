"""Actions that BigPanda or Slack rejects, and people who may not act: what the person reads, and what is stored."""

import asyncio
import re
import sqlite3

import pytest
import structlog.testing

from relay.bigpanda.classify import REASONS
from relay.cards.task_reasons import WHY
from relay.model.errors import StoreError, StoreUnusable
from relay.sandbox.bigpanda.server import RELAY_USER
from relay.sandbox.faults import UNAVAILABLE, DropConnection, InjectedFault, NoAnswer, RawResponse
from relay.slack.error_codes import REMEDIES
from tests.support.bigpanda_round_trip import ANN, DB, run_round_trip


async def test_a_resolution_whose_answer_was_lost_is_reported_with_the_person_who_did_it(round_trip):
    round_trip.panda.faults.add(InjectedFault(behaviour=DropConnection(), after_effect=True, method="resolve"))
    await round_trip.click("resolve")
    await round_trip.submit(text="failed over")
    await round_trip.advance(700)
    assert ("resolve", "done", "confirmed") in await round_trip.tasks()
    [reply] = round_trip.thread()
    assert "Resolved by Ann Lee" in reply.replace("*", "")
    assert [each for each in round_trip.ephemeral_messages() if "when BigPanda confirms" not in each] == []


async def test_an_assignment_whose_answer_was_lost_is_not_reported_as_failed(round_trip):
    round_trip.panda.faults.add(InjectedFault(behaviour=DropConnection(), after_effect=True, method="assign"))
    await round_trip.click("assign")
    await round_trip.advance(700)
    assert "assigned to *Ann Lee*" in round_trip.card_text()
    assert [each for each in round_trip.ephemeral_messages() if "when BigPanda confirms" not in each] == []


@pytest.mark.parametrize(("action", "words"), [("assign", "assigned to *Ann Lee*"), ("resolve", "*Resolved*")])
async def test_an_action_whose_answer_and_share_were_both_lost_shows_on_the_card(round_trip, action, words):
    round_trip.panda.integrations.clear()
    round_trip.panda.faults.add(InjectedFault(behaviour=DropConnection(), after_effect=True, method=action))
    await round_trip.click(action)
    if action == "resolve":
        await round_trip.submit()
    await round_trip.advance(120)
    assert words in round_trip.card_text()
    assert len(round_trip.thread()) == 1


async def test_an_action_that_bigpanda_accepted_but_never_did_may_be_repeated(round_trip):
    panda_resolve, round_trip.panda.resolve = round_trip.panda.resolve, lambda *_args, **_arguments: None
    await round_trip.click("resolve")
    await round_trip.submit()
    await round_trip.advance(300)
    round_trip.panda.resolve = panda_resolve
    await round_trip.click("resolve")
    await round_trip.submit()
    await round_trip.advance(700)
    assert len(round_trip.panda.calls_to("resolve")) == 2
    assert "✅" in round_trip.card_text()


async def test_tag_definitions_that_cannot_be_stored_block_nothing(round_trip, monkeypatch):
    async def fail(*_arguments):
        raise StoreUnusable("the database cannot hold that")

    monkeypatch.setattr(round_trip.store, "save_tag_definitions", fail)
    await round_trip.advance(3700)
    await round_trip.click("assign")
    await round_trip.advance(60)
    assert "assigned to *Ann Lee*" in round_trip.card_text()


async def test_missing_tag_definitions_block_nothing(round_trip):
    round_trip.relay._tag_definitions._bigpanda._deadline = 3600.0  # what waits for an answer waits for ever
    round_trip.panda.faults.add(InjectedFault(behaviour=NoAnswer(), method="definitions", times=None))
    async with asyncio.timeout(100):
        round_trip.clock.set_time(round_trip.clock.now() + 3700)
        await step_until(round_trip, lambda: len(round_trip.panda.calls_to("definitions")) > 1)
        await round_trip.slack.click(ANN, DB, round_trip.card().ts, "relay_assign")
        await step_until(round_trip, lambda: bool(round_trip.panda.calls_to("assign")))


async def step_until(round_trip, condition):
    """Let a second pass again and again: what is waited for may wait for the clock itself."""
    while not condition():
        round_trip.clock.set_time(round_trip.clock.now() + 1)
        await asyncio.sleep(0.01)


async def test_tag_definitions_are_requested_once_an_hour_if_there_are_none(round_trip):
    round_trip.panda.definitions.clear()
    await round_trip.advance(4000)
    before = len(round_trip.panda.calls_to("definitions"))
    await round_trip.advance(3000)
    assert len(round_trip.panda.calls_to("definitions")) <= before + 1


async def test_rejected_requests_for_tag_definitions_are_retried_after_growing_pauses(round_trip):
    round_trip.panda.faults.add(InjectedFault(behaviour=UNAVAILABLE, method="definitions", times=None))
    await round_trip.advance(3700)
    before = len(round_trip.panda.calls_to("definitions"))
    await round_trip.advance(3000)
    assert len(round_trip.panda.calls_to("definitions")) - before < 25


async def test_an_answer_that_cannot_be_stored_does_not_stop_delivery(round_trip, monkeypatch):
    tasks = round_trip.relay._tasks
    accept, fails = tasks._runner._accept, [1]

    async def accept_later(*arguments):
        if fails:
            fails.pop()
            raise StoreUnusable("the disk is full")
        return await accept(*arguments)

    interrupted = []
    monkeypatch.setattr(tasks._runner, "_accept", accept_later)
    monkeypatch.setattr(
        "relay.delivery.supervision.log.error", lambda *arguments, **_more: interrupted.append(arguments)
    )
    await round_trip.advance(6.1 * 3600)
    await round_trip.advance(120)  # it is tried again
    assert fails == []
    assert interrupted == []
    assert ("check", "done", "") in await round_trip.tasks()


async def a_reply_waits(folder):
    """Relay ends before it has sent it; who is there afterwards, with nothing wrong any more."""
    async with run_round_trip(folder) as round_trip:
        await round_trip.start_incident()
        round_trip.slack.faults.add(InjectedFault(behaviour=UNAVAILABLE, method="users.info", times=None))
        await round_trip.slack.post_as(ANN, DB, "failing over", round_trip.card().ts)
        await round_trip.settle()
    round_trip.slack.faults.clear()
    return round_trip.panda, round_trip.slack, round_trip.clock


async def test_a_reply_that_waits_in_a_backup_of_the_database_is_not_sent_twice(tmp_path):
    panda, slack, clock = await a_reply_waits(tmp_path)
    panda.comment(panda.incident("i1"), "Ann Lee (Slack): failing over", RELAY_USER)  # after the copy was made
    with sqlite3.connect(tmp_path / "relay.db") as copy:
        moment = int(clock.now()) - 1  # a copy takes its time
        copy.execute("INSERT INTO lease (name, holder, epoch, until) VALUES ('restored', '', ?, 0)", (moment,))
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock) as round_trip:
        await round_trip.advance(300)
        assert round_trip.panda.calls_to("comment") == []
        assert ("reply", "done", "") in await round_trip.tasks()


async def test_waiting_tasks_are_dropped_when_the_key_of_bigpanda_is_removed(tmp_path):
    panda, slack, clock = await a_reply_waits(tmp_path)
    async with run_round_trip(tmp_path, slack=slack, panda=panda, clock=clock, BIGPANDA_API_KEY="") as round_trip:
        await round_trip.advance(120)
        assert ("reply", "dropped", "no_key") in await round_trip.tasks()
        assert (await round_trip.store.backlog(clock.now())).due_tasks == 0


def test_every_reason_with_its_own_text_can_occur():
    own = {"not_offered", "no_environment", "unknown_user", "no_email", "unknown_person", "already_resolved"}
    own |= {"already_assigned", "not_assigned", "not_snoozed", "moment_passed", "in_progress", "empty"}
    assert set(WHY) <= own | REASONS | set(REMEDIES)


async def test_a_task_whose_result_cannot_be_stored_is_retried_after_a_pause(round_trip, monkeypatch):
    tried = []

    async def fail(key, *_arguments, **_more):
        tried.append(key)
        raise StoreError("it would break the rules")

    monkeypatch.setattr(round_trip.store, "update_task", fail)
    await round_trip.slack.click(ANN, DB, round_trip.card().ts, "relay_assign")
    async with asyncio.timeout(100):
        while not tried:  # noqa: ASYNC110  nothing tells it
            await asyncio.sleep(0.01)
    for _ in range(50):  # it is not at rest, so time is moved by hand
        round_trip.clock.set_time(round_trip.clock.now() + 0.1)
        await asyncio.sleep(0.01)
    assert len(tried) <= 2


LARGE = {"HUGE": "9" * 400, "LONG": "x" * 99_999, "DEEP": "[" * 50_000}
BODIES = [
    "null",
    "[]",
    '"text"',
    "DEEP",
    '{"id": "\\u0000"}',
    '{"id": "another", "status": "ok", "folders": []}',
    '{"id": "i1", "status": {"a": []}, "changed_at": HUGE, "alerts": {"a": 1}, "incident_tags": 7}',
    '{"id": "i1", "status": "\\u0000\\ud800", "start": 1e308, "end": -1e308, "assignee": {"name": ["x"]}}',
    '{"id": "i1", "status": "critical", "assignee": {"name": "LONG", "email": 5}, "changed_at": 1e300}',
    '{"id": "i1", "status": "LONG", "snooze": {"snoozed": 2, "end_time": HUGE}, "severity": []}',
    '{"items": [{"id": "a", "name": "b", "config": {"ordered_list": [{"order_id": 1e308, "name": "\\u0000"}]}}]}',
    '{"Resources": [{"id": "\\u0000", "userName": "ann@example.com"}, {"id": {}, "emails": [[]]}]}',
    '{"items": [{"type": "incident_commented", "params": {"comment": "\\ud800LONG"}}]}',
]


async def test_the_log_says_why_bigpanda_refuses_a_task(round_trip):
    refusal = RawResponse(status=400, body='{"errors": [{"message": "comment is too rude"}]}')
    round_trip.panda.faults.add(InjectedFault(behaviour=refusal, method="comment"))
    with structlog.testing.capture_logs() as lines:
        await round_trip.click("comment")
        await round_trip.submit(text="hello")
        await round_trip.advance(60)
    [line] = [line for line in lines if line["event"] == "bigpanda_task" and line["outcome"] == "rejected"]
    assert line["detail"].endswith("BigPanda says: comment is too rude")
    assert line["remedy"].startswith("Read the detail")


async def test_no_answer_of_bigpanda_prevents_later_actions(round_trip):
    """Each read gets each of these answers once, while people click."""
    with structlog.testing.capture_logs() as lines:
        for body in BODIES:
            answer = RawResponse(body=re.sub("|".join(LARGE), lambda found: LARGE[found[0]], body))
            for method in ("incident", "activities", "definitions", "users"):
                round_trip.panda.faults.add(InjectedFault(behaviour=answer, method=method))
            round_trip.panda.faults.add(InjectedFault(behaviour=DropConnection(), method="comment"))
            await round_trip.click("assign")
            await round_trip.click("comment")
            await round_trip.submit(text="hello")
            await round_trip.advance(90)
    round_trip.panda.faults.clear()
    await round_trip.advance(700)
    await round_trip.click("resolve")
    await round_trip.submit(text="done")
    await round_trip.advance(700)
    assert "✅" in round_trip.card_text()
    assert [line for line in lines if line.get("exc_info") or "crashed" in line["event"]] == []
