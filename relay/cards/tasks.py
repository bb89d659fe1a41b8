"""Decide about a task: one call to BigPanda, stored before relay makes it.

    callback   tell BigPanda that the card exists (or that none will), so that it sends updates again
    assign     somebody pressed this button of the card
    comment
    snooze
    unassign
    end_snooze
    resolve
    reply      somebody replied in the thread: the reply becomes a comment
    check      ask BigPanda for the incident, after a long silence or after an action that no share confirmed

A task is known by its key, so that a click that Slack sends twice is one task. A comment whose answer was lost is
`in_doubt`: relay searches for it and never sends it again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from relay.bigpanda.outcomes import IncidentNotFound, TaskAmbiguous, TaskDone, TaskOutcome, TaskRejected, TaskRetryable
from relay.cards.attribution import is_awaited
from relay.cards.batches import BatchProgress
from relay.cards.model import AttemptState, Card, CardState, IncidentState, Task, TaskKind
from relay.model.buttons import BUTTONS
from relay.model.record import PendingAction
from relay.model.struct import replace
from relay.ratelimit.budgets import backoff

COMMENT_KINDS = (TaskKind.COMMENT, TaskKind.REPLY)
"""What must not be sent twice: BigPanda would show it twice, to everybody and for good."""

ACTION_KINDS = tuple(TaskKind(name) for name, row in BUTTONS.items() if row.in_bigpanda)
"""What people do in BigPanda by the buttons of a card."""

CONFIRMED_KINDS = (*ACTION_KINDS, TaskKind.REPLY)
"""The tasks that a share is expected to confirm. Many integrations share neither comments nor assignments."""

CHECK_AFTER = "after "
"""Begins the reason of a check that is made because no share has confirmed a task yet."""

CHECK_FOR_REMINDER = "reminder "
"""Begins the reason of a check that is made before a reminder, which waits for it."""

CALLBACK_DEADLINE = 240.0
"""Seconds after which the callback is made whatever became of the card: BigPanda gives up after five minutes
(https://docs.bigpanda.io/docs/bigpanda-callback-service)."""

CONFIRMATION_CHECKS = (0.0, 3.0, 10.0, 30.0, 90.0)
"""Seconds after BigPanda has accepted an action at which relay asks for the incident, until a share or an answer
confirms the action. BigPanda carries out some actions later than it accepts them."""

CONFIRMATION_WAIT = CONFIRMATION_CHECKS[-1]
"""Seconds after which an action that nothing has confirmed was not done."""

TASK_TIMEOUTS: Mapping[TaskKind, float] = {
    TaskKind.CALLBACK: 300.0,
    **dict.fromkeys(ACTION_KINDS, 900.0),
    TaskKind.REPLY: 86_400.0,
    TaskKind.CHECK: 3_600.0,
}
"""Seconds until a task is given up. A button pressed at 3:00 must not close an incident in the morning."""

MAX_RETRY_DELAY = 60.0
"""The most seconds between two tries."""

MAX_SEARCHES = 3
"""How often a comment in doubt is searched for among the incident's activities."""
SEARCH_INTERVAL = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """A task with its incident and that incident's current cards, as they are now; of a batch, how far that is."""

    task: Task
    incident_state: IncidentState
    cards: tuple[Card, ...] = ()
    batch: BatchProgress | None = None

    @property
    def card(self) -> Card | None:
        """The card on which somebody asked for the task; None if it is not current any more, or nobody asked."""
        channel = self.task.payload.get("card")
        return next((card for card in self.cards if card.channel == channel), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUpdate:
    """What a decision about a task changes. An incident state of None stays as it is; `follow_ups` are new tasks."""

    task: Task
    incident_state: IncidentState | None = None
    cards: tuple[Card, ...] = ()
    follow_ups: tuple[Task, ...] = ()


def callback_task(incident: str, integration: str, cards: Sequence[Card], now: float) -> Task:
    """The callback for an incident that an integration has shared for the first time.

    It is due when the first card is posted or given up, and in any case in time.
    """
    return Task(
        key=f"callback:{incident}:{integration}",
        kind=TaskKind.CALLBACK,
        incident=incident,
        created=now,
        payload={"integration": integration},
        due_at=now if is_card_settled(cards) else now + CALLBACK_DEADLINE,
    )


def is_card_settled(cards: Sequence[Card]) -> bool:
    """Whether a card is posted, or it is settled that none will be."""
    unsettled = (CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT)
    return any(card.ts for card in cards) or not any(card.state in unsettled for card in cards)


def check_task(incident: str, why: str, at: float, now: float) -> Task:
    """Ask BigPanda for an incident at that moment."""
    return Task(
        key=f"check:{incident}:{why}",
        kind=TaskKind.CHECK,
        incident=incident,
        created=max(now, at),
        payload={"why": why},
        due_at=at,
    )


def begin_task(context: TaskContext, action: PendingAction | None, now: float, *, sent: str = "") -> TaskUpdate:
    """It is about to be sent. The action is stored first, since a share may confirm it before BigPanda answers.

    `sent` is the comment as it goes out, by which it is found again if the answer is lost. A task that has waited for
    too long is given up instead.
    """
    task = context.task
    if now > _deadline(task):
        return close_task(context, AttemptState.DROPPED, task.reason or "too_late")
    payload = {**task.payload, "sent": sent} if sent else task.payload
    begun = replace(task, state=AttemptState.IN_FLIGHT, tries=task.tries + 1, due_at=None, payload=payload)
    if action is None:
        return TaskUpdate(task=begun)
    others = (each for each in context.incident_state.record.pending_actions if each.key != action.key)
    return TaskUpdate(task=begun, incident_state=_with_actions(context, (*others, replace(action, at=now))))


def begin_restored(context: TaskContext, action: PendingAction | None, now: float, *, sent: str) -> TaskUpdate:
    """A comment in a restored database may have been sent since the backup: relay searches for it instead."""
    update = begin_task(context, action, now, sent=sent)
    if update.task.state is not AttemptState.IN_FLIGHT:
        return update
    return replace(update, task=mark_in_doubt(replace(context, task=update.task), "restored", now).task)


def close_task(context: TaskContext, state: AttemptState, reason: str, follow_ups: tuple[Task, ...] = ()) -> TaskUpdate:
    """Relay does nothing more about it."""
    task = replace(context.task, state=state, reason=reason, due_at=None)
    unsent = state in {AttemptState.DROPPED, AttemptState.REJECTED}
    undone = _without_action(context, task.key) if unsent else None
    return TaskUpdate(task=task, incident_state=undone, follow_ups=follow_ups)


def retry_task(context: TaskContext, reason: str, at: float) -> TaskUpdate:
    """Try it again, unless that would be too late. Until it is done, the thread names nobody for it."""
    task = context.task
    if at > _deadline(task):
        return close_task(context, AttemptState.DROPPED, reason)
    waiting = replace(task, state=AttemptState.WAITING, reason=reason, due_at=at)
    undone = None if may_have_taken_effect(waiting) else _without_action(context, task.key)
    return TaskUpdate(task=waiting, incident_state=undone)


def handle_crash(context: TaskContext, now: float) -> TaskUpdate:
    """Something unexpected failed. A comment that may have been sent by then is not sent again."""
    task = context.task
    match task.state:
        case AttemptState.IN_DOUBT:
            return apply_search(context, None, "", now)
        case AttemptState.IN_FLIGHT:
            return apply_result(context, TaskAmbiguous(reason="crashed"), now)
        case _:
            return retry_task(context, "crashed", now + check_delay(task, now))


def complete_task(context: TaskContext, now: float, reason: str = "") -> TaskUpdate:
    """BigPanda has done it. If a share should confirm it, relay checks the incident at once."""
    task = replace(context.task, state=AttemptState.DONE, reason=reason, due_at=None)
    if task.kind not in CONFIRMED_KINDS:
        return TaskUpdate(task=task)
    check = check_task(task.incident, CHECK_AFTER + task.key, now + CONFIRMATION_CHECKS[0], now)
    check = replace(check, payload={**check.payload, "sent": task.payload.get("sent", "")}, batch=task.batch)
    return TaskUpdate(task=task, follow_ups=(check,))


def apply_result(context: TaskContext, result: TaskOutcome, now: float) -> TaskUpdate:
    """What follows from BigPanda's answer."""
    task = context.task
    match result:
        case TaskDone():
            return complete_task(context, now)
        case TaskRetryable(reason=reason, retry_after=wait):
            return retry_task(context, reason, now + (retry_delay(task) if wait is None else wait))
        case TaskAmbiguous(reason=reason) if task.kind in COMMENT_KINDS:
            return mark_in_doubt(context, reason, now)
        case TaskAmbiguous(reason=reason):  # the same once more does no harm
            return retry_task(replace(context, task=_as_ambiguous(task)), reason, now + retry_delay(task))
        case TaskRejected(reason=reason) if task.kind is TaskKind.CALLBACK:
            return retry_task(context, reason, now + retry_delay(task))  # somebody may fix the cause in time
        case IncidentNotFound(reason=reason) | TaskRejected(reason=reason):
            return close_task(context, AttemptState.REJECTED, reason)
        case _:
            assert_never(result)


def mark_in_doubt(context: TaskContext, reason: str, now: float) -> TaskUpdate:
    """Nobody knows whether BigPanda has this comment: relay searches for it and never sends it again."""
    due_at = now + SEARCH_INTERVAL / 4
    return TaskUpdate(task=replace(context.task, state=AttemptState.IN_DOUBT, reason=reason, due_at=due_at))


def apply_search(context: TaskContext, comments: Sequence[str] | None, sent: str, now: float) -> TaskUpdate:
    """Relay searched the incident's comments for one in doubt (None: they could not be read)."""
    task = context.task
    if comments is None:  # this says nothing about the comment: BigPanda may be unavailable for a while
        at = now + check_delay(task, now)
        return TaskUpdate(task=replace(task, due_at=at if at <= _deadline(task) else None))
    if " ".join(sent.split()) in {" ".join(text.split()) for text in comments}:
        return complete_task(context, now)
    searches = int(task.payload.get("searches", 0)) + 1
    again, payload = now + SEARCH_INTERVAL if searches < MAX_SEARCHES else None, {**task.payload, "searches": searches}
    return TaskUpdate(task=replace(task, payload=payload, state=AttemptState.IN_DOUBT, due_at=again))


def recover_interrupted(task: Task, now: float) -> Task:
    """The tasks of a relay that died: a comment may have arrived; anything else may be repeated."""
    if task.kind in COMMENT_KINDS:
        return replace(task, state=AttemptState.IN_DOUBT, reason="interrupted", due_at=now)
    return replace(_as_ambiguous(task), state=AttemptState.WAITING, reason="interrupted", due_at=now)


def confirm_checked(context: TaskContext) -> TaskUpdate:
    """A check is answered. An action that BigPanda does not report yet is checked again.

    If it does not report the action at the last check, the action was not done, and names nobody later.
    """
    task, asked = context.task, int(context.task.payload.get("asked", 0)) + 1
    awaited = is_awaited(context.incident_state.record, checked_task_key(task))
    if awaited and asked < len(CONFIRMATION_CHECKS):
        due_at, payload = task.created + CONFIRMATION_CHECKS[asked], {**task.payload, "asked": asked}
        return TaskUpdate(task=replace(task, state=AttemptState.WAITING, due_at=due_at, payload=payload))
    update = close_task(context, AttemptState.DONE, "")
    return replace(update, incident_state=_without_action(context, checked_task_key(context.task)))


def checked_task_key(task: Task) -> str:
    """The key of the task that a check is to confirm; empty if it is made for another reason."""
    why = str(task.payload.get("why", ""))
    return why.removeprefix(CHECK_AFTER) if why.startswith(CHECK_AFTER) else ""


def may_have_taken_effect(task: Task) -> bool:
    """Whether one of its calls may have succeeded although no answer confirmed it."""
    return bool(task.payload.get("ambiguous"))


def retry_delay(task: Task) -> float:
    """Seconds until the next try."""
    return min(MAX_RETRY_DELAY, backoff(max(1, task.tries), task.key))


def check_delay(task: Task, now: float) -> float:
    """Seconds until relay looks again whether a call can be made: the longer it has waited, the longer."""
    return min(MAX_RETRY_DELAY, max(retry_delay(task), (now - task.created) / 2))


def _deadline(task: Task) -> float:
    return task.created + TASK_TIMEOUTS[task.kind]


def _as_ambiguous(task: Task) -> Task:
    return replace(task, payload={**task.payload, "ambiguous": True})


def _with_actions(context: TaskContext, actions: tuple[PendingAction, ...]) -> IncidentState:
    state = context.incident_state
    return replace(state, record=replace(state.record, pending_actions=actions))


def _without_action(context: TaskContext, key: str) -> IncidentState | None:
    """An action that was not done must not name anybody; None if there is none."""
    known = context.incident_state.record.pending_actions
    kept = tuple(each for each in known if each.key != key or each.confirmed)
    return None if kept == known else _with_actions(context, kept)
