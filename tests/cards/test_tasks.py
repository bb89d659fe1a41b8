"""Tasks for BigPanda: when, how often, and what follows from its answers."""

import pytest

from relay.bigpanda.outcomes import (
    IncidentNotFound,
    RejectionCause,
    TaskAmbiguous,
    TaskDone,
    TaskRejected,
    TaskRetryable,
)
from relay.cards.model import AttemptState, CardState, Task, TaskKind
from relay.cards.plan import plan
from relay.cards.tasks import (
    CALLBACK_DEADLINE,
    CONFIRMATION_CHECKS,
    MAX_SEARCHES,
    TASK_TIMEOUTS,
    TaskContext,
    apply_result,
    apply_search,
    begin_restored,
    begin_task,
    check_delay,
    confirm_checked,
    handle_crash,
    is_card_settled,
    may_have_taken_effect,
    recover_interrupted,
)
from relay.model.record import PendingAction
from relay.model.struct import replace
from tests.support.share_sequences import START, ShareSequence, alert, share

NOW = START + 1000.0
ACTION = PendingAction(key="k", kind="comment", actor="Ann", at=0.0)


def task_context(
    kind: TaskKind, *, created: float = NOW, tries: int = 1, pending_actions: tuple[PendingAction, ...] = (ACTION,)
) -> TaskContext:
    sequence = ShareSequence()
    sequence.add(share(status="critical", alerts=[alert()]))
    story = replace(
        sequence.incident_state, record=replace(sequence.incident_state.record, pending_actions=pending_actions)
    )
    task = Task(key="k", kind=kind, incident="i1", created=created, state=AttemptState.IN_FLIGHT, tries=tries)
    return TaskContext(task=task, incident_state=story, cards=tuple(sequence.cards.values()))


def called_back(integration: str) -> bool:
    return integration in {"default", "eu"}


def tasks_of(sequence: ShareSequence, one, **cards) -> list[Task]:
    followed = [card for card in sequence.cards.values() if card.is_current]
    made = plan(sequence.rulebook, sequence.incident_state, followed, one, {}, has_callback=called_back)
    sequence.add(one)
    return list(made.tasks)


def test_the_callback_waits_for_the_first_card_and_at_most_until_its_deadline():
    [task] = tasks_of(ShareSequence(), share(status="critical"))
    assert (task.kind, task.payload, task.due_at) == (
        "callback",
        {"integration": "default"},
        START + CALLBACK_DEADLINE,
    )


def test_the_callback_is_due_at_once_if_there_will_be_no_card():
    sequence = ShareSequence()
    sequence.rulebook = replace(sequence.rulebook, routes=type(sequence.rulebook.routes)(), fallback=None)
    [task] = tasks_of(sequence, share(status="critical"))
    assert task.due_at == START


def test_each_integration_gets_one_callback_under_its_own_name():
    sequence = ShareSequence()
    assert len(tasks_of(sequence, share(status="critical"))) == 1
    assert tasks_of(sequence, share(60, status="warning")) == []
    [task] = tasks_of(sequence, share(120, headers={"X-Relay-Integration": "eu"}, status="warning"))
    assert task.payload == {"integration": "eu"}
    assert tasks_of(sequence, share(180, headers={"X-Relay-Integration": "eu"}, status="critical")) == []


def test_without_a_key_there_is_no_callback():
    sequence = ShareSequence()
    assert tasks_of(sequence, share(headers={"X-Relay-Integration": "us"}, status="critical")) == []


@pytest.mark.parametrize(
    ("states", "settled"),
    [
        ([CardState.PENDING], False),
        ([CardState.POSTING], False),
        ([CardState.IN_DOUBT, CardState.REJECTED], False),
        ([CardState.REJECTED], True),
        ([CardState.CANCELLED], True),
        ([], True),
        ([CardState.PENDING, CardState.POSTED], True),
    ],
)
def test_the_callback_is_settled_by_the_first_posted_card_or_when_none_can_be_posted(states, settled):
    sequence = ShareSequence()
    sequence.add(share(status="critical"))
    card = sequence.post_card("C0NOC00001")
    cards = [replace(card, state=state, ts="1.1" if state is CardState.POSTED else None) for state in states]
    assert is_card_settled(cards) is settled


