"""What BigPanda is to be told or asked: when, how often, and what follows from its answers."""

from dataclasses import replace

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
    CONFIRMATION_WAIT,
    MAX_SEARCHES,
    TASK_TIMEOUTS,
    TaskContext,
    apply_result,
    apply_search,
    begin_restored,
    begin_task,
    check_delay,
    handle_crash,
    is_card_settled,
    may_have_taken_effect,
    recover_interrupted,
)
from relay.model.record import PendingAction
from tests.support.share_sequences import START, Life, alert, share

NOW = START + 1000.0
DEED = PendingAction(key="k", kind="comment", actor="Ann", at=0.0)


def matter(
    kind: TaskKind, *, created: float = NOW, tries: int = 1, pending_actions: tuple[PendingAction, ...] = (DEED,)
) -> TaskContext:
    life = Life()
    life.take(share(status="critical", alerts=[alert()]))
    story = replace(life.story, record=replace(life.story.record, pending_actions=pending_actions))
    errand = Task(key="k", kind=kind, incident="i1", created=created, state=AttemptState.IN_FLIGHT, tries=tries)
    return TaskContext(task=errand, incident_state=story, cards=tuple(life.cards.values()))


def called_back(integration: str) -> bool:
    return integration in {"default", "eu"}


def errands_of(life: Life, one, **cards) -> list[Task]:
    followed = [card for card in life.cards.values() if card.is_current]
    made = plan(life.rulebook, life.story, followed, one, {}, has_callback=called_back)
    life.take(one)
    return list(made.tasks)


def test_bigpanda_waits_for_the_first_card_and_no_longer_than_it_would():
    [errand] = errands_of(Life(), share(status="critical"))
    assert (errand.kind, errand.payload, errand.due_at) == (
        "callback",
        {"integration": "default"},
        START + CALLBACK_DEADLINE,
    )


def test_where_no_card_will_be_it_is_told_at_once():
    life = Life()
    life.rulebook = replace(life.rulebook, routes=type(life.rulebook.routes)(), fallback=None)
    [errand] = errands_of(life, share(status="critical"))
    assert errand.due_at == START


def test_each_integration_is_told_once_and_by_its_own_name():
    life = Life()
    assert len(errands_of(life, share(status="critical"))) == 1
    assert errands_of(life, share(60, status="warning")) == []
    [errand] = errands_of(life, share(120, headers={"X-Relay-Integration": "eu"}, status="warning"))
    assert errand.payload == {"integration": "eu"}
    assert errands_of(life, share(180, headers={"X-Relay-Integration": "eu"}, status="critical")) == []


def test_without_a_key_nobody_is_told():
    life = Life()
    assert errands_of(life, share(headers={"X-Relay-Integration": "us"}, status="critical")) == []


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
def test_it_is_settled_with_the_first_card_that_is_posted_or_when_none_can_be_any_more(states, settled):
    life = Life()
    life.take(share(status="critical"))
    card = life.show("C0NOC00001")
    cards = [replace(card, state=state, ts="1.1" if state is CardState.POSTED else None) for state in states]
    assert is_card_settled(cards) is settled


def test_a_deed_is_noted_before_anything_is_sent():
    dealt = begin_task(matter(TaskKind.COMMENT, pending_actions=()), DEED, NOW, sent="Ann (Slack): hello")
    assert dealt.task.state is AttemptState.IN_FLIGHT
    assert dealt.incident_state.record.pending_actions == (replace(DEED, at=NOW),)
    assert dealt.task.payload["sent"] == "Ann (Slack): hello"


@pytest.mark.parametrize("kind", [TaskKind.COMMENT, TaskKind.REPLY])
def test_a_comment_of_which_nobody_knows_is_looked_for_and_never_sent_again(kind):
    dealt = apply_result(matter(kind), TaskAmbiguous(reason="timed_out"), NOW)
    assert (dealt.task.state, dealt.task.reason) == (AttemptState.IN_DOUBT, "timed_out")
    assert recover_interrupted(matter(kind).task, NOW).state is AttemptState.IN_DOUBT


@pytest.mark.parametrize(
    "kind", [TaskKind.CALLBACK, TaskKind.ASSIGN, TaskKind.SNOOZE, TaskKind.RESOLVE, TaskKind.CHECK]
)
def test_what_may_be_done_twice_is_done_again(kind):
    dealt = apply_result(matter(kind), TaskAmbiguous(reason="timed_out"), NOW)
    assert dealt.task.state is AttemptState.WAITING
    assert NOW < dealt.task.due_at <= NOW + 60
    assert recover_interrupted(matter(kind).task, NOW).state is AttemptState.WAITING


def test_who_did_it_is_remembered_while_it_may_have_been_done():
    asked = matter(TaskKind.RESOLVE)
    dealt = apply_result(asked, TaskAmbiguous(reason="timed_out"), NOW)
    assert dealt.incident_state is None
    assert may_have_taken_effect(dealt.task)
    assert (
        apply_result(replace(asked, task=dealt.task), TaskRetryable(reason="rate_limited"), NOW).incident_state is None
    )
    assert may_have_taken_effect(recover_interrupted(asked.task, NOW))
    assert not may_have_taken_effect(apply_result(asked, TaskRetryable(reason="rate_limited"), NOW).task)


