"""What BigPanda is to be told or asked: each thing is an errand, written down before anybody calls.

    callback   the card exists (or none will): BigPanda need not hold updates back any more
    assign     what somebody did by a button of the card
    comment
    snooze
    resolve
    reply      what somebody said in the thread, which becomes a comment
    check      how the incident stands, after a long silence or an action that no share has confirmed

An errand is known by its key, so that a click that is sent twice is one errand. `in_doubt` are comments of which nobody
knows whether BigPanda has them: they are looked for, never sent again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from relay.bigpanda.outcomes import IncidentNotFound, TaskAmbiguous, TaskDone, TaskOutcome, TaskRejected, TaskRetryable
from relay.cards.model import AttemptState, Card, CardState, IncidentState, Task, TaskKind
from relay.model.record import PendingAction
from relay.ratelimit.budgets import backoff

COMMENT_KINDS = (TaskKind.COMMENT, TaskKind.REPLY)
"""What must not be sent twice: BigPanda would show it twice, to everybody and for good."""

ACTION_KINDS = (TaskKind.ASSIGN, TaskKind.COMMENT, TaskKind.SNOOZE, TaskKind.RESOLVE)
"""What people do by the buttons of a card."""

CONFIRMED_KINDS = (*ACTION_KINDS, TaskKind.REPLY)
"""What a share is expected to confirm; many an integration shares neither comments nor assignments."""

CHECK_AFTER = "after "
"""Begins the reason of a check that is made because no share has confirmed an errand yet."""

CALLBACK_DEADLINE = 240.0
"""Seconds after which the callback is made whatever became of the card: BigPanda gives up waiting after five minutes
(https://docs.bigpanda.io/docs/bigpanda-callback-service)."""

CONFIRMATION_WAIT = 90.0
"""Seconds that an action's share has to come in; then BigPanda is asked how the incident stands."""

TASK_TIMEOUTS: Mapping[TaskKind, float] = {
    TaskKind.CALLBACK: 300.0,
    TaskKind.ASSIGN: 900.0,
    TaskKind.COMMENT: 900.0,
    TaskKind.SNOOZE: 900.0,
    TaskKind.RESOLVE: 900.0,
    TaskKind.REPLY: 86_400.0,
    TaskKind.CHECK: 3_600.0,
}
"""Seconds from being asked for until an errand is given up. Whoever pressed a button at 3:00 is told so, rather than
have an incident closed by it in the morning."""

MAX_RETRY_DELAY = 60.0
"""Seconds between two tries at the most."""

MAX_SEARCHES = 3
"""So often a comment in doubt is looked for among the incident's activities."""
SEARCH_INTERVAL = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskContext:
    """An errand with what it is about: the incident's story and its followed cards, as they are now."""

    task: Task
    incident_state: IncidentState
    cards: tuple[Card, ...] = ()

    @property
    def card(self) -> Card | None:
        """The card at which somebody asked for the errand; None where it is followed no more, or nobody asked."""
        where = self.task.payload.get("card")
        return next((card for card in self.cards if card.channel == where), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskUpdate:
    """What a decision about an errand changes; a story of None stays as it is. `more` are errands that follow."""

    task: Task
    incident_state: IncidentState | None = None
    cards: tuple[Card, ...] = ()
    follow_ups: tuple[Task, ...] = ()


# -- BigPanda is told that the card exists ---------------------------------------------------------------------------


def callback_task(incident: str, integration: str, cards: Sequence[Card], now: float) -> Task:
    """The callback for an incident that was shared through an integration for the first time.

    Due once it is settled what becomes of its first card, and in any case in time.
    """
    due = now if is_card_settled(cards) else now + CALLBACK_DEADLINE
    return Task(
        key=f"callback:{incident}:{integration}",
        kind=TaskKind.CALLBACK,
        incident=incident,
        created=now,
        payload={"integration": integration},
        due_at=due,
    )


_UNSETTLED = (CardState.PENDING, CardState.POSTING, CardState.IN_DOUBT)


def is_card_settled(cards: Sequence[Card]) -> bool:
    """Whether a card is posted, or it is settled that none will be."""
    return any(card.ts for card in cards) or not any(card.state in _UNSETTLED for card in cards)


# -- An errand is done -----------------------------------------------------------------------------------------------


def begin_task(matter: TaskContext, deed: PendingAction | None, now: float, *, sent: str = "") -> TaskUpdate:
    """It is about to be sent: the deed is noted first, since the share that confirms it may come before the answer.

    `sent` is the comment as it goes out, by which it is found again should the answer be lost. What it had to wait for
    (its turn, the store) may have taken too long: then it is given up instead.
    """
    if now > matter.task.created + TASK_TIMEOUTS[matter.task.kind]:
        return close_task(matter, AttemptState.DROPPED, matter.task.reason or "too_late")
    payload = {**matter.task.payload, "sent": sent} if sent else matter.task.payload
    tries = matter.task.tries + 1
    errand = replace(matter.task, state=AttemptState.IN_FLIGHT, tries=tries, due_at=None, payload=payload)
    return TaskUpdate(
        task=errand, incident_state=_with_deed(matter.incident_state, replace(deed, at=now)) if deed else None
    )


def close_task(matter: TaskContext, state: AttemptState, reason: str) -> TaskUpdate:
    """Nothing more is done about it."""
    errand = replace(matter.task, state=state, reason=reason, due_at=None)
    unsent = state in {AttemptState.DROPPED, AttemptState.REJECTED}
    return TaskUpdate(task=errand, incident_state=_without_deed(matter.incident_state, errand.key) if unsent else None)


def retry_task(matter: TaskContext, reason: str, at: float) -> TaskUpdate:
    """It is tried again, unless that would be too late. Where it surely did not happen, nobody did it until then."""
    if at > matter.task.created + TASK_TIMEOUTS[matter.task.kind]:
        return close_task(matter, AttemptState.DROPPED, reason)
    errand = replace(matter.task, state=AttemptState.WAITING, reason=reason, due_at=at)
    return TaskUpdate(
        task=errand,
        incident_state=None if may_have_taken_effect(errand) else _without_deed(matter.incident_state, errand.key),
    )


def handle_crash(matter: TaskContext, now: float) -> TaskUpdate:
    """Something unforeseen came in between. A comment that may have been sent by then is not sent again."""
    errand = matter.task
    if errand.state is AttemptState.IN_DOUBT:
        return apply_search(matter, None, "", now)
    if errand.state is AttemptState.IN_FLIGHT:
        return apply_result(matter, TaskAmbiguous(reason="broke"), now)
    return retry_task(matter, "broke", now + check_delay(errand, now))


def begin_restored(matter: TaskContext, deed: PendingAction | None, now: float, *, sent: str) -> TaskUpdate:
    """A comment that still waits in a copy of the database: it may have been sent since, and is looked for instead."""
    dealt = begin_task(matter, deed, now, sent=sent)
    if dealt.task.state is not AttemptState.IN_FLIGHT:
        return dealt
    return replace(dealt, task=mark_in_doubt(replace(matter, task=dealt.task), "restored", now).task)


def apply_result(matter: TaskContext, ruling: TaskOutcome, now: float) -> TaskUpdate:
    """What follows from BigPanda's answer."""
    errand = matter.task
    match ruling:
        case TaskDone():
            return _done(matter, now)
        case TaskRetryable(reason=reason, retry_after=told):
            return retry_task(matter, reason, now + (told if told is not None else retry_delay(errand)))
        case TaskAmbiguous(reason=reason) if errand.kind in COMMENT_KINDS:
            return mark_in_doubt(matter, reason, now)
        case TaskAmbiguous(reason=reason):  # the same once more does no harm
            return retry_task(replace(matter, task=_unsure(errand)), reason, now + retry_delay(errand))
        case TaskRejected(reason=reason) if errand.kind is TaskKind.CALLBACK:
            return retry_task(matter, reason, now + retry_delay(errand))  # nobody is told; somebody may mend it in time
        case IncidentNotFound(reason=reason) | TaskRejected(reason=reason):
            return close_task(matter, AttemptState.REJECTED, reason)
        case _:
            assert_never(ruling)


def mark_in_doubt(matter: TaskContext, reason: str, now: float) -> TaskUpdate:
    """Nobody knows whether BigPanda has this comment: it is looked for, and never sent again."""
    errand = replace(matter.task, state=AttemptState.IN_DOUBT, reason=reason, due_at=now + SEARCH_INTERVAL / 4)
    return TaskUpdate(task=errand)


def apply_search(matter: TaskContext, comments: Sequence[str] | None, sent: str, now: float) -> TaskUpdate:
    """A comment in doubt was looked for among the incident's comments (None: they could not be read)."""
    errand = matter.task
    if comments is None:  # that says nothing of the comment: BigPanda may be away for a while
        at = now + check_delay(errand, now)
        return TaskUpdate(
            task=replace(errand, due_at=at if at <= errand.created + TASK_TIMEOUTS[errand.kind] else None)
        )
    if " ".join(sent.split()) in {" ".join(text.split()) for text in comments}:
        return _done(matter, now)
    looks = int(errand.payload.get("looks", 0)) + 1
    payload = {**errand.payload, "looks": looks}
    if looks >= MAX_SEARCHES:
        lost = replace(errand, payload=payload, state=AttemptState.IN_DOUBT, due_at=None)
        return TaskUpdate(task=lost)
    return TaskUpdate(task=replace(errand, payload=payload, due_at=now + SEARCH_INTERVAL))


def recover_interrupted(errand: Task, now: float) -> Task:
    """What a relay that died was about: a comment may have arrived; all else may be done once more."""
    if errand.kind in COMMENT_KINDS:
        return replace(errand, state=AttemptState.IN_DOUBT, reason="interrupted", due_at=now)
    return replace(_unsure(errand), state=AttemptState.WAITING, reason="interrupted", due_at=now)


def may_have_taken_effect(errand: Task) -> bool:
    """Whether one of the calls that were made for it may have taken effect, though no answer said so."""
    return bool(errand.payload.get("unsure"))


def _unsure(errand: Task) -> Task:
    return replace(errand, payload={**errand.payload, "unsure": True})


def retry_delay(errand: Task) -> float:
    """Seconds until the next try."""
    return min(MAX_RETRY_DELAY, backoff(max(1, errand.tries), errand.key))


def check_delay(errand: Task, now: float) -> float:
    """Seconds until it is looked once more whether a call can be made: the longer it has waited, the longer."""
    return min(MAX_RETRY_DELAY, max(retry_delay(errand), (now - errand.created) / 2))


def check_task(incident: str, why: str, at: float, now: float) -> Task:
    """BigPanda is to be asked how an incident stands, at that moment."""
    return Task(
        key=f"check:{incident}:{why}",
        kind=TaskKind.CHECK,
        incident=incident,
        created=max(now, at),
        payload={"why": why},
        due_at=at,
    )


def _done(matter: TaskContext, now: float) -> TaskUpdate:
    errand = replace(matter.task, state=AttemptState.DONE, reason="", due_at=None)
    if errand.kind not in CONFIRMED_KINDS:
        return TaskUpdate(task=errand)
    asked = check_task(errand.incident, CHECK_AFTER + errand.key, now + CONFIRMATION_WAIT, now)
    return TaskUpdate(
        task=errand, follow_ups=(replace(asked, payload={**asked.payload, "sent": errand.payload.get("sent", "")}),)
    )


def confirm_checked(matter: TaskContext) -> TaskUpdate:
    """An errand to check is done: what BigPanda does not tell by then was not done, and names nobody later."""
    dealt = close_task(matter, AttemptState.DONE, "")
    return replace(dealt, incident_state=_without_deed(matter.incident_state, checked_task_key(matter.task)))


def checked_task_key(errand: Task) -> str:
    """The key of the errand that a check is to confirm; empty where it is made for another reason."""
    why = str(errand.payload.get("why", ""))
    return why.removeprefix(CHECK_AFTER) if why.startswith(CHECK_AFTER) else ""


def _with_deed(story: IncidentState, deed: PendingAction) -> IncidentState:
    known = tuple(each for each in story.record.pending_actions if each.key != deed.key)
    return replace(story, record=replace(story.record, pending_actions=(*known, deed)))


def _without_deed(story: IncidentState, key: str) -> IncidentState | None:
    """A deed that was not done must not name anybody; None where there is nothing to take back."""
    kept = tuple(each for each in story.record.pending_actions if each.key != key)
    if kept == story.record.pending_actions:
        return None
    return replace(story, record=replace(story.record, pending_actions=kept))