def test_an_action_is_stored_before_anything_is_sent():
    update = begin_task(task_context(TaskKind.COMMENT, pending_actions=()), ACTION, NOW, sent="Ann (Slack): hello")
    assert update.task.state is AttemptState.IN_FLIGHT
    assert update.incident_state.record.pending_actions == (replace(ACTION, at=NOW),)
    assert update.task.payload["sent"] == "Ann (Slack): hello"


@pytest.mark.parametrize("kind", [TaskKind.COMMENT, TaskKind.REPLY])
def test_a_comment_in_doubt_is_searched_for_and_never_sent_again(kind):
    update = apply_result(task_context(kind), TaskAmbiguous(reason="timed_out"), NOW)
    assert (update.task.state, update.task.reason) == (AttemptState.IN_DOUBT, "timed_out")
    assert recover_interrupted(task_context(kind).task, NOW).state is AttemptState.IN_DOUBT


@pytest.mark.parametrize(
    "kind", [TaskKind.CALLBACK, TaskKind.ASSIGN, TaskKind.SNOOZE, TaskKind.RESOLVE, TaskKind.CHECK]
)
def test_a_task_that_may_be_done_twice_is_tried_again(kind):
    update = apply_result(task_context(kind), TaskAmbiguous(reason="timed_out"), NOW)
    assert update.task.state is AttemptState.WAITING
    assert NOW < update.task.due_at <= NOW + 60
    assert recover_interrupted(task_context(kind).task, NOW).state is AttemptState.WAITING


def test_an_action_stays_pending_while_it_may_have_taken_effect():
    asked = task_context(TaskKind.RESOLVE)
    update = apply_result(asked, TaskAmbiguous(reason="timed_out"), NOW)
    assert update.incident_state is None
    assert may_have_taken_effect(update.task)
    assert (
        apply_result(replace(asked, task=update.task), TaskRetryable(reason="rate_limited"), NOW).incident_state is None
    )
    assert may_have_taken_effect(recover_interrupted(asked.task, NOW))
    assert not may_have_taken_effect(apply_result(asked, TaskRetryable(reason="rate_limited"), NOW).task)


@pytest.mark.parametrize("kind", [TaskKind.COMMENT, TaskKind.REPLY])
@pytest.mark.parametrize("state", [AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT])
def test_a_comment_in_flight_at_a_crash_is_not_sent_again(kind, state):
    asked = task_context(kind)
    asked = replace(asked, task=replace(asked.task, state=state))
    for at in (NOW, NOW + 1, NOW + TASK_TIMEOUTS[kind]):
        asked = replace(asked, task=handle_crash(asked, at).task)
        assert asked.task.state is AttemptState.IN_DOUBT
    assert asked.task.due_at is None


def test_a_task_that_crashed_before_it_was_sent_is_tried_again():
    asked = task_context(TaskKind.COMMENT, tries=0)
    asked = replace(asked, task=replace(asked.task, state=AttemptState.WAITING))
    assert handle_crash(asked, NOW).task.state is AttemptState.WAITING


@pytest.mark.parametrize("kind", [TaskKind.RESOLVE, TaskKind.COMMENT])
def test_a_task_that_waited_too_long_is_not_started(kind):
    late = NOW + TASK_TIMEOUTS[kind] + 1
    update = begin_task(
        task_context(kind, tries=0, pending_actions=()), replace(ACTION, kind=kind), late, sent="Ann (Slack): hello"
    )
    assert (update.task.state, update.task.reason) == (AttemptState.DROPPED, "too_late")
    assert update.incident_state is None


def test_a_comment_that_waits_in_a_restored_database_is_searched_for():
    update = begin_restored(
        task_context(TaskKind.REPLY, tries=0, pending_actions=()), ACTION, NOW, sent="Ann (Slack): hello"
    )
    assert (update.task.state, update.task.reason) == (AttemptState.IN_DOUBT, "restored")
    assert update.task.payload["sent"] == "Ann (Slack): hello"
    assert update.task.due_at is not None
    assert update.incident_state.record.pending_actions == (replace(ACTION, at=NOW),)