@pytest.mark.parametrize("kind", [TaskKind.COMMENT, TaskKind.REPLY])
@pytest.mark.parametrize("state", [AttemptState.IN_FLIGHT, AttemptState.IN_DOUBT])
def test_a_comment_that_was_under_way_when_something_broke_is_not_sent_again(kind, state):
    asked = matter(kind)
    asked = replace(asked, task=replace(asked.task, state=state))
    for at in (NOW, NOW + 1, NOW + TASK_TIMEOUTS[kind]):
        asked = replace(asked, task=handle_crash(asked, at).task)
        assert asked.task.state is AttemptState.IN_DOUBT
    assert asked.task.due_at is None


def test_what_broke_before_anything_was_sent_is_tried_again():
    asked = matter(TaskKind.COMMENT, tries=0)
    asked = replace(asked, task=replace(asked.task, state=AttemptState.WAITING))
    assert handle_crash(asked, NOW).task.state is AttemptState.WAITING


@pytest.mark.parametrize("kind", [TaskKind.RESOLVE, TaskKind.COMMENT])
def test_what_had_to_wait_for_its_turn_for_too_long_is_not_begun_any_more(kind):
    late = NOW + TASK_TIMEOUTS[kind] + 1
    dealt = begin_task(
        matter(kind, tries=0, pending_actions=()), replace(DEED, kind=kind), late, sent="Ann (Slack): hello"
    )
    assert (dealt.task.state, dealt.task.reason) == (AttemptState.DROPPED, "too_late")
    assert dealt.incident_state is None


def test_a_comment_that_waits_in_a_copy_of_the_database_is_looked_for():
    dealt = begin_restored(matter(TaskKind.REPLY, tries=0, pending_actions=()), DEED, NOW, sent="Ann (Slack): hello")
    assert (dealt.task.state, dealt.task.reason) == (AttemptState.IN_DOUBT, "restored")
    assert dealt.task.payload["sent"] == "Ann (Slack): hello"
    assert dealt.task.due_at is not None
    assert dealt.incident_state.record.pending_actions == (replace(DEED, at=NOW),)


def test_the_longer_something_cannot_be_found_out_the_less_often_it_is_asked():
    errand = matter(TaskKind.REPLY, tries=0).task
    assert check_delay(errand, NOW) <= 2
    assert check_delay(errand, NOW + 40) == 20
    assert check_delay(errand, NOW + 40_000) == 60


def test_what_surely_did_not_arrive_is_sent_again_and_nobody_did_it_until_then():
    dealt = apply_result(matter(TaskKind.COMMENT), TaskRetryable(reason="not_connected"), NOW)
    assert dealt.task.state is AttemptState.WAITING
    assert dealt.incident_state.record.pending_actions == ()


@pytest.mark.parametrize("kind", list(TaskKind))
def test_what_comes_too_late_is_given_up(kind):
    late = NOW + TASK_TIMEOUTS[kind]
    dealt = apply_result(matter(kind), TaskRetryable(reason="rate_limited", retry_after=1.0), late)
    assert (dealt.task.state, dealt.task.due_at) == (AttemptState.DROPPED, None)


def test_a_refusal_ends_an_action_and_not_a_callback():
    refused = TaskRejected(cause=RejectionCause.CREDENTIALS, reason="key_invalid", remedy="mend it")
    assert apply_result(matter(TaskKind.RESOLVE), refused, NOW).task.state is AttemptState.REJECTED
    assert apply_result(matter(TaskKind.CALLBACK), refused, NOW).task.state is AttemptState.WAITING
    assert (
        apply_result(matter(TaskKind.RESOLVE), IncidentNotFound(reason="not_found"), NOW).task.state
        is AttemptState.REJECTED
    )


def test_an_action_that_was_done_is_asked_about_should_no_share_confirm_it():
    dealt = apply_result(matter(TaskKind.RESOLVE), TaskDone(), NOW)
    [check] = dealt.follow_ups
    assert (check.kind, check.due_at, check.payload) == (
        "check",
        NOW + CONFIRMATION_WAIT,
        {"why": "after k", "sent": ""},
    )
    assert dealt.incident_state is None  # the deed waits for its share


def test_a_look_that_could_not_be_taken_is_taken_again_for_as_long_as_it_makes_sense():
    asked = matter(TaskKind.COMMENT)
    asked = replace(asked, task=replace(asked.task, state=AttemptState.IN_DOUBT))
    for at in (NOW, NOW + 60, NOW + 600):
        asked = replace(asked, task=apply_search(asked, None, "Ann (Slack): hello", at).task)
        assert at < asked.task.due_at <= at + 60
    late = apply_search(asked, None, "Ann (Slack): hello", NOW + TASK_TIMEOUTS[TaskKind.COMMENT])
    assert (late.task.state, late.task.due_at) == (AttemptState.IN_DOUBT, None)


def test_a_comment_in_doubt_is_found_or_stays_in_doubt():
    asked = matter(TaskKind.COMMENT)
    asked = replace(asked, task=replace(asked.task, state=AttemptState.IN_DOUBT))
    assert (
        apply_search(asked, ["other", "Ann (Slack):  hello"], "Ann (Slack): hello", NOW).task.state is AttemptState.DONE
    )
    for _ in range(MAX_SEARCHES):
        dealt = apply_search(asked, ["other"], "Ann (Slack): hello", NOW)
        asked = replace(asked, task=dealt.task)
        assert dealt.task.state is AttemptState.IN_DOUBT
    assert dealt.task.due_at is None