def test_a_check_that_fails_for_longer_is_made_less_often():
    task = task_context(TaskKind.REPLY, tries=0).task
    assert check_delay(task, NOW) <= 2
    assert check_delay(task, NOW + 40) == 20
    assert check_delay(task, NOW + 40_000) == 60


def test_a_task_that_certainly_failed_is_sent_again_and_names_nobody_before_that():
    update = apply_result(task_context(TaskKind.COMMENT), TaskRetryable(reason="not_connected"), NOW)
    assert update.task.state is AttemptState.WAITING
    assert update.incident_state.record.pending_actions == ()


@pytest.mark.parametrize("kind", list(TaskKind))
def test_a_task_that_is_too_late_is_given_up(kind):
    late = NOW + TASK_TIMEOUTS[kind]
    update = apply_result(task_context(kind), TaskRetryable(reason="rate_limited", retry_after=1.0), late)
    assert (update.task.state, update.task.due_at) == (AttemptState.DROPPED, None)


def test_a_rejection_ends_an_action_but_not_a_callback():
    rejection = TaskRejected(cause=RejectionCause.CREDENTIALS, reason="key_invalid", remedy="mend it")
    assert apply_result(task_context(TaskKind.RESOLVE), rejection, NOW).task.state is AttemptState.REJECTED
    assert apply_result(task_context(TaskKind.CALLBACK), rejection, NOW).task.state is AttemptState.WAITING
    assert (
        apply_result(task_context(TaskKind.RESOLVE), IncidentNotFound(reason="not_found"), NOW).task.state
        is AttemptState.REJECTED
    )


def test_an_action_that_bigpanda_has_accepted_is_checked_at_once():
    update = apply_result(task_context(TaskKind.RESOLVE), TaskDone(), NOW)
    [check] = update.follow_ups
    assert (check.kind, check.due_at, check.payload) == ("check", NOW, {"why": "after k", "sent": ""})
    assert update.incident_state is None  # the action is reported with its share


def test_an_action_that_bigpanda_has_not_carried_out_yet_is_checked_again_and_forgotten_after_the_last_check():
    [check] = apply_result(task_context(TaskKind.RESOLVE), TaskDone(), NOW).follow_ups
    context, moments = replace(task_context(TaskKind.CHECK), task=check), []
    while context.task.state.open:
        moments.append(context.task.due_at - NOW)
        update = confirm_checked(context)
        context = replace(context, task=update.task)
    assert tuple(moments) == CONFIRMATION_CHECKS
    assert update.incident_state.record.pending_actions == ()


def test_a_confirmed_action_is_not_checked_any_more():
    [check] = apply_result(task_context(TaskKind.RESOLVE), TaskDone(), NOW).follow_ups
    update = confirm_checked(replace(task_context(TaskKind.CHECK, pending_actions=()), task=check))
    assert (update.task.state, update.task.due_at) == (AttemptState.DONE, None)


def test_a_search_that_failed_is_repeated_until_the_task_times_out():
    asked = task_context(TaskKind.COMMENT)
    asked = replace(asked, task=replace(asked.task, state=AttemptState.IN_DOUBT))
    for at in (NOW, NOW + 60, NOW + 600):
        asked = replace(asked, task=apply_search(asked, None, "Ann (Slack): hello", at).task)
        assert at < asked.task.due_at <= at + 60
    late = apply_search(asked, None, "Ann (Slack): hello", NOW + TASK_TIMEOUTS[TaskKind.COMMENT])
    assert (late.task.state, late.task.due_at) == (AttemptState.IN_DOUBT, None)


def test_a_comment_in_doubt_is_found_or_stays_in_doubt():
    asked = task_context(TaskKind.COMMENT)
    asked = replace(asked, task=replace(asked.task, state=AttemptState.IN_DOUBT))
    assert (
        apply_search(asked, ["other", "Ann (Slack):  hello"], "Ann (Slack): hello", NOW).task.state is AttemptState.DONE
    )
    for _ in range(MAX_SEARCHES):
        update = apply_search(asked, ["other"], "Ann (Slack): hello", NOW)
        asked = replace(asked, task=update.task)
        assert update.task.state is AttemptState.IN_DOUBT
    assert update.task.due_at is None
